//! Room kept free on the disk by a file of its own. A commit that finds the disk full cannot be taken back, for memory has moved
//! on; it takes from this instead, and from then on nothing more is stored until there is room again. What is left lets the
//! process stop in order and start again.
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::xmpp::quoted_error;

/// More than the largest batch writes.
pub const RESERVE_BYTES: u64 = 4 << 20;
/// So much is given at a time.
const GIVEN_BYTES: u64 = 256 << 10;
/// Written to a new one at a time.
const FILLED_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub struct Reserve {
    /// `None`: there is none.
    file: Mutex<Option<File>>,
    is_given: AtomicBool,
}

impl Reserve {
    pub fn none() -> Reserve {
        Reserve {
            file: Mutex::new(None),
            is_given: AtomicBool::new(false),
        }
    }

    /// As much as there is room for.
    pub fn open(path: &Path) -> Reserve {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false).mode(0o600);
        let reserve = Reserve::none();
        match options.open(path) {
            Ok(file) => {
                if let Ok(mut place) = reserve.file.lock() {
                    *place = Some(file);
                }
                reserve.fill();
            }
            Err(error) => {
                log::warn!("disk.no_reserve error={}", quoted_error(&error));
            }
        }
        reserve
    }

    /// Something of it was given: the disk is full.
    pub fn is_given(&self) -> bool {
        self.is_given.load(Ordering::Relaxed)
    }

    /// Makes it whole again, if there is room for it and as much beside.
    pub fn fill(&self) {
        let Ok(mut place) = self.file.lock() else {
            return;
        };
        let Some(file) = place.as_mut() else { return };
        let is_whole = fill(file).unwrap_or_else(|error| {
            log::debug!("disk.no_reserve error={}", quoted_error(&error));
            false
        });
        if self.is_given.swap(!is_whole, Ordering::Relaxed) && is_whole {
            log::info!("disk.reserve bytes={RESERVE_BYTES}");
        }
    }

    /// Lets `write` try as often as there is something to give it.
    pub fn write<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match write() {
                Err(error) if is_full(&error) && self.give() => {}
                result => return result,
            }
        }
    }

    fn give(&self) -> bool {
        let Ok(place) = self.file.lock() else {
            return false;
        };
        let Some(file) = place.as_ref() else {
            return false;
        };
        let length = file.metadata().map_or(0, |file| file.len());
        if length == 0 || file.set_len(length.saturating_sub(GIVEN_BYTES)).is_err() {
            return false;
        }
        if !self.is_given.swap(true, Ordering::Relaxed) {
            log::error!(
                "disk.full remedy=\"make room: until then nothing is stored, and chat goes on among those who are there\""
            );
        }
        true
    }
}

/// Twice the size is written, so that there is as much room beside.
fn fill(file: &mut File) -> io::Result<bool> {
    let before = file.metadata()?.len();
    if before >= RESERVE_BYTES {
        return Ok(true);
    }
    let written = grow(file, before);
    let reached = file.metadata()?.len();
    let is_whole = written.is_ok() && reached >= 2 * RESERVE_BYTES;
    let kept = match is_whole {
        true => RESERVE_BYTES,
        // Half of what there was room for, and no less than before.
        false => (reached / 2).clamp(before, RESERVE_BYTES),
    };
    file.set_len(kept)?;
    match written {
        Err(error) if !is_full(&error) => Err(error),
        _ => Ok(is_whole),
    }
}

fn grow(file: &mut File, from: u64) -> io::Result<()> {
    use std::io::Seek;
    // No zeros, which some file systems do not store.
    let mut word: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut piece = Vec::with_capacity(FILLED_BYTES);
    while piece.len() < FILLED_BYTES {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        piece.extend(word.to_le_bytes());
    }
    file.seek(io::SeekFrom::Start(from))?;
    let mut length = from;
    while length < 2 * RESERVE_BYTES {
        file.write_all(&piece)?;
        length += u64::try_from(piece.len()).unwrap_or(0);
    }
    Ok(())
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(name: &str) -> (std::path::PathBuf, Reserve) {
        let path = std::env::temp_dir().join(format!("stonechat-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let reserve = Reserve::open(&path);
        (path, reserve)
    }

    fn full<T>() -> io::Result<T> {
        Err(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn what_finds_the_disk_full_is_given_room() {
        let (path, reserve) = reserve("given");
        let length = || std::fs::metadata(&path).unwrap().len();
        assert_eq!((length(), reserve.is_given()), (RESERVE_BYTES, false));
        let mut tries = 0;
        let written = reserve.write(|| {
            tries += 1;
            if tries < 4 { full() } else { Ok(tries) }
        });
        assert_eq!(written.unwrap(), 4);
        assert_eq!(length(), RESERVE_BYTES - 3 * GIVEN_BYTES);
        assert!(reserve.is_given());
        reserve.fill();
        assert_eq!((length(), reserve.is_given()), (RESERVE_BYTES, false));
        // It is all that can be given.
        assert!(reserve.write(full::<()>).is_err());
        assert_eq!((length(), reserve.is_given()), (0, true));
        let other = reserve.write(|| io::Result::<()>::Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn without_a_reserve_an_error_is_one() {
        let none = Reserve::none();
        assert!(none.write(full::<()>).is_err());
        assert!(!none.is_given());
        none.fill();
        assert_eq!(none.write(|| Ok(7)).unwrap(), 7);
    }
}
