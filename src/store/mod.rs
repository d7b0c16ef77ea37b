//! Typed tables over one redb file. Reads happen inside a step, a commit on the storage thread.

mod accounts;
mod archive;
mod personal;
mod roster;

use std::path::Path;
use std::sync::Arc;

pub use accounts::{Account, AccountId};
pub use archive::{
    ArchiveId, ArchivePage, ArchivePreferences, ArchiveQuery, DefaultPolicy, Direction, Owner,
    Record, Stored,
};
pub use personal::LastActivity;
pub use roster::{Contact, RosterChange, Subscription};

/// What can be wrong with the database; the log gets it in full.
#[derive(Debug)]
pub enum StoreError {
    /// No space left on the disk.
    DiskFull(String),
    /// Another process has the file open.
    InUse,
    /// The file's schema version is newer than this program's.
    Newer { found: u32, known: u32 },
    /// The file is no Stonechat database or is damaged.
    Unreadable(String),
    /// Anything else of the disk.
    Io(String),
}

/// The open database. Cheap to clone on the reactor thread.
#[derive(Clone)]
pub struct Store {}

/// One batch's view and writes. Begins a write transaction with the first write; reads before that use a read snapshot,
/// reads after it see the batch's own writes.
pub struct Tx {}

/// A write transaction on its way to the storage thread.
pub struct Commit {}

impl Store {
    /// Opens or creates. `cache_bytes`: redb's page cache.
    pub fn open(_path: &Path, _cache_bytes: usize) -> Result<Store, StoreError> {
        todo!()
    }
    /// The same over a given backend (tests: failing writes, memory).
    pub fn open_backend(
        _backend: impl redb::StorageBackend,
        _cache_bytes: usize,
    ) -> Result<Store, StoreError> {
        todo!()
    }
    pub fn begin(&self) -> Tx {
        todo!()
    }
    /// Bytes of the database file.
    pub fn file_bytes(&self) -> u64 {
        todo!()
    }
}

impl Tx {
    /// True once something was written.
    pub fn has_written(&self) -> bool {
        todo!()
    }
    /// Ends the batch. `None`: nothing was written. The commit is not durable until `Commit::run` returned.
    pub fn finish(self) -> Option<Commit> {
        todo!()
    }
    /// A secret of the server that is made with `make` at first use and stays (fake salts, later key derivations).
    pub fn secret(
        &mut self,
        _name: &'static str,
        _make: &mut dyn FnMut(&mut [u8; 32]),
    ) -> Result<[u8; 32], StoreError> {
        todo!()
    }
}

impl Commit {
    /// Blocks until durable.
    pub fn run(self) -> Result<(), StoreError> {
        todo!()
    }
}

/// Runs commits on the storage thread: `start` hands one over, `done` is called there with the result.
pub struct StorageThread {}

impl StorageThread {
    pub fn start() -> StorageThread {
        todo!()
    }
    pub fn run(
        &self,
        _commit: Commit,
        _done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        todo!()
    }
}

#[allow(unused)]
type Shared = Arc<()>;
impl Tx {
    pub fn stored_bytes(&self) -> Result<u64, StoreError> {
        todo!()
    }
}
