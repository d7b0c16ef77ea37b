//! When a peer is not read: while it rests, and while too much waits for it that it has not taken.
use std::rc::Rc;

use super::{Connection, Unsent};
use crate::net::intake::inbox::{Arrival, Rest};
use crate::net::shell::Shell;

/// Bytes that wait for a peer above which nothing more of its own is stepped until it has taken half of them.
const UNSENT_BYTES_MAX: usize = 256 << 10;

impl Connection {
    /// It is not read before then (`Clock::monotonic_ms`).
    pub fn rest_until(self: &Rc<Connection>, shell: &Shell, due_ms: u64) {
        let before_ms = self.rests_until_ms.get();
        self.rests_until_ms.set(before_ms.max(due_ms));
        if before_ms == 0 {
            shell.resting.add(due_ms, Rc::clone(self));
        }
    }

    /// What it was to rest when it began to is over; what a later turn of the same chunk added may not be.
    pub fn rested(self: &Rc<Connection>, shell: &Rc<Shell>, now_ms: u64) {
        let until_ms = self.rests_until_ms.get();
        if until_ms > now_ms {
            shell.resting.add(until_ms, Rc::clone(self));
            return;
        }
        self.rests_until_ms.set(0);
        self.read_on(shell);
    }

    /// Something of a chunk of its own waits for its turn.
    pub fn has_rest(&self) -> bool {
        self.has_rest.get()
    }

    /// The rest of a chunk waits until those had their turn who sent less.
    pub fn put_off(&self, shell: &Shell, rest: Rest) {
        self.has_rest.set(true);
        shell.inbox.push_rest(rest);
    }

    /// The turn of a rest has come. It is put off until the peer has taken what waits for it; given back if not much does.
    pub fn park(&self, shell: &Shell, rest: Rest) -> Option<Rest> {
        let goes_on = self.unsent_bytes() <= unsent_max(shell);
        self.has_rest.set(!goes_on);
        if goes_on {
            return Some(rest);
        }
        self.with_unsent(shell, |unsent| unsent.parked = Some(rest));
        None
    }

    /// Puts an arrival behind the rest that waits. Gives it back if none does.
    pub fn wait_behind(&self, shell: &Shell, arrival: Arrival) -> Option<Arrival> {
        if !self.has_rest() {
            return Some(arrival);
        }
        if let Some(unsent) = self.unsent.borrow_mut().as_mut()
            && let Some(parked) = &mut unsent.parked
        {
            parked.behind.push(arrival);
            return None;
        }
        shell.inbox.wait_behind(self.id, arrival)
    }

    /// What was put off is stepped all the same: it was sent before the end.
    pub(super) fn give_back_parked(&self, shell: &Shell) {
        let mut parked = None;
        self.with_unsent(shell, |unsent| parked = unsent.parked.take());
        if let Some(rest) = parked {
            shell.inbox.push_rest(rest);
        }
    }

    /// Goes on with what was put off, if it may.
    pub(super) fn unpark(&self, shell: &Shell) {
        let may_go_on = |unsent: &Unsent| {
            unsent.parked.is_some() && unsent.waiting().len() <= unsent_max(shell) / 2
        };
        let goes_on = self.unsent.borrow().as_deref().is_some_and(may_go_on);
        if goes_on {
            self.give_back_parked(shell);
        }
    }
}

fn unsent_max(shell: &Shell) -> usize {
    UNSENT_BYTES_MAX.min(shell.send_queue_bytes_max / 4)
}
