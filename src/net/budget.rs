//! The shell's part of the memory budget; `server::thrift` has the order in which it gives way.
use std::cmp::Reverse;

use super::driver::Driver;
use crate::server::Input;
use crate::store::{StoreError, Tx};

/// Time between looks while something happens.
const LOOK_MS: u64 = 1_000;

/// When to look at the account again.
#[derive(Default)]
pub struct Looks {
    due_ms: u64,
    /// Bytes that came and went since: memory cannot have grown by much more.
    moved_bytes: usize,
}

impl Looks {
    pub fn note(&mut self, bytes: usize) {
        self.moved_bytes += bytes;
    }

    fn is_due(&mut self, now_ms: u64, bytes_max: usize) -> bool {
        let is_due = now_ms >= self.due_ms || self.moved_bytes >= bytes_max / 16;
        if is_due {
            *self = Looks {
                due_ms: now_ms + LOOK_MS,
                moved_bytes: 0,
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
        if !self.looks.is_due(now_ms, bytes_max) {
            return Ok(());
        }
        let mut outside_bytes = self.outside_bytes();
        if self.server.state().memory.inside() + outside_bytes > bytes_max {
            self.shell.identities.limit_sessions(0);
            self.ebb.forget_told(&self.shell);
            self.shell.drop_buffers();
            outside_bytes = self.outside_bytes();
        }
        self.step(Input::Memory { outside_bytes }, tx)?;
        let over = self.server.state().memory.total().saturating_sub(bytes_max);
        let left = over.saturating_sub(self.end_slow_readers(over));
        self.shell.census.close(left > 0);
        Ok(())
    }

    /// What is in memory beside the core.
    pub(super) fn outside_bytes(&self) -> usize {
        let (shell, held) = (&self.shell, &self.shell.held);
        self.store.cache_bytes()
            + shell.identities.current().session_bytes()
            + shell.inbox.bytes()
            + held.unsent.get()
            + held.leftovers.get()
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
        assert!(looks.is_due(0, 1600));
        assert!(!looks.is_due(LOOK_MS - 1, 1600));
        looks.note(99);
        assert!(!looks.is_due(LOOK_MS - 1, 1600));
        looks.note(1);
        assert!(looks.is_due(LOOK_MS - 1, 1600));
        assert!(!looks.is_due(LOOK_MS, 1600));
        assert!(looks.is_due(2 * LOOK_MS, 1600));
    }
}
