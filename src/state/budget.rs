//! What memory is used for, and how much of it may be.
use std::collections::HashMap;
use std::hash::Hash;

use super::sessions::session::Session;

/// A table with fewer places keeps them.
const PLACES_KEPT: usize = 64;

/// Puts a table where memory is free by now: one that shrank while others still were there lies among what they left.
pub fn resettle<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    *table = std::mem::take(table).into_iter().collect();
}

/// A table that has emptied gives its room back; one that is in use keeps it.
pub fn give_back_room<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > PLACES_KEPT && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
}

/// What a session takes beside what it holds, awake and asleep: its tables, its connection and its stream. Measured by the
/// benchmark's `idle` and by `tests/bench/allocations.rs`.
const AWAKE_BYTES: usize = 5 << 10;
const ASLEEP_BYTES: usize = 1 << 10;

/// What memory is used for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryAccount {
    /// Sessions by themselves.
    pub sessions: usize,
    /// What clients have not acknowledged.
    pub queues: usize,
    /// What waits for inactive clients.
    pub held: usize,
    /// What several of these share, once.
    pub shared: usize,
    /// Input that is not whole yet.
    pub unread: usize,
    /// What the shell holds: the database's cache, TLS sessions, what connections did not take yet.
    pub outside: usize,
}

impl MemoryAccount {
    pub fn count(&mut self, session: &Session) {
        self.sessions += match session.is_asleep() {
            true => ASLEEP_BYTES,
            false => AWAKE_BYTES,
        };
        self.queues += session.management.as_ref().map_or(0, |m| m.own_bytes());
        self.held += session.held.as_ref().map_or(0, |held| held.own_bytes());
    }

    /// The core's part.
    pub fn inside(&self) -> usize {
        self.sessions + self.queues + self.held + self.shared + self.unread
    }

    pub fn total(&self) -> usize {
        self.inside() + self.outside
    }
}
