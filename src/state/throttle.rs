//! Failed logins slow down the next answer to the same address and for the same account.
use std::collections::HashMap;
use std::net::IpAddr;

use crate::xmpp::BareJid;

/// Addresses and accounts remembered; the one that failed longest ago makes room.
pub const THROTTLED_MAX: usize = 4096;
/// Failures are forgotten this long after the last.
const FORGET_AFTER_MS: u64 = 15 * 60_000;
const FIRST_DELAY_MS: u64 = 250;
const DELAY_MS_MAX: u64 = 8_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Account(BareJid),
}

#[derive(Debug)]
struct Failures {
    count: u32,
    last_ms: u64,
}

/// Remembers failed logins.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: HashMap<Key, Failures>,
}

impl Throttle {
    /// Counts one failure and tells how long its answer is to wait: doubling from 250 ms to 8 s.
    pub fn failed(&mut self, now_ms: u64, address: IpAddr, account: Option<&BareJid>) -> u64 {
        let of_address = self.count(now_ms, Key::Address(address));
        let of_account = account.map_or(0, |account| {
            self.count(now_ms, Key::Account(account.clone()))
        });
        let doublings = of_address.max(of_account).saturating_sub(1).min(16);
        (FIRST_DELAY_MS << doublings).min(DELAY_MS_MAX)
    }

    /// A login succeeded: its account's failures are forgiven, its address's are not (others may share it).
    pub fn succeeded(&mut self, account: &BareJid) {
        self.failures.remove(&Key::Account(account.clone()));
    }

    pub fn len(&self) -> usize {
        self.failures.len()
    }

    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    fn count(&mut self, now_ms: u64, key: Key) -> u32 {
        if self.failures.len() >= THROTTLED_MAX && !self.failures.contains_key(&key) {
            self.make_room(now_ms);
        }
        let failures = self.failures.entry(key).or_insert(Failures {
            count: 0,
            last_ms: now_ms,
        });
        if now_ms.saturating_sub(failures.last_ms) > FORGET_AFTER_MS {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last_ms = now_ms;
        failures.count
    }

    fn make_room(&mut self, now_ms: u64) {
        self.failures
            .retain(|_, f| now_ms.saturating_sub(f.last_ms) <= FORGET_AFTER_MS);
        if self.failures.len() < THROTTLED_MAX {
            return;
        }
        if let Some(oldest) = self
            .failures
            .iter()
            .min_by_key(|(_, f)| f.last_ms)
            .map(|(key, _)| key.clone())
        {
            self.failures.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_are_forgotten() {
        let mut throttle = Throttle::default();
        let address = IpAddr::from([127, 0, 0, 1]);
        let delays: Vec<u64> = (0..7).map(|_| throttle.failed(0, address, None)).collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 8000]);
        assert_eq!(throttle.failed(FORGET_AFTER_MS + 1, address, None), 250);
    }

    #[test]
    fn remembers_no_more_than_its_limit() {
        let mut throttle = Throttle::default();
        for n in 0..2 * u32::try_from(THROTTLED_MAX).unwrap() {
            throttle.failed(u64::from(n), IpAddr::from(n.to_be_bytes()), None);
        }
        assert_eq!(throttle.len(), THROTTLED_MAX);
    }
}
