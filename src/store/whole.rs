//! All of a database at one moment, read from one end to the other: what of it is whole, and whose is what is not.

pub mod backup;
mod channels_moved;
pub mod findings;
mod moving;
pub mod read_only;
mod reading;
pub mod rename;
pub mod restore;
pub mod salvage;
pub mod upgrade;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::engine::damage::unwound;
use super::engine::file::builder;
use super::engine::table::{Row, Snapshot, Source, Sums, TableDefinition};
use super::schema::{self, ARCHIVE, ARCHIVE_WITH, META, META_CHECKPOINT, STANZAS};
use super::{Store, StoreError, journal, upgrades};
use findings::Findings;
use read_only::ReadOnly;
use reading::Reading;
use salvage::{Seen, walk};

/// A table of bytes: what is done to each alike.
type Bytes = TableDefinition<&'static [u8], &'static [u8]>;

/// All of a database. Where nobody writes to it, at one moment. Where a server does, no moment is held for long, or the file
/// would grow by whatever is written meanwhile: all but the messages and their index are read at the first moment, and
/// messages, which never change, up to the last one of that moment, at later ones.
pub struct Whole {
    /// `None`: it was let go.
    txn: Option<ReadTransaction>,
    pub schema: u32,
    sums: Sums,
    live: Option<Live>,
}

struct Live {
    database: Arc<Database>,
    /// The last message of the first moment.
    last: u64,
    /// Messages from this on have no rows in the index at the first moment, and are not to have any.
    checkpoint: u64,
}

/// Where the journal of a database lies.
pub fn journal_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".journal");
    path.into()
}

/// A database nobody serves from.
pub struct Offline(Option<Database>);

/// Whoever takes the rows, table by table.
pub trait Take {
    fn table(&mut self, name: &'static str) -> Result<(), StoreError>;
    fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError>;
    /// So many rows of so many are through.
    fn progress(&mut self, done: u64, total: u64) -> Result<(), StoreError>;
}

impl Offline {
    /// Nothing of the file is changed.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Offline, StoreError> {
        let file = ReadOnly::open(path)?;
        let opened = unwound(|| builder(cache_bytes).create_with_backend(file));
        let senseless = || StoreError::Unreadable("its beginning makes no sense".to_string());
        let database = opened.ok_or_else(senseless)??;
        let journal = match std::fs::read(journal_path(path)) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            bytes => Some(bytes?),
        };
        if let Some(bytes) = journal {
            let replayed = unwound(|| journal::replay(&database, &bytes));
            // What is damaged is told by whoever reads it.
            let _as_is = replayed.transpose();
        }
        Ok(Offline(Some(database)))
    }

    pub fn whole(&self) -> Result<Whole, StoreError> {
        Whole::of(self.0.as_ref().expect("there until dropped"))
    }

    /// What redb knows of its own: every page's checksum, and what is free.
    pub fn is_sound(mut self) -> bool {
        let database = self.0.as_mut().expect("there until dropped");
        unwound(|| database.check_integrity()).is_some_and(|sound| matches!(sound, Ok(true)))
    }
}

impl Drop for Offline {
    /// Closing may come upon damage that was told already.
    fn drop(&mut self) {
        let database = self.0.take();
        let _as_is = unwound(|| drop(database));
    }
}

impl Store {
    /// Also while commits go on. `None`: it is being opened anew.
    pub fn whole(&self) -> Result<Option<Whole>, StoreError> {
        let database = self.shared.database.borrow();
        let Some(database) = database.as_ref().map(Arc::clone) else {
            return Ok(None);
        };
        let mut whole = Whole::of(&database)?;
        let txn = whole.txn.as_ref().expect("begun above");
        let stanzas = Rc::new(STANZAS.open(txn)?);
        let stanzas = STANZAS.on(Source::of(stanzas, STANZAS.plain(), (whole.sums, None)));
        let last = stanzas.range(..)?.next_back().transpose()?;
        let last = last.map_or(0, |(key, _)| key.value());
        let meta = META.on(Source::of(
            Rc::new(META.open(txn)?),
            META.plain(),
            (whole.sums, None),
        ));
        let checkpoint = meta.get(META_CHECKPOINT)?.map_or(1, |row| row.value());
        whole.live = Some(Live {
            last,
            checkpoint,
            database,
        });
        Ok(Some(whole))
    }
}

impl Live {
    /// Whether a row was there at the first moment.
    fn was_there(&self, table: &'static str, key: &[u8]) -> bool {
        match table {
            _ if table == STANZAS.name() => u64::decode(key) <= self.last,
            _ if table == ARCHIVE.name() => <(u32, u64)>::decode(key).1 < self.checkpoint,
            _ => <(u32, u64, u64)>::decode(key).2 < self.checkpoint,
        }
    }
}

impl Whole {
    fn of(database: &Database) -> Result<Whole, StoreError> {
        let read = unwound(|| Ok((database.begin_read()?, upgrades::version(database)?)));
        let damaged = || StoreError::Unreadable("its tables make no sense".to_string());
        let (txn, schema) = read.unwrap_or_else(|| Err(damaged()))?;
        upgrades::require_known(schema)?;
        Ok(Whole {
            txn: Some(txn),
            schema,
            sums: upgrades::sums_of(schema),
            live: None,
        })
    }

    /// The table at a later moment, if that is a better one.
    fn anew(&self, table: &'static str) -> Result<Option<Snapshot>, StoreError> {
        let Some(live) = &self.live else {
            return Ok(None);
        };
        let opened = unwound(|| {
            let txn = live.database.begin_read()?;
            Ok::<_, StoreError>(Bytes::new(table).open(&txn)?)
        });
        let damaged = || StoreError::Unreadable("its tables make no sense".to_string());
        opened.unwrap_or_else(|| Err(damaged())).map(Some)
    }

    /// Hands over all that can be read, and tells what cannot.
    pub fn read(mut self, take: &mut dyn Take) -> Result<Findings, StoreError> {
        let tables = self.tables();
        let rows = |(_, table): &Opened| table.as_ref().map_or(0, |(_, rows)| *rows);
        let mut reading = Reading::new(take, tables.iter().map(rows).sum());
        // What lasts comes when the first moment is let go.
        let lasting = [STANZAS.name(), ARCHIVE.name(), ARCHIVE_WITH.name()];
        let (long, short): (Vec<Opened>, Vec<Opened>) = tables
            .into_iter()
            .partition(|(name, _)| lasting.contains(name));
        for (name, table) in short {
            reading.take.table(name)?;
            self.read_table(&mut reading, name, table)?;
        }
        if self.live.is_none() {
            for (name, table) in long {
                reading.take.table(name)?;
                self.read_table(&mut reading, name, table)?;
            }
            return Ok(reading.done());
        }
        drop(long);
        self.txn = None;
        for name in lasting {
            reading.take.table(name)?;
            let table = self.anew(name)?.map(|table| (table, 0));
            self.read_table(&mut reading, name, table)?;
        }
        Ok(reading.done())
    }

    /// Each table with how many rows it has.
    fn tables(&self) -> Vec<Opened> {
        let txn = self.txn.as_ref().expect("begun, and not let go yet");
        let mut tables = Vec::new();
        // What is between two steps of overwriting is nobody's.
        let names = schema::table_names().into_iter();
        for name in names.filter(|name| *name != schema::FILLER.name()) {
            let opened = unwound(|| {
                let table = Bytes::new(name).open(txn)?;
                let rows = table.len()?;
                Ok::<_, redb::TableError>((table, rows))
            });
            match opened {
                // Of a version that did not have it.
                Some(Err(redb::TableError::TableDoesNotExist(_))) => {}
                Some(Ok(opened)) => tables.push((name, Some(opened))),
                Some(Err(_)) | None => tables.push((name, None)),
            }
        }
        tables
    }

    fn read_table(
        &self,
        reading: &mut Reading<'_>,
        name: &'static str,
        table: Option<(Snapshot, u64)>,
    ) -> Result<(), StoreError> {
        let Some((table, rows)) = table else {
            reading.count(name, None, 0);
            return Ok(());
        };
        let before = reading.findings.rows;
        let live = self.live.as_ref().filter(|_| self.txn.is_none());
        let anew = || live.map_or(Ok(None), |_| self.anew(name));
        walk(&table, self.sums, &anew, &mut |seen| {
            let is_later = match &seen {
                Seen::Row { key, .. } | Seen::Damaged { key, .. } => {
                    live.is_some_and(|live| !live.was_there(name, key))
                }
                Seen::Gap { .. } => false,
            };
            match is_later {
                true => Ok(()),
                false => reading.see(name, seen),
            }
        })?;
        let read = reading.findings.rows - before;
        reading.miss(name, rows.saturating_sub(read));
        Ok(())
    }
}

/// A table's name, and its rows if it can be opened.
type Opened = (&'static str, Option<(Snapshot, u64)>);
