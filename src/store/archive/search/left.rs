//! How far a look for words came: what it may still cost, and what of each archive is left.
use std::cell::Cell;

use super::super::span::Span;
use crate::store::AccountId;

/// What one look may cost, in steps of a few microseconds.
const LOOK_STEPS_MAX: u64 = 8_192;
/// A segment, a block of it, a stanza, and so many bytes of that.
pub const SEGMENT_STEPS: u64 = 2;
pub const BLOCK_STEPS: u64 = 4;
const STANZA_STEPS: u64 = 4;
const STEP_BYTES: usize = 512;

/// What is left of a look.
pub struct Steps(Cell<u64>);

impl Steps {
    pub fn of_look() -> Steps {
        Steps(Cell::new(LOOK_STEPS_MAX))
    }

    pub fn left(&self) -> u64 {
        self.0.get()
    }

    pub fn take(&self, steps: u64) {
        self.0.set(self.0.get().saturating_sub(steps));
    }

    pub fn take_stanza(&self, bytes: usize) {
        let of_bytes = u64::try_from(bytes / STEP_BYTES).unwrap_or(u64::MAX);
        self.take(of_bytes.saturating_add(STANZA_STEPS));
    }
}

/// One archive, as far as it was not looked at.
pub(in crate::store) struct Cursor {
    pub archive: AccountId,
    pub left: Span,
    /// To be looked at, the next one last.
    pub ready: Vec<u64>,
}

impl Cursor {
    /// The next stanza that is not looked at, or where looking goes on.
    pub fn next(&self, backward: bool) -> Option<u64> {
        match (self.ready.last(), backward) {
            (Some(next), _) => Some(*next),
            (None, _) if self.left.from >= self.left.to => None,
            (None, true) => Some(self.left.to - 1),
            (None, false) => Some(self.left.from),
        }
    }

    /// Nothing before this, in the direction of the look, is of interest.
    pub fn skip_to(&mut self, to: Option<u64>, backward: bool) {
        let Some(to) = to else {
            self.ready.clear();
            self.left.to = self.left.from;
            return;
        };
        match backward {
            true => {
                self.ready.retain(|sequence| *sequence <= to);
                self.left.to = self.left.to.min(to.saturating_add(1));
            }
            false => {
                self.ready.retain(|sequence| *sequence >= to);
                self.left.from = self.left.from.max(to);
            }
        }
    }
}

/// What of a part was seen where the last one was this; `None`: all of it.
pub(in crate::store) fn cut(part: Span, last: Option<u64>, backward: bool) -> Span {
    match (last, backward) {
        (None, _) => part,
        (Some(last), true) => Span { from: last, ..part },
        (Some(last), false) => Span {
            to: last.saturating_add(1),
            ..part
        },
    }
}
