//! What is to happen at a time.
use std::collections::BTreeSet;

use crate::state::{ConnectionId, SessionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A connection must be authenticated and bound by now, or may have been silent for too long.
    Connection(ConnectionId),
    /// It is a connection's turn to try a password.
    Attempt(ConnectionId),
    /// The delayed answer to a failed login is due.
    ReleaseFailure(ConnectionId),
    /// A session without a connection may have been away for long enough to go to the store, or to end.
    Away(SessionId),
    /// What was acknowledged is to be written.
    WriteSeen,
    /// A session may have to be asked for an acknowledgement.
    Ask(SessionId),
    /// More accounts are to hear that a component came or went.
    Rounds,
    /// The time of a question is over.
    Questions,
    /// Pruning and purging.
    Upkeep,
}

/// All timers, soonest first.
#[derive(Debug, Default)]
pub struct Timers(BTreeSet<(u64, Timer)>);

impl Timers {
    pub fn set(&mut self, at_ms: u64, timer: Timer) {
        self.0.insert((at_ms, timer));
    }

    /// Takes back a timer that was set for then, if it was.
    pub fn cancel(&mut self, at_ms: u64, timer: Timer) {
        self.0.remove(&(at_ms, timer));
    }

    pub fn next_ms(&self) -> Option<u64> {
        self.0.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the soonest timer that is due.
    pub fn take_due(&mut self, now_ms: u64) -> Option<Timer> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.0.pop_first().map(|(_, timer)| timer)
    }
}
