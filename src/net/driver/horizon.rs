//! What waits for the disk: outputs that tell of something that is not durable yet. One commit is on its way to the disk at a
//! time; what is stepped meanwhile gathers in the next, the more the slower the disk is. Everybody who is told nothing of
//! either is answered at once.
use std::rc::Rc;

use super::Driver;
use crate::net::connection::Connection;
use crate::state::{ConnectionId, Outbox, Output};
use crate::store::{Epoch, StoreError, Tx};

/// Bytes that may wait for the disk to be sent, and that may be written meanwhile; then nothing is stepped until it is done.
const HELD_BYTES_MAX: usize = 1 << 20;
const WRITTEN_BYTES_MAX: usize = 1 << 20;
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Outputs that wait for one commit, in order.
#[derive(Default)]
pub struct Held {
    pub out: Outbox,
    /// Plain connections read on only after these outputs.
    pub plain: Vec<Rc<Connection>>,
    /// What TLS has to say leaves with the outputs.
    pub flights: Vec<ConnectionId>,
    /// Where the bytes of the batch are among its bytes, once they are.
    batch_at: Option<usize>,
}

/// What waits for the commit on its way to the disk, and for the next one.
#[derive(Default)]
pub struct Horizon {
    /// `None`: nothing is on its way.
    under_way: Option<Epoch>,
    first: Held,
    next: Held,
}

impl Held {
    fn bytes(&self) -> usize {
        self.out.queued_bytes.max(self.out.bytes.len())
    }
}

impl Horizon {
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Memory that waiting outputs take.
    pub fn held_bytes(&self) -> usize {
        self.first.out.bytes.capacity() + self.next.out.bytes.capacity()
    }

    fn held_for(&mut self, until: Epoch) -> &mut Held {
        match self.under_way.is_some_and(|under_way| until <= under_way) {
            true => &mut self.first,
            false => &mut self.next,
        }
    }
}

impl Driver {
    /// So much waits for the disk that nothing more is stepped before it is done.
    pub(super) fn is_far_ahead(&self, tx: &Tx) -> bool {
        let horizon = &self.horizon;
        horizon.is_under_way()
            && (horizon.first.bytes() + horizon.next.bytes() >= HELD_BYTES_MAX
                || tx.written_bytes() >= WRITTEN_BYTES_MAX
                || self.store.waiting_bytes() >= WAITING_BYTES_MAX)
    }

    /// Hands what was written to the storage thread, unless something is on its way there.
    pub(super) fn commit(&mut self, tx: Tx) -> Result<Tx, StoreError> {
        if self.horizon.is_under_way() || !tx.has_written() {
            return Ok(tx);
        }
        if let Some(commit) = tx.finish() {
            let flush = commit.begin()?;
            self.horizon.under_way = Some(flush.epoch());
            std::mem::swap(&mut self.horizon.first, &mut self.horizon.next);
            let done = self.committed.0.clone();
            self.storage.run(flush, move |result| {
                // There is room: one commit runs at a time.
                let _gone = done.try_send(result);
            });
        }
        Ok(self.store.begin())
    }

    /// What was on its way is on the disk.
    pub(super) fn landed(&mut self) {
        let Some(epoch) = self.horizon.under_way.take() else {
            return;
        };
        self.commits += 1;
        self.store.is_durable(epoch);
        let mut held = std::mem::take(&mut self.horizon.first);
        self.perform(&mut held.out);
        self.send_flights(&mut held.flights);
        self.read_on_plain(&mut held.plain);
        held.out.settle();
        self.horizon.first = held;
    }

    /// Sets aside what waits; what is left in the batch waits for nothing.
    pub(super) fn set_aside(&mut self) {
        let durable = self.store.durable();
        let out = &mut self.batch.out;
        if out.until.iter().all(|until| *until <= durable) {
            return;
        }
        out.until.resize(out.outputs.len(), Epoch::default());
        // What a chunk led to leaves together, as one write.
        let together = |(until, output): (Epoch, &Output)| match output.connection() {
            Some(id) => until.max(self.store.of_connection(id.0)),
            None => until,
        };
        let untils: Vec<Epoch> = out
            .until
            .drain(..)
            .zip(&out.outputs)
            .map(together)
            .collect();
        let first_until = untils.first().copied().unwrap_or_default();
        let is_one = untils.iter().all(|it| *it == first_until);
        let held = self.horizon.held_for(first_until);
        if is_one
            && first_until > durable
            && held.out.bytes.is_empty()
            && held.out.outputs.is_empty()
        {
            std::mem::swap(&mut held.out, out);
        } else {
            self.pick(&untils, durable);
        }
        let (store, horizon) = (&self.store, &mut self.horizon);
        let waits = |id: ConnectionId| {
            let until = store.of_connection(id.0);
            (until > durable).then_some(until)
        };
        self.batch.held.retain(|connection| {
            let Some(until) = waits(connection.id) else {
                return true;
            };
            horizon.held_for(until).plain.push(Rc::clone(connection));
            false
        });
        self.batch.flights.retain(|id| {
            let Some(until) = waits(*id) else {
                return true;
            };
            horizon.held_for(until).flights.push(*id);
            false
        });
    }

    /// Moves outputs that wait to the others of their commit, with the bytes of the batch.
    fn pick(&mut self, untils: &[Epoch], durable: Epoch) {
        let out = &mut self.batch.out;
        (self.horizon.first.batch_at, self.horizon.next.batch_at) = (None, None);
        let mut free = Vec::new();
        for (at, mut output) in std::mem::take(&mut out.outputs).into_iter().enumerate() {
            let until = untils.get(at).copied().unwrap_or_default();
            if until <= durable {
                free.push(output);
                continue;
            }
            let held = self.horizon.held_for(until);
            if let Output::Send { bytes, .. } = &mut output {
                let base = held.batch_at.unwrap_or(held.out.bytes.len());
                if held.batch_at.replace(base).is_none() {
                    held.out.bytes.extend_from_slice(&out.bytes);
                }
                held.out.queued_bytes += bytes.len();
                *bytes = base + bytes.start..base + bytes.end;
            }
            held.out.outputs.push(output);
        }
        out.outputs = free;
    }

    pub(super) fn send_flights(&mut self, flights: &mut Vec<ConnectionId>) {
        for id in flights.drain(..) {
            if let Some(open) = self.open(id) {
                open.send_flight(&self.shell);
            }
        }
    }

    /// Their outputs were performed.
    pub(super) fn read_on_plain(&mut self, plain: &mut Vec<Rc<Connection>>) {
        for connection in plain.drain(..) {
            connection.chunk_done();
            connection.read_on(&self.shell);
        }
    }
}
