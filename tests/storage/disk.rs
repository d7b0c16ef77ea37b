//! A disk in memory that can fail at the n-th operation, lose power, and be copied as a killed process leaves it.
use std::io;
use std::sync::{Arc, Mutex};

use crate::transcript::prng::Prng;

const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What a power cut cannot take away.
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    pending: Vec<Change>,
    operations: u64,
    fail: Option<Fail>,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Fail {
    /// Number of the operation that fails; 1: the next one.
    pub at: u64,
    /// All later ones fail too.
    pub for_good: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    /// The disk as it is at this moment, as if the process had been killed.
    pub fn killed(&self) -> Disk {
        let state = self.0.lock().unwrap();
        let durable = state.bytes.clone();
        Disk(Arc::new(Mutex::new(State {
            bytes: state.bytes.clone(),
            durable,
            ..State::default()
        })))
    }

    /// The disk after a power cut: of what was not synced, each change is there whole, in part or not at all.
    pub fn power_cut(&self, prng: &mut Prng) -> Disk {
        let state = self.0.lock().unwrap();
        let mut bytes = state.durable.clone();
        let nothing_stays = prng.below(3) == 0;
        for change in &state.pending {
            match (nothing_stays, change, prng.below(4)) {
                (true, ..) | (_, _, 0) => {}
                (_, Change::Write(offset, data), 1) => {
                    let sectors = prng.below(data.len() / SECTOR_BYTES + 1);
                    Change::Write(*offset, data[..sectors * SECTOR_BYTES].to_vec())
                        .apply(&mut bytes);
                }
                (_, change, _) => change.apply(&mut bytes),
            }
        }
        Disk(Arc::new(Mutex::new(State {
            bytes: bytes.clone(),
            durable: bytes,
            ..State::default()
        })))
    }

    /// All that is on it.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().bytes.len()
    }

    /// Rot: what lies there is changed, and nobody is told.
    pub fn rot(&self, change: impl FnOnce(&mut [u8])) {
        change(&mut self.0.lock().unwrap().bytes);
    }

    pub fn fail(&self, fail: Option<Fail>) {
        let mut state = self.0.lock().unwrap();
        (state.operations, state.fail, state.failed) = (0, fail, false);
    }

    pub fn has_failed(&self) -> bool {
        self.0.lock().unwrap().failed
    }
}

impl State {
    fn operation(&mut self) -> io::Result<()> {
        self.operations += 1;
        let fails = self.fail.is_some_and(|fail| {
            self.operations == fail.at || (fail.for_good && self.operations > fail.at)
        });
        if fails {
            self.failed = true;
            return Err(io::Error::other("the disk was told to fail"));
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.operation()?;
        change.apply(&mut self.bytes);
        self.pending.push(change);
        Ok(())
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let from = state
            .bytes
            .get(offset as usize..)
            .and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0
            .lock()
            .unwrap()
            .change(Change::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.operation()?;
        let state = &mut *state;
        for change in state.pending.drain(..) {
            change.apply(&mut state.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.change(Change::Write(offset as usize, data.to_vec()))
    }
}
