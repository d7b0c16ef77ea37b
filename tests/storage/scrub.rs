//! What was taken back is nowhere in the file's bytes once that was overwritten, however often the pages it lay in moved.
use std::collections::BTreeSet;

use stonechat::store::Scrubbed;

use super::*;

const STEPS_MAX: usize = 10_000;

fn said(store: &Store, texts: &[String]) -> Vec<ArchiveId> {
    let (from, to) = (
        Jid::parse("romeo@localhost/orchard").unwrap(),
        Jid::parse("juliet@localhost").unwrap(),
    );
    write(store, |tx| {
        let mut ids = Vec::new();
        for xml in texts {
            let record = Record {
                owners: &OWNERS,
                from: &from,
                to: &to,
                at: Timestamp(1),
                xml,
                act: None,
            };
            ids.push(tx.append(&record)?.id);
        }
        tx.checkpoint_if_due()?;
        Ok(ids)
    })
}

/// Steps until it is over; false: there was nothing to do.
fn scrub(store: &Store, pages: u64) -> bool {
    for step in 0..STEPS_MAX {
        let mut tx = store.begin();
        let scrubbed = tx.scrub_step(pages, true).unwrap();
        if let Some(commit) = tx.finish() {
            commit.run().unwrap();
        }
        match scrubbed {
            Scrubbed::Nothing => return step > 0,
            Scrubbed::Whole { .. } => return true,
            Scrubbed::Partly => {}
        }
    }
    panic!("it has no end");
}

fn secret(n: usize) -> String {
    format!("capulet{n:06}")
}

/// The numbers of all secrets that lie anywhere on the disk.
fn secrets_on(disk: &Disk) -> BTreeSet<usize> {
    let bytes = [disk.bytes(), disk.journal().bytes()].concat();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let found = text.split("capulet").skip(1);
    found
        .filter_map(|rest| rest.get(..6)?.parse().ok())
        .collect()
}

#[test]
fn what_was_taken_back_is_not_in_the_file() {
    let mut there = 0;
    for seed in 0..4 {
        let mut prng = Prng(seed);
        let disk = Disk::default();
        let store = open(&disk);
        assert!(!scrub(&store, 16));
        let (mut kept, mut gone, mut count) = (Vec::new(), BTreeSet::new(), 0);
        for _ in 0..60 {
            let texts: Vec<String> = (0..1 + prng.below(20))
                .map(|_| {
                    count += 1;
                    let padding = "m".repeat([0, 40, 300, 3000, 9000][prng.below(5)]);
                    format!("{padding}{}{padding}", secret(count))
                })
                .collect();
            kept.extend(
                said(&store, &texts)
                    .into_iter()
                    .zip(count + 1 - texts.len()..),
            );
            if prng.below(3) > 0 {
                let (id, n) = kept.swap_remove(prng.below(kept.len()));
                write(&store, |tx| tx.rewrite_stanza(id, "<gone/>"));
                gone.insert(n);
            }
        }
        there += gone.intersection(&secrets_on(&disk)).count();
        assert!(scrub(&store, 16));
        let on_disk = secrets_on(&disk);
        let left: Vec<_> = gone.intersection(&on_disk).collect();
        assert!(left.is_empty(), "seed {seed}: {left:?}");
        for (_, n) in &kept {
            assert!(on_disk.contains(n), "seed {seed}: {n}");
        }
        assert!(!scrub(&store, 16));
    }
    assert!(there > 0, "nothing was there before");
}

/// It ends and leaves nothing however often it is begun anew.
#[test]
fn a_kill_in_the_middle_is_harmless() {
    for after in [1, 3, 4, 6, 20, 40] {
        let disk = Disk::default();
        let store = open(&disk);
        let ids = said(&store, &(1..200).map(secret).collect::<Vec<_>>());
        write(&store, |tx| tx.rewrite_stanza(ids[0], "<gone/>"));
        for _ in 0..after {
            let mut tx = store.begin();
            tx.scrub_step(4, true).unwrap();
            if let Some(commit) = tx.finish() {
                commit.run().unwrap();
            }
        }
        let disk = disk.killed();
        let store = open(&disk);
        // Taken back while it is under way: it comes around once more.
        write(&store, |tx| tx.rewrite_stanza(ids[1], "<gone/>"));
        assert!(scrub(&store, 4));
        scrub(&store, 4);
        let on_disk = secrets_on(&disk);
        assert!(!on_disk.contains(&1) && !on_disk.contains(&2), "{after}");
        assert!(on_disk.contains(&3), "{after}");
    }
}
