//! A batch: what is read and written between two commits, and the commit on its way to the disk.
use std::cell::{Ref, RefMut};
use std::rc::Rc;
use std::sync::Arc;

use super::archive::index::Memory;
use super::engine;
use super::engine::behind::Behind;
use super::engine::fresh::Fresh;
use super::engine::reader::Reader;
use super::engine::table::{Plain, Row, Source, TableDefinition, View, WriteTransaction};
use super::{Epoch, Shared, StoreError, journal, schema};
use crate::xmpp::Timestamp;

/// How far the time written down may be behind.
const NOTE_TIME_AFTER_MS: u64 = 6 * 3_600_000;

/// One batch's view and writes. Begins a write transaction with the first write; reads before that use a read snapshot,
/// reads after it see the batch's own writes. Dropped unfinished, nothing of it was written.
pub struct Tx {
    pub(super) shared: Rc<Shared>,
    pub(super) write: Option<WriteTransaction>,
}

/// A batch that is whole. What the store keeps in memory already counts on it: if it fails or is dropped, the store must be
/// opened anew.
pub struct Commit {
    txn: WriteTransaction,
    shared: Rc<Shared>,
}

/// A commit on its way to the disk, for the storage thread. What is read from now on counts on it; if it fails or is dropped,
/// the store must be opened anew.
pub struct Flush {
    behind: Arc<Behind>,
    epoch: Epoch,
}

/// What a write works on.
pub struct Writing<'t> {
    pub txn: &'t WriteTransaction,
    pub memory: RefMut<'t, Memory>,
}

impl Tx {
    /// `Store::file_bytes`.
    pub fn file_bytes(&self) -> u64 {
        self.shared.file_bytes()
    }

    /// The disk is full; what is written takes from the last room there is.
    pub fn is_starved(&self) -> bool {
        let file = self.shared.file.as_ref();
        file.is_some_and(|file| file.file.reserve().is_given())
    }

    /// True once something was written.
    pub fn has_written(&self) -> bool {
        self.write.is_some()
    }

    /// Bytes written so far.
    pub fn written_bytes(&self) -> usize {
        self.write
            .as_ref()
            .map_or(0, WriteTransaction::written_bytes)
    }

    /// Ends the batch. `None`: nothing was written.
    pub fn finish(mut self) -> Option<Commit> {
        let txn = self.write.take()?;
        let shared = Rc::clone(&self.shared);
        Some(Commit { txn, shared })
    }

    /// What is written and not durable yet.
    pub fn fresh(&self) -> &Fresh {
        &self.shared.fresh
    }

    /// A time that had come for sure when it was written down.
    pub fn noted_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let meta = self.view(schema::META)?;
        let noted = meta.get(schema::META_CLOCK)?;
        Ok(noted.map(|row| Timestamp(row.value().cast_signed())))
    }

    /// Writes it down now and then, so that a clock that is wrong at the next start is noticed.
    pub fn note_time(&mut self, sure: Timestamp) -> Result<(), StoreError> {
        let is_near = |noted: Timestamp| noted.0.abs_diff(sure.0) < NOTE_TIME_AFTER_MS;
        if self.noted_time()?.is_some_and(is_near) {
            return Ok(());
        }
        let writing = self.writing()?;
        writing
            .txn
            .open_table(schema::META)?
            .insert(schema::META_CLOCK, sure.0.cast_unsigned())?;
        Ok(())
    }

    /// A secret of the server that is made with `make` at first use and stays (fake salts, later key derivations).
    pub fn secret(
        &mut self,
        name: &'static str,
        make: &mut dyn FnMut(&mut [u8; 32]),
    ) -> Result<[u8; 32], StoreError> {
        if let Some(secret) = self.view(schema::SECRETS)?.get(name)? {
            return Ok(secret.value());
        }
        let mut secret = [0; 32];
        make(&mut secret);
        let writing = self.writing()?;
        writing
            .txn
            .open_table(schema::SECRETS)?
            .insert(name, secret)?;
        Ok(secret)
    }

    /// Begins writing if that has not happened yet. Call it only when there is something to write.
    pub(in crate::store) fn writing(&mut self) -> Result<Writing<'_>, StoreError> {
        if self.write.is_none() {
            self.shared.reader.take();
            let database = self.shared.database.borrow();
            let database = database.as_ref().ok_or_else(being_renewed)?;
            let fresh = Rc::clone(&self.shared.fresh);
            self.write = Some(WriteTransaction::begin(database, fresh)?);
        }
        self.load_memory()?;
        let memory = RefMut::map(self.shared.memory.borrow_mut(), |memory| {
            memory.as_mut().expect("loaded above")
        });
        let txn = self.write.as_ref().expect("begun above");
        Ok(Writing { txn, memory })
    }

    pub(in crate::store) fn memory(&self) -> Result<Ref<'_, Memory>, StoreError> {
        self.load_memory()?;
        Ok(Ref::map(self.shared.memory.borrow(), |memory| {
            memory.as_ref().expect("loaded above")
        }))
    }

    pub(in crate::store) fn load_memory(&self) -> Result<(), StoreError> {
        if self.shared.memory.borrow().is_none() {
            let memory = Memory::load(self)?;
            *self.shared.memory.borrow_mut() = Some(memory);
        }
        Ok(())
    }

    /// A table to read from. A table must not be viewed twice at the same time.
    pub(in crate::store) fn view<K, V: Row>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<View<'_, K, V>, StoreError> {
        Ok(table.on(self.source(table.plain())?))
    }

    fn source(&self, table: Plain) -> Result<Source<'_>, StoreError> {
        if let Some(txn) = &self.write {
            return txn.source(table);
        }
        let mut reader = self.shared.reader.borrow_mut();
        if let Some(reader) = &*reader {
            return reader.source(table);
        }
        let database = self.shared.database.borrow();
        let database = database.as_ref().ok_or_else(being_renewed)?;
        let reader = reader.insert(Reader::new(database, Rc::clone(&self.shared.fresh))?);
        reader.source(table)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.write.is_some() {
            // The batch was given up; what is kept in memory may count on it.
            self.shared.memory.take();
        }
    }
}

impl Commit {
    /// From now on it is read; durable once `Flush::run` returned.
    pub fn begin(self) -> Result<Flush, StoreError> {
        self.shared.reader.take();
        let broken = || StoreError::Io("a page that a commit needs makes no sense".to_string());
        let behind = Arc::clone(&self.shared.behind.borrow());
        let committed = engine::damage::unwound(|| journal::commit(self.txn, &behind));
        committed.ok_or_else(broken)??;
        if self.shared.scrub.wipes_journal.take() {
            behind.wipe_journal()?;
        }
        Ok(Flush {
            behind,
            epoch: self.shared.fresh.commit(),
        })
    }

    /// Blocks until durable.
    pub fn run(self) -> Result<(), StoreError> {
        let shared = Rc::clone(&self.shared);
        let flush = self.begin()?;
        let epoch = flush.epoch();
        flush.run()?;
        shared.fresh.is_durable(epoch);
        Ok(())
    }
}

impl Flush {
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Blocks until durable.
    pub fn run(self) -> Result<(), StoreError> {
        Ok(self.behind.carry_out()?)
    }
}

fn being_renewed() -> StoreError {
    StoreError::Io("the database is closed".to_string())
}
