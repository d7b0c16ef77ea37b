//! Reading all of a table, whatever of it is damaged: for what has to get by damage, and tell of it.
use std::ops::Bound;

use redb::ReadableTable;

use crate::store::StoreError;
use crate::store::engine::damage::{self, unwound};
use crate::store::engine::table::{Snapshot, Sums};

/// Of keys so many octets at the front are counted on with to get behind a page that cannot be read.
const COUNTED_OCTETS: usize = 16;

/// What a walk comes by.
pub enum Seen<'r> {
    Row {
        key: &'r [u8],
        value: &'r [u8],
    },
    /// The value, or the key, is not what was written.
    Damaged {
        key: &'r [u8],
        value: &'r [u8],
    },
    /// Between these keys nothing can be read; `None`: up to the end.
    Gap {
        after: &'r [u8],
        before: Option<&'r [u8]>,
    },
}

/// Whoever is shown what a walk comes by.
pub type Visit<'v> = &'v mut dyn FnMut(Seen<'_>) -> Result<(), StoreError>;

/// A table as it is at another moment; `None`: there is only one.
pub type Anew<'a> = &'a dyn Fn() -> Result<Option<Snapshot>, StoreError>;

/// Of one moment so many bytes are read at most, for as long as it is looked at no page that was freed is used again.
const MOMENT_BYTES: usize = 1 << 20;

/// Walks the whole table. An error is the visitor's, or the disk's.
pub fn walk(
    table: &Snapshot,
    sums: Sums,
    anew: Anew<'_>,
    visit: Visit<'_>,
) -> Result<(), StoreError> {
    let mut newer: Option<Snapshot> = None;
    let mut passed: Vec<u8> = Vec::new();
    let mut from = Bound::Unbounded;
    loop {
        let table = newer.as_ref().unwrap_or(table);
        match walk_on(table, sums, from, &mut passed, visit)? {
            Ended::Through => return Ok(()),
            Ended::Enough => {
                from = Bound::Excluded(passed.clone());
                if let Some(anew) = anew()? {
                    newer = Some(anew);
                }
                continue;
            }
            Ended::Unreadable => {}
        }
        let Some(next) = behind(table, &passed) else {
            return visit(Seen::Gap {
                after: &passed,
                before: None,
            });
        };
        visit(Seen::Gap {
            after: &passed,
            before: Some(&next),
        })?;
        from = Bound::Included(next);
    }
}

enum Ended {
    Through,
    /// Of this moment.
    Enough,
    Unreadable,
}

fn walk_on(
    table: &Snapshot,
    sums: Sums,
    from: Bound<Vec<u8>>,
    passed: &mut Vec<u8>,
    visit: Visit<'_>,
) -> Result<Ended, StoreError> {
    let from = (from.as_ref().map(Vec::as_slice), Bound::Unbounded);
    let range = unwound(|| ReadableTable::range::<&[u8]>(table, from));
    let Some(mut range) = range.map(readable).transpose()?.flatten() else {
        return Ok(Ended::Unreadable);
    };
    let mut bytes = 0;
    loop {
        // Where key and value lie in the page is told by the page, which may be damaged.
        let row = unwound(|| {
            range.next().transpose().inspect(|row| {
                let _ends = row.as_ref().map(|(key, row)| (key.value(), row.value()));
            })
        });
        let (key, row) = match row.map(readable).transpose()?.flatten() {
            Some(Some(row)) => row,
            Some(None) => return Ok(Ended::Through),
            None => return Ok(Ended::Unreadable),
        };
        let (key, row) = (key.value(), row.value());
        let is_next = passed.is_empty() || *passed.as_slice() < *key;
        let value = match sums {
            Sums::There => damage::checked(key, row),
            Sums::Absent => Some(row),
        };
        match value.filter(|_| is_next) {
            Some(value) => visit(Seen::Row { key, value })?,
            None => visit(Seen::Damaged {
                key,
                value: sums.without(row),
            })?,
        }
        bytes += key.len() + row.len();
        if is_next {
            passed.clear();
            passed.extend_from_slice(key);
            if bytes >= MOMENT_BYTES {
                return Ok(Ended::Enough);
            }
        }
    }
}

/// `None`: what is there makes no sense. Anything else that fails is the disk.
fn readable<T>(read: Result<T, redb::StorageError>) -> Result<Option<T>, StoreError> {
    match read.map_err(StoreError::from) {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Unreadable(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The nearest place behind this key from which on there is something to read. How far the damage reaches, nobody knows
/// any more.
fn behind(table: &Snapshot, passed: &[u8]) -> Option<Vec<u8>> {
    let mut octets = [0; COUNTED_OCTETS];
    for (octet, of_key) in octets.iter_mut().zip(passed) {
        *octet = *of_key;
    }
    let position = u128::from_be_bytes(octets);
    let is_readable = |at: u128| {
        let from = at.to_be_bytes();
        unwound(|| {
            let from = (Bound::Included(from.as_slice()), Bound::Unbounded);
            let mut range = ReadableTable::range::<&[u8]>(table, from).ok()?;
            match range.next() {
                Some(row) => row.map(|(key, row)| _ = (key.value(), row.value())).ok(),
                None => Some(()),
            }
        })
        .flatten()
        .is_some()
    };
    let mut near = 0u128;
    let mut far = 1u128;
    while !is_readable(position.checked_add(far)?) {
        near = far;
        far = far.checked_mul(2)?;
    }
    while near + 1 < far {
        let middle = near + (far - near) / 2;
        match is_readable(position + middle) {
            true => far = middle,
            false => near = middle,
        }
    }
    Some((position + far).to_be_bytes().to_vec())
}
