//! A file of the version before: whenever the upgrade is cut short, the next start has the old file or the new one, and no copy
//! stays when the new one was found whole.
use std::path::{Path, PathBuf};

use stonechat::store::{AccountId, Direction, Owner, Store, StoreError};

use super::disk::{Disk, Fail};
use super::{CACHE_BYTES, Folder, append, try_open};

type Bytes = &'static [u8];

const OWNERS: [Owner; 1] = [Owner {
    account: AccountId(7),
    direction: Direction::Sent,
    unseen: false,
}];

/// What version 3 did not have is taken away.
fn age(backend: impl redb::StorageBackend) {
    age_to(
        backend,
        &[("schema", 3), ("checkpoint", 1 << 40)],
        &["archive_bytes"],
    );
}

/// The tables that a file of an earlier version did not have are taken away.
pub fn age_file(path: &Path, version: u64, tables: &[&str]) {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let backend = redb::backends::FileBackend::new(file).unwrap();
    age_to(backend, &[("schema", version)], tables);
}

/// What stands behind a value.
pub fn sum(key: &[u8], value: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(key);
    sum.update(value);
    sum.finalize().to_le_bytes()
}

/// Writes all rows of a table again, as `change` makes them of key and row.
pub fn rewrite_rows(path: &Path, table: &str, change: impl Fn(&[u8], &[u8]) -> Vec<u8>) {
    let database = redb::Builder::new().create(path).unwrap();
    let txn = database.begin_write().unwrap();
    let table = redb::TableDefinition::<Bytes, Bytes>::new(table);
    let mut table = txn.open_table(table).unwrap();
    let rows: Vec<_> = redb::ReadableTable::iter(&table)
        .unwrap()
        .map(Result::unwrap)
        .map(|(key, row)| (key.value().to_vec(), row.value().to_vec()))
        .collect();
    for (key, row) in rows {
        let row = change(&key, &row);
        table.insert(key.as_slice(), row.as_slice()).unwrap();
    }
    drop(table);
    txn.commit().unwrap();
}

fn age_to(backend: impl redb::StorageBackend, meta_rows: &[(&str, u64)], tables: &[&str]) {
    let database = redb::Builder::new().create_with_backend(backend).unwrap();
    let txn = database.begin_write().unwrap();
    for table in tables {
        let table = redb::TableDefinition::<Bytes, Bytes>::new(table);
        assert!(txn.delete_table(table).unwrap());
    }
    let meta = redb::TableDefinition::<Bytes, Bytes>::new("meta");
    let mut meta = txn.open_table(meta).unwrap();
    for (key, value) in meta_rows {
        let value = value.to_be_bytes();
        let row = [&value[..], &sum(key.as_bytes(), &value)].concat();
        meta.insert(key.as_bytes(), row.as_slice()).unwrap();
    }
    drop(meta);
    txn.commit().unwrap();
}

fn old_file(folder: &Folder) -> PathBuf {
    let path = folder.file();
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    append(&store, &OWNERS, 50);
    drop(store);
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    age(redb::backends::FileBackend::new(file).unwrap());
    path
}

fn kept(path: &Path) -> PathBuf {
    path.with_extension("redb.before-upgrade")
}

/// It is upgraded, and nothing else is left.
fn is_upgraded(path: &Path) {
    let store = Store::open(path, CACHE_BYTES).unwrap();
    let counted = store.begin().archive_bytes(AccountId(7)).unwrap();
    assert!(counted > 50 * 300, "{counted}");
    drop(store);
    let folder = path.parent().unwrap();
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "stonechat.redb",
            "stonechat.redb.journal",
            "stonechat.redb.reserve"
        ]
    );
}

#[test]
fn the_old_file_is_kept_until_the_new_one_is_verified() {
    let folder = Folder::new("upgrade");
    let path = old_file(&folder);
    let old = std::fs::read(&path).unwrap();
    is_upgraded(&path);
    let new = std::fs::read(&path).unwrap();
    // Cut short: in the middle of the copy, behind it, behind the upgrade.
    std::fs::write(&path, &old).unwrap();
    std::fs::write(kept(&path).with_extension("part"), &old[..9000]).unwrap();
    is_upgraded(&path);
    for of_now in [&old, &new] {
        std::fs::write(&path, of_now).unwrap();
        std::fs::write(kept(&path), &old).unwrap();
        is_upgraded(&path);
    }
}

#[test]
fn an_upgrade_that_damaged_something_is_taken_back() {
    let folder = Folder::new("upgrade-back");
    let path = old_file(&folder);
    let old = std::fs::read(&path).unwrap();
    is_upgraded(&path);
    let mut new = std::fs::read(&path).unwrap();
    let needle = b"mmmmmmmmmm";
    let found: Vec<usize> = (0..new.len() - needle.len())
        .filter(|at| new[*at..].starts_with(needle))
        .collect();
    for at in found {
        new[at] ^= 1;
    }
    std::fs::write(&path, &new).unwrap();
    std::fs::write(kept(&path), &old).unwrap();
    let refused = Store::open(&path, CACHE_BYTES).err();
    assert!(
        matches!(refused, Some(StoreError::Unreadable(_))),
        "{refused:?}"
    );
    assert!(!kept(&path).exists() && std::fs::read(&path).unwrap() == old);
    // What was damaged before keeps nobody from it.
    std::fs::write(&path, &new).unwrap();
    std::fs::write(kept(&path), &new).unwrap();
    is_upgraded(&path);
}

#[test]
fn whichever_write_of_an_upgrade_fails_the_file_is_whole() {
    let mut at = 1;
    loop {
        let disk = Disk::default();
        let store = try_open(&disk).unwrap();
        append(&store, &OWNERS, 50);
        drop(store);
        age(disk.clone());
        let for_good = true;
        disk.fail(Some(Fail { at, for_good }));
        drop(try_open(&disk));
        let has_failed = disk.has_failed();
        let image = disk.killed();
        let store = try_open(&image).unwrap();
        let counted = store.begin().archive_bytes(AccountId(7)).unwrap();
        assert!(counted > 50 * 300, "{at}: {counted}");
        if !has_failed {
            break;
        }
        at += 1;
    }
    assert!(at > 10, "{at}");
}

/// A disk with room for the file and the upgrade, for neither or for one of both: it is upgraded or as it was.
#[test]
fn a_full_disk_keeps_nobody_from_the_upgrade_or_from_the_old_file() {
    let folder = Folder::new("upgrade-full");
    let path = old_file(&folder);
    let script = "mount -t tmpfs -o size=$3 none \"$1\" || exit 77; cp \"$2\" \"$1/\" || exit 78; \
        \"$0\" user list --data \"$1\"; \"$0\" user list --data \"$1\" || exit 79; ls -A \"$1\"";
    let data = folder.0.join("data");
    std::fs::create_dir(&data).unwrap();
    let length = std::fs::metadata(&path).unwrap().len() / 1024;
    let mut upgraded = 0;
    for more in [100, 1000, 2000, 4000, 8000, 30_000] {
        let ran = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(env!("CARGO_BIN_EXE_stonechat"))
            .args([&data, &path])
            .arg(format!("{}k", length + more))
            .output();
        let Ok(ran) = ran else { return };
        let text = String::from_utf8_lossy(&ran.stdout);
        let errors = String::from_utf8_lossy(&ran.stderr);
        match ran.status.code() {
            Some(0) => {
                upgraded += 1;
                assert!(!text.contains("before-upgrade"), "{more}: {text}");
            }
            Some(1 | 77) if errors.contains("mount") || errors.contains("unshare") => return,
            Some(79) => assert!(errors.contains("full"), "{more}: {errors}"),
            _ => panic!("{more}: {text} {errors}"),
        }
    }
    assert!(upgraded > 2, "{upgraded}");
}

/// As that version wrote it.
fn say(
    tx: &mut stonechat::store::Tx,
    (from, to): (&str, &str),
    (id, children): (&str, &str),
) -> Result<stonechat::store::ArchiveId, StoreError> {
    let jid = |name| stonechat::xmpp::Jid::parse(&format!("{name}@localhost/phone")).unwrap();
    let (from, to) = (jid(from), jid(to));
    let head = format!("<message xmlns='jabber:client' from='{from}' to='{to}' id='{id}'>");
    let record = super::Record {
        owners: &super::OWNERS,
        from: &from,
        to: &to,
        at: stonechat::xmpp::Timestamp(1),
        xml: &format!("{head}{children}</message>"),
        act: None,
    };
    Ok(tx.append(&record)?.id)
}

/// As version 11 left it: nobody noted what stanzas do to each other. It is looked for in steps, with kills between them.
#[test]
fn what_stanzas_of_version_11_do_is_noted_in_steps() {
    use stonechat::xmpp::relation::Act;

    let folder = Folder::new("upgrade-relations");
    let path = folder.file();
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    let replace = |id| format!("<replace xmlns='urn:xmpp:message-correct:0' id='{id}'/>");
    let reactions = |id| format!("<reactions xmlns='urn:xmpp:reactions:0' id='{id}'/>");
    let (there, back) = (("romeo", "juliet"), ("juliet", "romeo"));
    // The first ones lie before the checkpoint, the last ones behind it.
    let [first, corrected, reacted] = super::write(&store, |tx| {
        let ids = [
            say(tx, there, ("m1", "<body>one</body>"))?,
            say(tx, there, ("c1", &replace("m1")))?,
            say(tx, back, ("r1", &reactions("m1")))?,
        ];
        for n in 0..4200 {
            say(tx, there, (&format!("x{n}"), "<body>other</body>"))?;
        }
        tx.checkpoint()?;
        Ok(ids)
    });
    let late = super::write(&store, |tx| {
        say(tx, there, ("r2", &reactions("nothing")))?;
        say(tx, there, ("c2", &replace("c1")))
    });
    drop(store);
    age_file(&path, 11, &["related", "names"]);
    let mut steps = 0;
    loop {
        let store = Store::open(&path, CACHE_BYTES).unwrap();
        let mut tx = store.begin();
        let more = tx.relate_step(1000).unwrap().more;
        if let Some(commit) = tx.finish() {
            commit.run().unwrap();
        }
        steps += 1;
        if !more {
            break;
        }
    }
    assert!(steps > 4, "{steps}");
    let store = Store::open(&path, CACHE_BYTES).unwrap();
    let tx = store.begin();
    for account in [1, 2].map(AccountId) {
        let expected = [
            (Act::Corrects, late),
            (Act::Reacts, reacted),
            (Act::Corrects, corrected),
        ];
        assert_eq!(tx.relations(account, first, 10).unwrap(), expected);
        assert_eq!(tx.relations(account, first, 1).unwrap(), expected[..1]);
        assert_eq!(tx.relations(account, corrected, 10).unwrap(), []);
    }
}
