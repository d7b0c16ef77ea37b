//! A backup: all rows of a database at one moment and the files beside it, in a format of its own that no version of the
//! database has a say in.
//!
//! After a line of text come records: what it is (1 octet), length of its body (4), the body, CRC-32 of all that (4). The
//! first says which schema the rows are of, then come files, tables with their rows, what is missing because it was
//! damaged, and at last how much there was, with the CRC-32 of all before it. Numbers begin with the highest octet.
use std::fmt;
use std::io::{self, Write};

use crate::store::schema::{SEARCH, SEARCH_GONE};
use crate::store::{Findings, StoreError, Take, Whole};

pub(super) const MAGIC: &[u8] = b"stonechat backup 1\n";
/// What all versions of the format begin with.
pub(super) const MAGIC_OF_ANY: &[u8] = b"stonechat backup ";

pub(super) const SCHEMA: u8 = b'S';
pub(super) const FILE: u8 = b'F';
pub(super) const TABLE: u8 = b'T';
pub(super) const ROWS: u8 = b'R';
pub(super) const LEFT_OUT: u8 = b'L';
pub(super) const END: u8 = b'E';

/// Rows of so many bytes go together.
const ROWS_BYTES: usize = 64 << 10;

/// A file beside the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Why there is no backup, or no use in one.
#[derive(Debug)]
pub enum BackupError {
    Store(StoreError),
    /// The backup cannot be written or read.
    File(io::Error),
    Foreign,
    /// Of a later format than this program knows.
    Newer,
    /// It ends before its end.
    Cut,
    /// What was read is not what was written.
    Damaged {
        at: u64,
    },
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Store(error) => error.fmt(f),
            BackupError::File(error) => error.fmt(f),
            BackupError::Foreign => {
                f.write_str("it is no backup made by `stonechat backup`: name the file that is")
            }
            BackupError::Newer => {
                f.write_str("it was made by a newer version: restore it with that version")
            }
            BackupError::Cut => f.write_str(
                "it is incomplete: it ends before its end, as after an interrupted copy; take another",
            ),
            BackupError::Damaged { at } => {
                write!(f, "it is damaged at byte {at}: take another backup")
            }
        }
    }
}

impl std::error::Error for BackupError {}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> BackupError {
        BackupError::Store(error)
    }
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> BackupError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Cut,
            _ => BackupError::File(error),
        }
    }
}

/// Told how many rows of how many are through; false: it is to be given up.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64) -> bool;

/// Writes a backup. What is damaged is left out of it, and told.
pub fn write(
    whole: Whole,
    files: &[File],
    out: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<Findings, BackupError> {
    let mut records = Records {
        out,
        sum: crc32fast::Hasher::new(),
        count: 0,
        rows: Vec::with_capacity(ROWS_BYTES),
        row_count: 0,
        is_derived: false,
        failed: None,
        progress,
    };
    records.put(MAGIC)?;
    records.record(SCHEMA, &whole.schema.to_be_bytes())?;
    for file in files {
        let name = file.name.as_bytes();
        records.record(FILE, &[&length(name)[..], name, &file.bytes].concat())?;
    }
    let findings = match whole.read(&mut records) {
        Ok(findings) => findings,
        Err(error) => return Err(records.failed.take().unwrap_or(BackupError::Store(error))),
    };
    records.flush()?;
    for damage in &findings.damage {
        records.record(LEFT_OUT, damage.to_string().as_bytes())?;
    }
    let mut end = records.row_count.to_be_bytes().to_vec();
    end.extend(records.count.to_be_bytes());
    end.extend(records.sum.clone().finalize().to_be_bytes());
    records.record(END, &end)?;
    records.out.flush()?;
    Ok(findings)
}

struct Records<'b> {
    out: &'b mut dyn Write,
    /// Of all that was written.
    sum: crc32fast::Hasher,
    count: u64,
    /// Rows that are not written yet.
    rows: Vec<u8>,
    row_count: u64,
    /// Of this table nothing is needed: it is made anew.
    is_derived: bool,
    /// Why the reading was ended.
    failed: Option<BackupError>,
    progress: Progress<'b>,
}

impl Records<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.sum.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }

    fn record(&mut self, kind: u8, body: &[u8]) -> Result<(), BackupError> {
        let head = [&[kind][..], &length(body)].concat();
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head);
        sum.update(body);
        self.put(&head)?;
        self.put(body)?;
        self.put(&sum.finalize().to_be_bytes())?;
        self.count += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackupError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.rows);
        self.record(ROWS, &rows)?;
        rows.clear();
        self.rows = rows;
        Ok(())
    }

    /// What ends the reading is kept to be told.
    fn kept(&mut self, done: Result<(), BackupError>) -> Result<(), StoreError> {
        done.map_err(|error| {
            self.failed = Some(error);
            StoreError::Io("the backup was given up".to_string())
        })
    }
}

impl Take for Records<'_> {
    fn table(&mut self, name: &'static str) -> Result<(), StoreError> {
        let done = self.flush();
        self.is_derived = [SEARCH.name(), SEARCH_GONE.name()].contains(&name);
        if self.is_derived {
            return self.kept(done);
        }
        let done = done.and_then(|()| self.record(TABLE, name.as_bytes()));
        self.kept(done)
    }

    fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.is_derived {
            return Ok(());
        }
        self.row_count += 1;
        for part in [&length(key)[..], &length(value), key, value] {
            self.rows.extend_from_slice(part);
        }
        match self.rows.len() < ROWS_BYTES {
            true => Ok(()),
            false => {
                let done = self.flush();
                self.kept(done)
            }
        }
    }

    fn progress(&mut self, done: u64, total: u64) -> Result<(), StoreError> {
        match (self.progress)(done, total) {
            true => Ok(()),
            false => Err(StoreError::Io("the backup was given up".to_string())),
        }
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}
