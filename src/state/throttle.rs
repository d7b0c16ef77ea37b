//! Guessed passwords: how fast they may be tried. An attempt is counted when it is made, and waits before it is compared
//! until those before it from the same place at the same account have served their delays; so who does not wait for
//! answers gains nothing. What others try elsewhere delays nobody who came in before, or comes for the first time.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::xmpp::BareJid;

use super::{ConnectionId, Network};

/// Entries of each kind that are remembered; the quarter that was seen longest ago makes room.
pub const THROTTLED_MAX: usize = 4096;
/// Failures are forgotten this long after the last.
const FORGET_AFTER_MS: u64 = 15 * 60_000;
/// The answer to a wrong attempt, and the next attempt, come so much later, doubled with each.
pub const FIRST_DELAY_MS: u64 = 250;
const DELAY_MS_MAX: u64 = 8_000;
/// An attempt that would have to wait for longer is put off, unless somebody comes in by then from the same place.
const WAIT_MS_MAX: u64 = 16_000;
/// Accounts that one place may fail at, and places that may fail at one account, before all attempts of those who never
/// came in that way follow each other.
const ACCOUNTS_FREE: u32 = 16;
const PLACES_FREE: u32 = 32;
/// Between such attempts, doubled with every so many more failures, up to the last.
const LANE_MS: u64 = 250;
const LANE_MS_MAX: u64 = 2_000;
/// Attempts that need not wait for each other, of strangers and of those who came in before: several devices of one home.
const AT_ONCE: u32 = 3;
const KNOWN_AT_ONCE: u32 = 6;
/// The same as a length.
const KNOWN_AT_ONCE_MAX: usize = 6;

/// Of an account's name, whether or not there is one.
type Name = u64;

fn name_of(account: &BareJid) -> Name {
    let mut hasher = DefaultHasher::new();
    account.as_str().hash(&mut hasher);
    hasher.finish()
}

/// Attempts of one place at one account since the last that succeeded.
#[derive(Debug, Default)]
struct Tries {
    made: u32,
    has_failed: bool,
    /// When the next may be made.
    free_ms: u64,
    last_ms: u64,
    /// Who waits for their turn; no more than there are connections.
    waiting: Vec<ConnectionId>,
}

/// Failures of one place at any account, or at one account from any place.
#[derive(Debug, Default)]
struct Lane {
    failures: u32,
    free_ms: u64,
    last_ms: u64,
}

impl Lane {
    /// Between attempts; `None`: they need not follow each other.
    fn interval_ms(&self, now_ms: u64, free: u32) -> Option<u64> {
        let is_old = now_ms.saturating_sub(self.last_ms) > FORGET_AFTER_MS;
        let over = self.failures.checked_sub(free).filter(|_| !is_old)?;
        let doublings = (over / free.max(1)).min(16);
        Some((LANE_MS << doublings).min(LANE_MS_MAX))
    }

    fn fail(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.last_ms) > FORGET_AFTER_MS {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_ms = now_ms;
    }
}

/// One attempt, from when it is made until its outcome is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    place: Network,
    name: Name,
    /// When it may be compared.
    pub start_ms: u64,
    /// Before then nobody hears that it was wrong.
    answer_ms: u64,
    /// A password is being compared: from now on it counts whatever becomes of the connection.
    pub is_guess: bool,
    /// Too many are before it, and it does not count.
    pub is_put_off: bool,
}

/// Remembers attempts to log in with a password.
#[derive(Debug, Default)]
pub struct Throttle {
    tries: HashMap<(Network, Name), Tries>,
    places: HashMap<Network, Lane>,
    accounts: HashMap<Name, Lane>,
    /// Who came in, and when last.
    known: HashMap<(Network, Name), u64>,
}

impl Throttle {
    /// So many places fail at this account that strangers have to take turns.
    pub fn is_beset(&self, now_ms: u64, account: &BareJid) -> bool {
        let lane = self.accounts.get(&name_of(account));
        lane.is_some_and(|lane| lane.interval_ms(now_ms, PLACES_FREE).is_some())
    }

    /// An attempt is made: when it may go on. `is_known_client`: it names itself as only a client could that has been there
    /// before.
    pub fn attempt(
        &mut self,
        now_ms: u64,
        (id, address): (ConnectionId, IpAddr),
        account: &BareJid,
        is_known_client: bool,
    ) -> Attempt {
        let (place, name) = (Network::from(address), name_of(account));
        let is_known = self.known.contains_key(&(place, name));
        make_room(&mut self.tries, &(place, name), |tries| tries.last_ms);
        let tries = self.tries.entry((place, name)).or_default();
        if now_ms.saturating_sub(tries.last_ms) > FORGET_AFTER_MS {
            *tries = Tries::default();
        }
        let at_once = if is_known { KNOWN_AT_ONCE } else { AT_ONCE };
        let mut start_ms = match tries.made < at_once {
            true => now_ms,
            false => now_ms.max(tries.free_ms),
        };
        let place_lane = self.places.get_mut(&place).filter(|_| !is_known);
        let place_lane = place_lane.and_then(|lane| {
            let interval = lane.interval_ms(now_ms, ACCOUNTS_FREE)?;
            Some((lane, interval))
        });
        let account_lane = self.accounts.get_mut(&name);
        let account_lane = account_lane.filter(|_| !is_known && !is_known_client);
        let account_lane = account_lane.and_then(|lane| {
            let interval = lane.interval_ms(now_ms, PLACES_FREE)?;
            Some((lane, interval))
        });
        let lanes = [place_lane, account_lane];
        for (lane, _) in lanes.iter().flatten() {
            start_ms = start_ms.max(lane.free_ms);
        }
        tries.last_ms = now_ms;
        let mut attempt = Attempt {
            place,
            name,
            start_ms: now_ms + WAIT_MS_MAX,
            answer_ms: 0,
            is_guess: false,
            is_put_off: true,
        };
        if start_ms > attempt.start_ms {
            tries.waiting.push(id);
            return attempt;
        }
        for (lane, interval_ms) in lanes.into_iter().flatten() {
            lane.free_ms = start_ms + interval_ms;
        }
        tries.made = tries.made.saturating_add(1);
        attempt.is_put_off = false;
        attempt.start_ms = start_ms;
        attempt.answer_ms = start_ms + delay_ms(tries.made);
        tries.free_ms = tries.free_ms.max(attempt.answer_ms);
        if start_ms > now_ms {
            tries.waiting.push(id);
        }
        attempt
    }

    /// It waits no more.
    pub fn began(&mut self, id: ConnectionId, attempt: &Attempt) {
        if let Some(tries) = self.tries.get_mut(&(attempt.place, attempt.name)) {
            tries.waiting.retain(|waiting| *waiting != id);
        }
    }

    /// It was wrong. When that may be told.
    pub fn failed(&mut self, now_ms: u64, attempt: &Attempt) -> u64 {
        let pair = (attempt.place, attempt.name);
        let is_first = match self.tries.get_mut(&pair) {
            Some(tries) => !std::mem::replace(&mut tries.has_failed, true),
            None => true,
        };
        if is_first {
            make_room(&mut self.places, &attempt.place, |lane| lane.last_ms);
            self.places.entry(attempt.place).or_default().fail(now_ms);
            make_room(&mut self.accounts, &attempt.name, |lane| lane.last_ms);
            self.accounts.entry(attempt.name).or_default().fail(now_ms);
        }
        attempt.answer_ms.max(now_ms)
    }

    /// It was right: its place is known at this account, and who waits there is less likely to guess. Returns whose turn it
    /// is at once.
    pub fn succeeded(&mut self, now_ms: u64, attempt: &Attempt) -> Vec<ConnectionId> {
        let pair = (attempt.place, attempt.name);
        make_room(&mut self.known, &pair, |last_ms| *last_ms);
        self.known.insert(pair, now_ms);
        let Some(mut tries) = self.tries.remove(&pair) else {
            return Vec::new();
        };
        let turns = tries.waiting.len().min(KNOWN_AT_ONCE_MAX);
        let next = tries.waiting.drain(..turns).collect();
        if !tries.waiting.is_empty() {
            let left = Tries {
                made: KNOWN_AT_ONCE,
                last_ms: now_ms,
                waiting: tries.waiting,
                ..Tries::default()
            };
            self.tries.insert(pair, left);
        }
        next
    }

    /// Somebody came in by what nobody can guess.
    pub fn came_in(&mut self, now_ms: u64, address: IpAddr, account: &BareJid) {
        let pair = (Network::from(address), name_of(account));
        make_room(&mut self.known, &pair, |last_ms| *last_ms);
        self.known.insert(pair, now_ms);
    }

    /// Nothing was guessed by it: it was given up before.
    pub fn withdrawn(&mut self, id: ConnectionId, attempt: &Attempt) {
        let pair = (attempt.place, attempt.name);
        let Some(tries) = self.tries.get_mut(&pair) else {
            return;
        };
        tries.waiting.retain(|waiting| *waiting != id);
        if attempt.is_put_off {
            return;
        }
        tries.made = tries.made.saturating_sub(1);
        if tries.free_ms == attempt.answer_ms {
            tries.free_ms = attempt.start_ms;
        }
    }

    /// The most entries of any kind.
    pub fn len(&self) -> usize {
        let lens = [self.tries.len(), self.places.len(), self.accounts.len()];
        lens.into_iter().fold(self.known.len(), usize::max)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn delay_ms(made: u32) -> u64 {
    let doublings = made.saturating_sub(1).min(16);
    (FIRST_DELAY_MS << doublings).min(DELAY_MS_MAX)
}

/// Room for one more entry, if it is none of those that are there.
fn make_room<K: Copy + Eq + Hash, V>(
    entries: &mut HashMap<K, V>,
    wanted: &K,
    last_ms: impl Fn(&V) -> u64,
) {
    if entries.len() < THROTTLED_MAX || entries.contains_key(wanted) {
        return;
    }
    let mut times: Vec<u64> = entries.values().map(&last_ms).collect();
    let (_, quarter, _) = times.select_nth_unstable(THROTTLED_MAX / 4);
    let until = *quarter;
    let mut left = THROTTLED_MAX / 4;
    entries.retain(|_, entry| {
        let goes = left > 0 && last_ms(entry) <= until;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> BareJid {
        BareJid::parse(&format!("{name}@localhost")).unwrap()
    }

    fn v4(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    /// Wrong attempts made at once: when each begins.
    fn at_once(throttle: &mut Throttle, address: IpAddr, account: &BareJid, n: u64) -> Vec<u64> {
        let attempts: Vec<Attempt> = (0..n)
            .map(|n| throttle.attempt(0, (ConnectionId(n), address), account, false))
            .filter(|attempt| !attempt.is_put_off)
            .collect();
        for attempt in &attempts {
            throttle.failed(attempt.start_ms, attempt);
        }
        attempts.iter().map(|attempt| attempt.start_ms).collect()
    }

    #[test]
    fn who_waits_for_each_answer_is_delayed_only_in_hearing_it() {
        let mut throttle = Throttle::default();
        let romeo = account("romeo");
        let mut now_ms = 0;
        let mut delays = Vec::new();
        for _ in 0..7 {
            let attempt = throttle.attempt(now_ms, (ConnectionId(1), v4(1)), &romeo, false);
            assert_eq!(attempt.start_ms, now_ms);
            let answer_ms = throttle.failed(now_ms, &attempt);
            delays.push(answer_ms - now_ms);
            now_ms = answer_ms;
        }
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 8000]);
        now_ms += FORGET_AFTER_MS + 1;
        let attempt = throttle.attempt(now_ms, (ConnectionId(1), v4(1)), &romeo, false);
        assert_eq!(attempt.answer_ms, now_ms + 250);
    }

    #[test]
    fn who_does_not_wait_gains_nothing() {
        let mut throttle = Throttle::default();
        let romeo = account("romeo");
        let starts = at_once(&mut throttle, v4(1), &romeo, 12);
        assert_eq!(starts, [0, 0, 0, 1000, 3000, 7000, 15_000]);
        // From anywhere in a /64, but from nowhere else.
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        let of_64 = (1..13).flat_map(|n| {
            let address = v6(&format!("2001:db8:0:1::{n}"));
            at_once(&mut throttle, address, &romeo, 1)
        });
        assert_eq!(of_64.collect::<Vec<_>>(), starts);
        let (same, other) = (v6("2001:db8:0:1:ffff::9"), v6("2001:db8:0:2::1"));
        let first = |throttle: &mut Throttle, address| {
            let attempt = throttle.attempt(0, (ConnectionId(99), address), &romeo, false);
            (!attempt.is_put_off).then_some(attempt.start_ms)
        };
        assert_eq!(first(&mut throttle, same), None);
        assert_eq!(first(&mut throttle, other), Some(0));
        assert_eq!(first(&mut throttle, v6("::ffff:0.0.0.1")), None);
        // Nor is another account of the same place.
        let attempt = throttle.attempt(0, (ConnectionId(99), v4(1)), &account("juliet"), false);
        assert_eq!(attempt.start_ms, 0);
    }

    #[test]
    fn who_came_in_there_does_not_wait_for_strangers() {
        let mut throttle = Throttle::default();
        let romeo = account("romeo");
        let home = (ConnectionId(1), v4(1));
        let attempt = throttle.attempt(0, home, &romeo, false);
        assert!(throttle.succeeded(0, &attempt).is_empty());
        for n in 0..PLACES_FREE + 20 {
            let starts = at_once(&mut throttle, v4(1000 + n), &romeo, 1);
            let expected = u64::from(n.saturating_sub(PLACES_FREE)) * LANE_MS;
            assert_eq!(starts, [expected]);
        }
        assert!(throttle.is_beset(0, &romeo));
        assert_eq!(throttle.attempt(0, home, &romeo, false).start_ms, 0);
        let away = (ConnectionId(1), v4(2));
        let known_client = throttle.attempt(0, away, &romeo, true);
        assert_eq!(known_client.start_ms, 0);
        throttle.withdrawn(ConnectionId(1), &known_client);
        let stranger = throttle.attempt(0, away, &romeo, false);
        assert_eq!(stranger.start_ms, 20 * LANE_MS);
    }

    #[test]
    fn who_tries_many_accounts_slows_down() {
        let mut throttle = Throttle::default();
        for n in 0..ACCOUNTS_FREE {
            let starts = at_once(&mut throttle, v4(1), &account(&format!("a{n}")), 1);
            assert_eq!(starts, [0]);
        }
        let mut made = 0;
        for n in 0..1000 {
            let name = account(&format!("b{n}"));
            made += at_once(&mut throttle, v4(1), &name, 1).len();
        }
        let most = usize::try_from(WAIT_MS_MAX / LANE_MS).unwrap() + 1;
        assert!(made <= most, "{made}");
    }

    #[test]
    fn what_was_right_or_given_up_makes_room() {
        let mut throttle = Throttle::default();
        let romeo = account("romeo");
        let first = throttle.attempt(0, (ConnectionId(1), v4(1)), &romeo, false);
        for n in 2..6 {
            throttle.attempt(0, (ConnectionId(n), v4(1)), &romeo, false);
        }
        let waiting = throttle.succeeded(10, &first);
        assert_eq!(waiting, [ConnectionId(4), ConnectionId(5)]);
        // No crowd comes in with somebody.
        for n in 2..50 {
            throttle.attempt(0, (ConnectionId(n), v4(3)), &romeo, false);
        }
        let waiting = throttle.succeeded(
            10,
            &Attempt {
                place: Network::from(v4(3)),
                ..first
            },
        );
        assert_eq!(waiting.len(), KNOWN_AT_ONCE_MAX);
        let waiting = throttle.succeeded(
            10,
            &Attempt {
                place: Network::from(v4(3)),
                ..first
            },
        );
        assert_eq!(waiting.len(), KNOWN_AT_ONCE_MAX);
        // Begun and given up, over and over.
        for _ in 0..100 {
            let attempt = throttle.attempt(20, (ConnectionId(9), v4(2)), &romeo, false);
            assert_eq!(attempt.start_ms, 20);
            throttle.withdrawn(ConnectionId(9), &attempt);
        }
    }

    #[test]
    fn remembers_no_more_than_its_limit() {
        let mut throttle = Throttle::default();
        for n in 0..2 * u32::try_from(THROTTLED_MAX).unwrap() {
            let now_ms = u64::from(n) * 10;
            let name = account(&format!("a{n}"));
            let who = (ConnectionId(1), v4(n));
            let wrong = throttle.attempt(now_ms, who, &name, false);
            throttle.failed(now_ms, &wrong);
            let right = throttle.attempt(now_ms, who, &account("romeo"), true);
            throttle.succeeded(now_ms, &right);
            assert!(throttle.len() <= THROTTLED_MAX);
        }
        // The last are still there.
        let last = (
            ConnectionId(1),
            v4(2 * u32::try_from(THROTTLED_MAX).unwrap() - 1),
        );
        let name = account(&format!("a{}", 2 * THROTTLED_MAX - 1));
        let attempt = throttle.attempt(81_910, last, &name, false);
        assert_eq!(attempt.answer_ms, 81_910 + 2 * FIRST_DELAY_MS);
    }
}
