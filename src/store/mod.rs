//! Typed tables over one redb file. Reads happen inside a step, a commit on the storage thread.

mod accounts;
mod archive;
mod batch;
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

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use redb::Database;

pub use accounts::clients::{CLIENTS_MAX, Client, ClientKey};
pub use accounts::grants::{APP_TOKENS_MAX, AppToken, OauthGrant};
pub use accounts::joined::JoinedChannel;
pub use accounts::kept::{Body, Kept};
pub use accounts::personal::{Avatar, LastActivity};
pub use accounts::queue_row::QueueRow;
pub use accounts::roster::{Contact, RosterChange, Subscription};
pub use accounts::suspended::SuspendedId;
pub use accounts::suspended_row::{HeldRow, Suspended, SuspendedPresence};
pub use accounts::tokens::{ENDED_ROWS_MAX, ENDED_TOKENS_MAX, EndedToken, FastToken, FastTokens};
pub use accounts::{Account, AccountId};
pub use archive::inbox::{InboxReader, Seen, Standing, UNREAD_MAX};
pub use archive::page::place::{AtIndex, Place};
pub use archive::passing::Passage;
pub use archive::preferences::{ArchivePreferences, DefaultPolicy};
pub use archive::reading::{Parts, READINGS_MAX};
pub use archive::relation::Named;
pub use archive::relation::around::Around;
pub use archive::relation::kinds::{Conversation, Facts, Glance, Mark};
pub use archive::retention::{Aged, Need, Pruned};
pub use archive::stanza::Relation;
pub use archive::unseen::Waiting;
pub use archive::{
    Appended, ArchiveId, ArchivePage, ArchiveQuery, Before, Direction, Owner, Record, Shows, Stored,
};
pub use batch::{Commit, Flush, Tx};
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

use archive::index::Memory;
use batch::Writing;
use engine::behind::Behind;
use engine::file::StoreFile;
use engine::fresh::Fresh;
use engine::journal::Journal;
use engine::reader::Reader;
use engine::table::View;
use opening::{Closed, Opened, Renewal, Renewed};
use scrub::Scrub;

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
        let Opened {
            database, behind, ..
        } = opened;
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
        let Opened {
            database, behind, ..
        } = renewed.0;
        behind.put_off(true);
        *self.shared.behind.borrow_mut() = behind;
        *self.shared.database.borrow_mut() = Some(Arc::new(database));
        if let Some(memory) = &mut *self.shared.memory.borrow_mut() {
            memory.begin_moving_anew();
        }
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

/// Keys of one account in a table keyed by account and text.
fn texts_of(account: AccountId) -> std::ops::Range<(u32, &'static str)> {
    (account.0, "")..(account.0.saturating_add(1), "")
}
