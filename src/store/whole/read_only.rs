//! A database's file that is only looked at: what redb writes while it opens and checks it stays in memory.
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::StoreError;

/// What is written is kept in pieces of so many bytes.
const PIECE_BYTES: u64 = 4096;

#[derive(Debug)]
pub struct ReadOnly {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl ReadOnly {
    /// Locked as for writing: who writes to it meanwhile would be read in the middle.
    pub fn open(path: &Path) -> Result<ReadOnly, StoreError> {
        let file = File::open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let length = file.metadata()?.len();
        if length == 0 {
            return Err(StoreError::Unreadable("it is empty".to_string()));
        }
        let pieces = BTreeMap::new();
        Ok(ReadOnly {
            file,
            written: Mutex::new(Written { length, pieces }),
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(&self, at: u64) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; usize::try_from(PIECE_BYTES).map_err(io::Error::other)?];
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let from = at * PIECE_BYTES + u64::try_from(filled).map_err(io::Error::other)?;
            match self.file.read_at(rest, from)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(piece)
    }
}

/// Parts of a stretch of the file: number of the piece, where in it, how many bytes.
fn parts(offset: u64, length: usize) -> io::Result<Vec<(u64, usize, usize)>> {
    let mut parts = Vec::new();
    let (mut at, mut left) = (offset, length);
    while left > 0 {
        let within = usize::try_from(at % PIECE_BYTES).map_err(io::Error::other)?;
        let room = usize::try_from(PIECE_BYTES).map_err(io::Error::other)? - within;
        let count = room.min(left);
        parts.push((at / PIECE_BYTES, within, count));
        at += u64::try_from(count).map_err(io::Error::other)?;
        left -= count;
    }
    Ok(parts)
}

impl redb::StorageBackend for ReadOnly {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if written.pieces.is_empty() {
            return self.file.read_exact_at(out, offset);
        }
        let mut rest = out;
        for (at, within, count) in parts(offset, rest.len())? {
            let (part, behind) = rest.split_at_mut(count);
            match written.pieces.get(&at) {
                Some(piece) => part.copy_from_slice(
                    piece
                        .get(within..within + count)
                        .ok_or(io::ErrorKind::UnexpectedEof)?,
                ),
                None => self
                    .file
                    .read_exact_at(part, at * PIECE_BYTES + u64::try_from(within).unwrap_or(0))?,
            }
            rest = behind;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        let before = written.length;
        // What is new reads as zeros, though the file may go on there.
        for at in before / PIECE_BYTES..length.div_ceil(PIECE_BYTES) {
            let piece = match written.pieces.remove(&at) {
                Some(piece) => piece,
                None => self.piece(at)?,
            };
            written.pieces.insert(at, piece);
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let mut rest = bytes;
        for (at, within, count) in parts(offset, bytes.len())? {
            let (part, behind) = rest.split_at(count);
            let mut piece = match written.pieces.remove(&at) {
                Some(piece) => piece,
                None => self.piece(at)?,
            };
            if let Some(place) = piece.get_mut(within..within + count) {
                place.copy_from_slice(part);
            }
            written.pieces.insert(at, piece);
            rest = behind;
        }
        Ok(())
    }
}
