//! Rows that are moved from memory to the tables in small steps: wherever that stands, and wherever it is killed, each archive has each
//! of its messages once, and each word is found.
use std::collections::BTreeMap;

use super::search::{found, say_to};
use super::*;

const ACCOUNTS: u32 = 6;

fn owners(n: u32) -> [Owner; 2] {
    let [sender, receiver] = [n % ACCOUNTS, (n * 5 + 1) % ACCOUNTS];
    [(sender, Direction::Sent), (receiver, Direction::Received)].map(|(account, direction)| Owner {
        account: AccountId(account),
        direction,
        unseen: false,
    })
}

/// What each account has, and what of it says which word.
#[derive(Clone, Default)]
struct Expected {
    archives: BTreeMap<u32, Vec<ArchiveId>>,
    words: BTreeMap<(u32, String), Vec<ArchiveId>>,
}

impl Expected {
    fn say(&mut self, tx: &mut stonechat::store::Tx, n: u32) {
        let owners = owners(n);
        let word = format!("word{}", n % 3);
        let id = say_to(tx, &owners, &format!("all {word}"));
        let mut accounts = owners.map(|owner| owner.account.0).to_vec();
        accounts.dedup();
        for account in accounts {
            self.archives.entry(account).or_default().push(id);
            for word in ["all", &word] {
                let key = (account, word.to_string());
                self.words.entry(key).or_default().push(id);
            }
        }
    }

    /// It is in no archive, or not in this one.
    fn remove(&mut self, id: ArchiveId, archive: Option<u32>) {
        let is_it = |account: u32| archive.is_none_or(|archive| archive == account);
        for (account, ids) in &mut self.archives {
            ids.retain(|other| *other != id || !is_it(*account));
        }
        for ((account, _), ids) in &mut self.words {
            ids.retain(|other| *other != id || !is_it(*account));
        }
    }

    fn require(&self, store: &Store, place: &str) {
        for ((account, word), ids) in &self.words {
            for backward in [false, true] {
                let (mut ids_found, _) = found(store, AccountId(*account), word, backward);
                if backward {
                    ids_found.reverse();
                }
                assert_eq!(ids_found, *ids, "{account} {word} {place}");
            }
        }
        for (account, ids) in &self.archives {
            let query = ArchiveQuery {
                max: 1000,
                ..ArchiveQuery::default()
            };
            let page = store.begin().page(AccountId(*account), &query).unwrap();
            let all: Vec<ArchiveId> = page.stanzas.iter().map(|stored| stored.id).collect();
            assert_eq!(all, *ids, "{account} {place}");
        }
    }
}

/// Some are in the tables, some in memory; `n` counts on.
fn filled(disk: &Disk) -> (Store, Expected, u32) {
    let store = open(disk);
    let mut expected = Expected::default();
    for part in 0..2 {
        write(&store, |tx| {
            for n in 0..40 {
                expected.say(tx, 40 * part + n);
            }
            match part {
                0 => tx.checkpoint(),
                _ => Ok(()),
            }
        });
    }
    (store, expected, 80)
}

#[test]
fn a_checkpoint_may_be_killed_wherever_it_stands() {
    let disk = Disk::default();
    let (store, mut expected, mut n) = filled(&disk);
    let (mut steps, mut more) = (0, true);
    while more {
        more = write(&store, |tx| {
            expected.say(tx, n);
            n += 1;
            tx.checkpoint_step(1)
        });
        steps += 1;
        expected.require(&store, &format!("step {steps}"));
        // What is killed begins anew, comes half way again, and is killed again.
        let mut image = disk.killed();
        for again in 0..4 {
            let store = open(&image);
            let mut expected = expected.clone();
            expected.require(&store, &format!("step {steps}, killed {again}"));
            write(&store, |tx| {
                expected.say(tx, n);
                for _ in 0..again * 2 {
                    tx.checkpoint_step(1)?;
                }
                Ok(())
            });
            expected.require(&store, &format!("step {steps}, begun anew {again}"));
            let killed = image.killed();
            expected.require(
                &open(&killed),
                &format!("step {steps}, killed anew {again}"),
            );
            drop(store);
            let store = open(&image);
            expected.require(&store, &format!("step {steps}, closed {again}"));
            write(&store, |tx| tx.checkpoint());
            expected.require(&store, &format!("step {steps}, whole {again}"));
            image = image.killed();
            expected.require(
                &open(&image),
                &format!("step {steps}, whole and killed {again}"),
            );
            image = disk.killed();
        }
    }
    assert!(steps > 6, "{steps}");
}

#[derive(Clone, Copy, Debug)]
enum Change {
    TakenBack,
    /// Out of all archives.
    Removed,
    /// Out of one.
    Disowned,
}

#[test]
fn messages_change_while_they_are_moved() {
    const OF_ONE: AccountId = AccountId(1);
    for at in 0..9 {
        for change in [Change::TakenBack, Change::Removed, Change::Disowned] {
            let disk = Disk::default();
            let (store, mut expected, _) = filled(&disk);
            let last = ArchiveId(60);
            write(&store, |tx| {
                for _ in 0..at {
                    tx.checkpoint_step(1)?;
                }
                match change {
                    Change::TakenBack => tx.rewrite_stanza(last, "<message/>").map(drop),
                    Change::Removed => tx.prune_aged(LATE, 60).map(drop),
                    Change::Disowned => tx.prune_archive(OF_ONE, LATE, (None, 15)).map(drop),
                }
            });
            match change {
                Change::TakenBack => {
                    for ids in expected.words.values_mut() {
                        ids.retain(|id| *id != last);
                    }
                }
                Change::Removed => (1..=60).for_each(|id| expected.remove(ArchiveId(id), None)),
                Change::Disowned => {
                    let of_one: Vec<ArchiveId> = expected.archives[&OF_ONE.0][..15].to_vec();
                    for id in of_one {
                        expected.remove(id, Some(OF_ONE.0));
                    }
                }
            }
            let place = format!("step {at} {change:?}");
            expected.require(&store, &place);
            for killed in [disk.killed(), disk.clone()] {
                let store = open(&killed);
                expected.require(&store, &format!("{place}, killed"));
                write(&store, |tx| {
                    tx.checkpoint()?;
                    while tx.forget_words_step()? {}
                    Ok(())
                });
                expected.require(&store, &format!("{place}, whole"));
            }
        }
    }
}

/// What came before the message that it is about is noted in its row, wherever that is.
#[test]
fn what_came_too_early_is_related_once() {
    use stonechat::store::Named;
    use stonechat::xmpp::relation::Act;

    let (from, to) = (
        Jid::parse("romeo@localhost/orchard").unwrap(),
        Jid::parse("juliet@localhost").unwrap(),
    );
    for act in [Act::Corrects, Act::Reacts] {
        for at in 0..6 {
            let disk = Disk::default();
            let store = open(&disk);
            let kind = match act {
                Act::Corrects => "replace xmlns='urn:xmpp:message-correct:0'",
                _ => "reactions xmlns='urn:xmpp:reactions:0'",
            };
            let early = format!(
                "<message xmlns='jabber:client' from='{from}' to='{to}' id='c'><body>b</body><{kind} id='m'/></message>"
            );
            let late = format!(
                "<message xmlns='jabber:client' from='{from}' to='{to}' id='m'><body>b</body></message>"
            );
            let say = |tx: &mut stonechat::store::Tx, xml: &str, act| {
                let record = Record {
                    owners: &OWNERS,
                    from: &from,
                    to: &to,
                    at: Timestamp(1),
                    xml,
                    act,
                };
                tx.append(&record)
            };
            let [early, late] = write(&store, |tx| {
                let early = say(tx, &early, Some((act, Named::Id("m"))))?.id;
                for _ in 0..at {
                    tx.checkpoint_step(1)?;
                }
                let late = say(tx, &late, None)?;
                assert!(late.is_awaited);
                assert_eq!(tx.relate_ahead(late.id)?.len(), 1);
                Ok([early, late.id])
            });
            let require = |store: &Store, place: &str| {
                let tx = store.begin();
                for owner in OWNERS {
                    let found = tx.relations(owner.account, late, 10).unwrap();
                    assert_eq!(found, [(act, early)], "{act:?} {at} {place}");
                }
            };
            require(&store, "served");
            let killed = open(&disk.killed());
            require(&killed, "killed");
            write(&killed, |tx| tx.checkpoint());
            require(&killed, "in the tables");
        }
    }
}
