//! The store: against a model, with failing writes and power cuts, and what it does with files it cannot use.
mod channels;
mod checkpoint;
mod damage;
mod disk;
mod journal;
mod model;
mod pubsub;
mod random;
mod retention;
mod scrub;
mod search;
mod second_names;
mod upgrade;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use stonechat::store::{
    AccountId, ArchiveId, ArchiveQuery, AtIndex, Direction, Need, Owner, Place, Record, Store,
    StoreError,
};
use stonechat::xmpp::{Jid, Timestamp};

use crate::transcript::prng::Prng;
use disk::{Disk, Fail};
use model::Model;
use random::Random;

const CACHE_BYTES: usize = 1 << 20;
/// Whatever is stored is older.
const LATE: Timestamp = Timestamp(i64::MAX);

fn open(disk: &Disk) -> Store {
    try_open(disk).expect("the store opens")
}

fn try_open(disk: &Disk) -> Result<Store, StoreError> {
    Store::open_backends(disk.clone(), disk.journal(), CACHE_BYTES)
}

/// One batch, committed.
fn write<T>(
    store: &Store,
    batch: impl FnOnce(&mut stonechat::store::Tx) -> Result<T, StoreError>,
) -> T {
    let mut tx = store.begin();
    let answer = batch(&mut tx).expect("the batch");
    tx.finish()
        .expect("something was written")
        .run()
        .expect("the commit");
    answer
}

fn append(store: &Store, owners: &[Owner], count: usize) -> Vec<ArchiveId> {
    let (from, to) = (
        Jid::parse("romeo@localhost/orchard").unwrap(),
        Jid::parse("juliet@localhost").unwrap(),
    );
    let xml = "m".repeat(300);
    write(store, |tx| {
        let record = Record {
            owners,
            from: &from,
            to: &to,
            at: Timestamp(1),
            xml: &xml,
            act: None,
        };
        let ids = (0..count).map(|_| Ok(tx.append(&record)?.id)).collect();
        tx.checkpoint_if_due()?;
        ids
    })
}

const OWNERS: [Owner; 2] = [
    Owner {
        account: AccountId(1),
        direction: Direction::Received,
        unseen: false,
    },
    Owner {
        account: AccountId(2),
        direction: Direction::Sent,
        unseen: false,
    },
];

#[test]
fn does_what_the_model_does() {
    for seed in (0..4).chain([43, 128]) {
        let mut random = Random(Prng(seed));
        let (mut disk, mut model) = (Disk::default(), Model::default());
        let mut store = open(&disk);
        for _ in 0..60 {
            let before = model.clone();
            let mut tx = store.begin();
            random.batch(&mut tx, &mut model).expect("the batch");
            model.check_in(&tx, &mut || random.query(&model));
            if random.0.below(10) == 0 {
                drop(tx);
                model = before;
            } else if let Some(commit) = tx.finish() {
                commit.run().expect("the commit");
            }
            let bytes = store.begin().stored_bytes().unwrap();
            if random.0.below(4) == 0 {
                let is_killed = random.0.below(2) == 0;
                let image = disk.killed();
                drop(store);
                if is_killed {
                    disk = image;
                }
                store = open(&disk);
                assert_eq!(store.begin().stored_bytes().unwrap(), bytes);
            }
            model.check(&store, &mut || random.query(&model));
        }
        let mut tx = store.begin();
        let need = Need {
            bytes: u64::MAX,
            spares_unseen: false,
        };
        while tx.prune_greediest(need, 1000).expect("prune").is_some() {}
        assert_eq!(tx.stored_bytes().unwrap(), 0, "nothing is left to count");
        // Where the index was turned off, all that was left of it goes first.
        while tx.index_words_step(true, 100).expect("index") {}
        while tx.forget_words_step().expect("forget") {}
        assert_eq!(tx.search_bytes().unwrap(), 0, "nothing is left to find");
    }
}

#[test]
fn a_committed_batch_stays_and_a_failed_one_is_whole_or_absent() {
    let mut failures = 0;
    for at in 1..130 {
        let mut random = Random(Prng(at));
        let (disk, mut model) = (Disk::default(), Model::default());
        let store = open(&disk);
        for _ in 0..3 {
            random
                .batch_committed(&store, &mut model)
                .expect("nothing fails yet");
        }
        disk.fail(Some(Fail {
            at,
            for_good: at % 3 != 0,
        }));
        let mut before = model.clone();
        for _ in 0..12 {
            before = model.clone();
            if random.batch_committed(&store, &mut model).is_err() {
                break;
            }
            before = model.clone();
        }
        let is_cut = at % 2 == 0;
        let image = if is_cut {
            disk.power_cut(&mut random.0)
        } else {
            disk.killed()
        };
        failures += usize::from(disk.has_failed());
        drop(store);
        let store = open(&image);
        let is_there = |model: &Model| {
            let mut random = Random(Prng(at));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                model.check(&store, &mut || random.query(model));
            }))
            .is_ok()
        };
        if !is_there(&before) {
            assert!(
                is_there(&model),
                "failing at {at} left half a batch or lost a whole one"
            );
            before = model;
        }
        let mut model = before;
        random
            .batch_committed(&store, &mut model)
            .expect("work goes on");
        model.check(&store, &mut || random.query(&model));
    }
    assert!(failures > 60, "{failures}");
}

impl Random {
    /// The model is changed in any case.
    fn batch_committed(&mut self, store: &Store, model: &mut Model) -> Result<(), StoreError> {
        let mut tx = store.begin();
        self.batch(&mut tx, model)?;
        tx.finish().map_or(Ok(()), |commit| commit.run())
    }
}

#[test]
fn reopening_after_a_kill_reads_no_more_than_it_must() {
    let disk = Disk::default();
    let store = open(&disk);
    for _ in 0..50 {
        append(&store, &OWNERS, 64);
    }
    let image = disk.killed();
    let repaired = Rc::new(Cell::new(false));
    let repairs = repaired.clone();
    let database = redb::Builder::new()
        .set_repair_callback(move |_| repairs.set(true))
        .create_with_backend(image);
    database.expect("the database opens");
    assert!(!repaired.get(), "a full repair walks the whole file");
}

#[test]
fn ids_are_never_reused_after_pruning() {
    let disk = Disk::default();
    let store = open(&disk);
    let last = *append(&store, &OWNERS, 5).last().unwrap();
    assert_eq!(write(&store, |tx| tx.prune_aged(LATE, 10)).stanzas, 5);
    let image = disk.killed();
    drop(store);
    for disk in [disk, image] {
        let store = open(&disk);
        assert_eq!(store.begin().stored_bytes().unwrap(), 0);
        assert!(append(&store, &OWNERS, 1)[0] > last);
    }
}

#[test]
fn rows_in_memory_are_bounded_and_pages_span_both_places() {
    let disk = Disk::default();
    let store = open(&disk);
    let ids: Vec<ArchiveId> = (0..50).flat_map(|_| append(&store, &OWNERS, 64)).collect();
    for store in [store.clone(), open(&disk.killed())] {
        let tx = store.begin();
        let query = ArchiveQuery {
            with: Some(Jid::parse("romeo@localhost").unwrap()),
            page_before: Some(ids[3100]),
            backward: true,
            max: 100,
            ..ArchiveQuery::default()
        };
        let page = tx.page(AccountId(1), &query).unwrap();
        let paged: Vec<ArchiveId> = page.stanzas.iter().map(|stored| stored.id).collect();
        assert_eq!(paged, ids[3000..3100]);
        assert!(!page.complete);
        let place = |id, steps_max| tx.place(AccountId(1), &query, id, steps_max).unwrap();
        let found = Place {
            index: 2000,
            count: 3200,
        };
        assert_eq!(place(Some(ids[2000]), 3200), Some(found));
        assert_eq!(place(Some(ids[2000]), 3199), None);
        let at_index = |index| tx.at_index(AccountId(1), &query, index, 3200).unwrap();
        assert_eq!(at_index(3199), AtIndex::Stanza(ids[3199]));
        assert_eq!(at_index(3200), AtIndex::Behind);
        let too_far = tx.at_index(AccountId(1), &query, 2000, 2000).unwrap();
        assert_eq!(too_far, AtIndex::TooFar);
        assert_eq!(tx.page(AccountId(2), &query).unwrap().stanzas, []);
    }
}

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("stonechat-storage-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("stonechat.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_in_use_is_refused() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = Folder::new("in-use");
    let first = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    assert!(matches!(
        Store::open(&folder.file(), CACHE_BYTES).err(),
        Some(StoreError::InUse)
    ));
    let file = std::fs::metadata(folder.file()).unwrap();
    assert_eq!(
        (first.file_bytes(), file.permissions().mode() & 0o777),
        // Holes are no room.
        (file.len().min(file.blocks() * 512), 0o600)
    );
    drop(first);
    Store::open(&folder.file(), CACHE_BYTES).unwrap();
}

#[test]
fn a_first_start_that_was_cut_short_is_repeated() {
    let folder = Folder::new("cut-short");
    let leftover = folder.0.join("stonechat.redb.new");
    for bytes in [vec![], vec![0; 70_000], b"half a header".to_vec()] {
        std::fs::write(&leftover, bytes).unwrap();
        drop(Store::open(&folder.file(), CACHE_BYTES).unwrap());
        assert!(!leftover.exists());
        std::fs::remove_file(folder.file()).unwrap();
    }
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let disk = Disk::default();
    drop(open(&disk));
    let database = redb::Builder::new()
        .create_with_backend(disk.clone())
        .unwrap();
    let txn = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&[u8], &[u8]>::new("meta");
    txn.open_table(meta)
        .unwrap()
        .insert(b"schema".as_slice(), 99u64.to_be_bytes().as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(database);
    let refused = try_open(&disk).err();
    assert!(
        matches!(refused, Some(StoreError::Newer { found: 99, .. })),
        "{refused:?}"
    );
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = Folder::new("damaged");
    let store = Store::open(&folder.file(), CACHE_BYTES).unwrap();
    for _ in 0..20 {
        append(&store, &OWNERS, 64);
    }
    drop(store);
    let whole = std::fs::read(folder.file()).unwrap();
    for damaged in [
        b"this is a text".to_vec(),
        vec![0; 100_000],
        b"no database, and long ".repeat(5000),
        whole[..100].to_vec(),
        whole[..5000].to_vec(),
        whole[..whole.len() / 2].to_vec(),
    ] {
        std::fs::write(folder.file(), &damaged).unwrap();
        let refused = Store::open(&folder.file(), CACHE_BYTES).err();
        assert!(
            matches!(refused, Some(StoreError::Unreadable(_))),
            "{} bytes: {refused:?}",
            damaged.len()
        );
    }
    std::fs::write(folder.file(), whole).unwrap();
    Store::open(&folder.file(), CACHE_BYTES).unwrap();
}
