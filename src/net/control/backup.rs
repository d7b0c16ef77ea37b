//! A backup while the server runs. A thread of its own reads the database at full speed to a file that has no name, no moment
//! of it for long; only then does it send the file to who asked. So nobody's slowness keeps pages of old moments in the
//! database, and the loop waits for nothing.
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, send};

use crate::config::{self, file};
use crate::net::machine::memory::disk_bytes;
use crate::net::token_key;
use crate::store::{BackupError, BackupFile, Store, StoreError, Whole, write_backup};
use crate::xmpp::quoted_error;

/// Files of the data directory that belong to a backup; whether they are secret.
pub const FILES: [(&str, bool); 5] = [
    (config::FILE, true),
    (config::DOMAIN_FILE, true),
    (token_key::FILE, true),
    ("cert.pem", false),
    ("key.pem", true),
];
/// Who is sent a backup takes some of it within so many seconds.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Backups that are being taken at a time: each has a file as large as what is stored.
const TAKERS_MAX: usize = 4;
const TOLD_EACH: Duration = Duration::from_millis(200);
/// After so many bytes there is a look at what room is left.
const ROOM_LOOK_BYTES: u64 = 1 << 20;
/// The others' work comes first.
const NICENESS: i32 = 10;

/// What a backup of the running server is made from. One is made at a time; who takes one slowly is in nobody's way.
pub struct Backups {
    store: Store,
    data: PathBuf,
    disk_free_percent_min: u8,
    is_made: Arc<AtomicBool>,
    takers: Arc<AtomicUsize>,
}

impl Backups {
    pub fn new(store: Store, data: PathBuf, disk_free_percent_min: u8) -> Backups {
        Backups {
            store,
            data,
            disk_free_percent_min,
            is_made: Arc::default(),
            takers: Arc::default(),
        }
    }

    /// Hands who asked to a thread that answers. An error is for the asker.
    pub fn begin(&self, asker: &UnixStream) -> Result<(), String> {
        let whole = self.store.whole().map_err(|error| error.to_string())?;
        let whole = whole.ok_or("the database is just being opened anew: try again")?;
        let asker = asker.try_clone().map_err(|error| error.to_string())?;
        if self.takers.load(Ordering::Relaxed) >= TAKERS_MAX {
            return Err(format!(
                "{TAKERS_MAX} backups are being taken already: end those who take them slowly, or wait a minute"
            ));
        }
        if self.is_made.swap(true, Ordering::Relaxed) {
            return Err("a backup is being made already: wait until it is done".into());
        }
        let making = Making(Arc::clone(&self.is_made));
        let taking = Taking::new(&self.takers);
        let (data, percent) = (self.data.clone(), self.disk_free_percent_min);
        let thread = std::thread::Builder::new().name("backup".to_string());
        let spawned = thread.spawn(move || {
            let _taking = taking;
            answer((whole, making), &data, percent, asker);
        });
        spawned.map(drop).map_err(|error| error.to_string())
    }
}

struct Making(Arc<AtomicBool>);

impl Drop for Making {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

struct Taking(Arc<AtomicUsize>);

impl Taking {
    fn new(takers: &Arc<AtomicUsize>) -> Taking {
        takers.fetch_add(1, Ordering::Relaxed);
        Taking(Arc::clone(takers))
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The files that go along; those that are not there do not.
pub fn files(data: &Path) -> io::Result<Vec<BackupFile>> {
    let mut files = Vec::new();
    for (name, _) in FILES {
        match file::read(&data.join(name)) {
            Ok(bytes) => files.push(BackupFile {
                name: name.to_string(),
                bytes,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
        }
    }
    Ok(files)
}

fn answer((whole, making): (Whole, Making), data: &Path, percent: u8, asker: UnixStream) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("backup.not_nice error={}", quoted_error(&error));
    }
    let started = Instant::now();
    let made = make(whole, data, percent, &asker);
    drop(making);
    let sent = match made {
        Ok((file, left_out)) => give(file, &left_out, &asker),
        Err(error) => {
            log::warn!("backup.failed error={}", quoted_error(&error));
            let text = match &error {
                BackupError::Store(StoreError::DiskFull(_)) => no_room(data),
                BackupError::File(error) if error.kind() == io::ErrorKind::StorageFull => {
                    no_room(data)
                }
                error => error.to_string(),
            };
            ready(&asker).and_then(|()| {
                let answer = super::frame(&["1", &text]);
                (&asker).write_all(&answer)
            })
        }
    };
    match sent {
        Ok(()) => log::info!("backup.done seconds={}", started.elapsed().as_secs()),
        Err(error) => log::warn!("backup.not_taken error={}", quoted_error(&error)),
    }
}

fn no_room(data: &Path) -> String {
    format!(
        "there is no room in {} for a backup, which takes as much as what is stored for a while\n  \
         make room there; or stop the server, and `stonechat backup` writes straight to its file",
        data.display()
    )
}

/// The backup as a file without a name, at its beginning, and what is missing in it.
fn make(
    whole: Whole,
    data: &Path,
    percent: u8,
    asker: &UnixStream,
) -> Result<(File, Vec<String>), BackupError> {
    let files = files(data)?;
    let mut out = BufWriter::with_capacity(64 << 10, Roomy::new(data, percent)?);
    let mut told = Instant::now();
    let findings = write_backup(whole, &files, &mut out, &mut |done, total| {
        if told.elapsed() < TOLD_EACH {
            return true;
        }
        told = Instant::now();
        tell(asker, done, total)
    })?;
    let out = out.into_inner().map_err(|error| error.into_error())?;
    let mut file = out.file;
    file.rewind()?;
    let left_out = findings.damage.iter().map(ToString::to_string).collect();
    Ok((file, left_out))
}

/// How far it is, if the asker takes it at once. False: the asker is gone.
fn tell(asker: &UnixStream, done: u64, total: u64) -> bool {
    let told = super::frame(&["", &done.to_string(), &total.to_string()]);
    match send(asker, &told, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(count) => count == told.len(),
        Err(error) => error == rustix::io::Errno::AGAIN,
    }
}

/// From now on writing waits for the asker.
fn ready(asker: &UnixStream) -> io::Result<()> {
    asker.set_nonblocking(false)?;
    asker.set_write_timeout(Some(SEND_TIMEOUT))
}

fn give(mut file: File, left_out: &[String], mut asker: &UnixStream) -> io::Result<()> {
    ready(asker)?;
    let length = file.metadata()?.len().to_string();
    asker.write_all(&super::frame(&["0", &length, &left_out.join("\n")]))?;
    io::copy(&mut file, &mut asker).map(drop)
}

/// A file that leaves the server the room it needs.
struct Roomy {
    file: File,
    data: PathBuf,
    percent: u8,
    unlooked: u64,
}

impl Roomy {
    /// Without a name from the beginning: whatever happens, nothing is left behind.
    fn new(data: &Path, percent: u8) -> io::Result<Roomy> {
        let path = data.join(format!("backup.{}.part", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = options.mode(file::SECRET).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Roomy {
            file,
            data: data.to_path_buf(),
            percent,
            unlooked: ROOM_LOOK_BYTES,
        })
    }
}

impl Write for Roomy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unlooked >= ROOM_LOOK_BYTES {
            self.unlooked = 0;
            let disk = disk_bytes(&self.data)?;
            let least = disk.total_bytes / 100 * u64::from(self.percent);
            if disk.free_bytes < least.saturating_add(2 * ROOM_LOOK_BYTES) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let count = self.file.write(bytes)?;
        self.unlooked += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
