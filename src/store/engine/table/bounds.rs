//! Where a walk begins, where it ends, and which way it goes.
use std::ops::{Bound, RangeBounds};

use redb::AccessGuard;

use super::{Bytes, Row};

pub type RawPair<'g> = (AccessGuard<'g, Bytes>, AccessGuard<'g, Bytes>);

/// In which direction a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Forward,
    Backward,
}

impl Way {
    pub fn backward(is_backward: bool) -> Way {
        match is_backward {
            true => Way::Backward,
            false => Way::Forward,
        }
    }

    pub fn step<'r>(
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
pub struct Bounds(Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Bounds {
    pub fn of<'k, K: Row>(range: &impl RangeBounds<K::View<'k>>) -> Bounds {
        let encode = |bound: Bound<&K::View<'k>>| bound.map(|key| K::encode(key, <[u8]>::to_vec));
        Bounds(encode(range.start_bound()), encode(range.end_bound()))
    }

    pub fn hold(&self, key: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(&self.raw(), key)
    }

    /// A walk has come by this key.
    pub fn pass(&mut self, way: Way, key: &[u8]) {
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
    pub fn without(&self, way: Way, count: u64) -> Option<Bounds> {
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
    pub fn first(&self) -> &[u8] {
        match &self.0 {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        }
    }

    pub fn raw(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            self.0.as_ref().map(Vec::as_slice),
            self.1.as_ref().map(Vec::as_slice),
        )
    }
}
