//! A walk over rows: past what is damaged, and round a page that cannot be read.
use std::marker::PhantomData;

use super::bounds::{Bounds, RawPair, Way};
use super::{Bytes, Guard, Source, StoreError, Types, caught, damage, found, is_sound};

/// A page has fewer rows: whoever comes by more that are not on his way walks in a circle.
const STRAYS_MAX: u32 = 4096;

type Pair<'g, K, V> = (Guard<'g, K>, Guard<'g, V>);

/// Rows in order of their keys.
pub struct Range<'r, K, V> {
    walk: Walk<'r>,
    types: Types<K, V>,
}

/// Their bytes.
pub struct Walk<'r> {
    pub(super) raw: redb::Range<'r, Bytes, Bytes>,
    /// What it is of, to go on behind a page that cannot be read.
    pub(super) source: &'r Source<'r>,
    pub(super) bounds: Bounds,
    pub(super) is_counted: bool,
    /// Rows that it came by and that are not on its way.
    pub(super) strays: u32,
}

impl<'r, K, V> Range<'r, K, V> {
    pub(super) fn new(walk: Walk<'r>) -> Range<'r, K, V> {
        let types = PhantomData;
        Range { walk, types }
    }

    /// Whatever they are.
    pub fn bytes(self) -> Walk<'r> {
        self.walk
    }

    fn typed(&self, (key, row): RawPair<'r>) -> Pair<'r, K, V> {
        (
            Guard::key_of(key),
            Guard::value_of(row, self.walk.source.sums),
        )
    }
}

impl<'r> Walk<'r> {
    /// Takes the next rows, up to so many; false: there are no more. Most of what a row costs is being one step, so that
    /// small ones are better had in one go.
    pub fn ahead(
        &mut self,
        (way, max): (Way, usize),
        take: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<bool, StoreError> {
        let Source {
            name, sums, octets, ..
        } = *self.source;
        let sound = damage::unwound(|| {
            for _ in 0..max {
                let Some(row) = way.step(&mut self.raw) else {
                    return Some(false);
                };
                let (key, row) = row.ok()?;
                let (key, row) = (key.value(), row.value());
                if !self.bounds.hold(key) || !is_sound((sums, octets), key, row) {
                    return None;
                }
                self.bounds.pass(way, key);
                self.source.reads(key);
                take(key, sums.without(row));
            }
            Some(true)
        });
        if let Some(is_more) = sound.flatten() {
            return Ok(is_more);
        }
        // Something is damaged behind the last row that was taken: from there on with all care.
        let bounds = &self.bounds;
        self.raw = caught(name, bounds.first(), || self.source.range(bounds))?;
        let next = self.step(way).transpose()?;
        if let Some((key, row)) = &next {
            take(key.value(), sums.without(row.value()));
        }
        Ok(next.is_some())
    }

    /// Passes over what is damaged.
    fn step(&mut self, way: Way) -> Option<Result<RawPair<'r>, StoreError>> {
        let Source {
            name, sums, octets, ..
        } = *self.source;
        loop {
            let row = caught(name, self.bounds.first(), || {
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
            // A way that was damaged may lead to somebody else's rows, or in a circle.
            if !self.bounds.hold(key.value()) {
                let damaged = damage::report(name, self.bounds.first());
                self.strays += 1;
                if self.strays > STRAYS_MAX {
                    return Some(Err(damaged));
                }
                continue;
            }
            self.bounds.pass(way, key.value());
            self.source.reads(key.value());
            if let Ok(Some(row)) = found((name, key.value(), sums, octets), Some(row)) {
                return Some(Ok((key, row)));
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
                // An empty rest is one that can be read.
                if let Some(first) = way.step(&mut range) {
                    let (key, row) = first.ok()?;
                    let _there = (key.value(), row.value());
                }
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
        Some(self.walk.step(Way::Forward)?.map(|row| self.typed(row)))
    }
}

impl<K, V> DoubleEndedIterator for Range<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        Some(self.walk.step(Way::Backward)?.map(|row| self.typed(row)))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use redb::ReadableDatabase;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::engine::table::{Row, Sums, WriteTransaction};
    use crate::store::schema::ARCHIVE;

    #[test]
    fn what_is_read_ahead_is_what_single_steps_read() -> Result<(), StoreError> {
        let database = redb::Builder::new().create_with_backend(InMemoryBackend::new())?;
        // Those without a sum are damaged.
        for (sums, rest) in [(Sums::There, 0..5), (Sums::Absent, 5..7)] {
            let txn = WriteTransaction::begin_with(&database, sums)?;
            let mut table = txn.open_table(ARCHIVE)?;
            for n in (0..600).filter(|n| rest.contains(&(n % 7))) {
                table.insert((1, n), u8::try_from(n % 251).unwrap())?;
            }
            drop(table);
            txn.commit()?;
        }
        let snapshot = Rc::new(ARCHIVE.open(&database.begin_read()?).unwrap());
        let view = ARCHIVE.on(Source::of(snapshot, ARCHIVE.plain(), (Sums::There, None)));
        for bounds in [
            (1, 0)..(1, 600),
            (1, 33)..(1, 34),
            (1, 40)..(1, 47),
            (2, 0)..(3, 0),
        ] {
            for way in [Way::Forward, Way::Backward] {
                let mut expected = Vec::new();
                let mut range = view.range(bounds.clone())?;
                while let Some(row) = match way {
                    Way::Forward => range.next(),
                    Way::Backward => range.next_back(),
                } {
                    let (key, value) = row?;
                    expected.push((key.value(), value.value()));
                }
                for max in [1, 3, 64, 1000] {
                    let mut walk = view.range(bounds.clone())?.bytes();
                    let mut rows = Vec::new();
                    while walk.ahead((way, max), &mut |key, value| {
                        rows.push((<(u32, u64)>::decode(key), u8::decode(value)));
                    })? {}
                    assert_eq!(rows, expected, "{bounds:?} {way:?} {max}");
                }
            }
        }
        Ok(())
    }
}
