//! Typed tables over tables of bytes. redb's own types would have its B-tree compiled anew for every pair of key and value:
//! nearly a megabyte of code for two dozen tables, and all of it memory. Keys are encoded so that their bytes sort as they do.
//! Behind each value is a sum over key and value (`damage`): a lookup of what does not agree is an error, a walk passes over it.
mod bounds;
mod range;
mod row;
mod transaction;

use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::rc::Rc;

use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, TableError};

use super::damage::{self, caught};
use super::fresh::Fresh;
use crate::store::StoreError;
use bounds::Bounds;
pub use bounds::Way;
pub use range::{Range, Walk};
pub use row::Row;
pub use transaction::WriteTransaction;

type Bytes = &'static [u8];
/// A table of a snapshot.
pub type Snapshot = ReadOnlyTable<Bytes, Bytes>;
type Types<K, V> = PhantomData<fn() -> (K, V)>;

/// A table's name and types.
pub struct TableDefinition<K, V> {
    name: &'static str,
    types: Types<K, V>,
}

/// Whether there are sums behind the values. A file of before has none until it is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    There,
    Absent,
}

impl Sums {
    /// The value alone, whether it is right or not.
    pub fn without(self, row: &[u8]) -> &[u8] {
        let behind = match self {
            Sums::There => damage::SUM_BYTES,
            Sums::Absent => 0,
        };
        row.get(..row.len().saturating_sub(behind))
            .unwrap_or_default()
    }
}

/// A table as a snapshot or the batch sees it.
pub struct View<'t, K, V> {
    source: Source<'t>,
    types: Types<K, V>,
}

/// Its bytes.
pub struct Source<'t> {
    raw: Raw<'t>,
    name: &'static str,
    sums: Sums,
    /// `None`: whoever reads tells nobody.
    fresh: Option<Rc<Fresh>>,
    octets: Option<usize>,
}

enum Raw<'t> {
    Snapshot(Rc<Snapshot>),
    Batch(redb::Table<'t, Bytes, Bytes>),
}

/// A table that is written to.
pub struct Table<'t, K, V> {
    target: Target<'t>,
    types: Types<K, V>,
}

/// Its bytes.
struct Target<'t> {
    raw: redb::Table<'t, Bytes, Bytes>,
    txn: &'t WriteTransaction,
    name: &'static str,
    octets: Option<usize>,
}

/// A key or value in a page.
pub struct Guard<'g, T> {
    raw: AccessGuard<'g, Bytes>,
    /// Bytes behind it that are not of it.
    behind: usize,
    types: PhantomData<fn() -> T>,
}

impl<K, V> TableDefinition<K, V> {
    pub const fn new(name: &'static str) -> TableDefinition<K, V> {
        TableDefinition {
            name,
            types: PhantomData,
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The table as a read transaction has it.
    pub fn open(&self, txn: &ReadTransaction) -> Result<Snapshot, TableError> {
        open(txn, self.name)
    }
}

impl<K, V: Row> TableDefinition<K, V> {
    /// `source`: of this table.
    pub fn on<'t>(&self, source: Source<'t>) -> View<'t, K, V> {
        let types = PhantomData;
        View { source, types }
    }

    /// What its bytes are told from.
    pub fn plain(&self) -> Plain {
        Plain {
            name: self.name,
            octets: V::OCTETS,
        }
    }
}

/// A table whatever its types are: what is done with one is compiled once for all.
#[derive(Clone, Copy)]
pub struct Plain {
    pub name: &'static str,
    /// Of all its values, if they have as many.
    octets: Option<usize>,
}

fn raw(name: &'static str) -> redb::TableDefinition<'static, Bytes, Bytes> {
    redb::TableDefinition::new(name)
}

pub fn open(txn: &ReadTransaction, name: &'static str) -> Result<Snapshot, TableError> {
    txn.open_table(raw(name))
}

impl Source<'static> {
    /// `snapshot`: what `open` of the same table gave. `fresh`: where it is noted that something is read that is not durable yet.
    pub fn of(
        snapshot: Rc<Snapshot>,
        table: Plain,
        (sums, fresh): (Sums, Option<Rc<Fresh>>),
    ) -> Source<'static> {
        Source {
            raw: Raw::Snapshot(snapshot),
            name: table.name,
            sums,
            fresh,
            octets: table.octets,
        }
    }
}

/// The row found under a key, if it is what was written. One of another length than all values of the table have is of
/// another table: the way to this one was damaged.
fn found<'g>(
    (table, key, sums, octets): (&'static str, &[u8], Sums, Option<usize>),
    row: Option<AccessGuard<'g, Bytes>>,
) -> Result<Option<AccessGuard<'g, Bytes>>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    match is_sound((sums, octets), key, row.value()) {
        true => Ok(Some(row)),
        false => Err(damage::report(table, key)),
    }
}

fn is_sound((sums, octets): (Sums, Option<usize>), key: &[u8], row: &[u8]) -> bool {
    let is_of_table = |value: &[u8]| octets.is_none_or(|octets| octets == value.len());
    sums == Sums::Absent || damage::checked(key, row).is_some_and(is_of_table)
}

impl<K: Row, V: Row> View<'_, K, V> {
    pub fn get(&self, key: K::View<'_>) -> Result<Option<Guard<'_, V>>, StoreError> {
        let row = K::encode(&key, |key| self.source.get(key))?;
        Ok(row.map(|row| Guard::value_of(row, self.source.sums)))
    }

    pub fn range<'k>(
        &self,
        range: impl RangeBounds<K::View<'k>>,
    ) -> Result<Range<'_, K, V>, StoreError> {
        let walk = self.source.walk(Bounds::of::<K>(&range), K::IS_COUNTED)?;
        Ok(Range::new(walk))
    }
}

impl Source<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<AccessGuard<'_, Bytes>>, StoreError> {
        self.reads(key);
        let row = caught(self.name, key, || {
            let row = match &self.raw {
                Raw::Snapshot(table) => ReadableTable::get(&**table, key),
                Raw::Batch(table) => table.get(key),
            };
            row.inspect(|row| _ = row.as_ref().map(AccessGuard::value))
        });
        found((self.name, key, self.sums, self.octets), row?)
    }

    fn reads(&self, key: &[u8]) {
        if let Some(fresh) = &self.fresh {
            fresh.read(key);
        }
    }

    fn range(&self, bounds: &Bounds) -> Result<redb::Range<'_, Bytes, Bytes>, redb::StorageError> {
        match &self.raw {
            Raw::Snapshot(table) => ReadableTable::range::<&[u8]>(&**table, bounds.raw()),
            Raw::Batch(table) => table.range::<&[u8]>(bounds.raw()),
        }
    }

    fn walk(&self, bounds: Bounds, is_counted: bool) -> Result<Walk<'_>, StoreError> {
        let raw = caught(self.name, bounds.first(), || self.range(&bounds))?;
        Ok(Walk {
            raw,
            source: self,
            bounds,
            is_counted,
            strays: 0,
        })
    }
}

impl<K: Row, V: Row> Table<'_, K, V> {
    pub fn get(&self, key: K::View<'_>) -> Result<Option<Guard<'_, V>>, StoreError> {
        let row = K::encode(&key, |key| self.target.get(key))?;
        Ok(row.map(|row| Guard::value_of(row, self.target.txn.sums)))
    }

    pub fn insert(&mut self, key: K::View<'_>, value: V::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| {
            V::encode(&value, |value| self.target.insert(key, value))
        })
    }

    /// The same for rows between which there is no other: the way to the first of them is the way to all.
    pub fn insert_run(
        &mut self,
        is_first: bool,
        key: K::View<'_>,
        value: V::View<'_>,
    ) -> Result<(), StoreError> {
        K::encode(&key, |key| {
            V::encode(&value, |value| match is_first {
                true => self.target.insert(key, value),
                false => self.target.put(key, value),
            })
        })
    }

    /// The same behind all rows there are; the way there is looked at once in a transaction.
    pub fn append(&mut self, key: K::View<'_>, value: V::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| {
            V::encode(&value, |value| self.target.append(key, value))
        })
    }

    pub fn remove(&mut self, key: K::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| self.target.remove(key))
    }

    /// Removes the rows of a range for which `keeps` is false, and those that are damaged.
    pub fn retain_in<'k>(
        &mut self,
        range: impl RangeBounds<K::View<'k>>,
        mut keeps: impl FnMut(K::View<'_>, V::View<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let bounds = Bounds::of::<K>(&range);
        self.target.retain_in(&bounds, &mut |key, value| {
            keeps(K::decode(key), V::decode(value))
        })
    }
}

impl Target<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<AccessGuard<'_, Bytes>>, StoreError> {
        let row = caught(self.name, key, || {
            let row = self.raw.get(key);
            row.inspect(|row| _ = row.as_ref().map(AccessGuard::value))
        });
        self.txn.fresh.read(key);
        found((self.name, key, self.txn.sums, self.octets), row?)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.require_way(key)?;
        self.put(key, value)
    }

    fn append(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if !self.txn.has_appended.get() {
            self.require_way(key)?;
            self.txn.has_appended.set(true);
        }
        self.put(key, value)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.wrote(key, value.len());
        self.txn.note((self.name, key), Some(value));
        if self.txn.sums == Sums::Absent {
            self.raw.insert(key, value)?;
            return Ok(());
        }
        let mut row = Vec::with_capacity(value.len() + damage::SUM_BYTES);
        row.extend_from_slice(value);
        row.extend(damage::sum(key, value));
        self.raw.insert(key, row.as_slice())?;
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.require_way(key)?;
        self.wrote(key, 0);
        self.txn.note((self.name, key), None);
        self.raw.remove(key).map(drop)?;
        Ok(())
    }

    fn wrote(&self, key: &[u8], value_bytes: usize) {
        let written = &self.txn.written_bytes;
        written.set(written.get() + key.len() + value_bytes);
        self.txn.fresh.wrote(key);
    }

    /// A write that comes upon damage cannot be taken back: it is looked for before.
    fn require_way(&self, key: &[u8]) -> Result<(), StoreError> {
        caught(self.name, key, || self.raw.get(key).map(drop))
    }

    fn retain_in(
        &mut self,
        bounds: &Bounds,
        keeps: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let (txn, name, sums) = (self.txn, self.name, self.txn.sums);
        self.wrote(bounds.first(), 0);
        caught(self.name, bounds.first(), || {
            self.raw
                .range::<&[u8]>(bounds.raw())?
                .try_for_each(|row| row.map(drop))
        })?;
        let keeps = |key: &[u8], row: &[u8]| {
            let value = match sums {
                Sums::There => damage::checked(key, row),
                Sums::Absent => Some(row),
            };
            let stays = value.is_some_and(|value| keeps(key, value));
            if !stays {
                txn.note((name, key), None);
            }
            stays
        };
        Ok(self.raw.retain_in::<&[u8], _>(bounds.raw(), keeps)?)
    }
}

impl<'g, T> Guard<'g, T> {
    fn key_of(raw: AccessGuard<'g, Bytes>) -> Guard<'g, T> {
        let (behind, types) = (0, PhantomData);
        Guard { raw, behind, types }
    }

    fn value_of(raw: AccessGuard<'g, Bytes>, sums: Sums) -> Guard<'g, T> {
        let behind = match sums {
            Sums::There => damage::SUM_BYTES,
            Sums::Absent => 0,
        };
        let types = PhantomData;
        Guard { raw, behind, types }
    }
}

impl<T: Row> Guard<'_, T> {
    pub fn value(&self) -> T::View<'_> {
        let bytes = self.raw.value();
        let length = bytes.len().saturating_sub(self.behind);
        T::decode(bytes.get(..length).unwrap_or_default())
    }
}
