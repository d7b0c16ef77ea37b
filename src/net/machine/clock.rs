//! The time of each step.
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::server::Moment;
use crate::xmpp::Timestamp;

/// 2020-01-01T00:00:00Z: no clock that was ever set shows less.
const PLAUSIBLE_SINCE: Timestamp = Timestamp(1_577_836_800_000);

/// Counts from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    pub fn now(&self) -> Moment {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        Moment {
            monotonic_ms: self.monotonic_ms(),
            wall: Timestamp(wall),
            sure: Timestamp(wall),
        }
    }

    pub fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the operator is told of a clock that cannot be right; the server goes on, messages keep their order.
pub fn clock_warning(wall: Timestamp) -> Option<String> {
    (wall < PLAUSIBLE_SINCE).then(|| {
        format!(
            "clock.wrong now={wall} remedy=\"set the clock (timedatectl set-ntp true); \
             until then messages carry wrong times, but keep their order\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_2020_is_told() {
        let warning = clock_warning(Timestamp(0)).unwrap();
        assert!(warning.contains("1970-01-01T00:00:00Z") && warning.contains("remedy="));
        assert!(clock_warning(Timestamp(PLAUSIBLE_SINCE.0 - 1)).is_some());
        assert_eq!(clock_warning(PLAUSIBLE_SINCE), None);
    }
}
