//! What is done now and then: pruning by age and size, removing deleted accounts' archives, watching the disk.
use crate::state::Moment;
use crate::store::{StoreError, Tx};
use crate::xmpp::Timestamp;

use super::Server;
use super::timers::Timer;

/// Time between looks when there is nothing to do.
const REST_MS: u64 = 60_000;
/// Time between steps while there is.
const STEP_MS: u64 = 50;
/// Rows removed in one step: small enough that nobody notices.
const STEP_ROWS_MAX: usize = 200;
const DAY_MS: i64 = 86_400_000;

impl Server {
    /// One small step; comes back soon while there is more to do.
    pub(super) fn upkeep(&mut self, now: Moment, tx: &mut Tx) -> Result<(), StoreError> {
        let mut more = tx.purge_step(STEP_ROWS_MAX)?;
        if let Some(days) = self.state.settings.archive_days_max {
            let before = Timestamp(now.wall.0 - i64::from(days) * DAY_MS);
            more |= tx.prune_oldest(Some(before), STEP_ROWS_MAX)? == STEP_ROWS_MAX;
        }
        if self.over_size {
            more |= tx.prune_oldest(None, STEP_ROWS_MAX)? == STEP_ROWS_MAX;
        }
        self.timers.set(
            now.monotonic_ms + if more { STEP_MS } else { REST_MS },
            Timer::Upkeep,
        );
        Ok(())
    }

    pub(super) fn wake_upkeep(&mut self, now: Moment) {
        self.timers.set(now.monotonic_ms, Timer::Upkeep);
    }

    /// Below the least free space nothing is stored any more, and the oldest messages make room.
    pub(super) fn disk(&mut self, free_bytes: u64, total_bytes: u64, archive_bytes: u64) {
        let free_min = total_bytes / 100 * u64::from(self.state.settings.disk_free_percent_min);
        let low = free_bytes < free_min;
        if low != self.state.disk_low {
            if low {
                log::warn!(
                    "disk.low free_bytes={free_bytes} remedy=\"make room; new messages for absent users are refused\""
                );
            } else {
                log::info!("disk.ok free_bytes={free_bytes}");
            }
            self.state.disk_low = low;
        }
        let over = self
            .state
            .settings
            .archive_bytes_max
            .is_some_and(|max| archive_bytes > max);
        self.over_size = low || over;
    }
}
