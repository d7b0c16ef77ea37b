//! Files of before it was noted what else messages are called (XEP-0359): it is found in steps, and with it what names them so.
use std::path::Path;
use std::time::{Duration, Instant};

use stonechat::store::{AccountId, ArchiveId, Direction, Owner, Record, Store, Tx};
use stonechat::xmpp::relation::Act;
use stonechat::xmpp::{Jid, Timestamp};

use super::upgrade::{age_file, rewrite_rows, sum};
use super::{CACHE_BYTES, Folder, write};
use crate::transcript::tls::{Process, TestDir, operate};

fn say(tx: &mut Tx, [from, to]: [&str; 2], head: &str, children: &str) -> ArchiveId {
    let jid = |name: &str| Jid::parse(&format!("{name}@localhost/phone")).unwrap();
    let (from, to) = (jid(from), jid(to));
    let account = tx.account("alice").unwrap();
    let owners = [Owner {
        account: account.map_or(AccountId(1), |account| account.id),
        direction: Direction::Sent,
        unseen: false,
    }];
    let xml = format!(
        "<message xmlns='jabber:client' from='{from}' to='{to}'{head} type='chat'>{children}</message>"
    );
    let record = Record {
        owners: &owners,
        from: &from,
        to: &to,
        at: Timestamp(1),
        xml: &xml,
        act: None,
    };
    tx.append(&record).unwrap().id
}

fn called(id: &str) -> String {
    format!("<body>secret</body><origin-id xmlns='urn:xmpp:sid:0' id='{id}'/>")
}

fn retracts(id: &str) -> String {
    format!("<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/>")
}

fn reacts(id: &str) -> String {
    format!("<reactions xmlns='urn:xmpp:reactions:0' id='{id}'><reaction>+</reaction></reactions>")
}

fn corrects(id: &str) -> String {
    format!("<body>right</body><replace xmlns='urn:xmpp:message-correct:0' id='{id}'/>")
}

const THERE: [&str; 2] = ["alice", "bob"];
const BACK: [&str; 2] = ["bob", "alice"];

/// As version 15 left it: of the names of messages only those they came with.
fn age(path: &Path, unknown: &[&str]) {
    let fnv = |name: &str| {
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    };
    let unknown: Vec<_> = unknown.iter().map(|name| fnv(name).to_le_bytes()).collect();
    rewrite_rows(path, "names", |key, row| {
        let entries = row[..row.len() - 4].chunks(6);
        let known = entries.filter(|entry| unknown.iter().all(|hash| entry[2..] != *hash));
        let value: Vec<u8> = known.flatten().copied().collect();
        [&value[..], &sum(key, &value)].concat()
    });
    age_file(path, 15, &[]);
}

#[test]
fn second_names_of_version_15_are_found_in_steps() {
    let folder = Folder::new("second-names");
    let path = folder.file();
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    // Blocks of names with and without room; the last ones lie behind the checkpoint.
    let (first, unnamed, corrected) = write(&store, |tx| {
        let first = say(tx, THERE, " id='m1'", &called("o1"));
        let unnamed = say(tx, THERE, "", &called("o2"));
        for n in 0..3_000 {
            say(tx, THERE, &format!(" id='x{n}'"), "<body>other</body>");
        }
        let corrected = say(tx, BACK, " id='m3'", &called("o3"));
        for n in 3_000..4_200 {
            say(tx, THERE, &format!(" id='x{n}'"), "<body>other</body>");
        }
        tx.checkpoint_if_due()?;
        Ok((first, unnamed, corrected))
    });
    let [reacted, of_unnamed, correction] = write(&store, |tx| {
        Ok([
            say(tx, BACK, " id='r1'", &reacts("o1")),
            say(tx, BACK, " id='r2'", &reacts("o2")),
            say(tx, BACK, " id='c1'", &corrects("o3")),
        ])
    });
    drop(store);
    age(&path, &["o1", "o2", "o3"]);
    let (mut steps, mut found) = (0, Vec::new());
    loop {
        let store = Store::open(&path, CACHE_BYTES).unwrap();
        let mut tx = store.begin();
        let step = tx.relate_step(70).unwrap();
        found.extend(step.found.into_iter().map(|(_, id, _)| id));
        if let Some(commit) = tx.finish() {
            commit.run().unwrap();
        }
        steps += 1;
        if !step.more {
            break;
        }
    }
    assert!(steps > 60, "{steps}");
    assert_eq!(found, [reacted, of_unnamed, correction]);
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    let tx = store.begin();
    for (target, expected) in [
        (first, (Act::Reacts, reacted)),
        (unnamed, (Act::Reacts, of_unnamed)),
        (corrected, (Act::Corrects, correction)),
    ] {
        let relations = tx.relations(AccountId(1), target, 10).unwrap();
        assert_eq!(relations, [expected]);
    }
    drop(tx);
    // What comes now finds them too, and those beside them.
    write(&store, |tx| {
        for (name, target) in [("o1", first), ("m3", corrected), ("c1", corrected)] {
            let jid = |name: &str| Jid::parse(&format!("{name}@localhost/phone")).unwrap();
            let owners = [Owner {
                account: AccountId(1),
                direction: Direction::Received,
                unseen: false,
            }];
            let record = Record {
                owners: &owners,
                from: &jid("bob"),
                to: &jid("alice"),
                at: Timestamp(1),
                xml: "<message/>",
                act: Some((Act::Reacts, stonechat::store::Named::Id(name))),
            };
            let relation = tx.append(&record)?.relation.unwrap();
            assert_eq!(relation.target, target, "{name}");
        }
        Ok(())
    });
}

/// It was asked for when nobody could tell what was meant.
#[test]
fn what_was_retracted_by_a_second_name_goes_after_the_upgrade() {
    let dir = TestDir::new("second-names");
    let data = &dir.0;
    std::fs::write(data.join("stonechat.toml"), "domain = 'localhost'").unwrap();
    let (code, text) = operate(data, &["user", "add", "alice", "--create"], "secret\n");
    assert_eq!(code, 0, "{text}");
    let path = data.join("stonechat.redb");
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    write(&store, |tx| {
        say(tx, THERE, " id='m1'", &called("o1"));
        say(tx, BACK, " id='m2'", &called("o2"));
        // Nobody takes back what somebody else said.
        say(tx, BACK, " id='t0'", &retracts("o1"));
        say(tx, BACK, " id='t1'", &retracts("o2"));
        Ok(())
    });
    drop(store);
    age(&path, &["o1", "o2"]);
    let _process = Process::start(data);
    let begun = Instant::now();
    loop {
        let (code, text) = operate(data, &["archive", "export", "alice"], "");
        assert_eq!(code, 0, "{text}");
        let told = text.matches("secret").count();
        if told == 1 && text.contains("<retracted") {
            break;
        }
        assert!(
            told == 2 && begun.elapsed() < Duration::from_secs(20),
            "{text}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
