//! Changes of the database's file on their way to the disk. A commit only queues them here, so that whoever commits does not
//! wait for the disk; `carry_out`, on the storage thread, does them in the order in which they came, syncs included. So the
//! disk is always as it was at some moment before, as redb relies on; what is read is as if all of it were done.
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes that wait at most; whoever changes more does what waits himself.
const WAITING_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub struct Behind {
    disk: Box<dyn StorageBackend>,
    queue: Mutex<Queue>,
    /// Held by whoever carries out: one at a time.
    carrying: Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    changes: VecDeque<Change>,
    /// Of the changes.
    bytes: usize,
    /// The file's length once all is done; `None`: as it is.
    length: Option<u64>,
    /// False: all is done at once.
    puts_off: bool,
    /// A change could not be made: none may be made after it.
    has_failed: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Length(u64),
    Sync,
}

impl Behind {
    pub fn new(disk: impl StorageBackend) -> Behind {
        Behind {
            disk: Box::new(disk),
            queue: Mutex::default(),
            carrying: Mutex::default(),
        }
    }

    /// From now on changes wait for `carry_out`; with false, they wait for nobody any more.
    pub fn put_off(&self, puts_off: bool) {
        self.queue().puts_off = puts_off;
    }

    /// Bytes of changes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.queue().bytes
    }

    /// Blocks until everything that waits is done and synced as it was asked for.
    pub fn carry_out(&self) -> io::Result<()> {
        let _turn = self.carrying.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let queue = self.queue();
            queue.require_sound()?;
            let Some(change) = queue.changes.front().cloned() else {
                return Ok(());
            };
            drop(queue);
            let done = match &change {
                Change::Write { offset, bytes } => self.disk.write(*offset, bytes),
                Change::Length(length) => self.disk.set_len(*length),
                Change::Sync => self.disk.sync_data(),
            };
            let mut queue = self.queue();
            if let Err(error) = done {
                queue.has_failed = true;
                return Err(error);
            }
            queue.changes.pop_front();
            queue.bytes -= change.size();
            if queue.changes.is_empty() {
                queue.length = None;
            }
        }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut queue = self.queue();
        queue.require_sound()?;
        queue.bytes += change.size();
        if let Change::Length(length) = change {
            queue.length = Some(length);
        }
        queue.changes.push_back(change);
        let is_too_much = queue.bytes > WAITING_BYTES_MAX;
        let waits = queue.puts_off && !is_too_much;
        drop(queue);
        match waits {
            true => Ok(()),
            false => self.carry_out(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn require_sound(&self) -> io::Result<()> {
        match self.has_failed {
            true => Err(io::Error::other("an earlier change could not be made")),
            false => Ok(()),
        }
    }
}

impl Change {
    fn size(&self) -> usize {
        match self {
            Change::Write { bytes, .. } => bytes.len(),
            Change::Length(_) | Change::Sync => 0,
        }
    }

    /// Makes the change in bytes that were read from `offset` on.
    fn show(&self, offset: u64, out: &mut [u8]) {
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

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// For redb, which owns its backend.
#[derive(Debug)]
pub struct Shown(pub Arc<Behind>);

impl StorageBackend for Shown {
    fn len(&self) -> io::Result<u64> {
        let waiting = self.0.queue().length;
        waiting.map_or_else(|| self.0.disk.len(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let queue = self.0.queue();
        queue.require_sound()?;
        if queue.changes.is_empty() {
            drop(queue);
            return self.0.disk.read(offset, out);
        }
        // What is done meanwhile is shown once more, which changes nothing.
        let changes: Vec<Change> = queue.changes.iter().cloned().collect();
        drop(queue);
        let end = offset + length(out);
        let there = self.0.disk.len()?.clamp(offset, end) - offset;
        let (there, beyond) = out.split_at_mut(usize::try_from(there).unwrap_or(usize::MAX));
        if !there.is_empty() {
            self.0.disk.read(offset, there)?;
        }
        beyond.fill(0);
        for change in &changes {
            change.show(offset, out);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.change(Change::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.change(Change::Sync)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.into();
        self.0.change(Change::Write { offset, bytes })
    }
}
