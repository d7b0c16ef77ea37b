//! XEP-0430: an inbox looks at so many conversations, counts so far, and reads so far back; what is beyond is told as `inbox` says.
use stonechat::store::{Direction, Owner, Record, Tx};
use stonechat::xmpp::{Jid, Timestamp};

use crate::transcript::core::Core;

const INBOX: &str = "urn:xmpp:inbox:1";
const BODY: &str = "<body>b</body>";

fn inbox_of(fill: impl FnOnce(&mut Tx, &mut dyn FnMut(&mut Tx, &str, bool, &str))) -> Inbox {
    let mut core = Core::with_settings(&["romeo"], |_| {});
    core.stop_and(|tx| {
        let account = tx.account("romeo").unwrap().unwrap().id;
        let own = Jid::parse("romeo@localhost/1").unwrap();
        fill(tx, &mut |tx, with, is_sent, children| {
            let with = Jid::parse(with).unwrap();
            let (from, to, direction) = match is_sent {
                true => (&own, &with, Direction::Sent),
                false => (&with, &own, Direction::Received),
            };
            let xml = format!(
                "<message xmlns='jabber:client' from='{from}' to='{to}'>{children}</message>"
            );
            let owner = Owner {
                account,
                direction,
                unseen: false,
            };
            let record = Record {
                owners: &[owner],
                from,
                to,
                at: Timestamp(1_000),
                xml: &xml,
                act: None,
            };
            tx.append(&record).unwrap();
        });
    });
    core.bind("romeo/1");
    let ask = format!("<iq type='get' id='i'><inbox xmlns='{INBOX}'/></iq>");
    core.say("romeo/1", &ask);
    let mut answer = core.all("romeo/1");
    let fin = answer.pop().unwrap();
    let fin = fin.root().child("fin", INBOX).unwrap();
    let number = |name| fin.attribute(name).unwrap().parse().unwrap();
    let entries = answer.iter().map(|message| {
        let entry = message.root().child("entry", INBOX).unwrap();
        let attribute = |name| entry.attribute(name).unwrap().into_owned();
        let has_message = message.root().child("result", "urn:xmpp:mam:2").is_some();
        (
            attribute("jid"),
            attribute("unread").parse().unwrap(),
            has_message,
        )
    });
    Inbox {
        entries: entries.collect(),
        total: number("total"),
        all_unread: number("all-unread"),
    }
}

struct Inbox {
    /// Whose, how many are unread, whether the last message is there.
    entries: Vec<(String, usize, bool)>,
    total: usize,
    all_unread: usize,
}

#[test]
fn so_many_conversations_are_looked_at() {
    let inbox = inbox_of(|tx, say| {
        for n in 0..4_100 {
            say(tx, &format!("c{n}@x"), false, BODY);
        }
    });
    assert_eq!((inbox.total, inbox.all_unread), (4_096, 4_096));
    // A page of them.
    assert_eq!(inbox.entries.len(), 250);
}

#[test]
fn so_many_unread_ones_are_counted() {
    let inbox = inbox_of(|tx, say| {
        say(tx, "c@x", true, BODY);
        for _ in 0..510 {
            say(tx, "c@x", false, BODY);
        }
        say(tx, "d@x", true, BODY);
        for _ in 0..499 {
            say(tx, "d@x", false, BODY);
        }
    });
    let expected = [("d@x", 499, true), ("c@x", 500, true)];
    assert_eq!(
        inbox.entries,
        expected.map(|(jid, unread, is_there)| (jid.to_string(), unread, is_there))
    );
}

#[test]
fn what_was_said_too_far_back_is_not_shown() {
    let receipt = "<received xmlns='urn:xmpp:receipts' id='x'/>";
    let inbox = inbox_of(|tx, say| {
        say(tx, "c@x", false, BODY);
        for _ in 0..6_000 {
            say(tx, "c@x", false, receipt);
        }
        for _ in 0..6_001 {
            say(tx, "d@x", false, receipt);
        }
    });
    // There may be something said in both.
    let mut entries = inbox.entries;
    entries.sort();
    let expected = ["c@x", "d@x"].map(|jid| (jid.to_string(), 0, false));
    assert_eq!(entries, expected);
}

#[test]
fn many_long_conversations_leave_little_for_each() {
    let inbox = inbox_of(|tx, say| {
        for n in 0..150 {
            for _ in 0..480 {
                say(tx, &format!("c{n}@x"), false, BODY);
            }
        }
    });
    assert_eq!(inbox.total, 150);
    // All are shown, and each has something unread.
    assert!(
        inbox
            .entries
            .iter()
            .all(|(_, unread, is_there)| *unread > 50 && *is_there)
    );
    assert!(inbox.all_unread < 150 * 480);
}

#[test]
fn messages_that_do_not_fit_come_with_the_next_page() {
    let long = format!("<body>{}</body>", "x".repeat(200_000));
    let inbox = inbox_of(|tx, say| {
        for n in 0..20 {
            say(tx, &format!("c{n}@x"), false, &long);
        }
    });
    assert_eq!((inbox.total, inbox.entries.len()), (20, 6));
}
