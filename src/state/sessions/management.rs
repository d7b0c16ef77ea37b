//! XEP-0198: what one session sent and has not been told was received, and how many stanzas it received itself.
//!
//! The queue is one list in order: its older part may be in the store, its newer part is in memory. A stanza of the
//! archive is kept as its id, for its bytes can be made again.
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use crate::store::{ArchiveId, QueueRow};

/// Stanzas sent since the last request after which another is made.
const ASK_AFTER_STANZAS: u32 = 32;
/// Bytes sent since the last request after which another is made.
const ASK_AFTER_BYTES: usize = 16 << 10;
/// Bytes that the queue of a session may have in memory while its client is connected, and while it is not; what is more
/// goes to the store.
pub const CONNECTED_BYTES_MAX: usize = 1 << 20;
pub const DETACHED_BYTES_MAX: usize = 64 << 10;
/// Bytes that the queue of a session may have in the store, and stanzas in all; reaching either ends the session.
pub const STORED_BYTES_MAX: u64 = 16 << 20;
pub const UNACKNOWLEDGED_MAX: u64 = 20_000;

/// How a stanza of the archive looks to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it came, with the account's stanza-id.
    Direct,
    /// As a copy of what another session of the account received or sent (XEP-0280).
    Received,
    Sent,
    /// As a channel elsewhere sent it to the account, to the session's own JID (XEP-0405 §2.2).
    ToSession,
    /// As a channel of our own sends it to a participant: it is in the channel's archive.
    Member,
    /// The same to an occupant of the room.
    Occupant,
}

impl Form {
    pub fn code(self) -> u8 {
        match self {
            Form::Direct => 0,
            Form::Received => 1,
            Form::Sent => 2,
            Form::ToSession => 3,
            Form::Member => 4,
            Form::Occupant => 5,
        }
    }

    pub fn of_code(code: u8) -> Form {
        match code {
            0 => Form::Direct,
            1 => Form::Received,
            3 => Form::ToSession,
            4 => Form::Member,
            5 => Form::Occupant,
            _ => Form::Sent,
        }
    }
}

/// How to keep a stanza until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As it is. `shared`: another session gets it as well.
    Whole { shared: bool },
    /// By its id in the archive.
    Archived(ArchiveId, Form),
}

impl Keep {
    pub const WHOLE: Keep = Keep::Whole { shared: false };

    /// The id of a message that the account received, and of which it matters whether any session got it.
    pub fn received(self) -> Option<ArchiveId> {
        match self {
            Keep::Archived(id, Form::Direct | Form::Received) => Some(id),
            _ => None,
        }
    }
}

/// An `h` beyond what was ever sent (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHigh {
    pub h: u32,
    pub sent: u32,
}

/// What an acknowledgement took out of the queue.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Positions in the store.
    pub stored: Range<u64>,
    /// Messages that the account received, of the part in memory.
    pub received: Vec<ArchiveId>,
}

/// The counters and the queue of one session. Counters are modulo 2^32 (§4).
#[derive(Debug, Default)]
pub struct Management {
    /// Name of the session for resumption, if it may be resumed. Whoever knows it and the account's password may.
    pub name: Option<Rc<str>>,
    /// How long it may be away, in seconds.
    pub resume_seconds: u32,
    /// Stanzas of the client that were handled.
    pub received: u32,
    acknowledged: u32,
    /// Positions of the older part, in the store, and its bytes there.
    stored: Range<u64>,
    stored_bytes: u64,
    queue: VecDeque<QueueRow>,
    queue_bytes: usize,
    /// Of these, bytes that others hold as well.
    shared_bytes: usize,
    /// On a new connection what was sent before is sent again, in portions; from this position on it still is to be.
    again_from: Option<u64>,
    stanzas_since_ask: u32,
    bytes_since_ask: usize,
    asked: bool,
}

impl Management {
    /// Counts a stanza of so many bytes that is being sent. True: ask for an acknowledgement behind it.
    pub fn sent(&mut self, row: QueueRow, bytes: usize) -> bool {
        self.queue_bytes += footprint(&row);
        self.shared_bytes += shared_bytes(&row);
        self.queue.push_back(row);
        self.stanzas_since_ask += 1;
        self.bytes_since_ask += bytes;
        if self.stanzas_since_ask < ASK_AFTER_STANZAS && self.bytes_since_ask < ASK_AFTER_BYTES {
            return false;
        }
        self.ask()
    }

    /// Notes a request that is about to be made; false: there is nothing to ask about.
    pub fn ask(&mut self) -> bool {
        if self.unacknowledged() == 0 {
            return false;
        }
        self.asked = true;
        self.stanzas_since_ask = 0;
        self.bytes_since_ask = 0;
        true
    }

    /// The peer handled everything up to `h`.
    pub fn acknowledge(&mut self, h: u32) -> Result<Acknowledged, TooHigh> {
        let newly = u64::from(h.wrapping_sub(self.acknowledged));
        if newly > self.unacknowledged() {
            let sent = self.sent_count();
            return Err(TooHigh { h, sent });
        }
        let from = self.stored.start;
        let of_store = newly.min(self.stored.end - from);
        self.stored.start += of_store;
        let of_memory = usize::try_from(newly - of_store).unwrap_or(usize::MAX);
        let mut received = Vec::new();
        for row in self.queue.drain(..of_memory) {
            self.queue_bytes -= footprint(&row);
            self.shared_bytes -= shared_bytes(&row);
            received.extend(received_id(&row));
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        self.acknowledged = h;
        self.asked = false;
        Ok(Acknowledged {
            stored: from..self.stored.start,
            received,
        })
    }

    /// Stanzas sent ever, modulo 2^32.
    pub fn sent_count(&self) -> u32 {
        // There are never 2^32 of them waiting.
        let waiting = u32::try_from(self.unacknowledged()).unwrap_or(u32::MAX);
        self.acknowledged.wrapping_add(waiting)
    }

    /// How many stanzas are not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        let of_memory = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        self.stored.end - self.stored.start + of_memory
    }

    /// How near the queue is to one of its limits, in sixteenths; 0: not a quarter.
    pub fn fullness(&self) -> u64 {
        let stanzas = self.unacknowledged();
        if stanzas < UNACKNOWLEDGED_MAX / 4 && self.stored_bytes < STORED_BYTES_MAX / 4 {
            return 0;
        }
        let bytes = self.stored_bytes.saturating_mul(16) / STORED_BYTES_MAX;
        bytes.max(stanzas * 16 / UNACKNOWLEDGED_MAX)
    }

    /// The part of the queue in memory, oldest first.
    pub fn queue(&self) -> impl Iterator<Item = &QueueRow> {
        self.queue.iter()
    }

    /// Messages in memory that the account received and this session has not acknowledged.
    pub fn received_ids(&self) -> impl Iterator<Item = ArchiveId> {
        self.queue.iter().filter_map(received_id)
    }

    /// Of the part in memory: it was given to another session, too.
    pub fn share(&mut self, position: u64) {
        let index = position.checked_sub(self.stored.end);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let row = index.and_then(|index| self.queue.get_mut(index));
        if let Some(QueueRow::Whole { shared, .. }) = row {
            *shared = true;
        }
    }

    /// Positions of the part in the store.
    pub fn stored(&self) -> Range<u64> {
        self.stored.clone()
    }

    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// What the queue takes in memory, or would if it shared nothing with others.
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// What it takes by itself.
    pub fn own_bytes(&self) -> usize {
        self.queue_bytes - self.shared_bytes
    }

    /// Takes the part in memory, to be appended to the part in the store at the position returned. It counts as stored.
    pub fn take_queue(&mut self) -> (u64, VecDeque<QueueRow>) {
        let queue = std::mem::take(&mut self.queue);
        (self.queue_bytes, self.shared_bytes) = (0, 0);
        let from = self.stored.end;
        self.stored.end += u64::try_from(queue.len()).unwrap_or(u64::MAX);
        (from, queue)
    }

    /// The part in the store grew or shrank.
    pub fn set_stored_bytes(&mut self, bytes: u64) {
        self.stored_bytes = bytes;
    }

    /// Something waits for an acknowledgement that was not asked for.
    pub fn needs_ask(&self) -> bool {
        !self.asked && self.unacknowledged() > 0
    }

    /// The counters of a session that comes back from the store.
    pub fn restore(
        name: &str,
        resume_seconds: u32,
        (received, acknowledged): (u32, u32),
        (stored, stored_bytes): (Range<u64>, u64),
    ) -> Management {
        Management {
            name: Some(name.into()),
            resume_seconds,
            received,
            acknowledged,
            stored,
            stored_bytes,
            ..Management::default()
        }
    }

    pub fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// A new connection: everything is sent again, and whatever was asked on the old one will not be answered.
    pub fn reconnected(&mut self) {
        self.asked = false;
        self.again_from = (self.unacknowledged() > 0).then_some(self.stored.start);
    }

    /// The next position to send again; `None`: all is sent, and what comes is sent at once.
    pub fn again_from(&self) -> Option<u64> {
        // What was acknowledged meanwhile need not be sent.
        self.again_from.map(|from| from.max(self.stored.start))
    }

    /// Everything before this position was sent again.
    pub fn sent_again(&mut self, up_to: u64) {
        let end = self.stored.start + self.unacknowledged();
        self.again_from = (up_to < end).then_some(up_to);
    }

    /// The part in memory from a position on.
    pub fn queue_from(&self, position: u64) -> impl Iterator<Item = &QueueRow> {
        let skipped = position.saturating_sub(self.stored.end);
        self.queue
            .iter()
            .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    }
}

/// What a stanza takes in memory.
fn footprint(row: &QueueRow) -> usize {
    let bytes = match row {
        QueueRow::Whole { stanza, .. } => stanza.len(),
        QueueRow::Archived { .. } => 0,
    };
    size_of::<QueueRow>() + bytes
}

fn shared_bytes(row: &QueueRow) -> usize {
    match row {
        QueueRow::Whole { stanza, .. } => stanza.shared_len(),
        QueueRow::Archived { .. } => 0,
    }
}

/// The id of a message that the account received.
pub fn received_id(row: &QueueRow) -> Option<ArchiveId> {
    match row {
        QueueRow::Archived { id, form } => Keep::Archived(*id, Form::of_code(*form)).received(),
        QueueRow::Whole { .. } => None,
    }
}
