//! The journal beside the database: what a commit writes, and what is read of it after a kill.
use super::*;

/// Records of its commits lie one behind the other: their beginnings.
fn records(disk: &Disk) -> Vec<usize> {
    let bytes = disk.journal().bytes();
    let mut starts = vec![0];
    loop {
        let at = *starts.last().unwrap();
        let length = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
        if length == 0 {
            return starts;
        }
        starts.push(at + 16 + length as usize);
    }
}

fn count(disk: &Disk) -> usize {
    let query = ArchiveQuery {
        max: 1000,
        ..ArchiveQuery::default()
    };
    let store = open(disk);
    store
        .begin()
        .page(AccountId(1), &query)
        .unwrap()
        .stanzas
        .len()
}

#[test]
fn a_lone_commit_writes_a_record_and_no_page() {
    let disk = Disk::default();
    let store = open(&disk);
    append(&store, &OWNERS, 1);
    let (before, begun) = (disk.bytes(), records(&disk));
    append(&store, &OWNERS, 1);
    assert!(disk.bytes() == before, "the file was written to");
    let now = records(&disk);
    assert_eq!(now.len(), begun.len() + 1);
    let bytes = now.last().unwrap() - begun.last().unwrap();
    assert!(bytes < 512, "{bytes} for a stanza of 300");
    assert_eq!(count(&disk.killed()), 2);
}

#[test]
fn a_full_journal_begins_anew_and_what_does_not_fit_is_in_the_file() {
    let disk = Disk::default();
    let store = open(&disk);
    let room = disk.journal().len();
    let (mut written, mut anew) = (0, 0);
    for _ in 0..200 {
        let before = records(&disk).len();
        append(&store, &OWNERS, 1);
        written += 1;
        anew += usize::from(records(&disk).len() <= before);
        assert_eq!(disk.journal().len(), room);
        assert_eq!(count(&disk.killed()), written);
    }
    assert!(anew > 2, "{anew}");
    let before = disk.bytes();
    append(&store, &OWNERS, 300);
    assert!(disk.bytes() != before);
    assert_eq!(count(&disk.killed()), written + 300);
}

#[test]
fn a_record_that_is_not_whole_ends_the_journal() {
    let disk = Disk::default();
    let store = open(&disk);
    for _ in 0..9 {
        append(&store, &OWNERS, 1);
    }
    let starts = records(&disk);
    for (whole, start) in starts.iter().take(9).enumerate() {
        for within in [0, 7, 9, 13, 20, 200] {
            let image = disk.killed();
            image.journal().rot(|bytes| bytes[start + within] ^= 4);
            assert_eq!(count(&image), whole, "{within}");
            // It goes on, and what was behind it does not come back.
            let store = open(&image);
            append(&store, &OWNERS, 1);
            assert_eq!(count(&image.killed()), whole + 1, "{within}");
        }
    }
}

#[test]
fn an_orderly_end_leaves_nothing_to_the_journal() {
    let disk = Disk::default();
    let store = open(&disk);
    for _ in 0..9 {
        append(&store, &OWNERS, 1);
    }
    store.settle().unwrap();
    drop(store);
    let image = disk.killed();
    image.journal().rot(|bytes| bytes.fill(0));
    assert_eq!(count(&image), 9);
}

#[test]
fn the_journal_of_another_file_is_not_read() {
    let folder = Folder::new("journal");
    let journal = folder.file().with_extension("redb.journal");
    let store = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    append(&store, &OWNERS, 3);
    let of_before = std::fs::read(&journal).unwrap();
    drop(store);
    std::fs::remove_file(folder.file()).unwrap();
    std::fs::write(&journal, of_before).unwrap();
    let store = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    assert_eq!(store.begin().stored_bytes().unwrap(), 0);
    append(&store, &OWNERS, 1);
    drop(store);
    // A file of before there were journals has none either.
    let of_now = std::fs::read(&journal).unwrap();
    upgrade::age_file(&folder.file(), 14, &[]);
    std::fs::write(&journal, of_now).unwrap();
    let store = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    assert!(
        std::fs::read(&journal)
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );
    assert_eq!(append(&store, &OWNERS, 1), [ArchiveId(2)]);
}

/// As a kill leaves them.
fn copied(folder: &Folder, name: &str) -> std::path::PathBuf {
    let copied = folder.0.join(name);
    for end in ["redb", "redb.journal"] {
        let from = folder.file().with_extension(end);
        std::fs::copy(from, copied.with_extension(end)).unwrap();
    }
    copied
}

/// It is closed and opened anew to give memory back, and the journal goes on where it was.
#[test]
fn a_kill_around_a_renewal_loses_nothing() {
    let folder = Folder::new("journal-renewal");
    let store = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    let mut written = 0;
    for round in 0..20 {
        let is_there = |when: &str| {
            let name = format!("killed-{round}-{when}.redb");
            let killed = Store::open(&copied(&folder, &name), CACHE_BYTES).unwrap();
            let query = ArchiveQuery {
                max: 1_000,
                ..ArchiveQuery::default()
            };
            let page = killed.begin().page(AccountId(1), &query).unwrap();
            page.stanzas.len()
        };
        append(&store, &OWNERS, 1);
        append(&store, &OWNERS, 1);
        written += 2;
        assert_eq!(is_there("before"), written);
        let closed = store.renew().unwrap().close().unwrap();
        assert_eq!(is_there("closed"), written);
        store.renewed(closed.open().unwrap());
        assert_eq!(is_there("renewed"), written);
        append(&store, &OWNERS, 1);
        written += 1;
        assert_eq!(is_there("after"), written);
    }
}

/// Whoever only looks sees what the journal has.
#[test]
fn what_a_killed_process_left_is_looked_at_without_a_change() {
    let folder = Folder::new("journal-offline");
    let store = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    append(&store, &OWNERS, 3);
    let copied = copied(&folder, "killed.redb");
    let before = std::fs::read(&copied).unwrap();
    let offline = stonechat::store::Offline::open(&copied, CACHE_BYTES).unwrap();
    let mut rows = Rows(0);
    offline.whole().unwrap().read(&mut rows).unwrap();
    drop(offline);
    assert_eq!(rows.0, 3);
    assert!(std::fs::read(&copied).unwrap() == before);
    // What cannot be read is no journal that is not there: the last messages would be missing, and nobody told.
    let journal = copied.with_extension("redb.journal");
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(&journal).unwrap();
    assert!(stonechat::store::Offline::open(&copied, CACHE_BYTES).is_err());
}

/// Counts stanzas.
struct Rows(usize);

impl stonechat::store::Take for Rows {
    fn table(&mut self, _: &'static str) -> Result<(), StoreError> {
        Ok(())
    }

    fn row(&mut self, _: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0 += usize::from(value.ends_with(b"mmm"));
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}
