//! Rows that were written lately, a record for each commit, in a file beside the database's. When it is full, or a commit is
//! large, the database is made durable and the journal begins anew. What is in the journal when the database is opened is written
//! again: rows as each commit left them, so that it changes nothing where they are there already.
//!
//! A commit of the database itself writes whole pages (4 KiB), whatever it changes:
//!
//! | of one row, in one table | pages |
//! |---|---|
//! | the row's, the list of tables, redb's own list and what it notes of freed pages | 5 |
//! | a new head, in place | 1 |
//! | which pages are free, so that a start after a kill need not read the whole file | 3; 13 in a file of 256 MB |
//! | the head again, after a wait for the disk, which that asks for | 1 |
//! | here: a level more of this table and of the list of tables | 2 to 3 |
//!
//! A record is as long as its rows, 100 bytes more than a message: one block, now and then two, and one wait for the disk.
//!
//! A record: its number, its length, CRC-32 of both and of what follows, the rows. Numbers are never used again: the database
//! says with which the journal begins, so what is left of before is not read. Behind the last record are zeros.
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::codec::{Decoder, put_number};
use crate::store::StoreError;

/// Of the file from the first start on, so that nothing but the blocks of a record is written with it.
pub const JOURNAL_BYTES: usize = 1 << 20;
/// Who writes more in one commit makes the database durable.
pub const ROWS_BYTES_MAX: usize = JOURNAL_BYTES / 4;
const HEAD_BYTES: usize = 16;

#[derive(Debug)]
pub struct Journal {
    disk: Box<dyn StorageBackend>,
    /// Of the file, which never grows.
    bytes: usize,
    place: Mutex<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The next record.
    number: u64,
    offset: usize,
}

impl Journal {
    pub fn new(disk: impl StorageBackend) -> io::Result<Journal> {
        Ok(Journal {
            bytes: usize::try_from(disk.len()?).unwrap_or(0),
            disk: Box::new(disk),
            place: Mutex::default(),
        })
    }

    /// All that is there.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.bytes];
        self.disk.read(0, &mut bytes)?;
        Ok(bytes)
    }

    pub fn begin_with(&self, number: u64) {
        *self.place() = Place { number, offset: 0 };
    }

    /// The database has everything.
    pub fn begin_anew(&self) {
        self.place().offset = 0;
    }

    pub fn next_number(&self) -> u64 {
        self.place().number
    }

    pub fn is_begun(&self) -> bool {
        self.place().offset > 0
    }

    /// The next record, and where it stands; `None`: there is no room.
    pub fn record(&self, rows: &[u8]) -> Option<(u64, Arc<[u8]>)> {
        let mut place = self.place();
        let end = place.offset + HEAD_BYTES + rows.len();
        if end + HEAD_BYTES > self.bytes {
            return None;
        }
        let offset = u64::try_from(place.offset).ok()?;
        let head = head(place.number, rows)?;
        *place = Place {
            number: place.number + 1,
            offset: end,
        };
        Some((offset, [&head[..], rows, &[0; HEAD_BYTES]].concat().into()))
    }

    /// Nothing stays of what was in it.
    pub fn zeros(&self) -> Arc<[u8]> {
        vec![0; self.bytes].into()
    }

    pub fn write(&self, offset: u64, record: &[u8]) -> io::Result<()> {
        self.disk.write(offset, record)?;
        self.disk.sync_data()
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head(number: u64, rows: &[u8]) -> Option<[u8; HEAD_BYTES]> {
    let length = u32::try_from(rows.len()).ok()?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&number.to_be_bytes());
    sum.update(&length.to_be_bytes());
    sum.update(rows);
    let [number, rest] = [number, u64::from(length) << 32 | u64::from(sum.finalize())];
    Some((u128::from(number) << 64 | u128::from(rest)).to_be_bytes())
}

/// The records of a journal, from this number on.
pub struct Records<'j> {
    pub next: u64,
    rest: &'j [u8],
}

impl<'j> Records<'j> {
    pub fn new(journal: &'j [u8], first: u64) -> Records<'j> {
        Records {
            next: first,
            rest: journal,
        }
    }
}

impl<'j> Iterator for Records<'j> {
    type Item = &'j [u8];

    /// Its rows.
    fn next(&mut self) -> Option<&'j [u8]> {
        let (found, rest) = self.rest.split_first_chunk::<HEAD_BYTES>()?;
        let [_, _, _, _, _, _, _, _, length @ .., _, _, _, _] = *found;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        let (rows, rest) = rest.split_at_checked(length)?;
        if head(self.next, rows)? != *found {
            return None;
        }
        (self.rest, self.next) = (rest, self.next + 1);
        Some(rows)
    }
}

/// Adds a row; `None`: it was removed.
pub fn put_row(rows: &mut Vec<u8>, (table, key): (&str, &[u8]), value: Option<&[u8]>) {
    let mut number = |number: usize| put_number(rows, u64::try_from(number).unwrap_or(u64::MAX));
    number(table.len());
    number(key.len());
    number(value.map_or(0, |value| value.len() + 1));
    for part in [table.as_bytes(), key, value.unwrap_or_default()] {
        rows.extend_from_slice(part);
    }
}

/// A row: table, key, value.
type Noted<'r> = (&'r [u8], &'r [u8], Option<&'r [u8]>);

/// Shows the rows of a record.
pub fn each_row(
    rows: &[u8],
    visit: &mut dyn FnMut(Noted<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rows = Decoder::new(rows);
    while !rows.is_at_end() {
        let (table, key, value) = (rows.length()?, rows.length()?, rows.length()?);
        let (table, key) = (rows.raw(table)?, rows.raw(key)?);
        let value = value.checked_sub(1).map(|length| rows.raw(length));
        visit((table, key, value.transpose()?))?;
    }
    Ok(())
}
