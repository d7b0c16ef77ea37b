//! XEP-0198: what one session sent and has not been told was received, and how many stanzas it received itself.
use std::collections::VecDeque;

use crate::store::ArchiveId;

/// Stanzas sent since the last request after which another is made.
const ASK_AFTER_STANZAS: u32 = 32;
/// Bytes sent since the last request after which another is made.
const ASK_AFTER_BYTES: usize = 16 << 10;
/// Bytes one session may have unacknowledged; reaching it ends the connection, or the session if nobody is connected.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 1 << 20;

/// A stanza that was sent and not acknowledged.
#[derive(Clone, Debug)]
pub struct Unacknowledged {
    pub stanza: Box<[u8]>,
    /// Its place in the account's archive: it needs no second copy if the session never comes back.
    pub archived: Option<ArchiveId>,
}

/// An `h` beyond what was ever sent (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHigh {
    pub h: u32,
    pub sent: u32,
}

/// The counters and the queue of one session. Counters are modulo 2^32 (§4).
#[derive(Debug, Default)]
pub struct Management {
    /// Name of the session for resumption, if it may be resumed.
    pub id: Option<Box<str>>,
    /// How long it may be away, in seconds.
    pub resume_seconds: u32,
    /// Stanzas of the client that were handled.
    pub received: u32,
    acknowledged: u32,
    queue: VecDeque<Unacknowledged>,
    queue_bytes: usize,
    stanzas_since_ask: u32,
    bytes_since_ask: usize,
    asked: bool,
}

impl Management {
    /// Counts a stanza that is being sent. True: ask for an acknowledgement behind it.
    pub fn sent(&mut self, stanza: &[u8], archived: Option<ArchiveId>) -> bool {
        self.queue.push_back(Unacknowledged {
            stanza: stanza.into(),
            archived,
        });
        self.queue_bytes += stanza.len();
        self.stanzas_since_ask += 1;
        self.bytes_since_ask += stanza.len();
        if self.stanzas_since_ask < ASK_AFTER_STANZAS && self.bytes_since_ask < ASK_AFTER_BYTES {
            return false;
        }
        self.ask()
    }

    /// Asks unless a request is on its way already and little was sent since.
    pub fn ask(&mut self) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        self.asked = true;
        self.stanzas_since_ask = 0;
        self.bytes_since_ask = 0;
        true
    }

    /// The peer handled everything up to `h`.
    pub fn acknowledge(&mut self, h: u32) -> Result<(), TooHigh> {
        let newly = h.wrapping_sub(self.acknowledged);
        let sent = self.sent_count();
        let count = usize::try_from(newly).unwrap_or(usize::MAX);
        if count > self.queue.len() {
            return Err(TooHigh { h, sent });
        }
        for done in self.queue.drain(..count) {
            self.queue_bytes -= done.stanza.len();
        }
        if self.queue.is_empty() {
            self.queue.shrink_to_fit();
        }
        self.acknowledged = h;
        self.asked = false;
        Ok(())
    }

    /// Stanzas sent ever, modulo 2^32.
    pub fn sent_count(&self) -> u32 {
        let waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX);
        self.acknowledged.wrapping_add(waiting)
    }

    pub fn unacknowledged(&self) -> impl Iterator<Item = &Unacknowledged> {
        self.queue.iter()
    }

    pub fn unacknowledged_bytes(&self) -> usize {
        self.queue_bytes
    }

    pub fn is_full(&self) -> bool {
        self.queue_bytes > UNACKNOWLEDGED_BYTES_MAX
    }

    /// Nothing waits for an acknowledgement that was not asked for.
    pub fn needs_ask(&self) -> bool {
        !self.asked && !self.queue.is_empty()
    }

    /// The counters of a session that comes back from the store.
    pub fn restore(id: &str, resume_seconds: u32, received: u32, acknowledged: u32) -> Management {
        Management {
            id: Some(id.into()),
            resume_seconds,
            received,
            acknowledged,
            ..Management::default()
        }
    }

    pub fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// A new connection: whatever was asked on the old one will not be answered.
    pub fn reconnected(&mut self) {
        self.asked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_wrap() {
        let mut management = Management::restore("id", 600, 0, u32::MAX - 1);
        for _ in 0..4 {
            management.sent(b"<message/>", None);
        }
        assert_eq!(management.sent_count(), 2);
        assert_eq!(management.acknowledge(u32::MAX), Ok(()));
        assert_eq!(management.unacknowledged().count(), 3);
        assert_eq!(management.acknowledge(1), Ok(()));
        assert_eq!(management.unacknowledged().count(), 1);
        assert_eq!(management.acknowledge(3), Err(TooHigh { h: 3, sent: 2 }));
        assert_eq!(
            management.acknowledge(1),
            Ok(()),
            "an acknowledgement may be repeated"
        );
        assert_eq!(management.unacknowledged_bytes(), 10);
    }

    #[test]
    fn asks_rarely_and_by_bytes() {
        let mut management = Management::default();
        let asked = (0..320)
            .filter(|_| management.sent(b"<message/>", None))
            .count();
        assert_eq!(asked, 10);
        let mut management = Management::default();
        assert!(management.sent(&[b'x'; ASK_AFTER_BYTES], None));
    }

    #[test]
    fn says_when_it_is_full() {
        let mut management = Management::default();
        while !management.is_full() {
            management.sent(&[b'x'; 10_000], None);
        }
        assert!(management.unacknowledged_bytes() <= UNACKNOWLEDGED_BYTES_MAX + 10_000);
    }
}
