//! All of a database at one moment, read from one end to the other: what of it is whole, and whose is what is not.

pub mod backup;
mod channels_moved;
pub mod findings;
mod moving;
pub mod read_only;
pub mod rename;
pub mod restore;
pub mod salvage;
pub mod upgrade;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::accounts::decode_account;
use super::archive::stanza::StanzaRow;
use super::engine::damage::unwound;
use super::engine::file::builder;
use super::engine::table::{Row, Snapshot, Source, Sums, TableDefinition};
use super::schema::{
    self, ACCOUNTS, ARCHIVE, ARCHIVE_WITH, META, META_CHECKPOINT, SECRETS, STANZAS,
};
use super::{Store, StoreError, journal, upgrades};
use findings::{Damage, Findings};
use read_only::ReadOnly;
use salvage::{Seen, walk};

/// So many damaged messages, or stretches of them, are told apart by owner.
const LOST_MAX: usize = 1 << 16;

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
        if let Ok(bytes) = std::fs::read(journal_path(path)) {
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
        let mut reading = Reading {
            take,
            total: tables.iter().map(rows).sum(),
            findings: Findings::default(),
            names: BTreeMap::new(),
            counts: BTreeMap::new(),
            lost: Vec::new(),
        };
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

struct Reading<'t> {
    take: &'t mut dyn Take,
    total: u64,
    findings: Findings,
    names: BTreeMap<u32, String>,
    /// By table and account, how many rows.
    counts: BTreeMap<(&'static str, Option<u32>), u64>,
    /// Sequences of messages that are gone: from, up to.
    lost: Vec<(u64, u64)>,
}

impl Reading<'_> {
    fn see(&mut self, table: &'static str, seen: Seen<'_>) -> Result<(), StoreError> {
        const TOLD_EACH: u64 = 1 << 10;
        match seen {
            Seen::Row { key, value } => {
                self.findings.rows += 1;
                if self.findings.rows.is_multiple_of(TOLD_EACH) {
                    self.take.progress(self.findings.rows, self.total)?;
                }
                self.note(table, key, value);
                self.take.row(key, value)
            }
            Seen::Damaged { key, value } => {
                self.damaged(table, key, value);
                Ok(())
            }
            Seen::Gap { after, before } => {
                self.gap(table, after, before);
                Ok(())
            }
        }
    }

    /// What is needed to say whose something else is.
    fn note(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        if table == ACCOUNTS.name() {
            if let Ok(account) = decode_account(value) {
                self.names
                    .insert(account.id.0, <&str>::decode(key).to_string());
            }
        } else if table == ARCHIVE.name() && !self.lost.is_empty() {
            let (account, sequence) = <(u32, u64)>::decode(key);
            let is_lost = |(from, to): &(u64, u64)| (*from..=*to).contains(&sequence);
            if self.lost.iter().any(is_lost) {
                self.count(STANZAS.name(), Some(account), 1);
            }
        }
    }

    fn damaged(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        if table == STANZAS.name() {
            let sequence = u64::decode(key);
            self.lose(sequence, sequence);
            // Those that are in no index yet say themselves whose they are, if anything of them is right.
            let owners = StanzaRow::decode(value).map(|row| row.owners);
            let known = owners.ok().filter(|owners| {
                let is_known = |owner: &super::Owner| self.names.contains_key(&owner.account.0);
                owners.iter().all(is_known)
            });
            self.count(table, None, 1);
            for owner in known.unwrap_or_default() {
                self.count(table, Some(owner.account.0), 0);
            }
            return;
        }
        self.count(table, account_of(table, key), 1);
    }

    fn gap(&mut self, table: &'static str, after: &[u8], before: Option<&[u8]>) {
        if table == STANZAS.name() {
            let to = before.map_or(u64::MAX, |key| u64::decode(key).saturating_sub(1));
            self.lose(u64::decode(after).saturating_add(1), to);
        }
        let first = account_of(table, after);
        let last = before.and_then(|key| account_of(table, key));
        let (Some(first), true) = (first, account_of(table, &[0; 4]).is_some()) else {
            return self.count(table, None, 0);
        };
        let last = last.unwrap_or(u32::MAX);
        let within: Vec<u32> = self
            .names
            .range(first..=last.max(first))
            .map(|(id, _)| *id)
            .collect();
        match within.is_empty() {
            true => self.count(table, None, 0),
            false => within
                .into_iter()
                .for_each(|id| self.count(table, Some(id), 0)),
        }
    }

    /// So many more rows should have been there.
    fn miss(&mut self, table: &'static str, rows: u64) {
        let told = |((name, _), count): (&(&str, _), &u64)| (*name == table).then_some(*count);
        let told: u64 = self.counts.iter().filter_map(told).sum();
        if rows > told {
            self.count(table, None, rows - told);
        }
    }

    fn lose(&mut self, from: u64, to: u64) {
        if self.lost.len() < LOST_MAX {
            self.lost.push((from, to));
        }
    }

    fn count(&mut self, table: &'static str, account: Option<u32>, rows: u64) {
        *self.counts.entry((table, account)).or_default() += rows;
    }

    fn done(mut self) -> Findings {
        let owned: BTreeSet<&str> = self
            .counts
            .keys()
            .filter(|(_, account)| account.is_some())
            .map(|(table, _)| *table)
            .collect();
        for ((table, account), rows) in &self.counts {
            // Messages are counted as such, and once more for each whose they are.
            if account.is_none() && *table != STANZAS.name() && *rows == 0 && owned.contains(table)
            {
                continue;
            }
            let name = account.map(|id| {
                let name = self.names.get(&id).cloned();
                name.unwrap_or_else(|| format!("account number {id}"))
            });
            self.findings.damage.push(Damage {
                table,
                account: name,
                rows: *rows,
            });
        }
        self.findings
    }
}

/// Keys of most tables begin with the account's number.
fn account_of(table: &str, key: &[u8]) -> Option<u32> {
    let others = [META.name(), SECRETS.name(), ACCOUNTS.name(), STANZAS.name()];
    match others.contains(&table) {
        true => None,
        false => key.first_chunk().copied().map(u32::from_be_bytes),
    }
}
