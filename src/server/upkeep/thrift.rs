//! The memory budget, and the order in which it gives way when it is reached:
//!
//! 1. the shell forgets TLS sessions and gives spare buffers back, and ends strangers whose handshakes are not over;
//! 2. strangers end whose elements are not whole, those that hold most first;
//! 3. sessions that are away go to the store, those that hold most first;
//! 4. so do the queues of those that are there;
//! 5. the shell ends connections that do not read what was sent to them, those with most first;
//! 6. members end that hold much of what is not whole;
//! 7. nobody new is let in.
use std::cmp::Reverse;

use crate::state::{MemoryAccount, SessionId};
use crate::store::StoreError;
use crate::xmpp::{StreamCondition, StreamError};

use crate::server::session::hibernation;
use crate::server::{Server, Step};

/// A member that holds less of what is not whole is left alone.
const UNREAD_BYTES_MIN: usize = 16 << 10;
/// What a connection takes that has no session, beside its handshake and its input.
const STRANGER_BYTES: usize = 2 << 10;

impl Server {
    /// A look at the account; `outside_bytes` is what the shell holds. Gives way until the budget is kept, or nothing is
    /// left to give.
    pub(in crate::server) fn keep_budget(
        &mut self,
        step: &mut Step<'_>,
        outside_bytes: usize,
    ) -> Result<(), StoreError> {
        let mut account = self.memory_account(outside_bytes);
        let bytes_max = self.state.settings.memory_bytes_max;
        let before = account.total();
        if before > bytes_max {
            // Not to come back at once.
            let wanted = bytes_max - bytes_max / 8;
            let mut excess = before.saturating_sub(wanted);
            excess = self.end_half_sent(step, excess, (false, 0))?;
            for session in self.sessions_by_size(step) {
                if excess == 0 {
                    break;
                }
                let freed = hibernation::hibernate(&mut self.cx(step), session)?;
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

    pub(in crate::server) fn end_half_sent_of_members(
        &mut self,
        step: &mut Step<'_>,
        excess: usize,
    ) -> Result<(), StoreError> {
        self.end_half_sent(step, excess, (true, UNREAD_BYTES_MIN))?;
        self.state.memory = self.memory_account(self.state.memory.outside);
        Ok(())
    }

    /// Ends streams of members, or of strangers, that hold more than so many bytes of what is not whole yet, those with most
    /// first and of these the oldest. Returns what is still too much.
    fn end_half_sent(
        &mut self,
        step: &mut Step<'_>,
        mut excess: usize,
        (members, bytes_min): (bool, usize),
    ) -> Result<usize, StoreError> {
        if excess == 0 {
            return Ok(0);
        }
        let all = self.connections.iter();
        let mut holding: Vec<_> = all
            .filter(|(_, connection)| connection.peer().is_some() == members)
            .map(|(id, connection)| (Reverse(connection.stream.held_bytes()), id))
            .filter(|(Reverse(bytes), _)| *bytes > bytes_min)
            .collect();
        holding.sort_unstable();
        for (Reverse(bytes), id) in holding {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(bytes);
            let error = StreamError::new(StreamCondition::ResourceConstraint)
                .text("There is no memory for what was not sent whole.");
            self.state.effects.ending.push((id, error));
        }
        self.end_streams(step)?;
        Ok(excess)
    }

    /// Sessions that hold something, those that are away first, of these the largest.
    fn sessions_by_size(&mut self, step: &mut Step<'_>) -> Vec<SessionId> {
        let cx = self.cx(step);
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
            shared: self.state.shared_bytes.get(),
            ..MemoryAccount::default()
        };
        for session in self.state.sessions.all() {
            account.count(session);
        }
        for (_, connection) in self.connections.iter() {
            account.unread += connection.stream.held_bytes();
            account.sessions += match connection.session {
                Some(_) => 0,
                None => STRANGER_BYTES,
            };
        }
        account
    }
}
