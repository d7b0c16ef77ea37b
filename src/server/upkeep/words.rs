//! The index of words (XEP-0431): made for messages of before there was one, removed where it is not wanted, and words of what was
//! removed taken out of it.
use crate::server::{Server, Step};
use crate::state::Moment;
use crate::store::StoreError;

/// Messages that are indexed in one step, or blocks of the index that are removed.
const STEP_MESSAGES_MAX: usize = 400;
/// Words stay so long after their messages at most, for to take them out is to write what is left of a block anew.
const REST_MS: u64 = 6 * 3_600_000;

impl Server {
    /// True: there is more to do.
    pub(super) fn keep_words(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let is_wanted = self.state.settings.archive_search;
        if self.disk_full && is_wanted {
            return Ok(false);
        }
        step.tx.index_words_step(is_wanted, STEP_MESSAGES_MAX)
    }

    /// The same, when nothing else is removed any more.
    pub(super) fn forget_words(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        if step.now.monotonic_ms < self.upkeep.words_due_ms {
            return Ok(false);
        }
        let more = step.tx.forget_words_step()?;
        if !more {
            self.upkeep.words_due_ms = step.now.monotonic_ms + REST_MS;
        }
        Ok(more)
    }

    /// Words of what was removed are not to wait.
    pub(in crate::server) fn forget_words_soon(&mut self, now: Moment) {
        self.upkeep.words_due_ms = now.monotonic_ms;
        self.wake_upkeep(now);
    }
}
