//! What the hot paths cost, one by one: nanoseconds and allocations of one operation. `cargo bench --bench micro`;
//! with `-- search` only what looking for words takes, and with `-- pages` pages, of up to a million messages.
//! The time is the best of several rounds, for the machine adds to it and never takes away; allocations are exact.

// A benchmark is a test: its figures are floats.
#![allow(clippy::as_conversions, clippy::indexing_slicing)]

mod paging;
mod search;
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use redb::backends::InMemoryBackend;
use stonechat::store::{AccountId, ArchiveQuery, Direction, Named, Need, Owner, Record, Store};
use stonechat::xml::{Context, Framer, Limits, parse};
use stonechat::xmpp::relation::Act;
use stonechat::xmpp::{Jid, Stanza, Timestamp};

use world::{BRIDGE, NO_STORE, ROMEO, World, message, message_between};

const ROUNDS: u32 = 20;
const ROUND: Duration = Duration::from_millis(40);
const BATCH: usize = 64;
const ARCHIVED: usize = 10_000;
const SAID: &str = "<body>But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.</body>";
/// Messages of the conversation that pages are of.
const CONVERSATION: usize = 2_000;
/// More than is removed.
const REMOVED: usize = 400_000;

fn main() {
    if std::env::args().any(|word| word == "search") {
        return search::search(3);
    }
    if std::env::args().any(|word| word == "pages") {
        return paging::pages(3);
    }
    println!(
        "{:44} {:>10} {:>12} {:>14}",
        "operation", "ns", "allocations", "bytes asked"
    );
    xml();
    relay();
    archive();
    pages();
    paging::pages(2);
    search::search(2);
}

fn xml() {
    let stanza = message("");
    let bytes = stanza.as_bytes();
    let context = Context {
        default_namespace: "jabber:client".into(),
        prefixes: Vec::new(),
    };
    let mut framer = Framer::new(Limits {
        bytes: 1 << 18,
        depth: 64,
        attributes: 64,
        elements: 4096,
    });
    let mut header: &[u8] =
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
    framer.next(&mut header).expect("a header");
    let size = bytes.len();
    measure(&format!("frame a message of {size} bytes"), 1, || {
        let mut input = bytes;
        black_box(framer.next(&mut input).expect("a frame"));
    });
    measure("strict pass over it", 1, || {
        black_box(parse(bytes, &context).expect("an element"));
    });
    let element = parse(bytes, &context).expect("an element");
    measure("its envelope", 1, || {
        black_box(Stanza::from_element(black_box(&element).clone()));
    });
    measure("a full JID, ASCII", 1, || {
        black_box(Jid::parse(black_box("juliet@localhost/balcony")).expect("a JID"));
    });
    measure("a full JID, not ASCII", 1, || {
        black_box(Jid::parse(black_box("jülïet@localhost/balkön")).expect("a JID"));
    });
}

fn relay() {
    for (name, hint) in [
        ("relay a message, not archived, batch of 64", NO_STORE),
        ("relay a message, archived, batch of 64", ""),
    ] {
        let mut world = World::new();
        let stanza = message(hint);
        measure(name, BATCH, || {
            let batch = std::iter::repeat_n(stanza.as_bytes(), BATCH);
            let sent = world.batch(ROMEO, batch);
            assert!(sent > BATCH * stanza.len(), "not delivered: {sent} bytes");
        });
    }
    let to = message_between("to='nurse@bridge.localhost/r'", "");
    let from = message_between(
        "from='nurse@bridge.localhost/r' to='juliet@localhost/r'",
        "",
    );
    for (name, connection, stanza) in [
        ("pass a message to a component, archived", ROMEO, &to),
        ("take one from a component, archived", BRIDGE, &from),
    ] {
        let mut world = World::new();
        world.admit_bridge();
        measure(name, BATCH, || {
            let batch = std::iter::repeat_n(stanza.as_bytes(), BATCH);
            let sent = world.batch(connection, batch);
            assert!(sent > BATCH * 100, "not delivered: {sent} bytes");
        });
    }
    let mut world = World::new();
    let ping = "<iq type='get' id='p1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
    measure("answer a ping, batch of 64", BATCH, || {
        let sent = world.batch(ROMEO, std::iter::repeat_n(ping.as_bytes(), BATCH));
        assert!(sent > 0, "not answered: {sent} bytes");
    });
}

fn archive() {
    let store = Store::open_backend(InMemoryBackend::new(), 8 << 20).expect("a store");
    let romeo = Jid::parse("romeo@localhost/r").expect("a JID");
    let juliet = Jid::parse("juliet@localhost").expect("a JID");
    let owner = |account, direction| Owner {
        account: AccountId(account),
        direction,
        unseen: false,
    };
    let owners = [owner(1, Direction::Sent), owner(2, Direction::Received)];
    let xml = message("");
    let mut at = 1_790_000_000_000;
    let mut append = || {
        let mut tx = store.begin();
        for _ in 0..BATCH {
            at += 1;
            let record = Record {
                owners: &owners,
                from: &romeo,
                to: &juliet,
                at: Timestamp(at),
                xml: &xml,
                act: None,
            };
            tx.append(&record).expect("a record");
        }
        tx.checkpoint_if_due().expect("a checkpoint");
        tx.finish()
            .expect("something to commit")
            .run()
            .expect("a commit");
    };
    for _ in 0..ARCHIVED / BATCH {
        append();
    }
    let query = ArchiveQuery {
        backward: true,
        max: 50,
        ..ArchiveQuery::default()
    };
    measure("latest page of 50 out of 10,000", 1, || {
        let page = store.begin().page(AccountId(2), &query).expect("a page");
        assert_eq!(page.stanzas.len(), 50);
    });
    measure("append to two archives, batch of 64", BATCH, &mut append);
    for _ in 0..REMOVED / BATCH {
        append();
    }
    // The longest of a step's turns is what others wait.
    let need = Need {
        bytes: u64::MAX,
        spares_unseen: true,
    };
    measure("remove a message from one archive, batch of 50", 50, || {
        let mut tx = store.begin();
        let pruned = tx.prune_greediest(need, 50).expect("a step");
        assert_eq!(pruned.map(|pruned| pruned.stanzas), Some(50));
        tx.finish()
            .expect("something to commit")
            .run()
            .expect("a commit");
    });
}

/// A conversation in which each message has its receipt and its mark, and each fifth a reaction and a correction.
fn pages() {
    let mut world = World::new();
    let mut tx = world.store.begin();
    let accounts = ["romeo", "juliet"].map(|name| {
        let account = tx.account(name).expect("a read");
        account.expect("the account").id
    });
    let jids =
        ["romeo@localhost/r", "juliet@localhost/r"].map(|jid| Jid::parse(jid).expect("a JID"));
    let mut last = None;
    for n in 0..CONVERSATION {
        let mut say = |sender: usize, children: &str, act| {
            let owner = |n, direction| Owner {
                account: accounts[n],
                direction,
                unseen: false,
            };
            let (from, to) = (&jids[sender], &jids[1 - sender]);
            let record = Record {
                owners: &[
                    owner(sender, Direction::Sent),
                    owner(1 - sender, Direction::Received),
                ],
                from,
                to,
                at: Timestamp(1_790_000_000_000),
                xml: &format!(
                    "<message xmlns='jabber:client' from='{from}' to='{to}' type='chat' id='m1'>{children}</message>"
                ),
                act,
            };
            last = Some(tx.append(&record).expect("a record").id);
            last.expect("it")
        };
        let of = say(0, SAID, None);
        say(
            1,
            "<received xmlns='urn:xmpp:receipts' id='i'/>",
            Some((Act::Delivers, Named::Stanza(of))),
        );
        say(
            1,
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='i'/>",
            Some((Act::Displays, Named::Stanza(of))),
        );
        if n % 5 == 0 {
            let reactions =
                "<reactions xmlns='urn:xmpp:reactions:0' id='i'><reaction>!</reaction></reactions>";
            say(1, reactions, Some((Act::Reacts, Named::Stanza(of))));
            let replace = "<replace xmlns='urn:xmpp:message-correct:0' id='i'/>";
            say(
                0,
                &format!("{SAID}{replace}"),
                Some((Act::Corrects, Named::Stanza(of))),
            );
        }
    }
    tx.finish()
        .expect("something to commit")
        .run()
        .expect("a commit");
    for (name, form) in [
        ("a page of 50, plain", ""),
        ("a page of 50, collated", "collate"),
        ("a page of 50, what was said alone", "simplified"),
    ] {
        for (place, before) in [("latest", "<before/>"), ("oldest", "")] {
            let field = match form {
                "" => String::new(),
                form => format!(
                    "<field var='{{urn:xmpp:mamfc:0}}summary'><value>{form}</value></field>"
                ),
            };
            let query = format!(
                "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>{field}</x>\
                 <set xmlns='http://jabber.org/protocol/rsm'><max>50</max>{before}</set></query></iq>"
            );
            measure(&format!("{name}, {place}"), 1, || {
                let sent = world.batch(ROMEO, std::iter::once(query.as_bytes()));
                assert!(sent > 50 * 200, "no page: {sent} bytes");
            });
        }
    }
    let inbox = "<iq type='get' id='i'><inbox xmlns='urn:xmpp:inbox:1'/></iq>";
    measure("an inbox of one conversation", 1, || {
        assert!(world.batch(ROMEO, std::iter::once(inbox.as_bytes())) > 200);
    });
}

/// `per`: how many operations one call is.
fn measure(name: &str, per: usize, mut call: impl FnMut()) {
    for _ in 0..3 {
        call();
    }
    let mut best = f64::INFINITY;
    let (mut calls, mut allocations, mut bytes) = (0u64, 0, 0);
    for _ in 0..ROUNDS {
        let (allocations_before, bytes_before) = (counting::allocations(), counting::bytes());
        let begun = Instant::now();
        let mut in_round = 0u32;
        while begun.elapsed() < ROUND {
            call();
            in_round += 1;
        }
        let nanos = begun.elapsed().as_secs_f64() * 1e9;
        best = best.min(nanos / f64::from(in_round));
        allocations += counting::allocations() - allocations_before;
        bytes += counting::bytes() - bytes_before;
        calls += u64::from(in_round);
    }
    let operations = calls as f64 * per as f64;
    println!(
        "{name:44} {:>10.0} {:>12.2} {:>14.0}",
        best / per as f64,
        allocations as f64 / operations,
        bytes as f64 / operations
    );
}
