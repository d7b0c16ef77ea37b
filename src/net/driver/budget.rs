//! The shell's part of the memory budget; `server::upkeep::thrift` has the order in which it gives way.
use std::cmp::Reverse;

use super::Driver;
use crate::net::connection::Connection;
use crate::server::Input;
use crate::store::{StoreError, Tx};

/// Time between looks while something happens, and while nobody is let in.
const LOOK_MS: u64 = 1_000;
const LOOK_SOON_MS: u64 = 100;

/// What rustls holds of a handshake under way, beside the input that is not whole yet.
const HANDSHAKE_BYTES: usize = 12 << 10;

/// When to look at the account again.
#[derive(Default)]
pub struct Looks {
    due_ms: u64,
    /// Bytes that came and went since: memory cannot have grown by much more,
    moved_bytes: usize,
    /// but by what connections hold that never came so far; so much they held then.
    held_bytes: usize,
    /// Nobody is let in meanwhile.
    is_soon: bool,
}

impl Looks {
    pub fn note(&mut self, bytes: usize) {
        self.moved_bytes += bytes;
    }

    /// When to look although nothing happens.
    pub fn soon_ms(&self) -> Option<u64> {
        self.is_soon.then_some(self.due_ms)
    }

    fn soon(&mut self, now_ms: u64) {
        (self.due_ms, self.is_soon) = (now_ms + LOOK_SOON_MS, true);
    }

    fn is_due(&mut self, now_ms: u64, held_bytes: usize, bytes_max: usize) -> bool {
        let grown_bytes = held_bytes.saturating_sub(self.held_bytes);
        let is_due = now_ms >= self.due_ms || self.moved_bytes + grown_bytes >= bytes_max / 16;
        if is_due {
            *self = Looks {
                due_ms: now_ms + LOOK_MS,
                moved_bytes: 0,
                held_bytes,
                is_soon: false,
            };
        }
        is_due
    }
}

impl Driver {
    /// With each batch: keeps the budget, if it is time to look.
    pub(super) fn keep_budget(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let bytes_max = self.server.state().settings.memory_bytes_max;
        let now_ms = self.shell.clock.monotonic_ms();
        if !self.looks.is_due(now_ms, self.held_bytes(), bytes_max) {
            return Ok(());
        }
        let mut outside_bytes = self.outside_bytes();
        if self.server.state().memory.inside() + outside_bytes > bytes_max {
            self.shell.identities.limit_sessions(0);
            self.ebb.forget_told(&self.shell);
            self.shell.drop_buffers();
            let inside_bytes = self.server.state().memory.inside();
            let over = (inside_bytes + self.outside_bytes()).saturating_sub(bytes_max);
            self.end_strangers(over, tx)?;
            outside_bytes = self.outside_bytes();
        }
        self.step(Input::Memory { outside_bytes }, tx)?;
        // What the core holds is known only now.
        let over = self.server.state().memory.total().saturating_sub(bytes_max);
        self.end_strangers(over, tx)?;
        let inside_bytes = self.server.state().memory.inside();
        let over = (inside_bytes + self.outside_bytes()).saturating_sub(bytes_max);
        let mut left = over.saturating_sub(self.end_slow_readers(over));
        if left > 0 {
            let before = self.server.state().memory.inside();
            self.step(Input::MemoryOver { bytes: left }, tx)?;
            let freed = before.saturating_sub(self.server.state().memory.inside());
            left = left.saturating_sub(freed);
        }
        self.shell.census.close(left > 0);
        if left > 0 {
            self.looks.soon(now_ms);
        }
        Ok(())
    }

    /// What is in memory beside the core.
    pub(super) fn outside_bytes(&self) -> usize {
        self.store.cache_bytes()
            + self.shell.identities.current().session_bytes()
            + self.batch.out.bytes.capacity()
            + self.horizon.held_bytes()
            + self.store.waiting_bytes()
            + self.held_bytes()
    }

    /// What connections and their handshakes hold.
    fn held_bytes(&self) -> usize {
        let held = &self.shell.held;
        self.shell.inbox.bytes()
            + held.unsent.get()
            + held.leftovers.get()
            + held.handshakes.get() * HANDSHAKE_BYTES
    }

    /// Strangers whose handshakes and half records hold most, of these the oldest first.
    fn end_strangers(&mut self, wanted: usize, tx: &mut Tx) -> Result<(), StoreError> {
        if wanted == 0 {
            return Ok(());
        }
        let held_by = |stranger: &Connection| {
            let handshakes = usize::from(stranger.is_in_handshake());
            stranger.leftover_bytes() + handshakes * HANDSHAKE_BYTES
        };
        let mut strangers: Vec<_> = self.shell.sockets.all();
        strangers.retain(|stranger| {
            stranger.is_open() && !stranger.is_member() && held_by(stranger) > 0
        });
        strangers.sort_by_key(|stranger| (Reverse(held_by(stranger)), stranger.id));
        let mut freed = 0;
        for stranger in strangers {
            if freed >= wanted {
                break;
            }
            freed += held_by(&stranger);
            log::info!("connection.reclaimed connection={}", stranger.id.0);
            let connection = stranger.id;
            self.step(Input::Closed { connection }, tx)?;
            stranger.abandon(&self.shell);
        }
        Ok(())
    }

    /// Returns how many bytes came free.
    fn end_slow_readers(&mut self, wanted: usize) -> usize {
        if wanted == 0 {
            return 0;
        }
        let mut slow: Vec<_> = self.shell.sockets.all();
        slow.retain(|connection| connection.is_open() && connection.unsent_bytes() > 0);
        slow.sort_by_key(|connection| Reverse(connection.unsent_bytes()));
        let mut freed = 0;
        for connection in slow {
            if freed >= wanted {
                break;
            }
            freed += connection.unsent_bytes();
            self.overflow(&connection);
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_with_time_and_with_traffic() {
        let mut looks = Looks::default();
        assert!(looks.is_due(0, 0, 1600));
        assert!(!looks.is_due(LOOK_MS - 1, 0, 1600));
        looks.note(99);
        assert!(!looks.is_due(LOOK_MS - 1, 0, 1600));
        looks.note(1);
        assert!(looks.is_due(LOOK_MS - 1, 0, 1600));
        assert!(!looks.is_due(LOOK_MS, 99, 1600));
        assert!(looks.is_due(LOOK_MS, 100, 1600));
        assert!(!looks.is_due(LOOK_MS + 1, 100, 1600));
        assert!(looks.is_due(3 * LOOK_MS, 0, 1600));
    }
}
