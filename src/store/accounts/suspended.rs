//! XEP-0198 §5: sessions that may be resumed and are not in memory as a whole, or whose server stopped in order; and
//! stanzas that sessions have not acknowledged and memory does not hold. A stanza of the archive is kept as its id.
use std::ops::Range;

use crate::store::schema::{
    ENDED, META, META_NEXT_SUSPENDED, META_STOPPED, SUSPENDED, SUSPENDED_QUEUE,
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
        txn.open_table(SUSPENDED)?
            .insert((id.account.0, id.number), session.encode().as_slice())?;
        Ok(())
    }

    pub fn suspended(&self, id: SuspendedId) -> Result<Option<Suspended>, StoreError> {
        let table = self.view(SUSPENDED)?;
        let row = table.get((id.account.0, id.number))?;
        row.map(|row| Suspended::decode(row.value())).transpose()
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
            visit(id, Suspended::decode(row.value())?)?;
        }
        Ok(())
    }

    /// The session's row; its queue stays.
    pub fn forget_suspended(&mut self, id: SuspendedId) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(SUSPENDED)?
            .remove((id.account.0, id.number))?;
        Ok(())
    }

    /// Appends to a session's queue, from position `from` on. Returns the bytes written.
    pub fn append_queue<'r>(
        &mut self,
        id: SuspendedId,
        from: u64,
        rows: impl Iterator<Item = &'r QueueRow>,
    ) -> Result<u64, StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(SUSPENDED_QUEUE)?;
        let mut written = 0;
        for (position, row) in (from..).zip(rows) {
            let row = row.encode();
            table.insert((id.account.0, id.number, position), row.as_slice())?;
            written += u64::try_from(row.len()).unwrap_or(u64::MAX);
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
            if !visit(QueueRow::decode(row.value())?)? {
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
        let mut bytes = 0;
        table.retain_in(key(positions.start)..key(positions.end), |_, row| {
            bytes += u64::try_from(row.len()).unwrap_or(u64::MAX);
            false
        })?;
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
            let Writing { txn, .. } = self.writing()?;
            txn.open_table(SUSPENDED_QUEUE)?.retain_in(
                (account, number, 0)..=(account, number, u64::MAX),
                |_, _| false,
            )?;
        }
        Ok(())
    }
}
