//! Typed tables over tables of bytes. redb's own types would have its B-tree compiled anew for every pair of key and value:
//! nearly a megabyte of code for two dozen tables, and all of it memory. Keys are encoded so that their bytes sort as they do.
//! Behind each value is a sum over key and value (`damage`): a lookup of what does not agree is an error, a walk passes over it.
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

use redb::{
    AccessGuard, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableTable, TableError,
};

use super::StoreError;
use super::damage::{self, caught};

type Bytes = &'static [u8];
/// A table of a snapshot.
pub type Snapshot = ReadOnlyTable<Bytes, Bytes>;
type Types<K, V> = PhantomData<fn() -> (K, V)>;

/// A key or a value. What is decoded was encoded, for tables hold checked pages; of anything else the result is anything.
pub trait Row {
    type View<'a>;
    /// As a key it ends with a number: what lies behind a damaged page can be found by counting on.
    const IS_COUNTED: bool = false;
    /// Hands the encoded row to `then`.
    fn encode<T>(row: &Self::View<'_>, then: impl FnOnce(&[u8]) -> T) -> T;
    fn decode(bytes: &[u8]) -> Self::View<'_>;
}

/// A table's name and types.
pub struct TableDefinition<K, V> {
    name: &'static str,
    types: Types<K, V>,
}

/// redb's, for tables of ours.
pub struct WriteTransaction {
    raw: redb::WriteTransaction,
    sums: Sums,
    has_appended: Cell<bool>,
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
    raw: Raw<'t>,
    name: &'static str,
    sums: Sums,
    types: Types<K, V>,
}

enum Raw<'t> {
    Snapshot(Rc<Snapshot>),
    Batch(redb::Table<'t, Bytes, Bytes>),
}

/// A table that is written to.
pub struct Table<'t, K, V> {
    raw: redb::Table<'t, Bytes, Bytes>,
    has_appended: &'t Cell<bool>,
    name: &'static str,
    sums: Sums,
    types: Types<K, V>,
}

/// A key or value in a page.
pub struct Guard<'g, T> {
    raw: AccessGuard<'g, Bytes>,
    /// Bytes behind it that are not of it.
    behind: usize,
    types: PhantomData<fn() -> T>,
}

/// Rows in order of their keys.
pub struct Range<'r, K, V> {
    raw: redb::Range<'r, Bytes, Bytes>,
    /// What it is of, to go on behind a page that cannot be read.
    source: &'r Raw<'r>,
    bounds: Bounds,
    is_counted: bool,
    name: &'static str,
    sums: Sums,
    types: Types<K, V>,
}

type Pair<'g, K, V> = (Guard<'g, K>, Guard<'g, V>);
type First<'g, K, V> = (Guard<'g, K>, Option<Guard<'g, V>>);
type RawPair<'g> = (AccessGuard<'g, Bytes>, AccessGuard<'g, Bytes>);

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

    fn raw(&self) -> redb::TableDefinition<'static, Bytes, Bytes> {
        redb::TableDefinition::new(self.name)
    }

    /// The table as a read transaction has it.
    pub fn open(&self, txn: &ReadTransaction) -> Result<Snapshot, TableError> {
        txn.open_table(self.raw())
    }
}

impl<K, V> View<'static, K, V> {
    /// `snapshot`: what `open` of the same table gave.
    pub fn of(
        snapshot: Rc<Snapshot>,
        table: TableDefinition<K, V>,
        sums: Sums,
    ) -> View<'static, K, V> {
        View {
            raw: Raw::Snapshot(snapshot),
            name: table.name,
            sums,
            types: PhantomData,
        }
    }
}

impl WriteTransaction {
    /// Durable once it is committed, and quick to open after a crash.
    pub fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
        WriteTransaction::begin_with(database, Sums::There)
    }

    pub fn begin_with(database: &Database, sums: Sums) -> Result<WriteTransaction, StoreError> {
        let mut raw = database.begin_write()?;
        raw.set_durability(Durability::Immediate)
            .expect("without savepoints the durability is free");
        raw.set_quick_repair(true);
        let has_appended = Cell::new(false);
        Ok(WriteTransaction {
            raw,
            sums,
            has_appended,
        })
    }

    pub fn open_table<K, V>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<Table<'_, K, V>, StoreError> {
        Ok(Table {
            raw: caught(table.name, &[], || self.raw.open_table(table.raw()))?,
            has_appended: &self.has_appended,
            name: table.name,
            sums: self.sums,
            types: PhantomData,
        })
    }

    /// The table as the batch has it so far.
    pub fn view<K, V>(&self, table: TableDefinition<K, V>) -> Result<View<'_, K, V>, StoreError> {
        Ok(View {
            raw: Raw::Batch(caught(table.name, &[], || {
                self.raw.open_table(table.raw())
            })?),
            name: table.name,
            sums: self.sums,
            types: PhantomData,
        })
    }

    /// Puts sums behind the values of a table that has none, so many rows at a time.
    pub fn add_sums<K, V>(&mut self, table: TableDefinition<K, V>) -> Result<(), StoreError> {
        const ROWS_AT_A_TIME: usize = 1000;
        let mut raw = self.raw.open_table(table.raw())?;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let from = match &after {
                Some(key) => Bound::Excluded(key.as_slice()),
                None => Bound::Unbounded,
            };
            let rows = raw.range::<&[u8]>((from, Bound::Unbounded))?;
            let rows = rows.take(ROWS_AT_A_TIME).map(|row| {
                let (key, value) = row?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            });
            let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.collect::<Result<_, StoreError>>()?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (key, mut value) in rows {
                value.extend(damage::sum(&key, &value));
                raw.insert(key.as_slice(), value.as_slice())?;
            }
        }
    }

    /// From now on the sums are there.
    pub fn sums_are_there(&mut self) {
        self.sums = Sums::There;
    }

    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.raw.commit()?)
    }
}

/// The value found under a key, if it is what was written.
fn found<'g, V>(
    (table, key, sums): (&'static str, &[u8], Sums),
    row: Option<AccessGuard<'g, Bytes>>,
) -> Result<Option<Guard<'g, V>>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    match sums == Sums::Absent || damage::checked(key, row.value()).is_some() {
        true => Ok(Some(Guard::value_of(row, sums))),
        false => Err(damage::report(table, key)),
    }
}

impl<K: Row, V: Row> View<'_, K, V> {
    pub fn get(&self, key: K::View<'_>) -> Result<Option<Guard<'_, V>>, StoreError> {
        K::encode(&key, |key| {
            let row = caught(self.name, key, || {
                let row = match &self.raw {
                    Raw::Snapshot(table) => ReadableTable::get(&**table, key),
                    Raw::Batch(table) => table.get(key),
                };
                row.inspect(|row| _ = row.as_ref().map(AccessGuard::value))
            });
            found((self.name, key, self.sums), row?)
        })
    }

    pub fn range<'k>(
        &self,
        range: impl RangeBounds<K::View<'k>>,
    ) -> Result<Range<'_, K, V>, StoreError> {
        let bounds = Bounds::of::<K>(&range);
        let raw = caught(self.name, bounds.first(), || self.raw.range(&bounds))?;
        Ok(Range {
            raw,
            source: &self.raw,
            bounds,
            is_counted: K::IS_COUNTED,
            name: self.name,
            sums: self.sums,
            types: PhantomData,
        })
    }
}

impl Raw<'_> {
    fn range(&self, bounds: &Bounds) -> Result<redb::Range<'_, Bytes, Bytes>, redb::StorageError> {
        match self {
            Raw::Snapshot(table) => ReadableTable::range::<&[u8]>(&**table, bounds.raw()),
            Raw::Batch(table) => table.range::<&[u8]>(bounds.raw()),
        }
    }
}

impl<K: Row, V: Row> Table<'_, K, V> {
    pub fn get(&self, key: K::View<'_>) -> Result<Option<Guard<'_, V>>, StoreError> {
        K::encode(&key, |key| {
            let row = caught(self.name, key, || {
                let row = self.raw.get(key);
                row.inspect(|row| _ = row.as_ref().map(AccessGuard::value))
            });
            found((self.name, key, self.sums), row?)
        })
    }

    pub fn insert(&mut self, key: K::View<'_>, value: V::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| {
            self.require_way(key)?;
            V::encode(&value, |value| self.put(key, value))
        })
    }

    /// The same behind all rows there are; the way there is looked at once in a transaction.
    pub fn append(&mut self, key: K::View<'_>, value: V::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| {
            if !self.has_appended.get() {
                self.require_way(key)?;
                self.has_appended.set(true);
            }
            V::encode(&value, |value| self.put(key, value))
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.sums == Sums::Absent {
            self.raw.insert(key, value)?;
            return Ok(());
        }
        let mut row = Vec::with_capacity(value.len() + damage::SUM_BYTES);
        row.extend_from_slice(value);
        row.extend(damage::sum(key, value));
        self.raw.insert(key, row.as_slice())?;
        Ok(())
    }

    pub fn remove(&mut self, key: K::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| {
            self.require_way(key)?;
            self.raw.remove(key).map(drop)?;
            Ok(())
        })
    }

    /// A write that comes upon damage cannot be taken back: it is looked for before.
    fn require_way(&self, key: &[u8]) -> Result<(), StoreError> {
        caught(self.name, key, || self.raw.get(key).map(drop))
    }

    /// Removes the rows of a range for which `keeps` is false, and those that are damaged.
    pub fn retain_in<'k>(
        &mut self,
        range: impl RangeBounds<K::View<'k>>,
        mut keeps: impl FnMut(K::View<'_>, V::View<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let bounds = Bounds::of::<K>(&range);
        let sums = self.sums;
        let keeps: &mut dyn FnMut(&[u8], &[u8]) -> bool = &mut |key, row| {
            let value = match sums {
                Sums::There => damage::checked(key, row),
                Sums::Absent => Some(row),
            };
            value.is_some_and(|value| keeps(K::decode(key), V::decode(value)))
        };
        caught(self.name, bounds.first(), || {
            self.raw
                .range::<&[u8]>(bounds.raw())?
                .try_for_each(|row| row.map(drop))
        })?;
        Ok(self.raw.retain_in::<&[u8], _>(bounds.raw(), keeps)?)
    }

    /// The first row; of a damaged one only the key can be had.
    pub fn first(&self) -> Result<Option<First<'_, K, V>>, StoreError> {
        let first = caught(self.name, &[], || {
            let first = self.raw.first();
            first.inspect(|row| _ = row.as_ref().map(|(key, row)| (key.value(), row.value())))
        })?;
        Ok(first.map(|(key, row)| {
            let row = found((self.name, key.value(), self.sums), Some(row));
            (Guard::key_of(key), row.ok().flatten())
        }))
    }
}

impl<'r, K, V> Range<'r, K, V> {
    /// Passes over what is damaged.
    fn step(&mut self, way: Way) -> Option<Result<Pair<'r, K, V>, StoreError>> {
        loop {
            let row = caught(self.name, self.bounds.first(), || {
                let row = way.step(&mut self.raw).transpose();
                // Where they lie in the page is told by the page.
                row.inspect(|row| _ = row.as_ref().map(|(key, row)| (key.value(), row.value())))
            });
            let (key, row) = match row.transpose()? {
                Ok(row) => row,
                Err(StoreError::Damaged { .. }) if self.is_counted => {
                    self.raw = self.go_round(way)?;
                    continue;
                }
                Err(error) => return Some(Err(error)),
            };
            // A way that was damaged may lead to somebody else's rows.
            if !RangeBounds::<[u8]>::contains(&self.bounds.raw(), key.value()) {
                damage::report(self.name, self.bounds.first());
                continue;
            }
            self.bounds.pass(way, key.value());
            if let Ok(Some(row)) = found((self.name, key.value(), self.sums), Some(row)) {
                return Some(Ok((Guard::key_of(key), row)));
            }
        }
    }

    /// The rows behind a page that cannot be read: the nearest place from which on they can be. How far the page reaches,
    /// nobody knows any more. `None`: to the end.
    fn go_round(&mut self, way: Way) -> Option<redb::Range<'r, Bytes, Bytes>> {
        let readable = |bounds: &Bounds| {
            let source = self.source;
            damage::unwound(|| {
                let mut range = source.range(bounds).ok()?;
                let first = way.step(&mut range);
                // An empty rest is one that can be read.
                first.is_none_or(|row| row.is_ok()).then_some(())?;
                source.range(bounds).ok()
            })
            .flatten()
        };
        // The unreadable lies before `far`, and from `near` on.
        let mut near = 0;
        let mut far = 1;
        while readable(&self.bounds.without(way, far)?).is_none() {
            near = far;
            far = far.checked_mul(2)?;
        }
        while near + 1 < far {
            let middle = near + (far - near) / 2;
            match readable(&self.bounds.without(way, middle)?) {
                Some(_) => far = middle,
                None => near = middle,
            }
        }
        self.bounds = self.bounds.without(way, far)?;
        readable(&self.bounds)
    }
}

impl<'r, K, V> Iterator for Range<'r, K, V> {
    type Item = Result<Pair<'r, K, V>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Way::Forward)
    }
}

impl<K, V> DoubleEndedIterator for Range<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(Way::Backward)
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

/// In which direction a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

impl Way {
    fn step<'r>(
        self,
        range: &mut redb::Range<'r, Bytes, Bytes>,
    ) -> Option<Result<RawPair<'r>, redb::StorageError>> {
        match self {
            Way::Forward => range.next(),
            Way::Backward => range.next_back(),
        }
    }
}

/// Both ends of a range, encoded.
#[derive(Clone)]
struct Bounds(Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Bounds {
    fn of<'k, K: Row>(range: &impl RangeBounds<K::View<'k>>) -> Bounds {
        let encode = |bound: Bound<&K::View<'k>>| bound.map(|key| K::encode(key, <[u8]>::to_vec));
        Bounds(encode(range.start_bound()), encode(range.end_bound()))
    }

    /// A walk has come by this key.
    fn pass(&mut self, way: Way, key: &[u8]) {
        let bound = match way {
            Way::Forward => &mut self.0,
            Way::Backward => &mut self.1,
        };
        match bound {
            Bound::Included(last) | Bound::Excluded(last) if last.len() == key.len() => {
                last.copy_from_slice(key);
            }
            _ => *bound = Bound::Excluded(key.to_vec()),
        }
        if let Bound::Included(last) = bound {
            *bound = Bound::Excluded(std::mem::take(last));
        }
    }

    /// Without what lies within so many numbers from where the walk is. `None`: it would leave the range.
    fn without(&self, way: Way, count: u64) -> Option<Bounds> {
        let (from, other) = match way {
            Way::Forward => (&self.0, &self.1),
            Way::Backward => (&self.1, &self.0),
        };
        let (Bound::Included(key) | Bound::Excluded(key)) = from else {
            return None;
        };
        let (head, number) = key.split_last_chunk::<8>()?;
        let number = u64::from_be_bytes(*number);
        let number = match way {
            Way::Forward => number.checked_add(count)?,
            Way::Backward => number.checked_sub(count)?,
        };
        let moved = [head, &number.to_be_bytes()].concat();
        let is_within = match (way, other) {
            (_, Bound::Unbounded) => true,
            (Way::Forward, Bound::Included(end) | Bound::Excluded(end)) => moved <= *end,
            (Way::Backward, Bound::Included(end) | Bound::Excluded(end)) => moved >= *end,
        };
        is_within.then(|| match way {
            Way::Forward => Bounds(Bound::Included(moved), other.clone()),
            Way::Backward => Bounds(other.clone(), Bound::Included(moved)),
        })
    }

    /// Where it begins, to tell whose rows these are.
    fn first(&self) -> &[u8] {
        match &self.0 {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        }
    }

    fn raw(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            self.0.as_ref().map(Vec::as_slice),
            self.1.as_ref().map(Vec::as_slice),
        )
    }
}

impl Row for &str {
    type View<'a> = &'a str;
    fn encode<T>(row: &&str, then: impl FnOnce(&[u8]) -> T) -> T {
        then(row.as_bytes())
    }
    fn decode(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Row for &[u8] {
    type View<'a> = &'a [u8];
    fn encode<T>(row: &&[u8], then: impl FnOnce(&[u8]) -> T) -> T {
        then(row)
    }
    fn decode(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

impl<const N: usize> Row for [u8; N] {
    type View<'a> = [u8; N];
    fn encode<T>(row: &[u8; N], then: impl FnOnce(&[u8]) -> T) -> T {
        then(row)
    }
    fn decode(bytes: &[u8]) -> [u8; N] {
        bytes.first_chunk().copied().unwrap_or([0; N])
    }
}

impl Row for () {
    type View<'a> = ();
    fn encode<T>((): &(), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[])
    }
    fn decode(_: &[u8]) {}
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Row for $type {
            type View<'a> = $type;
            const IS_COUNTED: bool = size_of::<$type>() == size_of::<u64>();
            fn encode<T>(row: &$type, then: impl FnOnce(&[u8]) -> T) -> T {
                then(&row.to_be_bytes())
            }
            fn decode(bytes: &[u8]) -> $type {
                <$type>::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default())
            }
        }
    )*};
}
number!(u8, u32, u64);

/// The number of so many octets at the front, and what follows it.
fn split<T: Row>(bytes: &[u8], octets: usize) -> (T::View<'_>, &[u8]) {
    let (head, rest) = bytes.split_at_checked(octets).unwrap_or_default();
    (T::decode(head), rest)
}

impl Row for (u32, u64) {
    type View<'a> = (u32, u64);
    const IS_COUNTED: bool = true;
    fn encode<T>((a, b): &(u32, u64), then: impl FnOnce(&[u8]) -> T) -> T {
        let [a, b] = [u128::from(*a), u128::from(*b)];
        let [_, _, _, _, key @ ..] = (a << 64 | b).to_be_bytes();
        then(&key)
    }
    fn decode(bytes: &[u8]) -> (u32, u64) {
        let (a, rest) = split::<u32>(bytes, 4);
        (a, u64::decode(rest))
    }
}

impl Row for (u32, u64, u64) {
    type View<'a> = (u32, u64, u64);
    const IS_COUNTED: bool = true;
    fn encode<T>((a, b, c): &(u32, u64, u64), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[&a.to_be_bytes()[..], &b.to_be_bytes(), &c.to_be_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, u64, u64) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (b, rest) = split::<u64>(rest, 8);
        (a, b, u64::decode(rest))
    }
}

impl Row for (u32, &str) {
    type View<'a> = (u32, &'a str);
    fn encode<T>((a, b): &(u32, &str), then: impl FnOnce(&[u8]) -> T) -> T {
        then(&[&a.to_be_bytes()[..], b.as_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, &str) {
        let (a, rest) = split::<u32>(bytes, 4);
        (a, <&str>::decode(rest))
    }
}

/// The first text ends with a zero octet, which text from XML cannot hold.
impl Row for (u32, &str, &str) {
    type View<'a> = (u32, &'a str, &'a str);
    fn encode<T>((a, b, c): &(u32, &str, &str), then: impl FnOnce(&[u8]) -> T) -> T {
        debug_assert!(!b.contains('\0'));
        then(&[&a.to_be_bytes()[..], b.as_bytes(), &[0], c.as_bytes()].concat())
    }
    fn decode(bytes: &[u8]) -> (u32, &str, &str) {
        let (a, rest) = split::<u32>(bytes, 4);
        let (b, c) = <&str>::decode(rest).split_once('\0').unwrap_or_default();
        (a, b, c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys in their order: the bytes have the same, and give them back.
    fn check<K: Row>(keys: &[K::View<'static>])
    where
        for<'a> K::View<'a>: std::fmt::Debug,
    {
        let mut last: Option<Vec<u8>> = None;
        for key in keys {
            let encoded = K::encode(key, <[u8]>::to_vec);
            let decoded = format!("{:?}", K::decode(&encoded));
            assert_eq!(decoded, format!("{key:?}"));
            assert!(last.is_none_or(|last| last < encoded), "{encoded:?}");
            last = Some(encoded);
        }
    }

    #[test]
    fn bytes_sort_as_keys_do() {
        check::<u64>(&[0, 1, 255, 256, u64::MAX]);
        check::<(u32, u64)>(&[(0, u64::MAX), (1, 0), (1, 256), (256, 2)]);
        check::<(u32, u64, u64)>(&[(1, 2, 3), (1, 2, 256), (1, 3, 0), (2, 0, 0)]);
        check::<(u32, &str)>(&[(1, ""), (1, "a"), (1, "ab"), (1, "b"), (2, ""), (2, "ä")]);
        check::<(u32, &str, &str)>(&[
            (1, "", ""),
            (1, "a", ""),
            (1, "a", "z"),
            (1, "ab", "a"),
            (2, "", "x"),
        ]);
    }

    #[test]
    fn damaged_bytes_are_no_panic() {
        for bytes in [&b""[..], b"x", b"\xff\xff\xff\xff\xff\xff", &[0xfe; 30]] {
            u32::decode(bytes);
            <(u32, u64, u64)>::decode(bytes);
            <(u32, &str, &str)>::decode(bytes);
            <[u8; 32]>::decode(bytes);
        }
    }
}
