//! A transaction that writes: its tables, what it wrote, and how durable that will be.
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Bound;
use std::rc::Rc;

use redb::{Database, Durability, ReadableTable};

use super::{Bytes, Plain, Raw, Row, Source, Sums, Table, TableDefinition, Target, View, raw};
use crate::store::engine::behind::Behind;
use crate::store::engine::damage::{self, caught};
use crate::store::engine::fresh::Fresh;
use crate::store::engine::journal::{ROWS_BYTES_MAX, put_row};
use crate::store::{AccountId, StoreError};

/// redb's, for tables of ours.
pub struct WriteTransaction {
    raw: redb::WriteTransaction,
    pub(super) sums: Sums,
    pub(super) has_appended: Cell<bool>,
    pub(super) written_bytes: Cell<usize>,
    pub(super) fresh: Rc<Fresh>,
    /// For the journal; `None`: the file itself is made durable.
    rows: RefCell<Option<Vec<u8>>>,
    /// What is written now follows from other rows.
    derives: Cell<bool>,
    has_derived: Cell<bool>,
}

impl WriteTransaction {
    /// Durable once it is committed and that is carried out, and quick to open after a crash.
    pub fn begin(database: &Database, fresh: Rc<Fresh>) -> Result<WriteTransaction, StoreError> {
        let txn = WriteTransaction::begin_with(database, Sums::There)?;
        let rows = RefCell::new(Some(Vec::new()));
        Ok(WriteTransaction { fresh, rows, ..txn })
    }

    pub fn begin_with(database: &Database, sums: Sums) -> Result<WriteTransaction, StoreError> {
        let mut raw = database.begin_write()?;
        raw.set_durability(Durability::Immediate)
            .expect("without savepoints the durability is free");
        raw.set_quick_repair(true);
        Ok(WriteTransaction {
            raw,
            sums,
            has_appended: Cell::default(),
            written_bytes: Cell::default(),
            fresh: Rc::default(),
            rows: RefCell::default(),
            derives: Cell::default(),
            has_derived: Cell::default(),
        })
    }

    /// What was written is an account's, though its key does not say so.
    pub fn wrote_for(&self, account: AccountId) {
        self.fresh.wrote(&account.0.to_be_bytes());
    }

    /// The file itself is made durable with this commit: what it writes is much, or is to be nowhere else.
    pub fn is_for_the_file(&self) {
        self.rows.take();
    }

    /// What is written meanwhile follows from other rows: it is in no journal, and made anew by the caller should it be lost.
    pub fn derive(
        &self,
        write: &mut dyn FnMut() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.derives.set(true);
        self.has_derived.set(true);
        self.fresh.has_derived.set(true);
        let written = write();
        self.derives.set(false);
        written
    }

    pub fn has_derived(&self) -> bool {
        self.has_derived.get()
    }

    /// What is written depends on rows that were derived: a journal would be of no use without them.
    pub fn builds_on_derived(&self) {
        if self.fresh.has_derived.get() {
            self.is_for_the_file();
        }
    }

    pub(super) fn note(&self, row: (&str, &[u8]), value: Option<&[u8]>) {
        if self.derives.get() {
            return;
        }
        let mut noted = self.rows.borrow_mut();
        if let Some(rows) = noted.as_mut() {
            put_row(rows, row, value);
            if rows.len() > ROWS_BYTES_MAX {
                *noted = None;
            }
        }
    }

    /// Bytes of rows written so far.
    pub fn written_bytes(&self) -> usize {
        self.written_bytes.get()
    }

    pub fn open_table<K, V: Row>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<Table<'_, K, V>, StoreError> {
        let target = self.target(table.plain())?;
        let types = PhantomData;
        Ok(Table { target, types })
    }

    /// A table that was not there is.
    pub fn create(&self, name: &'static str) -> Result<(), StoreError> {
        self.open(name).map(drop)
    }

    fn target(&self, table: Plain) -> Result<Target<'_>, StoreError> {
        Ok(Target {
            raw: self.open(table.name)?,
            txn: self,
            name: table.name,
            octets: table.octets,
        })
    }

    fn open(&self, name: &'static str) -> Result<redb::Table<'_, Bytes, Bytes>, StoreError> {
        caught(name, &[], || self.raw.open_table(raw(name)))
    }

    /// The table as the batch has it so far.
    pub fn view<K, V: Row>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<View<'_, K, V>, StoreError> {
        Ok(table.on(self.source(table.plain())?))
    }

    pub fn source(&self, table: Plain) -> Result<Source<'_>, StoreError> {
        Ok(Source {
            raw: Raw::Batch(self.open(table.name)?),
            name: table.name,
            sums: self.sums,
            fresh: Some(Rc::clone(&self.fresh)),
            octets: table.octets,
        })
    }

    /// Puts sums behind the values of a table that has none, so many rows at a time.
    pub fn add_sums(&mut self, name: &'static str) -> Result<(), StoreError> {
        const ROWS_AT_A_TIME: usize = 1000;
        let mut raw = self.raw.open_table(raw(name))?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let from = match &after {
                Some(key) => Bound::Excluded(key.as_slice()),
                None => Bound::Unbounded,
            };
            let rows = raw.range::<&[u8]>((from, Bound::Unbounded))?;
            let rows = rows.take(ROWS_AT_A_TIME).map(|row| {
                let (key, value) = row?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            });
            let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.collect::<Result<_, StoreError>>()?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (key, mut value) in rows {
                value.extend(damage::sum(&key, &value));
                raw.insert(key.as_slice(), value.as_slice())?;
            }
        }
    }

    /// From now on the sums are there.
    pub fn sums_are_there(&mut self) {
        self.sums = Sums::There;
    }

    /// What was written is a record of the journal, unless there is no room: then the file is made durable.
    pub fn goes_to_journal(&mut self, behind: &Behind) -> Result<bool, StoreError> {
        let goes = match self.rows.take() {
            Some(rows) => behind.note(&rows)?,
            None => false,
        };
        match goes {
            true => self
                .raw
                .set_durability(Durability::None)
                .expect("without savepoints the durability is free"),
            false => self.fresh.has_derived.set(false),
        }
        Ok(goes)
    }

    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.raw.commit()?)
    }
}
