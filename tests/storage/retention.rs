//! Who makes room when there is none, and who does not.
use stonechat::store::{AccountId, Aged, Direction, Need, Owner, Pruned, Store};
use stonechat::xmpp::Timestamp;

use super::disk::Disk;
use super::{LATE, append, open, write};

const GREEDY: AccountId = AccountId(1);
const OTHER: AccountId = AccountId(2);
const ABSENT: AccountId = AccountId(3);

fn sent(account: AccountId) -> Owner {
    Owner {
        account,
        direction: Direction::Sent,
        unseen: false,
    }
}

fn received(account: AccountId, unseen: bool) -> Owner {
    Owner {
        account,
        direction: Direction::Received,
        unseen,
    }
}

/// One step, committed, if it took something.
fn step(store: &Store, need: Need) -> Option<Pruned> {
    loop {
        let mut tx = store.begin();
        let pruned = tx.prune_greediest(need, 7).unwrap();
        tx.finish().map_or(Ok(()), |commit| commit.run()).unwrap();
        if pruned.is_none_or(|pruned| pruned.stanzas > 0) {
            return pruned;
        }
    }
}

/// Until so many bytes are left, as upkeep does it. What was taken from whom in all.
fn prune_to(store: &Store, bytes_max: u64) -> Vec<Pruned> {
    let mut all: Vec<Pruned> = Vec::new();
    loop {
        let mut tx = store.begin();
        let over = tx.stored_bytes().unwrap().saturating_sub(bytes_max);
        let need = Need {
            bytes: over,
            spares_unseen: false,
        };
        let pruned = match over {
            0 => None,
            _ => tx.prune_greediest(need, 50).unwrap(),
        };
        tx.finish().map_or(Ok(()), |commit| commit.run()).unwrap();
        let Some(pruned) = pruned else { return all };
        match all.iter_mut().find(|all| all.account == pruned.account) {
            Some(all) => {
                all.stanzas += pruned.stanzas;
                all.unseen += pruned.unseen;
            }
            None => all.push(pruned),
        }
    }
}

fn has(store: &Store, account: AccountId) -> (usize, usize) {
    let tx = store.begin();
    let query = stonechat::store::ArchiveQuery {
        max: usize::MAX,
        ..Default::default()
    };
    let page = tx.page(account, &query).unwrap();
    (page.stanzas.len(), tx.unseen_count(account).unwrap())
}

#[test]
fn one_accounts_flood_takes_nothing_from_others() {
    let store = open(&Disk::default());
    append(&store, &[received(OTHER, false)], 100);
    append(&store, &[sent(OTHER), received(ABSENT, true)], 40);
    for _ in 0..8 {
        append(&store, &[sent(GREEDY)], 500);
    }
    let before = store.begin().stored_bytes().unwrap();
    let pruned = prune_to(&store, before / 4);
    let [pruned] = pruned.as_slice() else {
        panic!("{pruned:?}");
    };
    assert_eq!((pruned.account, pruned.unseen), (GREEDY, 0));
    assert_eq!(has(&store, OTHER), (140, 0));
    assert_eq!(has(&store, ABSENT), (40, 40));
    let left = store.begin().stored_bytes().unwrap();
    assert!(
        (before / 5..=before / 4).contains(&left),
        "no more than needed: {left}"
    );
}

/// The counts of what is in the tables and of what is not are one.
#[test]
fn whoever_has_most_is_known_after_a_crash_too() {
    let disk = Disk::default();
    let store = open(&disk);
    append(&store, &[sent(OTHER)], 30);
    for _ in 0..20 {
        append(&store, &[sent(GREEDY)], 300);
    }
    append(&store, &[sent(ABSENT)], 20);
    let counted = |store: &Store| {
        [GREEDY, OTHER, ABSENT].map(|account| store.begin().archive_bytes(account).unwrap())
    };
    let before = counted(&store);
    assert!(before[0] > 100 * before[1] && before[1] > before[2]);
    let image = disk.killed();
    drop(store);
    for disk in [disk, image] {
        assert_eq!(counted(&open(&disk)), before);
    }
}

/// Somebody floods a user who is absent, and is charged for it, too.
#[test]
fn a_flood_to_somebody_absent_empties_no_other_archive() {
    let store = open(&Disk::default());
    append(&store, &[received(OTHER, false)], 50);
    for _ in 0..8 {
        append(&store, &[sent(GREEDY), received(ABSENT, true)], 500);
    }
    let before = store.begin().stored_bytes().unwrap();
    prune_to(&store, before / 4);
    assert_eq!(has(&store, OTHER), (50, 0));
    let (all, unseen) = has(&store, ABSENT);
    assert!(all == unseen && unseen > 800, "{all} {unseen}");
}

#[test]
fn what_nobody_has_received_goes_last_and_on_a_full_disk_never() {
    let store = open(&Disk::default());
    for _ in 0..3 {
        append(&store, &[received(ABSENT, true)], 100);
        append(&store, &[received(OTHER, true)], 40);
        append(&store, &[sent(GREEDY)], 30);
    }
    let need = Need {
        bytes: 1,
        spares_unseen: true,
    };
    let mut taken = 0;
    while let Some(pruned) = step(&store, need) {
        assert_eq!((pruned.account, pruned.unseen), (GREEDY, 0));
        taken += pruned.stanzas;
    }
    assert_eq!(taken, 90);
    // The limit is one all the same.
    let all = store.begin().stored_bytes().unwrap();
    let pruned = prune_to(&store, all / 3);
    let told: Vec<_> = pruned.iter().map(|pruned| pruned.account).collect();
    assert_eq!(told[0], ABSENT, "most first");
    let [(absent, _), (other, _)] = [has(&store, ABSENT), has(&store, OTHER)];
    assert!(absent.abs_diff(other) < 20, "{absent} {other}");
    // It was received meanwhile.
    let ids = store
        .begin()
        .unseen_ids(OTHER, None, 1000, &|_| false)
        .unwrap();
    write(&store, |tx| {
        tx.mark_seen(OTHER, &ids)?;
        tx.write_seen()
    });
    let pruned = step(&store, need);
    assert_eq!(
        pruned.map(|pruned| (pruned.account, pruned.unseen)),
        Some((OTHER, 0))
    );
}

#[test]
fn age_takes_what_waited_once_somebody_has_it() {
    let store = open(&Disk::default());
    let waiting = append(&store, &[received(ABSENT, true), sent(OTHER)], 30);
    append(&store, &[received(OTHER, false)], 20);
    let prune = |before| write(&store, |tx| tx.prune_aged(before, 100));
    let gone = |stanzas| Aged {
        stanzas,
        more: false,
    };
    assert_eq!(prune(LATE), gone(20));
    assert_eq!(
        (has(&store, OTHER), has(&store, ABSENT)),
        ((30, 0), (30, 30))
    );
    write(&store, |tx| {
        tx.mark_seen(ABSENT, &waiting[..10])?;
        tx.write_seen()
    });
    assert_eq!(
        store.begin().prune_aged(Timestamp(0), 100).unwrap(),
        gone(0)
    );
    assert_eq!(prune(LATE), gone(10));
    assert_eq!(
        (has(&store, OTHER), has(&store, ABSENT)),
        ((20, 0), (20, 20))
    );
}

/// Many that wait before it: each step looks at so many only, and goes on where the last one was.
#[test]
fn a_step_looks_at_no_more_than_it_may() {
    let store = open(&Disk::default());
    append(&store, &[received(ABSENT, true)], 1000);
    append(&store, &[received(ABSENT, false)], 5);
    let need = Need {
        bytes: 1,
        spares_unseen: true,
    };
    let mut steps = 0;
    let mut tx = store.begin();
    let pruned = loop {
        let pruned = tx.prune_greediest(need, 10).unwrap().unwrap();
        steps += 1;
        if pruned.stanzas > 0 {
            break pruned;
        }
    };
    assert_eq!((steps, pruned.unseen), (1000 / 80 + 1, 0));
    let mut steps = 0;
    let mut stanzas = 0;
    loop {
        let aged = tx.prune_aged(LATE, 10).unwrap();
        steps += 1;
        stanzas += aged.stanzas;
        if !aged.more {
            break;
        }
    }
    assert_eq!((steps, stanzas), (1000 / 80 + 1, 4));
}
