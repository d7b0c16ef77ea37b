//! XEP-0427: what one page looks through is bounded, whatever people have done; what a limit cuts off comes with the next page, or
//! is left out of a summary as `collation` says.
use stonechat::store::{ArchiveId, Direction, Named, Owner, Record, Tx};
use stonechat::xml::Element;
use stonechat::xmpp::Jid;
use stonechat::xmpp::relation::Act;

use crate::transcript::core::Core;

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const COLLATION: &str = "urn:xmpp:mamfc:0";
const MARKER: &str = "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>";

/// Romeo and Juliet, and what was said between them.
struct Chat {
    core: Core,
}

/// Appends to both archives.
struct Said<'t> {
    tx: &'t mut Tx,
    owners: [Owner; 2],
}

impl Said<'_> {
    fn add(&mut self, is_hers: bool, children: &str, act: Option<(Act, ArchiveId)>) -> ArchiveId {
        let jids = ["romeo@localhost/1", "juliet@localhost/1"].map(|jid| Jid::parse(jid).unwrap());
        let [from, to] = match is_hers {
            true => [&jids[1], &jids[0]],
            false => [&jids[0], &jids[1]],
        };
        let mut owners = self.owners;
        owners[usize::from(is_hers)].direction = Direction::Sent;
        owners[usize::from(!is_hers)].direction = Direction::Received;
        let xml = format!(
            "<message xmlns='jabber:client' from='{from}' to='{to}' type='chat'>{children}</message>"
        );
        let record = Record {
            owners: &owners,
            from,
            to,
            at: stonechat::xmpp::Timestamp(1_000),
            xml: &xml,
            act: act.map(|(act, of)| (act, Named::Stanza(of))),
        };
        self.tx.append(&record).unwrap().id
    }

    fn say(&mut self) -> ArchiveId {
        self.add(false, "<body>b</body>", None)
    }

    fn react(&mut self, is_hers: bool, faces: impl Iterator<Item = String>, of: ArchiveId) {
        let faces: String = faces
            .map(|face| format!("<reaction>{face}</reaction>"))
            .collect();
        let reactions =
            format!("<reactions xmlns='urn:xmpp:reactions:0' id='x'>{faces}</reactions>");
        self.add(is_hers, &reactions, Some((Act::Reacts, of)));
    }
}

/// How a page ends.
#[derive(Debug)]
struct End {
    is_complete: bool,
    last: Option<String>,
}

impl Chat {
    fn new(fill: impl FnOnce(&mut Said<'_>)) -> Chat {
        let mut core = Core::with_settings(&["romeo", "juliet"], |_| {});
        core.stop_and(|tx| {
            let owners = ["romeo", "juliet"].map(|name| Owner {
                account: tx.account(name).unwrap().unwrap().id,
                direction: Direction::Sent,
                unseen: false,
            });
            fill(&mut Said { tx, owners });
        });
        core.bind("romeo/1");
        Chat { core }
    }

    fn ask(&mut self, summary: &str, fields: &str, rsm: &str) -> (Vec<Element>, End) {
        let query = format!(
            "<iq type='set' id='q'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{MAM}</value></field>{fields}\
             <field var='{{{COLLATION}}}summary'><value>{summary}</value></field></x>\
             <set xmlns='{RSM}'>{rsm}</set></query></iq>"
        );
        self.core.say("romeo/1", &query);
        let mut answer = self.core.all("romeo/1");
        let fin = answer.pop().unwrap();
        let fin = fin.root().child("fin", MAM).unwrap();
        let last = fin.child("set", RSM).unwrap().child("last", RSM);
        let end = End {
            is_complete: fin.attribute("complete").is_some(),
            last: last.map(|last| last.text().into_owned()),
        };
        (answer, end)
    }

    fn ids(&mut self) -> Vec<String> {
        let (all, _) = self.ask("simplified", "", "");
        let id = |one: &Element| {
            let result = one.root().child("result", MAM).unwrap();
            result.attribute("id").unwrap().into_owned()
        };
        all.iter().map(id).collect()
    }
}

fn summaries(result: &Element) -> usize {
    let result = result.root().child("result", MAM).unwrap();
    let applied = result.children().filter(|one| one.is("applied", COLLATION));
    applied.count()
}

#[test]
fn so_much_is_passed_over_for_one_page() {
    let mut chat = Chat::new(|said| {
        for _ in 0..20_010 {
            said.add(true, MARKER, None);
        }
        said.say();
    });
    for form in ["simplified", "collate"] {
        let (page, end) = chat.ask(form, "", "");
        assert!(page.is_empty() && !end.is_complete, "{end:?}");
        let rest = format!("<after>{}</after>", end.last.unwrap());
        let (page, end) = chat.ask(form, "", &rest);
        assert!(page.len() == 1 && end.is_complete, "{end:?}");
        // From the end it is near.
        let (page, end) = chat.ask(form, "", "<max>1</max><before/>");
        assert!(page.len() == 1 && !end.is_complete, "{end:?}");
    }
}

#[test]
fn a_page_ends_where_what_was_done_to_it_is_too_much() {
    let mut chat = Chat::new(|said| {
        for _ in 0..7 {
            let of = said.say();
            for n in 0..2_010 {
                said.react(n % 2 == 0, [format!("{}", n % 3)].into_iter(), of);
            }
        }
    });
    let (page, end) = chat.ask("collate", "", "");
    assert!(page.len() == 5 && !end.is_complete, "{end:?}");
    let (page, end) = chat.ask("collate", "", "<before/>");
    assert!(page.len() == 5 && !end.is_complete, "{end:?}");
    // Who reacted last is among the latest.
    assert_eq!(summaries(&page[0]), 2);
}

#[test]
fn a_page_ends_where_its_summaries_are_too_long() {
    let long = format!("<body>{}</body>", "x".repeat(100_000));
    let mut chat = Chat::new(|said| {
        for _ in 0..4 {
            let of = said.say();
            said.add(false, &long, Some((Act::Corrects, of)));
        }
    });
    let (page, end) = chat.ask("collate", "", "");
    assert!(page.len() == 3 && !end.is_complete, "{end:?}");
}

#[test]
fn so_much_that_was_done_is_read_for_one_page() {
    let note = format!(
        "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction>a</reaction></reactions><body>{}</body>",
        "x".repeat(400_000)
    );
    let mut chat = Chat::new(|said| {
        for _ in 0..3 {
            let of = said.say();
            for _ in 0..6 {
                said.add(true, &note, Some((Act::Reacts, of)));
            }
        }
    });
    let (page, end) = chat.ask("collate", "", "");
    assert!(page.len() == 2 && !end.is_complete, "{end:?}");
    assert_eq!(page.iter().map(summaries).sum::<usize>(), 2);
}

#[test]
fn one_message_has_so_many_summaries() {
    let faces = |from: usize, to: usize| (from..to).map(|n| n.to_string());
    let mut chat = Chat::new(|said| {
        let of = said.say();
        said.react(false, faces(0, 70), of);
        let of = said.say();
        said.react(false, faces(0, 40), of);
        said.react(true, faces(20, 60), of);
        let of = said.say();
        said.react(false, faces(0, 40), of);
        said.react(true, faces(40, 90), of);
    });
    let (page, end) = chat.ask("collate", "", "");
    assert!(end.is_complete);
    let counts: Vec<usize> = page.iter().map(summaries).collect();
    assert_eq!(counts, [64, 60, 64]);
}

#[test]
fn marks_are_looked_for_so_far_back() {
    let mut chat = Chat::new(|said| {
        said.say();
        let of = said.say();
        said.add(true, MARKER, Some((Act::Displays, of)));
        for _ in 0..400 {
            said.say();
        }
    });
    let (page, _) = chat.ask("collate", "", "<max>1</max>");
    assert_eq!(summaries(&page[0]), 1);
    chat.core.stop_and(|tx| {
        let owners = ["romeo", "juliet"].map(|name| Owner {
            account: tx.account(name).unwrap().unwrap().id,
            direction: Direction::Sent,
            unseen: false,
        });
        let mut said = Said { tx, owners };
        for _ in 0..200 {
            said.say();
        }
    });
    chat.core.bind("romeo/1");
    let (page, _) = chat.ask("collate", "", "<max>1</max>");
    assert_eq!(summaries(&page[0]), 0);
    // What is marked itself says so, and with it its page.
    let (page, _) = chat.ask("collate", "", "<max>2</max>");
    assert_eq!(summaries(&page[0]), 1);
}

#[test]
fn of_what_was_done_to_one_so_much_is_looked_through() {
    let mut chat = Chat::new(|said| {
        let of = said.say();
        for _ in 0..2_010 {
            said.react(true, std::iter::empty(), of);
        }
    });
    let id = chat.ids().remove(0);
    let fields = format!(
        "<field var='ids'><value>{id}</value></field>\
         <field var='start'><value>2020-01-01T00:00:00Z</value></field>"
    );
    let (page, end) = chat.ask("fastenings", &fields, "");
    assert!(page.is_empty() && !end.is_complete, "{end:?}");
    let rest = format!("<after>{}</after>", end.last.unwrap());
    let (page, end) = chat.ask("fastenings", &fields, &rest);
    assert!(page.is_empty() && end.is_complete, "{end:?}");
}
