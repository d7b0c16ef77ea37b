//! Changes of the database's file on their way to the disk. A commit queues its syncs here, and what comes behind them, so that
//! whoever commits does not wait for the disk; `carry_out`, on the storage thread, does them in the order in which they came.
//! So the disk is always as it was at some moment before, as redb relies on; what is read is as if all of it were done.
mod queue;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::journal::Journal;
use queue::{Change, Queue, length};

/// Bytes that wait at most; whoever changes more does what waits himself.
const WAITING_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub struct Behind {
    disk: Box<dyn StorageBackend>,
    journal: Option<Arc<Journal>>,
    queue: Mutex<Queue>,
    /// Held by whoever carries out: one at a time.
    carrying: Mutex<()>,
}

impl Behind {
    pub fn new(disk: impl StorageBackend, journal: Option<Arc<Journal>>) -> Behind {
        Behind {
            disk: Box::new(disk),
            journal,
            queue: Mutex::default(),
            carrying: Mutex::default(),
        }
    }

    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// Rows go to the journal; false: there is none, or no room in it.
    pub fn note(&self, rows: &[u8]) -> io::Result<bool> {
        let record = self.journal().and_then(|journal| journal.record(rows));
        let Some((offset, bytes)) = record else {
            return Ok(false);
        };
        self.change(Change::Record { offset, bytes })?;
        Ok(true)
    }

    /// Nothing stays of what is in the journal, of which the database has everything.
    pub fn wipe_journal(&self) -> io::Result<()> {
        self.journal().map_or(Ok(()), |journal| {
            let (offset, bytes) = (0, journal.zeros());
            self.change(Change::Record { offset, bytes })
        })
    }

    /// From now on changes wait for `carry_out`; with false, they wait for nobody any more.
    pub fn put_off(&self, puts_off: bool) {
        self.queue().puts_off = puts_off;
    }

    /// The file's length once all is done.
    pub fn length(&self) -> io::Result<u64> {
        let waiting = self.queue().length;
        waiting.map_or_else(|| self.disk.len(), Ok)
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
                Change::Record { offset, bytes } => {
                    let journal = self.journal().ok_or(io::ErrorKind::NotFound)?;
                    journal.write(*offset, bytes)
                }
            };
            let mut queue = self.queue();
            if let Err(error) = done {
                queue.has_failed = true;
                return Err(error);
            }
            queue.changes.pop_front();
            queue.bytes -= change.size();
            queue.is_done(&change);
        }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut queue = self.queue();
        queue.require_sound()?;
        queue.bytes += change.size();
        queue.note(&change);
        queue.changes.push_back(change);
        let is_too_much = queue.bytes > WAITING_BYTES_MAX;
        let waits = queue.puts_off && !is_too_much;
        drop(queue);
        match waits {
            true => Ok(()),
            false => self.carry_out(),
        }
    }

    /// Before a sync that waits nothing has to: the system takes it at once.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let queue = self.queue();
        queue.require_sound()?;
        if queue.changes.is_empty() {
            return self.disk.write(offset, bytes);
        }
        drop(queue);
        let bytes = bytes.into();
        self.change(Change::Write { offset, bytes })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For redb, which owns its backend.
#[derive(Debug)]
pub struct Shown(pub Arc<Behind>);

impl StorageBackend for Shown {
    fn len(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let queue = self.0.queue();
        queue.require_sound()?;
        if queue.changes.is_empty() {
            drop(queue);
            return self.0.disk.read(offset, out);
        }
        if queue.show(offset, out).is_some() {
            return Ok(());
        }
        // What is done meanwhile is shown once more, which changes nothing.
        let end = offset + length(out);
        let changes = queue.touching(offset, end);
        drop(queue);
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
        self.0.write(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    /// Whatever is changed in whatever order, carried out or not, what is read is as if all of it were done.
    #[test]
    fn what_waits_is_read_as_if_it_were_done() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for round in 0..200 {
            // In some rounds all writes are pages, in others they lie across each other.
            let step = if round % 2 == 0 { 8 } else { 1 };
            let behind = Arc::new(Behind::new(InMemoryBackend::new(), None));
            behind.put_off(true);
            let shown = Shown(Arc::clone(&behind));
            let mut model = vec![0; 64];
            shown.set_len(64).unwrap();
            for _ in 0..60 {
                let offset = random(8 * 8 / step - 8 / step) * step;
                let at = usize::try_from(offset).unwrap();
                match random(8) {
                    0 => behind.carry_out().unwrap(),
                    1 => shown.sync_data().unwrap(),
                    2 if step == 1 => {
                        let longer = model.len() + usize::try_from(random(9)).unwrap();
                        model.resize(longer, 0);
                        shown.set_len(length(&model)).unwrap();
                    }
                    _ => {
                        let many = if step == 1 { 1 + random(8) } else { 8 };
                        let bytes = vec![
                            u8::try_from(random(255)).unwrap();
                            usize::try_from(many).unwrap()
                        ];
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                        shown.write(offset, &bytes).unwrap();
                    }
                }
                assert_eq!(shown.len().unwrap(), length(&model));
                let mut all = vec![1; model.len()];
                shown.read(0, &mut all).unwrap();
                assert_eq!(all, model, "{round}");
                let mut page = [1; 8];
                shown.read(offset, &mut page).unwrap();
                assert_eq!(page, model[at..at + 8], "{round}");
            }
            behind.put_off(false);
            shown.sync_data().unwrap();
            assert_eq!(behind.waiting_bytes(), 0);
            let mut all = vec![1; model.len()];
            behind.disk.read(0, &mut all).unwrap();
            assert_eq!(all, model);
        }
    }

    #[test]
    fn more_than_may_wait_is_carried_out_at_once() {
        let behind = Arc::new(Behind::new(InMemoryBackend::new(), None));
        behind.put_off(true);
        let shown = Shown(Arc::clone(&behind));
        shown.set_len(64 << 20).unwrap();
        shown.sync_data().unwrap();
        let page = vec![1; 1 << 20];
        for at in 0..32 {
            shown.write(at << 20, &page).unwrap();
            assert!(behind.waiting_bytes() <= WAITING_BYTES_MAX);
        }
    }

    #[derive(Debug)]
    struct Broken;

    impl StorageBackend for Broken {
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn read(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            Err(io::Error::other("broken"))
        }
        fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_done_behind_what_failed() {
        let behind = Arc::new(Behind::new(Broken, None));
        behind.put_off(true);
        let shown = Shown(Arc::clone(&behind));
        shown.write(0, b"x").unwrap();
        shown.sync_data().unwrap();
        shown.write(1, b"y").unwrap();
        assert!(behind.carry_out().is_err());
        assert!(behind.carry_out().is_err());
        assert!(shown.write(2, b"z").is_err());
        assert!(shown.read(0, &mut [0]).is_err());
    }
}
