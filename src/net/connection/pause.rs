//! When a peer is not read: while it rests, and while too much waits for it that it has not taken.
use std::rc::Rc;

use super::{Connection, Unsent};
use crate::net::inbox::Rest;
use crate::net::shell::Shell;

/// Bytes that wait for a peer above which nothing more of its own is stepped until it has taken half of them.
const UNSENT_BYTES_MAX: usize = 256 << 10;

impl Connection {
    /// It is not read before then (`Clock::monotonic_ms`).
    pub fn rest_until(self: &Rc<Connection>, shell: &Shell, due_ms: u64) {
        if !self.is_resting.replace(true) {
            shell.resting.add(due_ms, Rc::clone(self));
        }
    }

    pub fn rested(self: &Rc<Connection>, shell: &Rc<Shell>) {
        self.is_resting.set(false);
        self.read_on(shell);
    }

    /// Puts the rest of a chunk off until the peer has taken what waits for it. Gives it back if not much does.
    pub fn park(&self, shell: &Shell, rest: Rest) -> Option<Rest> {
        if self.unsent_bytes() <= unsent_max(shell) {
            return Some(rest);
        }
        self.with_unsent(shell, |unsent| unsent.parked = Some(rest));
        None
    }

    /// Goes on with what was put off, if it may.
    pub(super) fn unpark(&self, shell: &Shell) {
        let may_go_on = |unsent: &Unsent| {
            unsent.parked.is_some() && unsent.waiting().len() <= unsent_max(shell) / 2
        };
        let goes_on = self.unsent.borrow().as_deref().is_some_and(may_go_on);
        if goes_on {
            let mut parked = None;
            self.with_unsent(shell, |unsent| parked = unsent.parked.take());
            parked
                .into_iter()
                .for_each(|rest| shell.inbox.push_rest(rest));
        }
    }
}

fn unsent_max(shell: &Shell) -> usize {
    UNSENT_BYTES_MAX.min(shell.send_queue_bytes_max / 4)
}
