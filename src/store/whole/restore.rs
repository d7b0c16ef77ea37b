//! Reading a backup (`backup`), and making a database of it.
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::backup::{
    BackupError, END, FILE, File, LEFT_OUT, MAGIC, MAGIC_OF_ANY, Progress, ROWS, SCHEMA, TABLE,
};
use crate::store::StoreError;
use crate::store::accounts::decode_account;
use crate::store::engine::file::StoreFile;
use crate::store::engine::file::builder;
use crate::store::engine::table::{Row, TableDefinition, WriteTransaction};
use crate::store::journal::NO_JOURNAL;
use crate::store::schema::{self, ACCOUNTS, META, META_NEXT_ACCOUNT};
use crate::store::{archive, upgrades};

/// No record that is written is longer: that is a row, and rows are stanzas.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// So much is committed at a time.
const COMMIT_BYTES: usize = 8 << 20;

/// What is in a backup beside the rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub files: Vec<File>,
    pub rows: u64,
    /// What was damaged when it was made, and is missing.
    pub left_out: Vec<String>,
}

/// Whoever is handed the rows.
pub trait Rows {
    fn schema(&mut self, version: u32) -> Result<(), BackupError>;
    fn row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), BackupError>;
}

/// Only looks whether all is there.
struct Nobody;

impl Rows for Nobody {
    fn schema(&mut self, version: u32) -> Result<(), BackupError> {
        upgrades::require_known(version)?;
        Ok(())
    }

    fn row(&mut self, _: &str, _: &[u8], _: &[u8]) -> Result<(), BackupError> {
        Ok(())
    }
}

/// Reads all of a backup of so many bytes and verifies it. `progress` is told bytes.
pub fn read(
    from: &mut dyn Read,
    bytes: u64,
    progress: Progress<'_>,
) -> Result<Contents, BackupError> {
    read_to(from, bytes, &mut Nobody, progress)
}

/// Makes a database of a backup where there is none. It is whole only when this returned.
pub fn restore(
    from: &mut dyn Read,
    bytes: u64,
    path: &Path,
    cache_bytes: usize,
    progress: Progress<'_>,
) -> Result<Contents, BackupError> {
    let file = StoreFile::create(path)?;
    let database = builder(cache_bytes)
        .create_with_backend(file)
        .map_err(StoreError::from)?;
    let mut making = Making {
        database: &database,
        txn: None,
        schema: 0,
        bytes: 0,
        accounts: 0,
        next_account: None,
    };
    let contents = read_to(from, bytes, &mut making, progress)?;
    making.complete()?;
    upgrades::upgrade(&database)?;
    database.close().map_err(StoreError::from)?;
    Ok(contents)
}

struct Making<'d> {
    database: &'d redb::Database,
    txn: Option<WriteTransaction>,
    schema: u32,
    /// Of the transaction.
    bytes: usize,
    /// The highest account's number.
    accounts: u32,
    next_account: Option<u64>,
}

impl Making<'_> {
    fn txn(&mut self) -> Result<&WriteTransaction, StoreError> {
        if self.txn.is_none() {
            let sums = upgrades::sums_of(self.schema);
            self.txn = Some(WriteTransaction::begin_with(self.database, sums)?);
        }
        Ok(self.txn.as_ref().expect("begun above"))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        self.txn.take().map_or(Ok(()), WriteTransaction::commit)
    }

    /// Numbers of accounts are never given again, also where the row that tells the next was damaged.
    fn complete(&mut self) -> Result<(), StoreError> {
        let least = u64::from(self.accounts) + 1;
        if self.next_account.is_none_or(|next| next < least) && self.accounts > 0 {
            let txn = self.txn()?;
            txn.open_table(META)?.insert(META_NEXT_ACCOUNT, least)?;
        }
        // Words are not in it.
        archive::search::begin_anew(self.txn()?)?;
        self.commit()
    }
}

impl Rows for Making<'_> {
    fn schema(&mut self, version: u32) -> Result<(), BackupError> {
        upgrades::require_known(version)?;
        self.schema = version;
        let mut txn = WriteTransaction::begin_with(self.database, upgrades::sums_of(version))?;
        schema::create_tables(&mut txn)?;
        let mut meta = txn.open_table(META)?;
        meta.insert(schema::META_SCHEMA, u64::from(version))?;
        drop(meta);
        txn.commit()?;
        Ok(())
    }

    fn row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        let names = schema::table_names();
        let name = names.into_iter().find(|name| *name == table);
        let name = name.ok_or(BackupError::Newer)?;
        if name == ACCOUNTS.name() {
            let account = decode_account(value).map_or(0, |account| account.id.0);
            self.accounts = self.accounts.max(account);
        } else if name == META.name() && key == META_NEXT_ACCOUNT.as_bytes() {
            self.next_account = Some(u64::decode(value));
        }
        let of_journal = [schema::META_JOURNAL, schema::META_RECORD].map(str::as_bytes);
        let is_journal = name == META.name() && of_journal.contains(&key);
        // It lies beside another file.
        let none = NO_JOURNAL.to_be_bytes();
        let value = if is_journal { &none[..] } else { value };
        let rows: TableDefinition<&[u8], &[u8]> = TableDefinition::new(name);
        self.txn()?.open_table(rows)?.insert(key, value)?;
        self.bytes += key.len() + value.len();
        if self.bytes >= COMMIT_BYTES {
            self.commit()?;
        }
        Ok(())
    }
}

fn read_to(
    from: &mut dyn Read,
    bytes: u64,
    rows: &mut dyn Rows,
    progress: Progress<'_>,
) -> Result<Contents, BackupError> {
    let mut reading = Reading {
        from,
        at: 0,
        count: 0,
        sum: crc32fast::Hasher::new(),
    };
    reading.magic()?;
    let mut contents = Contents::default();
    let mut table = None;
    let mut has_schema = false;
    loop {
        let (at, sum, count) = (reading.at, reading.sum.clone(), reading.count);
        let damaged = || BackupError::Damaged { at };
        let (kind, body) = reading.record()?;
        if !progress(reading.at, bytes) {
            return Err(BackupError::File(ErrorKind::Interrupted.into()));
        }
        match (kind, has_schema) {
            (SCHEMA, false) => {
                let version = body.as_slice().try_into().map_err(|_| damaged())?;
                rows.schema(u32::from_be_bytes(version))?;
                has_schema = true;
            }
            (FILE, true) => {
                let (name, file) = text(&body).ok_or_else(damaged)?;
                contents.files.push(File {
                    name: String::from_utf8(name.to_vec()).map_err(|_| damaged())?,
                    bytes: file.to_vec(),
                });
            }
            (TABLE, true) => table = Some(String::from_utf8(body).map_err(|_| damaged())?),
            (ROWS, true) => {
                let table = table.as_deref().ok_or_else(damaged)?;
                let mut rest = body.as_slice();
                while !rest.is_empty() {
                    let (key, value, behind) = row(rest).ok_or_else(damaged)?;
                    rows.row(table, key, value)?;
                    contents.rows += 1;
                    rest = behind;
                }
            }
            (LEFT_OUT, true) => {
                let text = String::from_utf8(body).map_err(|_| damaged())?;
                contents.left_out.push(text);
            }
            (END, true) => {
                let mut end = contents.rows.to_be_bytes().to_vec();
                end.extend(count.to_be_bytes());
                end.extend(sum.finalize().to_be_bytes());
                // Nothing stands behind it, either.
                let is_last = reading.from.read(&mut [0])? == 0;
                return match end == body && is_last {
                    true => Ok(contents),
                    false => Err(damaged()),
                };
            }
            _ => return Err(damaged()),
        }
    }
}

struct Reading<'r> {
    from: &'r mut dyn Read,
    at: u64,
    count: u64,
    /// Of all that was read.
    sum: crc32fast::Hasher,
}

impl Reading<'_> {
    fn magic(&mut self) -> Result<(), BackupError> {
        let mut magic = [0; MAGIC.len()];
        match self.take(&mut magic) {
            Err(BackupError::Cut) => return Err(BackupError::Foreign),
            taken => taken?,
        }
        match (magic == MAGIC, magic.starts_with(MAGIC_OF_ANY)) {
            (true, _) => Ok(()),
            (false, true) => Err(BackupError::Newer),
            (false, false) => Err(BackupError::Foreign),
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<(), BackupError> {
        self.from.read_exact(buffer)?;
        self.sum.update(buffer);
        self.at += u64::try_from(buffer.len()).unwrap_or(0);
        Ok(())
    }

    fn record(&mut self) -> Result<(u8, Vec<u8>), BackupError> {
        let at = self.at;
        let mut head = [0; 5];
        self.take(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > RECORD_BYTES_MAX {
            return Err(BackupError::Damaged { at });
        }
        let mut body = vec![0; length];
        self.take(&mut body)?;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head);
        sum.update(&body);
        let mut written = [0; 4];
        self.take(&mut written)?;
        if sum.finalize().to_be_bytes() != written {
            return Err(BackupError::Damaged { at });
        }
        self.count += 1;
        Ok((kind, body))
    }
}

/// What begins with its length, and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Key, value, and what follows them.
fn row(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_first_chunk()?;
    let [key, value] = [key, value].map(|length| usize::try_from(u32::from_be_bytes(*length)));
    let (key, rest) = rest.split_at_checked(key.ok()?)?;
    let (value, rest) = rest.split_at_checked(value.ok()?)?;
    Some((key, value, rest))
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::archive::stanza::StanzaRow;
    use crate::store::schema::STANZAS;
    use crate::store::whole::{Whole, backup};
    use crate::store::{AccountId, Direction, Owner, Store};
    use crate::xmpp::Timestamp;

    /// As that version wrote it.
    fn backup_of(version: u32) -> Vec<u8> {
        let database = redb::Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap();
        let sums = upgrades::sums_of(version);
        let mut txn = WriteTransaction::begin_with(&database, sums).unwrap();
        schema::create_tables(&mut txn).unwrap();
        let owner = Owner {
            account: AccountId(7),
            direction: Direction::Received,
            unseen: true,
        };
        let stanza = StanzaRow {
            at: Timestamp(1),
            owners: vec![owner],
            relation: None,
            noted_kind: None,
            from: "a@b/c",
            to: "d@b",
            xml: "<message/>",
        };
        let mut stanzas = txn.open_table(STANZAS).unwrap();
        stanzas.insert(3, &stanza.encode()).unwrap();
        drop(stanzas);
        let mut meta = txn.open_table(META).unwrap();
        let version = u64::from(version);
        meta.insert(schema::META_SCHEMA, version).unwrap();
        meta.insert(schema::META_CHECKPOINT, 4).unwrap();
        drop(meta);
        txn.commit().unwrap();
        let mut bytes = Vec::new();
        let whole = Whole::of(&database).unwrap();
        backup::write(whole, &[], &mut bytes, &mut |_, _| true).unwrap();
        bytes
    }

    #[test]
    fn a_backup_of_any_version_before_is_restored() {
        for version in 1..=4 {
            let name = format!("stonechat-{}-restore-{version}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _none = std::fs::remove_file(&path);
            let bytes = backup_of(version);
            let progress: Progress<'_> = &mut |_, _| true;
            restore(&mut bytes.as_slice(), 0, &path, 1 << 20, progress).unwrap();
            let store = Store::open(&path, 1 << 20).unwrap();
            let stored = store.begin().stanza(crate::store::ArchiveId(3)).unwrap();
            assert_eq!(stored.unwrap().xml, "<message/>", "{version}");
            let counted = store.begin().archive_bytes(AccountId(7)).unwrap();
            // Version 4 is restored as it is.
            assert_eq!(counted > 0, version < 4, "{version}");
            drop(store);
            std::fs::remove_file(&path).unwrap();
            let _reserve = std::fs::remove_file(path.with_extension("redb.reserve"));
        }
    }
}
