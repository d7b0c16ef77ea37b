//! The conversations of `archive_model` in the inbox (XEP-0430): order, what is unread, and what was last, for each of the people, also
//! after kills; with what they told their devices that they have seen (XEP-0490).
use std::collections::BTreeMap;

use crate::archive_model::{PEOPLE, World, session};

const SEEDS: u64 = 16;
const OPS: usize = 70;
const ROUNDS: usize = 3;
const INBOX: &str = "urn:xmpp:inbox:1";
const MAM: &str = "urn:xmpp:mam:2";
const MDS: &str = "urn:xmpp:mds:displayed:0";

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    with: String,
    unread: usize,
    /// Numbers of the last of all, and of what was said last.
    last: usize,
    said: usize,
}

/// Who saw how much of the conversation with whom.
type Seen = BTreeMap<(&'static str, &'static str), usize>;

impl World {
    fn is_said(&self, number: usize) -> bool {
        self.said.contains_key(&format!("m{number}")) || self.forged.contains(&number)
    }

    fn is_gone(&self, number: usize) -> bool {
        let said = self.said.get(&format!("m{number}"));
        said.is_some_and(|said| said.gone)
    }

    fn expected(&self, name: &'static str, seen: &Seen) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for with in PEOPLE {
            let both = |(by, to): &(String, String)| {
                (by == name && to == with) || (by == with && to == name)
            };
            let all = self.sent.iter().enumerate();
            let all = all
                .filter(|(_, one)| both(one))
                .map(|(n, (by, _))| (n + 1, by));
            let all: Vec<(usize, &String)> = all.collect();
            let said: Vec<_> = all.iter().filter(|(n, _)| self.is_said(*n)).collect();
            let Some((last_said, _)) = said.last() else {
                continue;
            };
            let own = said.iter().filter(|(_, by)| *by == name).map(|(n, _)| *n);
            let marks = self.marks.iter();
            let marks = marks
                .filter(|(by, of, _)| *by == name && *of == with)
                .map(|(_, _, n)| *n);
            let seen = seen.get(&(name, with)).copied();
            let read = own.chain(marks).chain(seen).max().unwrap_or(0);
            let unread = said.iter().filter(|(n, _)| *n > read && !self.is_gone(*n));
            entries.push(Entry {
                with: format!("{with}@localhost"),
                unread: if with == name { 0 } else { unread.count() },
                last: all.last().unwrap().0,
                said: *last_said,
            });
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.said));
        entries
    }

    fn inbox(&mut self, name: &str, numbers: &BTreeMap<String, usize>) -> Vec<Entry> {
        let ask = format!("<iq type='get' id='i'><inbox xmlns='{INBOX}'/></iq>");
        self.core.say(&session(name), &ask);
        let mut answer = self.core.all(&session(name));
        let fin = answer.pop().unwrap();
        let entries: Vec<Entry> = answer
            .iter()
            .map(|message| {
                let entry = message.root().child("entry", INBOX).unwrap();
                let result = message.root().child("result", MAM).unwrap();
                let attribute = |name| entry.attribute(name).unwrap().into_owned();
                Entry {
                    with: attribute("jid"),
                    unread: attribute("unread").parse().unwrap(),
                    last: numbers[&attribute("id")],
                    said: numbers[&*result.attribute("id").unwrap()],
                }
            })
            .collect();
        let fin = fin.root().child("fin", INBOX).unwrap();
        let number = |name| -> usize { fin.attribute(name).unwrap().parse().unwrap() };
        assert_eq!(number("total"), entries.len());
        let unread = entries.iter().map(|entry| entry.unread);
        assert_eq!(number("all-unread"), unread.clone().sum::<usize>());
        assert_eq!(
            number("unread"),
            unread.filter(|unread| *unread > 0).count()
        );
        entries
    }

    fn check_inbox(&mut self, seen: &mut Seen) {
        for name in PEOPLE {
            let numbers = self.numbers(name);
            let expected = self.expected(name, seen);
            assert_eq!(self.inbox(name, &numbers), expected, "{name}");
            self.see(name, &numbers, seen);
            let expected = self.expected(name, seen);
            assert_eq!(self.inbox(name, &numbers), expected, "{name} saw");
        }
    }

    fn see(&mut self, name: &'static str, numbers: &BTreeMap<String, usize>, seen: &mut Seen) {
        let with = PEOPLE[self.prng.below(PEOPLE.len())];
        let at = self.prng.below(numbers.len().max(1));
        let Some((place, number)) = numbers.iter().nth(at) else {
            return;
        };
        let publish = format!(
            "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{MDS}'>\
             <item id='{with}@localhost'><displayed xmlns='{MDS}'>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='{name}@localhost' id='{place}'/></displayed></item></publish></pubsub></iq>"
        );
        self.core.say(&session(name), &publish);
        self.core.all(&session(name));
        seen.insert((name, with), *number);
    }
}

#[test]
fn inboxes_are_as_the_list_says() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed * 77);
        let mut seen = Seen::new();
        for _ in 0..ROUNDS {
            for _ in 0..OPS / ROUNDS {
                world.step();
            }
            world.check_inbox(&mut seen);
        }
    }
}
