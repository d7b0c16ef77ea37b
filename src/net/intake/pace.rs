//! How fast a peer is read: so many bytes and stanzas a second, with a burst; and whether it took more than its share of
//! the thread lately, so that those who took less come first. Who sends faster is read more slowly, and loses nothing.
use std::cell::Cell;

/// What was not used is kept for so long.
const BURST_NS: u64 = 2_000_000_000;
/// A peer may keep the thread busy for one part in so many of the time,
const SHARE: u64 = 16;
/// and for so much more at once.
const BUSY_BURST_NS: u64 = 5_000_000;

/// Times from which on a peer has all its allowance again (the "theoretical arrival time" of GCRA), in nanoseconds since the
/// start of the process.
#[derive(Default)]
pub struct Pace {
    bytes_ns: Cell<u64>,
    stanzas_ns: Cell<u64>,
    busy_ns: Cell<u64>,
}

/// What is allowed.
pub struct Rates {
    byte_ns: u64,
    stanza_ns: u64,
}

impl Rates {
    pub fn new(bytes_per_second: u32, stanzas_per_second: u32) -> Rates {
        const SECOND_NS: u64 = 1_000_000_000;
        Rates {
            byte_ns: SECOND_NS / u64::from(bytes_per_second.max(1)),
            stanza_ns: SECOND_NS / u64::from(stanzas_per_second.max(1)),
        }
    }
}

/// What a peer's input was.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub bytes: usize,
    pub stanzas: usize,
    pub busy_ns: u64,
}

impl Pace {
    /// Counts it. How long the peer is not to be read now, in nanoseconds.
    pub fn take(&self, rates: &Rates, now_ns: u64, taken: Taken) -> u64 {
        let [bytes, stanzas] =
            [taken.bytes, taken.stanzas].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        advance(&self.busy_ns, now_ns, taken.busy_ns.saturating_mul(SHARE));
        let bytes = advance(&self.bytes_ns, now_ns, bytes.saturating_mul(rates.byte_ns));
        let stanzas = advance(
            &self.stanzas_ns,
            now_ns,
            stanzas.saturating_mul(rates.stanza_ns),
        );
        bytes.max(stanzas).saturating_sub(BURST_NS)
    }

    /// It took more than its share lately.
    pub fn is_heavy(&self, now_ns: u64) -> bool {
        self.busy_ns.get().saturating_sub(now_ns) > BUSY_BURST_NS * SHARE
    }
}

/// How far ahead of now this is.
fn advance(time_ns: &Cell<u64>, now_ns: u64, cost_ns: u64) -> u64 {
    let next = time_ns.get().max(now_ns).saturating_add(cost_ns);
    time_ns.set(next);
    next - now_ns
}

/// How full a queue is, in sixteenths.
pub fn fullness(waiting: usize, waiting_max: usize) -> u64 {
    let sixteenths = waiting.saturating_mul(16) / waiting_max.max(1);
    u64::try_from(sixteenths).unwrap_or(u64::MAX)
}

/// How long a sender rests after it sent so many bytes to somebody whose queue is so full already, in sixteenths: not at
/// all below a quarter, then twice as long with each sixteenth.
pub fn rest_for_slow_reader_ns(sent: usize, sixteenths: u64) -> u64 {
    const BYTES_PER_SECOND: u64 = 1 << 20;
    const REST_NS_MAX: u64 = 10_000_000_000;
    let Some(steps) = sixteenths.checked_sub(4) else {
        return 0;
    };
    let sent = u64::try_from(sent).unwrap_or(u64::MAX);
    let full_ns = sent.saturating_mul(1_000_000_000 / BYTES_PER_SECOND);
    full_ns.saturating_mul(1 << steps.min(12)).min(REST_NS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(bytes: usize, stanzas: usize) -> Taken {
        Taken {
            bytes,
            stanzas,
            busy_ns: 0,
        }
    }

    #[test]
    fn a_burst_is_free_and_what_follows_is_as_fast_as_allowed() {
        let rates = Rates::new(1000, 10);
        for unit in [taken(1000, 0), taken(0, 10)] {
            let pace = Pace::default();
            assert_eq!(pace.take(&rates, SECOND, unit), 0);
            assert_eq!(pace.take(&rates, SECOND, unit), 0);
            assert_eq!(pace.take(&rates, SECOND, unit), SECOND);
            // After the rest as much again, at the same price.
            assert_eq!(pace.take(&rates, 2 * SECOND, unit), SECOND);
            assert_eq!(pace.take(&rates, 100 * SECOND, unit), 0);
        }
    }

    #[test]
    fn who_keeps_the_thread_busy_is_heavy_for_a_while() {
        let (pace, rates) = (Pace::default(), Rates::new(1, 1));
        let turn = |busy_ns| Taken {
            busy_ns,
            ..taken(0, 0)
        };
        pace.take(&rates, SECOND, turn(BUSY_BURST_NS));
        assert!(!pace.is_heavy(SECOND));
        pace.take(&rates, SECOND, turn(BUSY_BURST_NS));
        assert!(pace.is_heavy(SECOND) && !pace.is_heavy(SECOND + SHARE * BUSY_BURST_NS));
        pace.take(&rates, SECOND, turn(u64::MAX));
        assert!(pace.is_heavy(u64::MAX / 2));
    }

    #[test]
    fn the_fuller_the_queue_the_longer_the_rest() {
        let rest = |sent, waiting| rest_for_slow_reader_ns(sent, fullness(waiting, 1600));
        assert_eq!(rest(16 << 10, 399), 0);
        let rests: Vec<_> = [400, 500, 800, 1600, 99_999]
            .map(|waiting| rest(4096, waiting))
            .into();
        assert!(rests.is_sorted() && rests[0] > 0, "{rests:?}");
        assert!(rest(usize::MAX, usize::MAX) <= 10 * SECOND);
    }
}
