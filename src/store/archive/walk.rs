//! Stored stanzas in the order of a walk. What one archive holds lies close together, so that the next stanza is most
//! often in the page of the one before; looking each up from the root again would be most of the cost of a page.
use crate::store::engine::table::{Guard, Range};
use crate::store::{StoreError, View};

/// The next is looked for among so many; it is cheaper to look up what is further away.
const STEPS_MAX: u64 = 8;

type Stanzas<'t> = View<'t, u64, &'static [u8]>;

/// Reads stanzas by their sequence, made for those that ascend or descend.
pub struct Walk<'v, 't> {
    stanzas: &'v Stanzas<'t>,
    backward: bool,
    last: Option<u64>,
    /// What lies behind the last one, in the direction of the walk.
    ahead: Option<Range<'v, u64, &'static [u8]>>,
}

impl<'v, 't> Walk<'v, 't> {
    pub fn new(stanzas: &'v Stanzas<'t>, backward: bool) -> Walk<'v, 't> {
        Walk {
            stanzas,
            backward,
            last: None,
            ahead: None,
        }
    }

    /// `None`: there is no such stanza, or it is damaged.
    pub fn find(&mut self, sequence: u64) -> Result<Option<Guard<'v, &'static [u8]>>, StoreError> {
        let last = self.last.replace(sequence);
        let ahead = self.ahead.take();
        let steps = last.and_then(|last| match self.backward {
            true => last.checked_sub(sequence),
            false => sequence.checked_sub(last),
        });
        if !steps.is_some_and(|steps| (1..=STEPS_MAX).contains(&steps)) {
            return match self.stanzas.get(sequence) {
                Err(StoreError::Damaged { .. }) => Ok(None),
                found => found,
            };
        }
        let mut ahead = match ahead {
            Some(ahead) => ahead,
            None if self.backward => self.stanzas.range(..=sequence)?,
            None => self.stanzas.range(sequence..)?,
        };
        let found = loop {
            let next = match self.backward {
                true => ahead.next_back(),
                false => ahead.next(),
            };
            let Some((key, row)) = next.transpose()? else {
                break None;
            };
            let key = key.value();
            if key == sequence {
                break Some(row);
            }
            if (key < sequence) == self.backward {
                // It is gone. The walk has left its place, which the next look finds again.
                return Ok(None);
            }
        };
        self.ahead = Some(ahead);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::STANZAS;
    use crate::store::{Store, StoreError};

    /// Whatever is asked for in whatever order, the walk finds what a lookup finds.
    #[test]
    fn a_walk_finds_what_a_lookup_finds() -> Result<(), StoreError> {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), 1 << 20)?;
        let mut tx = store.begin();
        let there = [1, 2, 3, 5, 8, 9, 10, 11, 30, 31, 33, 34, 60];
        for sequence in there {
            let row = [u8::try_from(sequence).unwrap()];
            let writing = tx.writing()?;
            writing.txn.open_table(STANZAS)?.insert(sequence, &row)?;
        }
        let stanzas = tx.view(STANZAS)?;
        let ascending: Vec<u64> = (0..64).collect();
        let some = [1, 3, 4, 5, 11, 12, 30, 34, 33, 34, 60, 61, 2, 2, 3];
        let mut orders = vec![ascending.clone(), there.to_vec(), some.to_vec()];
        orders.extend(orders.clone().into_iter().map(|mut order| {
            order.reverse();
            order
        }));
        for order in orders {
            for backward in [false, true] {
                let mut walk = Walk::new(&stanzas, backward);
                for sequence in &order {
                    let found = walk.find(*sequence)?.map(|row| row.value().to_vec());
                    let expected = stanzas.get(*sequence)?.map(|row| row.value().to_vec());
                    assert_eq!(found, expected, "{sequence} of {order:?}");
                }
            }
        }
        Ok(())
    }
}
