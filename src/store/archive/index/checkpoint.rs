//! When rows are moved from memory to the tables, and how much of it at a time.
use std::collections::BTreeMap;

use super::super::retention::bytes;
use super::super::span::Span;
use super::Memory;
use super::moving::{Load, Moving, Stage, Writing};
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{META, META_MOVING, RELATED};
use crate::store::{AccountId, StoreError, Tx};

/// So many rows wait in memory (24 bytes each) before it is begun to move them to the tables.
const TAIL_ROWS_MAX: usize = 14_336;
/// And no more than this, and half as much again, is read at start to rebuild them.
const TAIL_BYTES_MAX: u64 = 4 << 20;
/// They are moved by the time that half as many came again.
const MEANWHILE_PER_ROW: usize = 2;
/// What is due is left until it is so much: each time the way to each table is written anew.
const WORK_MIN: u64 = 128;
impl Memory {
    /// Moves all rows to the tables.
    pub fn checkpoint(&mut self, txn: &WriteTransaction) -> Result<(), StoreError> {
        while self.checkpoint < self.next_sequence {
            self.step(txn)?;
        }
        Ok(())
    }

    /// From here on all up to a stanza are in the tables.
    pub fn settle(&mut self, txn: &WriteTransaction, sequence: u64) -> Result<(), StoreError> {
        let upto = self.next_sequence.min(sequence.saturating_add(1));
        while self.checkpoint < upto {
            self.step(txn)?;
        }
        Ok(())
    }

    /// From here on a stanza is in the tables, or nothing of it is there.
    pub fn settle_moving(
        &mut self,
        txn: &WriteTransaction,
        sequence: u64,
    ) -> Result<(), StoreError> {
        let is_moving = match self.moving.as_ref().map(|moving| &moving.stage) {
            _ if self.may_have_moved => true,
            None => false,
            Some(Stage::Looking(looking)) => looking.is_looked_at(sequence),
            Some(Stage::Writing(writing)) => sequence < writing.end,
        };
        match is_moving {
            true => self.settle(txn, sequence),
            false => Ok(()),
        }
    }

    /// Some of the work, begun if need be. True: there is more.
    pub fn move_some(&mut self, txn: &WriteTransaction, work: u64) -> Result<bool, StoreError> {
        let mut done = 0;
        while done < work && self.checkpoint < self.next_sequence {
            done += self.step(txn)?;
            if self.moving.is_none() {
                return Ok(false);
            }
        }
        Ok(self.moving.is_some())
    }

    /// The database was opened anew: what was in no journal is made again.
    pub fn begin_moving_anew(&mut self) {
        self.moving = None;
        self.may_have_moved = true;
    }

    fn in_memory(&self) -> Load {
        Load {
            stanzas: self.next_sequence - self.checkpoint,
            rows: self.tail_rows,
            bytes: self.tail_bytes,
        }
    }

    /// How much is to be done now.
    fn due(&self) -> u64 {
        let Load { rows, bytes, .. } = self.in_memory();
        let Some(moving) = &self.moving else {
            let is_due = rows >= TAIL_ROWS_MAX || bytes >= TAIL_BYTES_MAX;
            return u64::from(is_due);
        };
        let rows = rows.saturating_sub(moving.begun.rows);
        let bytes = bytes.saturating_sub(moving.begun.bytes);
        let of_rows = 100 * MEANWHILE_PER_ROW * rows / TAIL_ROWS_MAX;
        let of_bytes = 200 * bytes / TAIL_BYTES_MAX;
        let percent = u64::try_from(of_rows).unwrap_or(100).max(of_bytes).min(100);
        match moving.due(percent) {
            due if due < WORK_MIN && percent < 100 => 0,
            // The last step is work of its own.
            due => due + u64::from(percent == 100),
        }
    }

    /// Returns how much work it was.
    fn step(&mut self, txn: &WriteTransaction) -> Result<u64, StoreError> {
        let mut moving = self.moving.take().unwrap_or_else(|| {
            let span = Span {
                from: self.checkpoint,
                to: self.next_sequence,
            };
            Moving::begin(span, self.in_memory(), self.not_searched != Span::ALL)
        });
        let work = match moving.stage {
            Stage::Looking(mut looking) => {
                let (more, work) = looking.step(txn)?;
                moving.stage = match more {
                    true => Stage::Looking(looking),
                    false => {
                        let archives = self.archives_before(looking.end());
                        Stage::Writing(looking.into_writing(archives))
                    }
                };
                work
            }
            Stage::Writing(writing) if writing.archives.is_empty() => {
                self.moved(txn, &writing)?;
                return Ok(1);
            }
            Stage::Writing(ref mut writing) => {
                let tail = writing.archives.front();
                let tail = tail.and_then(|account| self.tail.get(account));
                let left = tail.map_or(&[][..], |tail| tail.within(writing.span()));
                writing.step(txn, left, (self.not_searched, self.may_have_moved))?
            }
        };
        moving.did(work);
        self.moving = Some(moving);
        Ok(work)
    }

    fn archives_before(&self, end: u64) -> Vec<AccountId> {
        let span = Span { from: 0, to: end };
        let tails = self.tail.iter();
        let some = tails.filter(|(_, tail)| !tail.within(span).is_empty());
        let mut archives: Vec<AccountId> = some.map(|(account, _)| *account).collect();
        archives.sort_unstable();
        archives
    }

    /// The last step: what was moved counts.
    fn moved(&mut self, txn: &WriteTransaction, moved: &Writing) -> Result<(), StoreError> {
        txn.is_for_the_file();
        let mut bytes = BTreeMap::new();
        for (account, tail) in &mut self.tail {
            let (rows, of_archive) = tail.leave(moved.end);
            self.tail_rows -= rows;
            if rows > 0 {
                bytes.insert(account.0, of_archive.cast_signed());
            }
        }
        self.tail.retain(|_, tail| !tail.is_empty());
        bytes::change(txn, &bytes)?;
        self.names.settle(txn, moved.end)?;
        let mut related = txn.open_table(RELATED)?;
        for (key, act) in &self.related {
            if key.2 < moved.end {
                related.insert(*key, *act)?;
            }
        }
        self.related.retain(|key, _| key.2 >= moved.end);
        drop(related);
        self.settled_bytes += moved.bytes;
        self.tail_bytes = self.tail_bytes.saturating_sub(moved.bytes);
        self.checkpoint = moved.end;
        txn.open_table(META)?.remove(META_MOVING)?;
        self.may_have_moved = false;
        self.save(txn)
    }
}

impl Tx {
    /// Moves rows to the tables if there are enough of them, and what was seen to its table if the batch writes anyway; called
    /// once per batch.
    pub fn checkpoint_if_due(&mut self) -> Result<(), StoreError> {
        if self.has_written() {
            self.write_seen()?;
        }
        let due = self.memory()?.due();
        if due > 0 {
            self.checkpoint_step(due)?;
        }
        Ok(())
    }

    /// Some of the work, begun if need be: so many stanzas, half rows and half KiB. True: there is more to do.
    pub fn checkpoint_step(&mut self, work: u64) -> Result<bool, StoreError> {
        let mut writing = self.writing()?;
        writing.memory.move_some(writing.txn, work)
    }

    /// It was begun.
    pub fn is_checkpoint_under_way(&self) -> Result<bool, StoreError> {
        Ok(self.memory()?.moving.is_some())
    }

    /// All of it at once.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        let mut writing = self.writing()?;
        writing.memory.checkpoint(writing.txn)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use crate::store::{Direction, Owner, Record, Store};
    use crate::xmpp::{Jid, Timestamp};

    use super::*;

    /// However fast they come, rows are moved meanwhile, and each batch does its part of it.
    #[test]
    fn rows_in_memory_are_bounded_and_no_batch_moves_many() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 20).unwrap();
        let jid = Jid::parse("romeo@localhost").unwrap();
        let owner = |account, direction| Owner {
            account: AccountId(account),
            direction,
            unseen: false,
        };
        let mut checkpoints = 0;
        for batch in 0..300_u32 {
            let mut tx = store.begin();
            for n in 0..64 {
                let owners = [
                    owner(n, Direction::Sent),
                    owner(64 + (batch + n) % 64, Direction::Received),
                ];
                tx.append(&Record {
                    owners: &owners,
                    from: &jid,
                    to: &jid,
                    at: Timestamp(1),
                    xml: "<message><body>But, soft! what light through yonder window</body></message>",
                    act: None,
                })
                .unwrap();
            }
            let done = |tx: &Tx| {
                let memory = tx.memory().unwrap();
                let moving = memory.moving.as_ref();
                (memory.checkpoint, moving.map_or(0, Moving::done))
            };
            let before = done(&tx);
            tx.checkpoint_if_due().unwrap();
            let after = done(&tx);
            if after.0 == before.0 {
                let work = after.1 - before.1;
                assert!(work < 2_500, "{work}");
            }
            checkpoints += usize::from(after.0 > before.0);
            let rows = tx.memory().unwrap().tail_rows;
            assert!(rows <= TAIL_ROWS_MAX * 3 / 2 + 256, "{rows}");
            tx.finish().unwrap().run().unwrap();
        }
        assert!(checkpoints >= 2, "{checkpoints}");
    }
}
