//! The conversations of `archive_model`, read in the forms of XEP-0427: a collated page says of each message alone what the list
//! knows of it, also of those that lie before the page; `simplified` shows the same messages, `fastenings` all that was done to one.
use std::collections::{BTreeMap, BTreeSet};

use stonechat::xml::{Element, ElementRef};

use crate::archive_model::{
    CLIENT, CORRECT, MARKERS, PEOPLE, REACTIONS, RECEIPTS, RETRACT, Said, World, number, session,
};

const SEEDS: u64 = 12;
const OPS: usize = 90;
const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const COLLATION: &str = "urn:xmpp:mamfc:0";

/// What a summary says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub corrected: usize,
    pub text: Option<String>,
    pub retracted: usize,
    pub reactions: BTreeMap<String, usize>,
    pub receipts: usize,
    pub displayed: usize,
}

impl Told {
    pub fn read(result: ElementRef<'_>) -> Told {
        let mut told = Told::default();
        for applied in result.children().filter(|one| one.is("applied", COLLATION)) {
            let count = applied.attribute("count");
            let count = count.map_or(1, |count| count.parse().unwrap());
            let inside: Vec<_> = applied.children().collect();
            assert_eq!(inside.len(), 1);
            let one = inside[0];
            assert!(one.attribute("id").is_none(), "{}", one.source());
            match (one.name(), one.namespace()) {
                ("replace", CORRECT) => {
                    let body = one.child("body", CLIENT).unwrap();
                    told.corrected = count;
                    told.text = Some(body.text().into_owned());
                }
                ("retract", RETRACT) => told.retracted = count,
                ("reactions", REACTIONS) => {
                    let face = one.child("reaction", REACTIONS).unwrap();
                    told.reactions.insert(face.text().into_owned(), count);
                }
                ("received", RECEIPTS) => told.receipts = count,
                ("displayed", MARKERS) => told.displayed = count,
                _ => panic!("{}", applied.source()),
            }
        }
        told
    }

    pub fn expected(world: &World, id: &str) -> Told {
        let said = &world.said[id];
        if said.gone {
            return Told {
                retracted: 1,
                ..Told::default()
            };
        }
        let mut reactions = BTreeMap::new();
        for face in said.reactions.values().flatten() {
            *reactions.entry(face.clone()).or_default() += 1;
        }
        // Whoever of the two did not say it.
        let readers = [said.by, said.to].into_iter().filter(|who| *who != said.by);
        let displayed = readers.filter(|reader| {
            let reaches = |(by, of, number_of): &(&str, &str, usize)| {
                by == reader && *of == said.by && *number_of >= number(id)
            };
            world.marks.iter().any(reaches)
        });
        Told {
            corrected: said.texts.len() - 1,
            text: said.texts.last().cloned().filter(|_| said.texts.len() > 1),
            retracted: 0,
            reactions,
            receipts: said.receipts,
            displayed: displayed.count(),
        }
    }
}

/// A result: the archive's id, the message if it is there, what is told of it.
struct Shown {
    place: String,
    /// The id it came with.
    name: Option<String>,
    told: Told,
}

struct Asked<'a> {
    summary: &'a str,
    fields: String,
    max: usize,
    backward: bool,
    after: Option<String>,
}

impl World {
    fn pages(&mut self, name: &str, asked: &Asked<'_>) -> Vec<Shown> {
        let mut all = Vec::new();
        let mut place = asked.after.clone();
        loop {
            let rsm = match (&place, asked.backward) {
                (None, false) => String::new(),
                (None, true) => "<before/>".to_string(),
                (Some(id), false) => format!("<after>{id}</after>"),
                (Some(id), true) => format!("<before>{id}</before>"),
            };
            let query = format!(
                "<iq type='set' id='q'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE'><value>{MAM}</value></field>{}\
                 <field var='{{{COLLATION}}}summary'><value>{}</value></field></x>\
                 <set xmlns='{RSM}'><max>{}</max>{rsm}</set></query></iq>",
                asked.fields, asked.summary, asked.max
            );
            self.core.say(&session(name), &query);
            let mut answer = self.core.all(&session(name));
            let fin = answer.pop().unwrap();
            let page: Vec<Shown> = answer.iter().map(|one| self.shown(one)).collect();
            assert!(page.len() <= asked.max);
            match asked.backward {
                true => all.splice(0..0, page).for_each(drop),
                false => all.extend(page),
            }
            let fin = fin.root().child("fin", MAM).unwrap();
            let latest = fin
                .child("latest", COLLATION)
                .map(|it| it.attribute("id").is_some());
            // Of an archive in which nothing is there is no latest.
            let is_empty = !self.sent.iter().any(|(by, to)| by == name || to == name);
            assert_eq!(latest, (!is_empty).then_some(true));
            let set = fin.child("set", RSM).unwrap();
            let end = match asked.backward {
                false => set.child("last", RSM),
                true => set.child("first", RSM),
            };
            place = end.map(|end| end.text().into_owned());
            if fin.attribute("complete").is_some() || place.is_none() {
                return all;
            }
        }
    }

    fn shown(&self, result: &Element) -> Shown {
        let result = result.root().child("result", MAM).unwrap();
        let source = result.source();
        let gone = self.gone.iter().find(|text| source.contains(&***text));
        assert_eq!(gone, None, "{source}");
        let forwarded = result.child("forwarded", "urn:xmpp:forward:0");
        let message = forwarded.map(|it| it.child("message", CLIENT).unwrap());
        Shown {
            place: result.attribute("id").unwrap().into_owned(),
            name: message.map(|it| it.attribute("id").unwrap().into_owned()),
            told: Told::read(result),
        }
    }

    fn is_in(&self, name: &str, said: &Said) -> bool {
        said.by == name || said.to == name
    }

    /// The number of each message in one's archive, by the archive's id.
    pub fn numbers(&mut self, name: &str) -> BTreeMap<String, usize> {
        let asked = Asked {
            summary: "full",
            fields: String::new(),
            max: 50,
            backward: false,
            after: None,
        };
        let all = self.pages(name, &asked);
        let numbers = all.into_iter().map(|one| {
            assert_eq!(one.told, Told::default());
            (one.place, number(&one.name.unwrap()))
        });
        numbers.collect()
    }

    fn check_collated(&mut self) {
        for name in PEOPLE {
            let numbers = self.numbers(name);
            for backward in [false, true] {
                self.check_all(name, &numbers, backward);
            }
            self.check_since(name, &numbers);
            self.check_fastenings(name, &numbers);
        }
    }

    fn asked<'a>(&mut self, summary: &'a str, backward: bool) -> Asked<'a> {
        Asked {
            summary,
            fields: String::new(),
            max: 1 + self.prng.below(9),
            backward,
            after: None,
        }
    }

    fn check_all(&mut self, name: &str, numbers: &BTreeMap<String, usize>, backward: bool) {
        let asked = self.asked("simplified", backward);
        let simplified = self.pages(name, &asked);
        let asked = Asked {
            // So that nothing lies before.
            fields: match backward {
                true => String::new(),
                false => {
                    "<field var='start'><value>1970-01-01T00:00:00Z</value></field>".to_string()
                }
            },
            ..self.asked("collate", backward)
        };
        let collated = self.pages(name, &asked);
        let places = |shown: &[Shown]| -> Vec<usize> {
            shown.iter().map(|one| numbers[&one.place]).collect()
        };
        assert!(places(&collated).is_sorted());
        assert_eq!(places(&simplified), places(&collated));
        let mut seen = BTreeSet::new();
        for one in &collated {
            let id = one.name.clone().unwrap();
            if self.said.contains_key(&id) {
                assert_eq!(one.told, Told::expected(self, &id), "{id} for {name}");
                assert!(seen.insert(id));
            }
        }
        let theirs = self.said.values().filter(|said| self.is_in(name, said));
        assert_eq!(seen.len(), theirs.count());
    }

    /// From some place on: what was said since, and what was done since to what was said before, each once.
    fn check_since(&mut self, name: &str, numbers: &BTreeMap<String, usize>) {
        let at = self.prng.below(numbers.len().max(1));
        let Some((place, since)) = numbers.iter().nth(at) else {
            return;
        };
        let by_field = self.prng.below(2) == 0;
        // Now and then it ends earlier.
        let at = self.prng.below(numbers.len());
        let end = numbers.iter().nth(at).filter(|(_, end)| *end > since);
        let end = end.filter(|_| self.prng.below(2) == 0);
        let until = end.map_or(usize::MAX, |(_, end)| *end);
        let before = end.map_or(String::new(), |(place, _)| {
            format!("<field var='before-id'><value>{place}</value></field>")
        });
        let asked = Asked {
            fields: match by_field {
                true => format!("<field var='after-id'><value>{place}</value></field>{before}"),
                false => before,
            },
            max: if by_field { 1 + self.prng.below(9) } else { 50 },
            after: (!by_field).then(|| place.clone()),
            ..self.asked("collate", false)
        };
        let shown = self.pages(name, &asked);
        let from = since;
        let (mut whole, mut outside) = (BTreeSet::new(), BTreeSet::new());
        for one in &shown {
            let number_of = numbers[&one.place];
            let id = format!("m{number_of}");
            let is_new = match &one.name {
                Some(_) => number_of > *since && number_of < until && whole.insert(id.clone()),
                None => number_of <= *since && outside.insert(id.clone()),
            };
            assert!(is_new || (!by_field && shown.len() > 50), "{id} twice");
            if self.said.contains_key(&id) {
                assert_eq!(one.told, Told::expected(self, &id), "{id} for {name}");
            }
        }
        for (id, said) in self.said.iter().filter(|(_, said)| self.is_in(name, said)) {
            let is_new = number(id) > *since && number(id) < until;
            let mut since = said.acts.iter().filter(|act| *act > since && **act < until);
            let is_changed = number(id) <= *from && since.next().is_some();
            assert_eq!(
                (whole.contains(id), outside.contains(id)),
                (is_new, is_changed),
                "{id}"
            );
        }
    }

    fn check_fastenings(&mut self, name: &str, numbers: &BTreeMap<String, usize>) {
        let at = self.prng.below(numbers.len().max(1));
        let Some((place, of)) = numbers.iter().nth(at) else {
            return;
        };
        let Some(said) = self.said.get(&format!("m{of}")).cloned() else {
            return;
        };
        for backward in [false, true] {
            let asked = Asked {
                fields: format!("<field var='ids'><value>{place}</value></field>"),
                max: 1 + self.prng.below(3),
                ..self.asked("fastenings", backward)
            };
            let done = self.pages(name, &asked);
            let done: Vec<usize> = done.iter().map(|one| numbers[&one.place]).collect();
            assert_eq!(done, said.acts, "{of} for {name}");
        }
    }
}

#[test]
fn archive_collated_is_as_the_list_says() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..OPS {
            world.step();
        }
        world.check_collated();
    }
}
