//! Typed tables over tables of bytes. redb's own types would have its B-tree compiled anew for every pair of key and value:
//! nearly a megabyte of code for two dozen tables, and all of it memory. Keys are encoded so that their bytes sort as they do.
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;

use redb::{
    AccessGuard, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableTable, TableError,
};

use super::StoreError;

type Bytes = &'static [u8];
/// A table of a snapshot.
pub type Snapshot = ReadOnlyTable<Bytes, Bytes>;
type Types<K, V> = PhantomData<fn() -> (K, V)>;

/// A key or a value. What is decoded was encoded, for tables hold checked pages; of anything else the result is anything.
pub trait Row {
    type View<'a>;
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
pub struct WriteTransaction(redb::WriteTransaction);

/// A table as a snapshot or the batch sees it.
pub struct View<'t, K, V> {
    raw: Raw<'t>,
    types: Types<K, V>,
}

enum Raw<'t> {
    Snapshot(Rc<Snapshot>),
    Batch(redb::Table<'t, Bytes, Bytes>),
}

/// A table that is written to.
pub struct Table<'t, K, V> {
    raw: redb::Table<'t, Bytes, Bytes>,
    types: Types<K, V>,
}

/// A key or value in a page.
pub struct Guard<'g, T> {
    raw: AccessGuard<'g, Bytes>,
    types: PhantomData<fn() -> T>,
}

/// Rows in order of their keys.
pub struct Range<'r, K, V> {
    raw: redb::Range<'r, Bytes, Bytes>,
    types: Types<K, V>,
}

type Pair<'g, K, V> = (Guard<'g, K>, Guard<'g, V>);
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
    pub fn of(snapshot: Rc<Snapshot>, _: TableDefinition<K, V>) -> View<'static, K, V> {
        View {
            raw: Raw::Snapshot(snapshot),
            types: PhantomData,
        }
    }
}

impl WriteTransaction {
    /// Durable once it is committed, and quick to open after a crash.
    pub fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
        let mut txn = database.begin_write()?;
        txn.set_durability(Durability::Immediate)
            .expect("without savepoints the durability is free");
        txn.set_quick_repair(true);
        Ok(WriteTransaction(txn))
    }

    pub fn open_table<K, V>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<Table<'_, K, V>, TableError> {
        Ok(Table {
            raw: self.0.open_table(table.raw())?,
            types: PhantomData,
        })
    }

    /// The table as the batch has it so far.
    pub fn view<K, V>(&self, table: TableDefinition<K, V>) -> Result<View<'_, K, V>, TableError> {
        Ok(View {
            raw: Raw::Batch(self.0.open_table(table.raw())?),
            types: PhantomData,
        })
    }

    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit()?)
    }
}

impl<K: Row, V: Row> View<'_, K, V> {
    pub fn get(&self, key: K::View<'_>) -> Result<Option<Guard<'_, V>>, StoreError> {
        let row = K::encode(&key, |key| match &self.raw {
            Raw::Snapshot(table) => ReadableTable::get(&**table, key),
            Raw::Batch(table) => table.get(key),
        });
        Ok(row?.map(Guard::new))
    }

    pub fn range<'k>(
        &self,
        range: impl RangeBounds<K::View<'k>>,
    ) -> Result<Range<'_, K, V>, StoreError> {
        let bounds = Bounds::of::<K>(&range);
        let raw = match &self.raw {
            Raw::Snapshot(table) => ReadableTable::range::<&[u8]>(&**table, bounds.raw())?,
            Raw::Batch(table) => table.range::<&[u8]>(bounds.raw())?,
        };
        Ok(Range {
            raw,
            types: PhantomData,
        })
    }
}

impl<K: Row, V: Row> Table<'_, K, V> {
    pub fn get(&self, key: K::View<'_>) -> Result<Option<Guard<'_, V>>, StoreError> {
        let row = K::encode(&key, |key| self.raw.get(key))?;
        Ok(row.map(Guard::new))
    }

    pub fn insert(&mut self, key: K::View<'_>, value: V::View<'_>) -> Result<(), StoreError> {
        let raw = &mut self.raw;
        K::encode(&key, |key| {
            V::encode(&value, |value| raw.insert(key, value).map(drop))
        })?;
        Ok(())
    }

    pub fn remove(&mut self, key: K::View<'_>) -> Result<(), StoreError> {
        K::encode(&key, |key| self.raw.remove(key).map(drop))?;
        Ok(())
    }

    /// Removes the rows of a range for which `keeps` is false.
    pub fn retain_in<'k>(
        &mut self,
        range: impl RangeBounds<K::View<'k>>,
        mut keeps: impl FnMut(K::View<'_>, V::View<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let bounds = Bounds::of::<K>(&range);
        let keeps: &mut dyn FnMut(&[u8], &[u8]) -> bool =
            &mut |key, value| keeps(K::decode(key), V::decode(value));
        Ok(self.raw.retain_in::<&[u8], _>(bounds.raw(), keeps)?)
    }

    pub fn first(&self) -> Result<Option<Pair<'_, K, V>>, StoreError> {
        Ok(self.raw.first()?.map(pair))
    }
}

impl<'r, K, V> Iterator for Range<'r, K, V> {
    type Item = Result<Pair<'r, K, V>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.raw.next().map(|row| Ok(pair(row?)))
    }
}

impl<K, V> DoubleEndedIterator for Range<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.raw.next_back().map(|row| Ok(pair(row?)))
    }
}

fn pair<K, V>((key, value): RawPair<'_>) -> Pair<'_, K, V> {
    (Guard::new(key), Guard::new(value))
}

impl<'g, T> Guard<'g, T> {
    fn new(raw: AccessGuard<'g, Bytes>) -> Guard<'g, T> {
        Guard {
            raw,
            types: PhantomData,
        }
    }
}

impl<T: Row> Guard<'_, T> {
    pub fn value(&self) -> T::View<'_> {
        T::decode(self.raw.value())
    }
}

/// Both ends of a range, encoded.
struct Bounds(Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Bounds {
    fn of<'k, K: Row>(range: &impl RangeBounds<K::View<'k>>) -> Bounds {
        let encode = |bound: Bound<&K::View<'k>>| bound.map(|key| K::encode(key, <[u8]>::to_vec));
        Bounds(encode(range.start_bound()), encode(range.end_bound()))
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
