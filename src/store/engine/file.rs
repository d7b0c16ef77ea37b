//! The database's file: locked by this process for as long as any database is open on it, so that one can be closed and
//! opened anew without anybody coming between.
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::journal::JOURNAL_BYTES;
use super::reserve::Reserve;
use crate::store::StoreError;
use crate::xmpp::quoted_error;

/// For its owner alone.
const SECRET: u32 = 0o600;

#[derive(Clone, Debug)]
pub struct StoreFile {
    file: Arc<File>,
    reserve: Arc<Reserve>,
}

/// Whether some process has the database open.
pub fn is_in_use(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl StoreFile {
    /// Opens a file that is there.
    pub fn open(path: &Path) -> Result<StoreFile, StoreError> {
        let file = StoreFile::lock(OpenOptions::new().read(true).write(true).open(path)?)?;
        match file.file.metadata()?.len() {
            0 => Err(StoreError::Unreadable("it is empty".to_string())),
            _ => Ok(file),
        }
    }

    /// Makes a file that only this user may read, whatever the umask. What is there already, be it a link, was left by a
    /// start that was cut short, unless somebody is at it: nothing of it is used.
    pub fn create(path: &Path) -> Result<StoreFile, StoreError> {
        let mut new = OpenOptions::new();
        new.read(true).write(true).create_new(true).mode(SECRET);
        let file = match new.open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if std::fs::symlink_metadata(path)?.is_file() {
                    let old = OpenOptions::new().read(true).write(true).open(path)?;
                    StoreFile::lock(old)?;
                }
                std::fs::remove_file(path)?;
                new.open(path)?
            }
            file => file?,
        };
        file.set_permissions(Permissions::from_mode(SECRET))?;
        StoreFile::lock(file)
    }

    /// That of a journal, which only this user may read, as long as it will ever be.
    pub fn journal(path: &Path) -> Result<StoreFile, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = StoreFile::lock(options.mode(SECRET).open(path)?)?;
        let length = usize::try_from(file.file.metadata()?.len()).unwrap_or(JOURNAL_BYTES);
        if let Some(rest) = JOURNAL_BYTES.checked_sub(length).filter(|rest| *rest > 0) {
            // A hole would be filled a piece at a time, and noted down each time.
            let from = u64::try_from(length).unwrap_or(0);
            file.file.write_all_at(&vec![0; rest], from)?;
            file.file.sync_all()?;
        }
        Ok(file)
    }

    /// From now on writes that find the disk full take from this.
    pub fn with_reserve(self, path: &Path) -> StoreFile {
        StoreFile {
            file: self.file,
            reserve: Arc::new(Reserve::open(path)),
        }
    }

    pub fn reserve(&self) -> &Reserve {
        &self.reserve
    }

    /// What of it is on the disk; its length counts holes that cannot be filled when the disk is full.
    pub fn allocated_bytes(&self) -> u64 {
        const BLOCK_BYTES: u64 = 512;
        self.file
            .metadata()
            .map_or(0, |file| (file.blocks() * BLOCK_BYTES).min(file.len()))
    }

    fn lock(file: File) -> Result<StoreFile, StoreError> {
        match file.try_lock() {
            Ok(()) => Ok(StoreFile {
                file: Arc::new(file),
                reserve: Arc::new(Reserve::none()),
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// A backend of which parts cannot be read. redb gives a database up at the first error; zeros it takes for what they are, a
/// page that makes no sense, and the rest can be had.
#[derive(Debug)]
pub struct Patient<B>(pub B);

impl<B: redb::StorageBackend> redb::StorageBackend for Patient<B> {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let Err(error) = self.0.read(offset, out) else {
            return Ok(());
        };
        // What lies behind the end, by a page number that is wrong, or in a bad sector (EIO).
        let is_damage =
            error.kind() == io::ErrorKind::UnexpectedEof || error.raw_os_error() == Some(5);
        if !is_damage || offset == 0 {
            return Err(error);
        }
        log::error!(
            "store.unread offset={offset} bytes={} error={}",
            out.len(),
            quoted_error(&error)
        );
        out.fill(0);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }
}

impl redb::StorageBackend for StoreFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.reserve.write(|| self.file.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.reserve.write(|| self.file.sync_data())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.reserve.write(|| self.file.write_all_at(bytes, offset))
    }
}

/// What opens databases.
pub fn builder(cache_bytes: usize) -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(|repair| {
        // Numbers with a point take 25 KiB to read and write, and are needed nowhere else.
        let is_done = |percent: &u32| f64::from(*percent) / 100.0 <= repair.progress();
        let percent = (1..=100).take_while(is_done).count();
        log::warn!("store.repair percent={percent}");
    });
    builder
}
