//! A disk in memory that can fail at the n-th operation, lose power, and be copied as a killed process leaves it.
use std::io;
use std::sync::{Arc, Mutex};

use crate::transcript::prng::Prng;

const SECTOR_BYTES: usize = 512;

/// Small, so that the database is made durable now and then.
const JOURNAL_BYTES: usize = 24 << 10;

/// The database's file, or the journal beside it.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<State>>, Name);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Name {
    Database,
    Journal,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// What a power cut cannot take away.
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    pending: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
struct State {
    database: File,
    journal: File,
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

impl Default for Disk {
    fn default() -> Disk {
        let journal = File::of(vec![0; JOURNAL_BYTES]);
        Disk::of(File::default(), journal)
    }
}

impl File {
    fn of(bytes: Vec<u8>) -> File {
        File {
            durable: bytes.clone(),
            bytes,
            pending: Vec::new(),
        }
    }

    /// Of what was not synced, each change is there whole, in part or not at all.
    fn power_cut(&self, prng: &mut Prng) -> File {
        let mut bytes = self.durable.clone();
        let nothing_stays = prng.below(3) == 0;
        for change in &self.pending {
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
        File::of(bytes)
    }
}

impl Disk {
    fn of(database: File, journal: File) -> Disk {
        let state = State {
            database,
            journal,
            ..State::default()
        };
        Disk(Arc::new(Mutex::new(state)), Name::Database)
    }

    pub fn journal(&self) -> Disk {
        Disk(Arc::clone(&self.0), Name::Journal)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State, &dyn Fn(&mut State) -> &mut File) -> T) -> T {
        let file: &dyn Fn(&mut State) -> &mut File = match self.1 {
            Name::Database => &|state| &mut state.database,
            Name::Journal => &|state| &mut state.journal,
        };
        work(&mut self.0.lock().unwrap(), file)
    }

    /// The disk as it is at this moment, as if the process had been killed.
    pub fn killed(&self) -> Disk {
        let state = self.0.lock().unwrap();
        let [database, journal] = [&state.database, &state.journal];
        Disk::of(
            File::of(database.bytes.clone()),
            File::of(journal.bytes.clone()),
        )
    }

    /// The disk after a power cut.
    pub fn power_cut(&self, prng: &mut Prng) -> Disk {
        let state = self.0.lock().unwrap();
        let database = state.database.power_cut(prng);
        Disk::of(database, state.journal.power_cut(prng))
    }

    /// All that is on it.
    pub fn bytes(&self) -> Vec<u8> {
        self.with(|state, file| file(state).bytes.clone())
    }

    pub fn len(&self) -> usize {
        self.with(|state, file| file(state).bytes.len())
    }

    /// Rot: what lies there is changed, and nobody is told.
    pub fn rot(&self, change: impl FnOnce(&mut [u8])) {
        self.with(|state, file| change(&mut file(state).bytes));
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
}

impl Disk {
    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|state, file| {
            state.operation()?;
            let file = file(state);
            change.apply(&mut file.bytes);
            file.pending.push(change);
            Ok(())
        })
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(Disk::len(self) as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state, file| {
            let rest = file(state).bytes.get(offset as usize..);
            let from = rest.and_then(|rest| rest.get(..out.len()));
            out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, file| {
            state.operation()?;
            let file = file(state);
            for change in file.pending.drain(..) {
                change.apply(&mut file.durable);
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset as usize, data.to_vec()))
    }
}
