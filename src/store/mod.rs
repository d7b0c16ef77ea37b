//! Typed tables over one redb file. Reads happen inside a step, a commit on the storage thread.

mod accounts;
mod archive;
mod capabilities;
mod channel;
mod engine;
mod journal;
mod opening;
mod pubsub;
mod schema;
mod scrub;
mod upgrades;
mod whole;

use std::cell::{Ref, RefCell, RefMut};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use redb::Database;

pub use accounts::clients::{CLIENTS_MAX, Client, ClientKey};
pub use accounts::grants::{APP_TOKENS_MAX, AppToken, OauthGrant};
pub use accounts::joined::JoinedChannel;
pub use accounts::kept::{Body, Kept};
pub use accounts::personal::{Avatar, LastActivity};
pub use accounts::roster::{Contact, RosterChange, Subscription};
pub use accounts::suspended::SuspendedId;
pub use accounts::suspended_row::{HeldRow, QueueRow, Suspended, SuspendedPresence};
pub use accounts::tokens::{ENDED_ROWS_MAX, ENDED_TOKENS_MAX, EndedToken, FastToken, FastTokens};
pub use accounts::{Account, AccountId};
pub use archive::inbox::{InboxReader, Standing, UNREAD_MAX};
pub use archive::page::place::{AtIndex, Place};
pub use archive::preferences::{ArchivePreferences, DefaultPolicy};
pub use archive::reading::{Parts, READINGS_MAX};
pub use archive::relation::Named;
pub use archive::relation::around::Around;
pub use archive::relation::kinds::{Conversation, Facts, Glance, Mark};
pub use archive::retention::{Aged, Need, Pruned};
pub use archive::stanza::Relation;
pub use archive::{
    Appended, ArchiveId, ArchivePage, ArchiveQuery, Before, Direction, Owner, Record, Shows, Stored,
};
pub use channel::invitations::InvitationRow;
pub use channel::members::{ChannelAffiliation, JidVisibility, MemberRow, Participation};
pub use channel::occupants::OccupantRow;
pub use channel::tombstones::TombstoneRow;
pub use channel::{ChannelId, ChannelRow, SubjectRow};
pub use engine::damage::is_caught as is_panic_caught;
pub use engine::error::StoreError;
pub use engine::file::is_in_use;
pub use engine::fresh::Epoch;
pub use engine::reserve::RESERVE_BYTES;
pub use engine::thread::StorageThread;
pub use pubsub::items::{Item, Span};
pub use pubsub::nodes::{ConfigRow, NodeOwner, NodeRow, Owned};
pub use pubsub::related::{Affiliation, NodeSubscription, Related, SubscriptionState};
pub use pubsub::subscribed_to::SubscribedTo;
pub use scrub::Scrubbed;
pub use whole::backup::{BackupError, File as BackupFile, write as write_backup};
pub use whole::findings::{Damage, Findings};
pub use whole::rename::{Domain, Moved};
pub use whole::restore::{Contents as BackupContents, read as read_backup, restore};
pub use whole::{Offline, Take, Whole};

use crate::xmpp::Timestamp;
use archive::index::Memory;
use engine::behind::Behind;
use engine::file::StoreFile;
use engine::fresh::Fresh;
use engine::journal::Journal;
use engine::reader::Reader;
use engine::table::{Plain, Row, Source, TableDefinition, View, WriteTransaction};
use opening::{Closed, Opened, Renewal, Renewed};
use scrub::Scrub;

/// How far the time written down may be behind.
const NOTE_TIME_AFTER_MS: u64 = 6 * 3_600_000;

/// The open database. Cheap to clone on the reactor thread.
#[derive(Clone)]
pub struct Store {
    shared: Rc<Shared>,
}

struct Shared {
    /// `None`: it is being opened anew.
    database: RefCell<Option<Arc<Database>>>,
    behind: RefCell<Arc<Behind>>,
    fresh: Rc<Fresh>,
    /// `None`: over a backend that is no file.
    file: Option<OpenFile>,
    /// What is kept of the archive beside the tables; `None` until the first use, and after a batch that was given up.
    memory: RefCell<Option<Memory>>,
    /// `None` until the first read, and after whatever was written.
    reader: RefCell<Option<Reader>>,
    scrub: Scrub,
}

struct OpenFile {
    file: StoreFile,
    cache_bytes: usize,
}

/// One batch's view and writes. Begins a write transaction with the first write; reads before that use a read snapshot,
/// reads after it see the batch's own writes. Dropped unfinished, nothing of it was written.
pub struct Tx {
    shared: Rc<Shared>,
    write: Option<WriteTransaction>,
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

impl Store {
    /// Most of what pages of the file take in memory.
    pub fn cache_bytes(&self) -> usize {
        let file = self.shared.file.as_ref();
        file.map_or(0, |file| file.cache_bytes)
    }

    /// Opens or creates, readable by this user only. `cache_bytes`: redb's page cache.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Store, StoreError> {
        let (file, opened) = opening::open(path, cache_bytes)?;
        let file = OpenFile { file, cache_bytes };
        Store::new(opened, Some(file))
    }

    /// The same over a given backend (tests: failing writes, memory).
    pub fn open_backend(
        backend: impl redb::StorageBackend,
        cache_bytes: usize,
    ) -> Result<Store, StoreError> {
        Store::new(
            opening::made_sense((backend, None), cache_bytes, None)?,
            None,
        )
    }

    /// The same with a journal.
    pub fn open_backends(
        backend: impl redb::StorageBackend,
        journal: impl redb::StorageBackend,
        cache_bytes: usize,
    ) -> Result<Store, StoreError> {
        let disks = (backend, Some(Journal::new(journal)?));
        Store::new(opening::made_sense(disks, cache_bytes, None)?, None)
    }

    fn new(opened: Opened, file: Option<OpenFile>) -> Result<Store, StoreError> {
        let Opened { database, behind } = opened;
        behind.put_off(true);
        let store = Store {
            shared: Rc::new(Shared {
                database: RefCell::new(Some(Arc::new(database))),
                behind: RefCell::new(behind),
                fresh: Rc::default(),
                file,
                memory: RefCell::new(None),
                reader: RefCell::new(None),
                scrub: Scrub::default(),
            }),
        };
        store.begin().memory()?;
        Ok(store)
    }

    pub fn begin(&self) -> Tx {
        Tx {
            shared: self.shared.clone(),
            write: None,
        }
    }

    /// Takes the database out to be closed and opened anew, which empties its cache; nobody may read or write meanwhile.
    /// `None`: it is over no file, out already, or somebody reads all of it.
    pub fn renew(&self) -> Option<Renewal> {
        let file = self.shared.file.as_ref()?;
        let mut place = self.shared.database.borrow_mut();
        let database = match Arc::try_unwrap(place.take()?) {
            Ok(database) => database,
            Err(in_use) => {
                *place = Some(in_use);
                return None;
            }
        };
        self.shared.reader.take();
        let behind = Arc::clone(&self.shared.behind.borrow());
        let journal = behind.journal().map(Arc::clone);
        Some(Renewal {
            database,
            behind,
            closed: Closed {
                file: file.file.clone(),
                journal,
                cache_bytes: file.cache_bytes,
            },
        })
    }

    /// Puts it back.
    pub fn renewed(&self, renewed: Renewed) {
        let Opened { database, behind } = renewed.0;
        behind.put_off(true);
        *self.shared.behind.borrow_mut() = behind;
        *self.shared.database.borrow_mut() = Some(Arc::new(database));
    }

    /// What was committed up to this is on the disk now.
    pub fn is_durable(&self, epoch: Epoch) {
        self.shared.fresh.is_durable(epoch);
    }

    /// The latest commit that is on the disk.
    pub fn durable(&self) -> Epoch {
        self.shared.fresh.durable()
    }

    /// What a connection is sent must wait for this commit.
    pub fn of_connection(&self, connection: u64) -> Epoch {
        self.shared.fresh.of_connection(connection)
    }

    /// Bytes on their way to the disk.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.behind.borrow().waiting_bytes()
    }

    /// Bytes that the database file has on the disk; more than `Tx::stored_bytes`, for room that pruning freed stays in the
    /// file and is used again. 0 over a backend that is no file.
    pub fn file_bytes(&self) -> u64 {
        self.shared.file_bytes()
    }

    /// Nobody is served any more: the file has everything, and the journal nothing that is needed.
    pub fn settle(&self) -> Result<(), StoreError> {
        let behind = Arc::clone(&self.shared.behind.borrow());
        if !behind.journal().is_some_and(|journal| journal.is_begun()) {
            return Ok(());
        }
        let mut tx = self.begin();
        tx.writing()?.txn.is_for_the_file();
        tx.finish().map_or(Ok(()), Commit::run)
    }

    /// There may be room on the disk again.
    pub fn fill_reserve(&self) {
        if let Some(file) = &self.shared.file {
            file.file.reserve().fill();
        }
    }
}

impl Drop for Shared {
    /// Closing writes down what is free in the file, and may come upon damage.
    fn drop(&mut self) {
        self.behind.borrow().put_off(false);
        let database = self.database.take();
        if engine::damage::unwound(|| drop(database)).is_none() {
            log::error!("store.not_closed remedy=\"`stonechat check` tells what is damaged\"");
        }
    }
}

impl Shared {
    /// Of the file, once all that waits is written.
    fn length(&self) -> Result<u64, StoreError> {
        Ok(self.behind.borrow().length()?)
    }

    fn file_bytes(&self) -> u64 {
        let file = self.file.as_ref();
        file.map_or(0, |file| file.file.allocated_bytes())
    }
}

/// What a write works on.
struct Writing<'t> {
    txn: &'t WriteTransaction,
    memory: RefMut<'t, Memory>,
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
    fn writing(&mut self) -> Result<Writing<'_>, StoreError> {
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

    fn memory(&self) -> Result<Ref<'_, Memory>, StoreError> {
        self.load_memory()?;
        Ok(Ref::map(self.shared.memory.borrow(), |memory| {
            memory.as_ref().expect("loaded above")
        }))
    }

    fn load_memory(&self) -> Result<(), StoreError> {
        if self.shared.memory.borrow().is_none() {
            let memory = Memory::load(self)?;
            *self.shared.memory.borrow_mut() = Some(memory);
        }
        Ok(())
    }

    /// A table to read from. A table must not be viewed twice at the same time.
    fn view<K, V: Row>(&self, table: TableDefinition<K, V>) -> Result<View<'_, K, V>, StoreError> {
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

/// Keys of one account in a table keyed by account and text.
fn texts_of(account: AccountId) -> std::ops::Range<(u32, &'static str)> {
    (account.0, "")..(account.0.saturating_add(1), "")
}
