//! The time of a step, and how far a clock is believed. A board in a drawer has no clock of its own: it boots in 1970, or with
//! the time of its last shutdown, until NTP speaks, and now and then in 2099.
//!
//! What is stamped (`wall`) is what the system's clock shows, as long as that can be: not before this program was written, and
//! not years ahead of what is known. Otherwise it is the last time that could be, and what has passed since by the monotonic
//! clock. A clock that is set right is followed at once, forwards and backwards; the order of messages is their sequence.
//! What is removed or ends for its age goes by the time that has come for sure (`sure`): a clock that could be right, and
//! has not leapt for a while, or was where it had to be when the process started.
use crate::xmpp::{DAY_MS, Timestamp};

/// 2026-09-01: no copy of this program is older.
const WRITTEN: Timestamp = Timestamp(1_788_220_800_000);
/// So long a board may lie in a drawer.
const AWAY_MS_MAX: i64 = 5 * 366 * DAY_MS;
/// More than this between the two clocks is a leap.
const LEAP_MS: u64 = 10 * 60_000;
/// Without a leap for so long, a clock is right.
const STEADY_MS: u64 = 10 * 60_000;
/// A start so soon after the time that was written down last needs no time to be believed.
const SOON_MS: i64 = 7 * DAY_MS;

/// Read once by the shell for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the process started; never goes back.
    pub monotonic_ms: u64,
    pub wall: Timestamp,
    /// What has come for sure; as read by the shell, the same as `wall`.
    pub sure: Timestamp,
}

/// What is believed of the clock.
#[derive(Debug)]
pub struct Belief {
    /// A time that has come for sure.
    sure: Reading,
    /// What the system's clock last showed that could be.
    last: Option<Reading>,
    /// Since when it did not leap.
    steady_since_ms: u64,
    is_steady: bool,
}

/// What both clocks showed at the same moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    monotonic_ms: u64,
    wall: Timestamp,
}

impl Reading {
    /// What the wall clock shows later, if it goes right.
    fn at(self, monotonic_ms: u64) -> Timestamp {
        let passed = monotonic_ms.saturating_sub(self.monotonic_ms);
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        Timestamp(self.wall.0.saturating_add(passed))
    }
}

impl Belief {
    /// `noted`: a time that had come for sure when the process last ran.
    pub fn new(start: Moment, noted: Option<Timestamp>) -> Belief {
        // Written down by a version that believed any clock.
        let can_be = |noted: &Timestamp| noted.0 <= WRITTEN.0 + 4 * AWAY_MS_MAX;
        let noted = noted.filter(can_be);
        let known = noted.map_or(WRITTEN, |noted| noted.max(WRITTEN));
        let is_soon = noted.is_some_and(|noted| {
            (noted.0..=noted.0.saturating_add(SOON_MS)).contains(&start.wall.0)
        });
        let monotonic_ms = start.monotonic_ms;
        let wall = if is_soon { start.wall } else { known };
        Belief {
            sure: Reading { monotonic_ms, wall },
            last: None,
            steady_since_ms: monotonic_ms,
            is_steady: is_soon,
        }
    }

    pub fn judge(&mut self, read: Moment) -> Moment {
        let Moment {
            monotonic_ms, wall, ..
        } = read;
        let sure = self.sure.at(monotonic_ms);
        let expected = self.last.map(|last| last.at(monotonic_ms));
        let can_be = (WRITTEN.0..=sure.0.saturating_add(AWAY_MS_MAX)).contains(&wall.0);
        if !can_be {
            self.is_steady = false;
            self.steady_since_ms = monotonic_ms;
            let wall = expected.unwrap_or(sure);
            return Moment {
                monotonic_ms,
                wall,
                sure,
            };
        }
        let leapt = expected.is_some_and(|expected| expected.0.abs_diff(wall.0) > LEAP_MS);
        let is_new = expected.is_none() && !self.is_steady;
        if leapt || is_new {
            self.is_steady = false;
            self.steady_since_ms = monotonic_ms;
        }
        let reading = Reading { monotonic_ms, wall };
        self.last = Some(reading);
        self.is_steady |= monotonic_ms.saturating_sub(self.steady_since_ms) >= STEADY_MS;
        if self.is_steady {
            self.sure = reading;
        }
        Moment {
            monotonic_ms,
            wall,
            sure: self.sure.at(monotonic_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = WRITTEN.0 + 100 * DAY_MS;
    const HOUR_MS: u64 = 3_600_000;
    const IN_2099: i64 = 4_070_908_800_000;

    fn read(monotonic_ms: u64, wall: i64) -> Moment {
        let wall = Timestamp(wall);
        Moment {
            monotonic_ms,
            wall,
            sure: wall,
        }
    }

    /// Read after so much time by a clock that goes right.
    fn right(hours: u64) -> Moment {
        read(hours * HOUR_MS, NOW + (hours * HOUR_MS) as i64)
    }

    fn noted() -> Option<Timestamp> {
        Some(Timestamp(NOW - DAY_MS))
    }

    #[test]
    fn a_clock_that_goes_right_is_believed() {
        let mut belief = Belief::new(right(0), noted());
        for hours in 0..50 {
            assert_eq!(belief.judge(right(hours)), right(hours));
        }
        // Of a long sleep the monotonic clock knows nothing.
        let woken = read(51 * HOUR_MS, NOW + 60 * DAY_MS);
        assert_eq!(belief.judge(woken).wall, woken.wall);
    }

    #[test]
    fn one_second_in_2099_leaves_nothing_behind() {
        let mut belief = Belief::new(right(0), noted());
        belief.judge(right(1));
        for wrong in [IN_2099, i64::MAX, 0, i64::MIN] {
            let judged = belief.judge(read(2 * HOUR_MS, wrong));
            assert_eq!(judged, right(2), "{wrong}");
        }
        assert_eq!(belief.judge(right(3)).wall, right(3).wall);
        assert_eq!(belief.judge(right(4)), right(4));
    }

    #[test]
    fn a_start_in_2099_or_1970_goes_on_from_what_was_noted() {
        for wrong in [IN_2099, 0, -5] {
            let mut belief = Belief::new(read(0, wrong), noted());
            let judged = belief.judge(read(HOUR_MS, wrong + HOUR_MS as i64));
            let expected = NOW - DAY_MS + HOUR_MS as i64;
            assert_eq!((judged.wall.0, judged.sure.0), (expected, expected));
            // NTP speaks.
            let judged = belief.judge(right(2));
            assert_eq!(judged.wall, right(2).wall);
            assert!(judged.sure < judged.wall, "not at once");
            assert_eq!(belief.judge(right(3)), right(3));
        }
    }

    #[test]
    fn a_leap_that_could_be_right_ages_nothing_at_once() {
        let mut belief = Belief::new(right(0), noted());
        belief.judge(right(1));
        let year = 365 * DAY_MS;
        let leapt = belief.judge(read(2 * HOUR_MS, NOW + year));
        assert_eq!(leapt.wall.0, NOW + year);
        assert_eq!(leapt.sure, right(2).sure);
        // And back again: stamps follow.
        let back = belief.judge(read(2 * HOUR_MS + 1000, NOW + 2 * HOUR_MS as i64 + 1000));
        assert_eq!(back.wall.0, NOW + 2 * HOUR_MS as i64 + 1000);
        assert_eq!(belief.judge(right(3)), right(3));
    }

    #[test]
    fn a_first_start_and_one_after_years() {
        let mut belief = Belief::new(right(0), None);
        assert_eq!(belief.judge(right(0)).wall, right(0).wall);
        assert!(belief.judge(right(0)).sure < right(0).sure);
        assert_eq!(belief.judge(right(1)), right(1));
        let years = 4 * 365 * DAY_MS;
        let mut belief = Belief::new(read(0, NOW + years), noted());
        assert_eq!(belief.judge(read(1, NOW + years)).wall.0, NOW + years);
        let later = read(HOUR_MS, NOW + years + HOUR_MS as i64);
        assert_eq!(belief.judge(later), later);
        // What an earlier version wrote down in 2099 counts for nothing.
        let mut belief = Belief::new(right(0), Some(Timestamp(IN_2099)));
        assert_eq!(belief.judge(read(1, IN_2099)).wall.0, WRITTEN.0 + 1);
        assert_eq!(belief.judge(right(1)).wall, right(1).wall);
    }
}
