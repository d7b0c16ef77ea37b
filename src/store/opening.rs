//! Opening a database: a file that is there, one that is made, or a backend that tests bring; and anew, which empties its
//! cache.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

use super::engine::behind::{Behind, Shown};
use super::engine::damage;
use super::engine::file::{Patient, StoreFile, builder};
use super::engine::journal::Journal;
use super::{StoreError, journal, upgrades, whole};
use crate::xmpp::quoted;

/// Opens or creates.
pub fn open(path: &Path, cache_bytes: usize) -> Result<(StoreFile, Opened), StoreError> {
    match path.try_exists()? {
        true => {
            let file =
                || Ok::<_, StoreError>(StoreFile::open(path)?.with_reserve(&reserve_of(path)));
            match open_file(file()?, cache_bytes, (path, true)) {
                Err(StoreError::DiskFull(_)) if whole::upgrade::gives_room(path) => {
                    open_file(file()?, cache_bytes, (path, false))
                }
                opened => opened,
            }
        }
        false => create(path, cache_bytes),
    }
}

/// `None`: there is no room for one.
fn journal_of(path: &Path) -> Result<Option<Journal>, StoreError> {
    match StoreFile::journal(&whole::journal_path(path)) {
        Err(StoreError::DiskFull(_)) => Ok(None),
        file => Ok(Some(Journal::new(file?)?)),
    }
}

fn reserve_of(path: &Path) -> PathBuf {
    path.with_extension("redb.reserve")
}

/// A file that got its name is a whole database: a first start that was cut short leaves one beside it that nobody needs.
fn create(path: &Path, cache_bytes: usize) -> Result<(StoreFile, Opened), StoreError> {
    let unnamed = path.with_extension("redb.new");
    let make = || {
        let file = StoreFile::create(&unnamed)?.with_reserve(&reserve_of(path));
        open_file(file, cache_bytes, (path, false))
    };
    let made = match make() {
        Err(StoreError::Unreadable(_)) => {
            std::fs::remove_file(&unnamed)?;
            make()?
        }
        made => made?,
    };
    std::fs::rename(&unnamed, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(made)
}

/// True: if it is upgraded, it is kept as it was.
fn open_file(
    file: StoreFile,
    cache_bytes: usize,
    (path, keeps): (&Path, bool),
) -> Result<(StoreFile, Opened), StoreError> {
    let is_alone = !whole::journal_path(path).try_exists()?;
    let journal = journal_of(path)?;
    let kept = keeps.then_some(path);
    let opened = made_sense((file.clone(), journal), cache_bytes, kept)?;
    if is_alone && opened.follows_one {
        let path = whole::journal_path(path).display().to_string();
        let path = quoted(&path);
        log::warn!(
            "store.journal_missing path={path} remedy=\"if the server was not stopped in order, stop it, put that file back beside \
             the database as both were, and start again: the last messages are in it\""
        );
    }
    Ok((file, opened))
}

/// A database and the way its changes take to the disk.
pub struct Opened {
    pub database: Database,
    pub behind: Arc<Behind>,
    /// It had a journal before it was opened.
    follows_one: bool,
}

/// redb does not look for all that can be wrong before it relies on it.
pub fn made_sense(
    (backend, journal): (impl redb::StorageBackend, Option<Journal>),
    cache_bytes: usize,
    path: Option<&Path>,
) -> Result<Opened, StoreError> {
    let opened = damage::unwound(|| {
        let mut opened = opened(backend, journal.map(Arc::new), cache_bytes)?;
        let (database, its_journal) = (&opened.database, opened.behind.journal());
        let next = match its_journal {
            Some(of_it) => journal::replay(database, &of_it.read()?)?,
            None => None,
        };
        let follows_one = next.is_some();
        match path {
            Some(path) => whole::upgrade::run(database, path)?,
            None => upgrades::upgrade(database)?,
        }
        if let Some(of_it) = its_journal {
            let next = next.map_or_else(|| journal::begin(database, of_it), Ok)?;
            of_it.begin_with(next);
        }
        opened.follows_one = follows_one;
        Ok(opened)
    });
    let senseless = || StoreError::Unreadable("its beginning makes no sense".to_string());
    opened.unwrap_or_else(|| Err(senseless()))
}

fn opened(
    backend: impl redb::StorageBackend,
    journal: Option<Arc<Journal>>,
    cache_bytes: usize,
) -> Result<Opened, StoreError> {
    let behind = Arc::new(Behind::new(backend, journal));
    let shown = Patient(Shown(Arc::clone(&behind)));
    let database = builder(cache_bytes).create_with_backend(shown)?;
    Ok(Opened {
        database,
        behind,
        follows_one: false,
    })
}

/// A database on its way to be opened anew.
pub struct Renewal {
    pub database: Database,
    pub behind: Arc<Behind>,
    pub closed: Closed,
}

/// Half way there: nothing of it is in memory.
pub struct Closed {
    pub file: StoreFile,
    pub journal: Option<Arc<Journal>>,
    pub cache_bytes: usize,
}

pub struct Renewed(pub Opened);

impl Renewal {
    /// Blocks until it is closed.
    pub fn close(self) -> Result<Closed, StoreError> {
        self.behind.put_off(false);
        self.database.close()?;
        Ok(self.closed)
    }
}

impl Closed {
    /// Blocks until it is open again.
    pub fn open(self) -> Result<Renewed, StoreError> {
        Ok(Renewed(opened(self.file, self.journal, self.cache_bytes)?))
    }
}
