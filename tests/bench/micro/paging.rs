//! XEP-0313: what a page of 50 takes in the core, of a file with up to a million messages.
use std::time::Instant;

use stonechat::server::Input;
use stonechat::store::{AccountId, Direction, Owner, Record, Store};
use stonechat::xmpp::{Jid, Timestamp};

use super::search::{open, remove};
use super::world::{JULIET, World};

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const BATCH: u64 = 64;
const ROUNDS: usize = 200;
const BEGIN: i64 = 1_790_000_000_000;
/// Between two messages.
const STEP_MS: i64 = 7;

/// `sizes`: how many of them.
pub fn pages(sizes: usize) {
    println!("{:44} {:>13} {:>10}", "page of 50", "median", "best");
    for size in SIZES.iter().take(sizes) {
        let path = std::env::temp_dir().join(format!("stonechat-pages-{}", std::process::id()));
        let mut world = World::on(open(&path));
        fill(&world.store, *size);
        for (name, fields, paging) in asked(*size) {
            let query = format!(
                "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
                 <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>{fields}</x>\
                 <set xmlns='http://jabber.org/protocol/rsm'><max>50</max>{paging}</set></query></iq>"
            );
            let [median, best] = times(&mut world, &query);
            let name = format!("{name}, of {size}");
            println!("{name:44} {median:>10.1} µs {best:>10.1}");
        }
        drop(world);
        remove(&path);
    }
}

/// Microseconds of an answer: the median, and the best.
fn times(world: &mut World, query: &str) -> [f64; 2] {
    let mut times = [0.0; ROUNDS];
    for time in &mut times {
        let begun = Instant::now();
        let sent = world.one(Input::Bytes {
            connection: JULIET,
            bytes: query.as_bytes(),
        });
        *time = begun.elapsed().as_secs_f64() * 1e6;
        let results = String::from_utf8_lossy(&sent).matches("<result ").count();
        assert_eq!(results, 50, "not the page");
    }
    times.sort_by(f64::total_cmp);
    [times[ROUNDS / 2], times[0]]
}

fn asked(size: u64) -> Vec<(&'static str, String, &'static str)> {
    let field =
        |name: &str, value: &str| format!("<field var='{name}'><value>{value}</value></field>");
    let middle = Timestamp(BEGIN + STEP_MS * size.cast_signed() / 2).to_string();
    let none = String::new;
    let collate = field("{urn:xmpp:mamfc:0}summary", "collate");
    let complete = field("{urn:stonechat:archive:0}complete", "true");
    let with = field("with", "romeo@localhost");
    vec![
        ("oldest", none(), ""),
        ("latest", none(), "<before/>"),
        ("by time", field("start", &middle), ""),
        ("with somebody", with.clone(), "<before/>"),
        ("with since", with + &field("start", &middle), ""),
        ("completed latest", complete, "<before/>"),
        ("collated latest", collate.clone(), "<before/>"),
        ("collated oldest", collate, ""),
    ]
}

fn fill(store: &Store, size: u64) {
    let jid = |text: &str| Jid::parse(text).expect("a JID");
    let (romeo, juliet) = (jid("romeo@localhost/orchard"), jid("juliet@localhost"));
    let accounts = ["romeo", "juliet"].map(|name| {
        let account = store.begin().account(name).expect("a read");
        account.expect("the account").id
    });
    let owner = |account: AccountId, direction| Owner {
        account,
        direction,
        unseen: false,
    };
    let owners = [
        owner(accounts[0], Direction::Sent),
        owner(accounts[1], Direction::Received),
    ];
    for first in (0..size).step_by(usize::try_from(BATCH).expect("small")) {
        let mut tx = store.begin();
        for n in first..(first + BATCH).min(size) {
            let xml = format!(
                "<message xmlns='jabber:client' from='{romeo}' to='juliet@localhost' id='{n:032x}' type='chat'>\
                 <body>But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.</body>\
                 <request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>\
                 <origin-id xmlns='urn:xmpp:sid:0' id='{n:032x}'/></message>"
            );
            let jitter = i64::try_from(n * 2_654_435_761 % 5).expect("small");
            tx.append(&Record {
                owners: &owners,
                from: &romeo,
                to: &juliet,
                at: Timestamp(BEGIN + STEP_MS * n.cast_signed() + jitter),
                xml: &xml,
                act: None,
            })
            .expect("a message");
        }
        tx.checkpoint_if_due().expect("a checkpoint");
        if let Some(commit) = tx.finish() {
            commit.run().expect("a commit");
        }
    }
}
