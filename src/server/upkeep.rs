//! What is done now and then: pruning by age and size, removing deleted accounts' archives, watching the disk.

pub mod forgetting;
pub mod thrift;

use crate::state::Moment;
use crate::store::{StoreError, Tx};

use super::Server;
use super::timers::Timer;

/// Time between looks when there is nothing to do.
const REST_MS: u64 = 60_000;
/// Time between steps while there is.
const STEP_MS: u64 = 50;
/// Rows removed in one step: small enough that nobody notices.
const STEP_ROWS_MAX: usize = 200;
/// Room inside the file that pruning makes on a full disk, at most half the file.
const REUSABLE_BYTES_WANTED: u64 = 64 << 20;

impl Server {
    /// One small step; comes back soon while there is more to do.
    pub(super) fn upkeep(&mut self, now: Moment, tx: &mut Tx) -> Result<(), StoreError> {
        // Whatever fails, there is a next time.
        self.set_upkeep(now.monotonic_ms + REST_MS);
        tx.note_time(now.sure)?;
        self.throttle.forget_old(now.monotonic_ms);
        self.end_expired(now, tx)?;
        let mut more = tx.purge_step(STEP_ROWS_MAX)?;
        more |= self.forget_clients(now, tx)?;
        if let Some(days) = self.state.settings.archive_days_max {
            let before = now.sure.days_before(days);
            more |= tx.prune_oldest(Some(before), STEP_ROWS_MAX)? == STEP_ROWS_MAX;
        }
        if self.pressure(tx)?.prune {
            more |= tx.prune_oldest(None, STEP_ROWS_MAX)? == STEP_ROWS_MAX;
        }
        let pause_ms = if more { STEP_MS } else { REST_MS };
        self.set_upkeep(now.monotonic_ms + pause_ms);
        Ok(())
    }

    /// There is something to do: look at once.
    pub(super) fn wake_upkeep(&mut self, now: Moment) {
        self.set_upkeep(now.monotonic_ms);
    }

    fn set_upkeep(&mut self, at_ms: u64) {
        self.timers.cancel(self.upkeep_ms, Timer::Upkeep);
        self.upkeep_ms = at_ms;
        self.timers.set(at_ms, Timer::Upkeep);
    }

    /// A sample of the disk's free space.
    pub(super) fn disk(
        &mut self,
        free_bytes: u64,
        total_bytes: u64,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        let free_min = total_bytes / 100 * u64::from(self.state.settings.disk_free_percent_min);
        self.disk_full = free_bytes < free_min || tx.is_starved();
        let low = self.pressure(tx)?.refuse;
        if low && !self.state.disk_low {
            log::warn!(
                "disk.low free_bytes={free_bytes} remedy=\"make room; messages for absent users are refused meanwhile\""
            );
        } else if !low && self.state.disk_low {
            log::info!("disk.ok free_bytes={free_bytes}");
        }
        self.state.disk_low = low;
        Ok(())
    }

    /// On a full disk the archive stops growing: the oldest messages make room inside the file, and while there is too
    /// little of it, nothing more is stored. What else fills the disk does not empty the archive.
    fn pressure(&self, tx: &Tx) -> Result<Pressure, StoreError> {
        let (stored, file) = (tx.stored_bytes()?, tx.file_bytes());
        let (reusable, wanted) = (
            file.saturating_sub(stored),
            (file / 2).min(REUSABLE_BYTES_WANTED),
        );
        let over = self
            .state
            .settings
            .archive_bytes_max
            .is_some_and(|max| stored > max);
        Ok(Pressure {
            refuse: tx.is_starved() || self.disk_full && reusable <= wanted / 2,
            prune: over || (self.disk_full && reusable < wanted),
        })
    }
}

/// What the room that is left asks for.
struct Pressure {
    refuse: bool,
    prune: bool,
}
