//! Rotten cards: every page zeroed, bits flipped anywhere. What is read is what was written or nothing; what is written goes
//! where it belongs or is refused; only a file whose beginning is gone cannot be opened.
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stonechat::store::{AccountId, ArchiveQuery, Contact, Need, Store, StoreError, Tx};
use stonechat::xmpp::words::Wanted;
use stonechat::xmpp::{BareJid, Jid, Timestamp};

use super::disk::Disk;
use super::{Direction, LATE, Owner, Record, try_open, write};
use crate::transcript::prng::Prng;

const PAGE_BYTES: usize = 4096;
const PEOPLE: [&str; 3] = ["romeo", "juliet", "nurse"];
const MESSAGES: usize = 300;

/// Everything that can be read, as texts.
fn read_all(store: &Store, accounts: &[AccountId]) -> (HashSet<String>, usize) {
    let (mut seen, mut damaged) = (HashSet::new(), 0);
    let mut tell = |what: Result<Vec<String>, StoreError>| match what {
        Ok(texts) => seen.extend(texts),
        Err(StoreError::Damaged { .. }) => damaged += 1,
        Err(error) => panic!("{error:?}"),
    };
    let tx = store.begin();
    for (name, account) in PEOPLE.iter().zip(accounts) {
        let found = |found| format!("{name} is {found:?}");
        tell(
            tx.account(name)
                .map(|row| row.map(|row| found(row.id)).into_iter().collect()),
        );
        tell(
            tx.credentials(*account)
                .map(|row| vec![format!("{name} {row:?}")]),
        );
        tell(
            tx.vcard(*account)
                .map(|row| row.into_iter().map(|row| format!("{name} {row}")).collect()),
        );
        tell(
            tx.contacts(*account)
                .map(|rows| rows.iter().map(|row| format!("{name} {row:?}")).collect()),
        );
        tell(tx.blocked(*account).map(|rows| {
            rows.iter()
                .map(|row| format!("{name} blocks {row}"))
                .collect()
        }));
        for (backward, words) in [(false, None), (true, None), (true, Some("many wo"))] {
            let query = ArchiveQuery {
                backward,
                words: words.map(|words| Wanted::parse(words).unwrap()),
                max: 10 * MESSAGES,
                ..ArchiveQuery::default()
            };
            let page = tx.page(*account, &query);
            tell(page.map(|page| {
                page.stanzas
                    .iter()
                    .map(|row| format!("{name} {row:?}"))
                    .collect()
            }));
        }
        let ends = tx.archive_ends(*account).map(|_| Vec::new());
        tell(ends);
    }
    (seen, damaged)
}

fn change(tx: &mut Tx, account: AccountId, n: usize) -> Result<(), StoreError> {
    let jid = |text: &str| Jid::parse(text).unwrap();
    let contact = Contact {
        name: format!("later {n}"),
        listed: true,
        ..Contact::default()
    };
    tx.set_contact(account, &jid(&format!("later{n}@x")).to_bare(), &contact)?;
    tx.block(account, &format!("blocked{n}@x"))?;
    tx.set_vcard(account, &format!("<vCard>{n}</vCard>"))?;
    let owners = [Owner {
        account,
        direction: Direction::Received,
        unseen: true,
    }];
    let xml = format!("<message>{n}<body>later {n}</body></message>");
    let (from, to) = (jid("a@x/y"), jid("b@x"));
    tx.append(&Record {
        owners: &owners,
        from: &from,
        to: &to,
        at: Timestamp(5),
        xml: &xml,
        act: None,
    })?;
    tx.prune_aged(Timestamp(3), 5)?;
    let need = Need {
        bytes: 2000,
        spares_unseen: n == 1,
    };
    tx.prune_greediest(need, 5)?;
    tx.forget_words_step()?;
    tx.checkpoint_if_due()
}

fn filled() -> (Disk, Vec<AccountId>) {
    let disk = Disk::default();
    let store = try_open(&disk).unwrap();
    let accounts: Vec<AccountId> = PEOPLE
        .iter()
        .map(|name| {
            write(&store, |tx| {
                tx.add_account(name, &Default::default(), Timestamp(1))
            })
            .unwrap()
        })
        .collect();
    for n in 0..MESSAGES {
        let account = accounts[n % 3];
        write(&store, |tx| {
            let contact = Contact {
                name: format!("contact {n}"),
                listed: true,
                ..Contact::default()
            };
            let jid: BareJid = Jid::parse(&format!("c{n}@x")).unwrap().to_bare();
            tx.set_contact(account, &jid, &contact)?;
            tx.block(account, &format!("b{n}@x"))?;
            let xml = format!(
                "<message>{n} {}<body>word{n} of many</body></message>",
                "m".repeat(200)
            );
            let (from, to) = (
                Jid::parse(&format!("c{n}@x/r")).unwrap(),
                Jid::parse("b@x").unwrap(),
            );
            let owners = [
                Owner {
                    account,
                    direction: Direction::Received,
                    unseen: n % 7 == 0,
                },
                Owner {
                    account: accounts[(n + 1) % 3],
                    direction: Direction::Sent,
                    unseen: false,
                },
            ];
            let at = Timestamp(if n < 20 { 2 } else { 4 });
            tx.append(&Record {
                owners: &owners,
                from: &from,
                to: &to,
                at,
                xml: &xml,
                act: None,
            })?;
            match n % 50 {
                // What is pruned before its rows are in the index brings all of them there.
                49 => tx.prune_aged(LATE, 1).map(drop),
                _ => tx.checkpoint_if_due(),
            }
        });
    }
    for (n, account) in accounts.iter().enumerate() {
        write(&store, |tx| {
            tx.set_vcard(*account, &format!("<vCard>{n}</vCard>"))
        });
    }
    store.settle().unwrap();
    drop(store);
    (disk, accounts)
}

/// What came of a damaged file.
#[derive(Debug, Default)]
struct Outcome {
    unreadable: usize,
    noticed: usize,
    less: usize,
    refused: usize,
    broken: usize,
}

impl Outcome {
    fn of(&mut self, disk: &Disk, accounts: &[AccountId], whole: &HashSet<String>) {
        let store = match try_open(disk) {
            Ok(store) => store,
            Err(StoreError::Unreadable(_) | StoreError::Damaged { .. } | StoreError::Io(_)) => {
                self.unreadable += 1;
                return;
            }
            Err(error) => panic!("{error:?}"),
        };
        let (seen, damaged) = read_all(&store, accounts);
        let wrong: Vec<_> = seen.difference(whole).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        self.noticed += usize::from(damaged > 0);
        self.less += usize::from(seen.len() < whole.len());
        for (n, account) in accounts.iter().enumerate() {
            let written = catch_unwind(AssertUnwindSafe(|| {
                let mut tx = store.begin();
                change(&mut tx, *account, n)?;
                tx.finish().map_or(Ok(()), |commit| commit.run())
            }));
            match written {
                Ok(Ok(())) => {}
                Ok(Err(StoreError::Damaged { .. })) => self.refused += 1,
                // A write cannot be taken back: the process ends in order.
                Ok(Err(_)) | Err(_) => {
                    self.broken += 1;
                    return;
                }
            }
        }
    }
}

/// What the store takes care of is not told by the test's own hook.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            let is_here = thread
                .name()
                .is_some_and(|name| name.contains("storage::damage"));
            // A write that comes upon damage ends the process; here it is counted.
            if !is_here
                || info
                    .location()
                    .is_none_or(|place| place.file().contains("tests/"))
            {
                tell(info);
            }
        }));
    });
}

#[test]
fn every_page_may_be_zeroed() {
    quiet();
    let (disk, accounts) = filled();
    let store = try_open(&disk.killed()).unwrap();
    let (whole, damaged) = read_all(&store, &accounts);
    assert!(
        damaged == 0 && whole.len() > 3 * MESSAGES,
        "{}",
        whole.len()
    );
    let mut outcome = Outcome::default();
    let pages = disk.len() / PAGE_BYTES;
    for page in 0..pages {
        let rotten = disk.killed();
        rotten.rot(|bytes| bytes[page * PAGE_BYTES..][..PAGE_BYTES].fill(0));
        outcome.of(&rotten, &accounts, &whole);
    }
    assert!(outcome.noticed > 10, "{outcome:?}");
    // The list of tables lies on a few pages.
    assert!(outcome.unreadable + outcome.broken < 12, "{outcome:?}");
}

#[test]
fn any_bit_may_be_flipped() {
    quiet();
    let (disk, accounts) = filled();
    let store = try_open(&disk.killed()).unwrap();
    let (whole, _) = read_all(&store, &accounts);
    let mut outcome = Outcome::default();
    let mut prng = Prng(7);
    for _ in 0..300 {
        let rotten = disk.killed();
        rotten.rot(|bytes| {
            for _ in 0..20 {
                let at = prng.below(bytes.len());
                bytes[at] ^= 1 << prng.below(8);
            }
        });
        outcome.of(&rotten, &accounts, &whole);
    }
    assert!(outcome.noticed > 10, "{outcome:?}");
    // Of twenty flips in a small file one often meets what a write relies on.
    assert!(outcome.unreadable + outcome.broken < 200, "{outcome:?}");
}
