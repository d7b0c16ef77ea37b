//! The memory budget, and the order in which it gives way when it is reached:
//!
//! 1. the shell forgets TLS sessions and gives spare buffers back;
//! 2. sessions that are away go to the store, those that hold most first;
//! 3. so do the queues of those that are there;
//! 4. the shell ends connections that do not read what was sent to them, those with most first;
//! 5. nobody new is let in.
use std::cmp::Reverse;

use crate::state::{MemoryAccount, Moment, Outbox, SessionId};
use crate::store::{StoreError, Tx};

use super::{Server, hibernation, management};

impl Server {
    /// A look at the account; `outside_bytes` is what the shell holds. Gives way until the budget is kept, or nothing is
    /// left to give.
    pub(super) fn keep_budget(
        &mut self,
        now: Moment,
        outside_bytes: usize,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let mut account = self.memory_account(outside_bytes);
        let bytes_max = self.state.settings.memory_bytes_max;
        let before = account.total();
        if before > bytes_max {
            // Not to come back at once.
            let wanted = bytes_max - bytes_max / 8;
            let mut excess = before.saturating_sub(wanted);
            for session in self.sessions_by_size(now, tx, out) {
                if excess == 0 {
                    break;
                }
                let freed = management::hibernate(&mut self.cx(now, tx, out), session)?;
                excess = excess.saturating_sub(freed);
            }
            account = self.memory_account(outside_bytes);
            log::warn!(
                "memory.full bytes={before} now={} memory_bytes_max={bytes_max}",
                account.total()
            );
        }
        self.state.memory = account;
        Ok(())
    }

    /// Sessions that hold something, those that are away first, of these the largest.
    fn sessions_by_size(&mut self, now: Moment, tx: &mut Tx, out: &mut Outbox) -> Vec<SessionId> {
        let cx = self.cx(now, tx, out);
        let sessions = cx.state.sessions.all().filter(|known| !known.is_asleep());
        let mut by_size: Vec<_> = sessions
            .map(|known| {
                let bytes = hibernation::memory_bytes(&cx, known.id);
                (known.connection.is_some(), Reverse(bytes), known.id)
            })
            .filter(|(_, Reverse(bytes), _)| *bytes > 0)
            .collect();
        by_size.sort_unstable();
        by_size.into_iter().map(|(_, _, id)| id).collect()
    }

    fn memory_account(&self, outside_bytes: usize) -> MemoryAccount {
        let mut account = MemoryAccount {
            outside: outside_bytes,
            ..MemoryAccount::default()
        };
        for session in self.state.sessions.all() {
            account.count(session);
        }
        for (_, connection) in self.connections.iter() {
            account.unread += connection.stream.held_bytes();
        }
        account
    }
}
