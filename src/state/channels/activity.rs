//! XEP-0502 §6: how much is said in public channels, by the hour, since the server started.
use std::collections::HashMap;

use crate::store::ChannelId;

/// Channels that are counted; of others nothing is known.
pub const COUNTED_MAX: usize = 500;
const HOUR_MS: u64 = 3_600_000;
/// Hours that are looked back at, beside the one that goes on.
const HOURS: usize = 24;

#[derive(Debug, Default)]
pub struct Activity(HashMap<ChannelId, Hours>);

#[derive(Debug)]
struct Hours {
    first: u64,
    now: u64,
    /// The hour that goes on, and those before.
    counts: [u32; HOURS + 1],
}

impl Hours {
    fn go_on(&mut self, hour: u64) {
        let passed = usize::try_from(hour.saturating_sub(self.now)).unwrap_or(usize::MAX);
        let passed = passed.min(self.counts.len());
        self.counts.rotate_right(passed % (HOURS + 1));
        self.counts.iter_mut().take(passed).for_each(|it| *it = 0);
        self.now = self.now.max(hour);
    }
}

impl Activity {
    /// `None`: there are too many.
    fn of(&mut self, channel: ChannelId, now_ms: u64) -> Option<&mut Hours> {
        let hour = now_ms / HOUR_MS;
        if self.0.len() >= COUNTED_MAX && !self.0.contains_key(&channel) {
            self.0.retain(|_, hours| {
                hours.go_on(hour);
                hours.counts.iter().any(|count| *count > 0)
            });
            if self.0.len() >= COUNTED_MAX {
                return None;
            }
        }
        let hours = self.0.entry(channel).or_insert(Hours {
            first: hour,
            now: hour,
            counts: [0; HOURS + 1],
        });
        hours.go_on(hour);
        Some(hours)
    }

    /// Something was said.
    pub fn count(&mut self, channel: ChannelId, now_ms: u64) {
        if let Some(hours) = self.of(channel, now_ms)
            && let Some(now) = hours.counts.first_mut()
        {
            *now = now.saturating_add(1);
        }
    }

    /// Hundredths of messages an hour, over as many whole hours as are known; `None`: none is yet.
    pub fn an_hour(&mut self, channel: ChannelId, now_ms: u64) -> Option<u64> {
        let hours = self.of(channel, now_ms)?;
        let known = hours.now.saturating_sub(hours.first);
        let known = u32::try_from(known).ok()?.min(u32::try_from(HOURS).ok()?);
        let said: u32 = hours.counts.iter().skip(1).sum();
        let said = u64::from(said) * 100;
        said.checked_div(u64::from(known))
    }

    pub fn forget(&mut self, channel: ChannelId) {
        self.0.remove(&channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_looked_back_at() {
        let mut activity = Activity::default();
        let one = ChannelId(1);
        activity.count(one, 0);
        activity.count(one, HOUR_MS - 1);
        assert_eq!(activity.an_hour(one, HOUR_MS - 1), None);
        assert_eq!(activity.an_hour(one, HOUR_MS), Some(200));
        activity.count(one, 2 * HOUR_MS);
        assert_eq!(activity.an_hour(one, 4 * HOUR_MS), Some(75));
        assert_eq!(activity.an_hour(one, 24 * HOUR_MS), Some(12));
        assert_eq!(activity.an_hour(one, 25 * HOUR_MS), Some(4));
        assert_eq!(activity.an_hour(one, 27 * HOUR_MS), Some(0));
        assert_eq!(activity.an_hour(one, 900 * HOUR_MS), Some(0));
    }

    #[test]
    fn as_many_are_counted_as_may_be() {
        let mut activity = Activity::default();
        for id in 0..600 {
            activity.count(ChannelId(id), 0);
        }
        assert_eq!(activity.0.len(), COUNTED_MAX);
        // Those in which nothing was said for a day give way.
        activity.count(ChannelId(700), 26 * HOUR_MS);
        assert_eq!(activity.0.len(), 1);
    }
}
