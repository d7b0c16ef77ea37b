//! XEP-0198 §5: sessions that may be resumed and are not in memory as a whole, or whose server stopped in order; and
//! stanzas that sessions have not acknowledged and memory does not hold. A stanza of the archive is kept as its id.
use std::ops::Range;

use super::bodies;
use crate::store::engine::table::{Table, WriteTransaction};
use crate::store::schema::{
    ENDED, META, META_NEXT_SUSPENDED, META_STOPPED, SHARED_BODIES, SUSPENDED, SUSPENDED_QUEUE,
};
use crate::store::{AccountId, QueueRow, StoreError, Suspended, Tx, Writing};

/// A session in the store; its number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SuspendedId {
    pub account: AccountId,
    pub number: u64,
}

impl Tx {
    /// A number for a session that goes to the store.
    pub fn new_suspended(&mut self, account: AccountId) -> Result<SuspendedId, StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut meta = txn.open_table(META)?;
        let number = meta.get(META_NEXT_SUSPENDED)?.map_or(1, |row| row.value());
        meta.insert(META_NEXT_SUSPENDED, number + 1)?;
        Ok(SuspendedId { account, number })
    }

    pub fn suspend(&mut self, id: SuspendedId, session: &Suspended) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let row = session.encode(&mut |body| bodies::keep(txn, body))?;
        let key = (id.account.0, id.number);
        let mut table = txn.open_table(SUSPENDED)?;
        let before = numbers_of(&table, key)?;
        table.insert(key, row.as_slice())?;
        drop(table);
        bodies::release(txn, before)
    }

    pub fn suspended(&self, id: SuspendedId) -> Result<Option<Suspended>, StoreError> {
        let table = self.view(SUSPENDED)?;
        let row = table.get((id.account.0, id.number))?;
        row.map(|row| self.decode_suspended(row.value()))
            .transpose()
    }

    fn decode_suspended(&self, row: &[u8]) -> Result<Suspended, StoreError> {
        let bodies = self.view(SHARED_BODIES)?;
        Suspended::decode(row, &mut |number| bodies::find(&bodies, number))
    }

    /// Calls `visit` for every session in the store.
    pub fn visit_suspended(
        &self,
        visit: &mut dyn FnMut(SuspendedId, Suspended) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for row in self.view(SUSPENDED)?.range(..)? {
            let (key, row) = row?;
            let (account, number) = key.value();
            let id = SuspendedId {
                account: AccountId(account),
                number,
            };
            visit(id, self.decode_suspended(row.value())?)?;
        }
        Ok(())
    }

    /// The session's row; its queue stays.
    pub fn forget_suspended(&mut self, id: SuspendedId) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let key = (id.account.0, id.number);
        let mut table = txn.open_table(SUSPENDED)?;
        let numbers = numbers_of(&table, key)?;
        table.remove(key)?;
        drop(table);
        bodies::release(txn, numbers)
    }

    /// Appends to a session's queue, from position `from` on. Returns the bytes written.
    pub fn append_queue<'r>(
        &mut self,
        id: SuspendedId,
        from: u64,
        rows: impl Iterator<Item = &'r QueueRow>,
    ) -> Result<u64, StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut written = 0;
        for (position, row) in (from..).zip(rows) {
            let key = (id.account.0, id.number, position);
            let row = row.encode(&mut |body| bodies::keep(txn, body))?;
            let mut table = txn.open_table(SUSPENDED_QUEUE)?;
            let before = table.get(key)?.map(|row| QueueRow::decode(row.value()));
            table.insert(key, row.as_slice())?;
            if let Some(number) = before.transpose()?.and_then(|before| before.body()) {
                bodies::release(txn, [number])?;
            }
            written += QueueRow::decode(&row)?.bytes(row.len());
        }
        Ok(written)
    }

    /// Calls `visit` for each stanza of a session's queue between two positions, in order, until it says false.
    pub fn visit_queue(
        &self,
        id: SuspendedId,
        positions: Range<u64>,
        visit: &mut dyn FnMut(QueueRow) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if positions.is_empty() {
            return Ok(());
        }
        let key = |position| (id.account.0, id.number, position);
        for row in self
            .view(SUSPENDED_QUEUE)?
            .range(key(positions.start)..key(positions.end))?
        {
            let (_, row) = row?;
            let lying = QueueRow::decode(row.value())?;
            let body = match lying.body() {
                Some(number) => bodies::find(&self.view(SHARED_BODIES)?, number)?,
                None => None,
            };
            if !visit(lying.with_body(body))? {
                break;
            }
        }
        Ok(())
    }

    /// The positions that a session's queue has rows for.
    pub fn queue_positions(&self, id: SuspendedId) -> Result<Range<u64>, StoreError> {
        let table = self.view(SUSPENDED_QUEUE)?;
        let mut rows =
            table.range((id.account.0, id.number, 0)..=(id.account.0, id.number, u64::MAX))?;
        let Some(first) = rows.next().transpose()? else {
            return Ok(0..0);
        };
        let first = first.0.value().2;
        let last = rows.next_back().transpose()?;
        let last = last.map_or(first, |(key, _)| key.value().2);
        Ok(first..last.saturating_add(1))
    }

    /// Removes the rows of a session's queue between two positions. Returns their bytes.
    pub fn remove_queue(
        &mut self,
        id: SuspendedId,
        positions: Range<u64>,
    ) -> Result<u64, StoreError> {
        if positions.is_empty() {
            return Ok(0);
        }
        let key = |position| (id.account.0, id.number, position);
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(SUSPENDED_QUEUE)?;
        let (mut bytes, mut numbers) = (0, Vec::new());
        table.retain_in(key(positions.start)..key(positions.end), |_, row| {
            if let Ok(lying) = QueueRow::decode(row) {
                bytes += lying.bytes(row.len());
                numbers.extend(lying.body());
            }
            false
        })?;
        drop(table);
        bodies::release(txn, numbers)?;
        Ok(bytes)
    }

    /// Keeps what is known of sessions that ended, and nothing else of the kind: account, name, how much was handled.
    pub fn set_ended<'s>(
        &mut self,
        ended: impl Iterator<Item = (AccountId, &'s str, u32)>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(ENDED)?;
        table.retain_in(.., |_, _| false)?;
        for (account, name, received) in ended {
            table.insert((account.0, name), received)?;
        }
        Ok(())
    }

    pub fn ended(&self) -> Result<Vec<(AccountId, String, u32)>, StoreError> {
        let table = self.view(ENDED)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (key, received) = row?;
            let (account, name) = key.value();
            Ok((AccountId(account), name.to_string(), received.value()))
        })
        .collect()
    }

    /// Whether the last run ended in order.
    pub fn has_stopped(&self) -> Result<bool, StoreError> {
        let stopped = self.view(META)?.get(META_STOPPED)?.map(|row| row.value());
        Ok(stopped == Some(1))
    }

    pub fn set_stopped(&mut self, stopped: bool) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(META)?
            .insert(META_STOPPED, u64::from(stopped))?;
        Ok(())
    }

    /// Removes queues whose session has no row: it was awake when a run was cut short.
    pub fn remove_lost_queues(&mut self) -> Result<(), StoreError> {
        let mut lost = Vec::new();
        {
            let (sessions, queues) = (self.view(SUSPENDED)?, self.view(SUSPENDED_QUEUE)?);
            let mut from = (0, 0, 0);
            while let Some(row) = queues.range(from..)?.next().transpose()? {
                let (account, number, _) = row.0.value();
                if sessions.get((account, number))?.is_none() {
                    lost.push((account, number));
                }
                from = (account, number, u64::MAX);
            }
        }
        for (account, number) in lost {
            let account = AccountId(account);
            self.remove_queue(SuspendedId { account, number }, 0..u64::MAX)?;
        }
        Ok(())
    }
}

/// The rows of an account are about to go.
pub(in crate::store) fn release_bodies(
    txn: &WriteTransaction,
    account: u32,
) -> Result<(), StoreError> {
    let mut numbers = Vec::new();
    let queues = txn.view(SUSPENDED_QUEUE)?;
    for row in queues.range((account, 0, 0)..=(account, u64::MAX, u64::MAX))? {
        let Ok((_, row)) = row else { continue };
        numbers.extend(
            QueueRow::decode(row.value())
                .ok()
                .and_then(|row| row.body()),
        );
    }
    let sessions = txn.view(SUSPENDED)?;
    for row in sessions.range((account, 0)..=(account, u64::MAX))? {
        let Ok((_, row)) = row else { continue };
        numbers.extend(numbers_in(row.value()));
    }
    drop((queues, sessions));
    bodies::release(txn, numbers)
}

/// The bodies of what a session holds.
fn numbers_of(
    table: &Table<'_, (u32, u64), &'static [u8]>,
    key: (u32, u64),
) -> Result<Vec<u64>, StoreError> {
    let row = table.get(key)?;
    Ok(row.map_or_else(Vec::new, |row| numbers_in(row.value())))
}

fn numbers_in(row: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    // What cannot be read refers to nothing.
    let _row = Suspended::decode(row, &mut |number| {
        numbers.push(number);
        Ok(None)
    });
    numbers
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::{Body, HeldRow, Kept, Store};
    use crate::xmpp::Timestamp;

    fn bodies(tx: &Tx) -> usize {
        let bodies = tx.view(SHARED_BODIES).unwrap();
        bodies.range(..).unwrap().count()
    }

    #[test]
    fn bodies_go_with_whatever_has_them() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut tx = store.begin();
        let body = Rc::new(Body::new(&[b'x'; 10_000], &Rc::default()));
        let stanza = || Kept {
            head: Box::from(*b"<message"),
            body: Some(Rc::clone(&body)),
        };
        let row = QueueRow::Whole {
            stanza: stanza(),
            at: Timestamp(0),
            shared: false,
        };
        let session = Suspended {
            held: vec![HeldRow {
                key: String::new(),
                stanza: stanza(),
                archived: None,
            }],
            ..Suspended::default()
        };
        let accounts = ["a", "b", "c", "d"].map(|name| {
            let credentials = Default::default();
            let at = Timestamp(0);
            tx.add_account(name, &credentials, at).unwrap().unwrap()
        });
        let ids = accounts.map(|account| {
            let id = tx.new_suspended(account).unwrap();
            let bytes = tx.append_queue(id, 0, [&row, &row].into_iter()).unwrap();
            assert!(bytes > 20_000, "each counts all of it: {bytes}");
            // Twice: the later takes the place of the earlier.
            tx.append_queue(id, 0, [&row].into_iter()).unwrap();
            tx.suspend(id, &session).unwrap();
            tx.suspend(id, &session).unwrap();
            id
        });
        assert_eq!(bodies(&tx), 1);
        assert_eq!(tx.suspended(ids[0]).unwrap().unwrap(), session);
        tx.visit_queue(ids[0], 0..2, &mut |found| {
            assert_eq!(found, row);
            Ok(true)
        })
        .unwrap();
        // The first acknowledges, the second is gone with its account, the third was lost, the fourth ends.
        assert!(tx.remove_queue(ids[0], 0..2).unwrap() > 20_000);
        tx.forget_suspended(ids[0]).unwrap();
        tx.delete_account("b").unwrap();
        tx.forget_suspended(ids[2]).unwrap();
        tx.remove_lost_queues().unwrap();
        assert_eq!(bodies(&tx), 1);
        tx.remove_queue(ids[3], 0..2).unwrap();
        assert_eq!(bodies(&tx), 1);
        tx.forget_suspended(ids[3]).unwrap();
        assert_eq!(bodies(&tx), 0);
    }

    #[test]
    fn a_lost_body_leaves_a_stanza_in_its_place() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut tx = store.begin();
        let account = AccountId(7);
        let id = tx.new_suspended(account).unwrap();
        let body = Rc::new(Body::new(b"x", &Rc::default()));
        let row = QueueRow::Whole {
            stanza: Kept {
                head: Box::from(*b"<message"),
                body: Some(body),
            },
            at: Timestamp(0),
            shared: false,
        };
        tx.append_queue(id, 0, [&row].into_iter()).unwrap();
        let Writing { txn, .. } = tx.writing().unwrap();
        txn.open_table(SHARED_BODIES).unwrap().remove(1).unwrap();
        let mut found = Vec::new();
        tx.visit_queue(id, 0..1, &mut |row| {
            found.push(row);
            Ok(true)
        })
        .unwrap();
        let (id, form) = (crate::store::ArchiveId(0), 0);
        assert_eq!(found, [QueueRow::Archived { id, form }]);
    }
}
