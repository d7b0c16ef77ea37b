//! Changes that wait, in their order, and how the file looks once they are made.
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

#[derive(Debug, Default)]
pub struct Queue {
    pub changes: VecDeque<Change>,
    /// Of the changes.
    pub bytes: usize,
    /// What lies where once all is done, by its offset.
    written: BTreeMap<u64, Arc<[u8]>>,
    /// Not all of it is apart from each other: the changes tell.
    is_mixed: bool,
    /// The file's length once all is done; `None`: as it is.
    pub length: Option<u64>,
    /// False: all is done at once.
    pub puts_off: bool,
    /// A change could not be made: none may be made after it.
    pub has_failed: bool,
}

#[derive(Clone, Debug)]
pub enum Change {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Length(u64),
    Sync,
    /// Of the journal; durable when it is done.
    Record {
        offset: u64,
        bytes: Arc<[u8]>,
    },
}

impl Queue {
    pub fn note(&mut self, change: &Change) {
        match change {
            Change::Write { offset, bytes } => {
                let end = offset + length(bytes);
                let same = self.written.insert(*offset, Arc::clone(bytes));
                let is_as_long = |before: Arc<[u8]>| before.len() == bytes.len();
                self.is_mixed |= match same {
                    Some(before) => !is_as_long(before),
                    None => self.others_within(*offset, end) > 1,
                };
            }
            Change::Length(length) => self.length = Some(*length),
            Change::Sync | Change::Record { .. } => {}
        }
    }

    pub fn is_done(&mut self, change: &Change) {
        if let Change::Write { offset, bytes } = change
            && let Some(last) = self.written.get(offset)
            && Arc::ptr_eq(last, bytes)
        {
            self.written.remove(offset);
        }
        if self.changes.is_empty() {
            (self.length, self.is_mixed) = (None, false);
        }
    }

    /// How many writes touch this range, up to two.
    pub fn others_within(&self, offset: u64, end: u64) -> usize {
        let before = self.written.range(..end).rev().take(2);
        before
            .filter(|(at, bytes)| **at + length(bytes) > offset)
            .count()
    }

    /// What is there of a range, without the disk; `None`: it has to be asked.
    pub fn show(&self, offset: u64, out: &mut [u8]) -> Option<()> {
        let bytes = self.written.get(&offset).filter(|_| !self.is_mixed)?;
        out.copy_from_slice(bytes.get(..out.len())?);
        Some(())
    }

    /// The changes that touch a range, in their order.
    pub fn touching(&self, offset: u64, end: u64) -> Vec<Change> {
        if !self.is_mixed && self.others_within(offset, end) == 0 {
            return Vec::new();
        }
        let touches = |change: &&Change| matches!(change, Change::Write { offset: at, bytes } if *at < end && at + length(bytes) > offset);
        self.changes.iter().filter(touches).cloned().collect()
    }

    pub fn require_sound(&self) -> io::Result<()> {
        match self.has_failed {
            true => Err(io::Error::other("an earlier change could not be made")),
            false => Ok(()),
        }
    }
}

impl Change {
    pub fn size(&self) -> usize {
        match self {
            Change::Write { bytes, .. } | Change::Record { bytes, .. } => bytes.len(),
            Change::Length(_) | Change::Sync => 0,
        }
    }

    /// Makes the change in bytes that were read from `offset` on.
    pub fn show(&self, offset: u64, out: &mut [u8]) {
        let Change::Write { offset: at, bytes } = self else {
            return;
        };
        let (first, last) = (offset.max(*at), offset + length(out));
        let end = last.min(at + length(bytes));
        let within = |from: u64| {
            let start = usize::try_from(first - from).ok()?;
            let length = usize::try_from(end.checked_sub(first)?).ok()?;
            Some(start..start + length)
        };
        let (Some(to), Some(from)) = (within(offset), within(*at)) else {
            return;
        };
        if let (Some(out), Some(bytes)) = (out.get_mut(to), bytes.get(from)) {
            out.copy_from_slice(bytes);
        }
    }
}

pub fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
