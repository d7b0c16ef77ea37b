//! Guessed passwords: how fast they may be tried. An attempt is counted when it is made, and waits before it is compared
//! until those before it from the same place at the same account have served their delays; so who does not wait for
//! answers gains nothing. What others try elsewhere delays nobody who came in before, or comes for the first time.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::xmpp::BareJid;

use crate::state::{ConnectionId, Network, give_back_room};

/// Entries of each kind that are remembered; the quarter that was seen longest ago makes room.
pub const THROTTLED_MAX: usize = 4096;
/// Homes of those who came in, likewise.
const KNOWN_MAX: usize = 1024;
/// Failures are forgotten this long after the last.
const FORGET_AFTER_MS: u64 = 15 * 60_000;
/// The answer to a wrong attempt, and the next attempt, come so much later, doubled with each.
pub const FIRST_DELAY_MS: u64 = 250;
const DELAY_MS_MAX: u64 = 8_000;
/// The same where somebody came in before: at home a device that has the old password still keeps the others waiting.
const KNOWN_DELAY_MS_MAX: u64 = 2_000;
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

/// Of an account's name, whether or not there is one; of that and a place, or that and a client.
type Digest = u64;

fn digest(what: impl Hash) -> Digest {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

fn name_of(account: &BareJid) -> Digest {
    digest(account.as_str())
}

/// Who makes an attempt, as far as that can be told.
#[derive(Clone, Copy, Debug)]
pub struct Attempter<'a> {
    pub address: IpAddr,
    pub account: &'a BareJid,
    /// The secret by which it names itself (XEP-0388 §2.3), if the account knows that client: it has turns of its own.
    pub client: Option<&'a str>,
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
    pair: Digest,
    /// `None`: of a client that is known.
    stranger: Option<(Network, Digest)>,
    /// The place and the account.
    home: Digest,
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
    tries: HashMap<Digest, Tries>,
    places: HashMap<Network, Lane>,
    accounts: HashMap<Digest, Lane>,
    /// Who came in from where, and when last.
    known: HashMap<Digest, u64>,
}

impl Throttle {
    /// Strangers have to wait for their turn there.
    pub fn is_crowded(&self, now_ms: u64, address: IpAddr, account: &BareJid) -> bool {
        let (network, name) = (Network::from(address), name_of(account));
        let takes_turns = |lane: Option<&Lane>, free| {
            lane.is_some_and(|lane| lane.interval_ms(now_ms, free).is_some())
        };
        let tries = self.tries.get(&digest((network, name)));
        takes_turns(self.accounts.get(&name), PLACES_FREE)
            || takes_turns(self.places.get(&network), ACCOUNTS_FREE)
            || tries.is_some_and(|tries| tries.made >= AT_ONCE && tries.free_ms > now_ms)
    }

    /// An attempt is made: when it may go on.
    pub fn attempt(&mut self, now_ms: u64, id: ConnectionId, origin: Attempter<'_>) -> Attempt {
        let (network, name) = (Network::from(origin.address), name_of(origin.account));
        let home = digest((network, name));
        let pair = origin
            .client
            .map_or(home, |client| digest(("client", client, name)));
        let is_known = origin.client.is_some() || self.known.contains_key(&home);
        make_room(&mut self.tries, THROTTLED_MAX, pair, |tries| tries.last_ms);
        let tries = self.tries.entry(pair).or_default();
        if now_ms.saturating_sub(tries.last_ms) > FORGET_AFTER_MS {
            *tries = Tries::default();
        }
        let at_once = if is_known { KNOWN_AT_ONCE } else { AT_ONCE };
        let mut start_ms = match tries.made < at_once {
            true => now_ms,
            false => now_ms.max(tries.free_ms),
        };
        let lanes = [
            (self.places.get_mut(&network), ACCOUNTS_FREE),
            (self.accounts.get_mut(&name), PLACES_FREE),
        ];
        let mut lanes = lanes.map(|(lane, free)| {
            let lane = lane.filter(|_| !is_known)?;
            let interval_ms = lane.interval_ms(now_ms, free)?;
            Some((lane, interval_ms))
        });
        for (lane, _) in lanes.iter().flatten() {
            start_ms = start_ms.max(lane.free_ms);
        }
        tries.last_ms = now_ms;
        let mut attempt = Attempt {
            pair,
            stranger: origin.client.is_none().then_some((network, name)),
            home,
            start_ms: now_ms + WAIT_MS_MAX,
            answer_ms: 0,
            is_guess: false,
            is_put_off: true,
        };
        if start_ms > attempt.start_ms {
            tries.waiting.push(id);
            return attempt;
        }
        for (lane, interval_ms) in lanes.iter_mut().flatten() {
            lane.free_ms = start_ms + *interval_ms;
        }
        tries.made = tries.made.saturating_add(1);
        attempt.is_put_off = false;
        attempt.start_ms = start_ms;
        attempt.answer_ms = start_ms + delay_ms(tries.made, is_known);
        tries.free_ms = tries.free_ms.max(attempt.answer_ms);
        if start_ms > now_ms {
            tries.waiting.push(id);
        }
        attempt
    }

    /// It waits no more.
    pub fn began(&mut self, id: ConnectionId, attempt: &Attempt) {
        if let Some(tries) = self.tries.get_mut(&attempt.pair) {
            tries.waiting.retain(|waiting| *waiting != id);
        }
    }

    /// It was wrong. When that may be told.
    pub fn failed(&mut self, now_ms: u64, attempt: &Attempt) -> u64 {
        let is_first = match self.tries.get_mut(&attempt.pair) {
            Some(tries) => !std::mem::replace(&mut tries.has_failed, true),
            None => true,
        };
        if let (true, Some((network, name))) = (is_first, attempt.stranger) {
            make_room(&mut self.places, THROTTLED_MAX, network, |lane| {
                lane.last_ms
            });
            self.places.entry(network).or_default().fail(now_ms);
            make_room(&mut self.accounts, THROTTLED_MAX, name, |lane| lane.last_ms);
            self.accounts.entry(name).or_default().fail(now_ms);
        }
        attempt.answer_ms.max(now_ms)
    }

    /// It was right: its place is known at this account, and who waits there is less likely to guess. Returns whose turn it
    /// is at once.
    pub fn succeeded(&mut self, now_ms: u64, attempt: &Attempt) -> Vec<ConnectionId> {
        self.note_home(now_ms, attempt.home);
        let Some(mut tries) = self.tries.remove(&attempt.pair) else {
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
            self.tries.insert(attempt.pair, left);
        }
        next
    }

    /// Somebody came in by what nobody can guess.
    pub fn came_in(&mut self, now_ms: u64, address: IpAddr, account: &BareJid) {
        self.note_home(now_ms, digest((Network::from(address), name_of(account))));
    }

    fn note_home(&mut self, now_ms: u64, home: Digest) {
        make_room(&mut self.known, KNOWN_MAX, home, |last_ms| *last_ms);
        self.known.insert(home, now_ms);
    }

    /// Failures of long ago are forgotten, and the room they took goes back.
    pub fn forget_old(&mut self, now_ms: u64) {
        let is_new = |last_ms: u64| now_ms.saturating_sub(last_ms) <= FORGET_AFTER_MS;
        self.tries.retain(|_, tries| is_new(tries.last_ms));
        self.places.retain(|_, lane| is_new(lane.last_ms));
        self.accounts.retain(|_, lane| is_new(lane.last_ms));
        give_back_room(&mut self.tries);
        give_back_room(&mut self.places);
        give_back_room(&mut self.accounts);
    }

    /// Nothing was guessed by it: it was given up before.
    pub fn withdrawn(&mut self, id: ConnectionId, attempt: &Attempt) {
        let Some(tries) = self.tries.get_mut(&attempt.pair) else {
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

fn delay_ms(made: u32, is_known: bool) -> u64 {
    let doublings = made.saturating_sub(1).min(16);
    let most = if is_known {
        KNOWN_DELAY_MS_MAX
    } else {
        DELAY_MS_MAX
    };
    (FIRST_DELAY_MS << doublings).min(most)
}

/// Room for one more entry, if it is none of those that are there.
fn make_room<K: Copy + Eq + Hash, V>(
    entries: &mut HashMap<K, V>,
    most: usize,
    wanted: K,
    last_ms: impl Fn(&V) -> u64,
) {
    if entries.len() < most || entries.contains_key(&wanted) {
        return;
    }
    let mut times: Vec<u64> = entries.values().map(&last_ms).collect();
    let mut left = most / 4;
    let (_, until, _) = times.select_nth_unstable(left);
    let until = *until;
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

    fn at(address: IpAddr, account: &BareJid) -> Attempter<'_> {
        Attempter {
            address,
            account,
            client: None,
        }
    }

    /// Wrong attempts made at once: when each begins.
    fn at_once(throttle: &mut Throttle, address: IpAddr, account: &BareJid, n: u64) -> Vec<u64> {
        let attempts: Vec<Attempt> = (0..n)
            .map(|n| throttle.attempt(0, ConnectionId(n), at(address, account)))
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
            let attempt = throttle.attempt(now_ms, ConnectionId(1), at(v4(1), &romeo));
            assert_eq!(attempt.start_ms, now_ms);
            let answer_ms = throttle.failed(now_ms, &attempt);
            delays.push(answer_ms - now_ms);
            now_ms = answer_ms;
        }
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 8000]);
        now_ms += FORGET_AFTER_MS + 1;
        let attempt = throttle.attempt(now_ms, ConnectionId(1), at(v4(1), &romeo));
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
            let attempt = throttle.attempt(0, ConnectionId(99), at(address, &romeo));
            (!attempt.is_put_off).then_some(attempt.start_ms)
        };
        assert_eq!(first(&mut throttle, same), None);
        assert_eq!(first(&mut throttle, other), Some(0));
        assert_eq!(first(&mut throttle, v6("::ffff:0.0.0.1")), None);
        // Nor is another account of the same place.
        let attempt = throttle.attempt(0, ConnectionId(99), at(v4(1), &account("juliet")));
        assert_eq!(attempt.start_ms, 0);
    }

    #[test]
    fn who_came_in_there_does_not_wait_for_strangers() {
        let mut throttle = Throttle::default();
        let romeo = account("romeo");
        let one = ConnectionId(1);
        let attempt = throttle.attempt(0, one, at(v4(1), &romeo));
        assert!(throttle.succeeded(0, &attempt).is_empty());
        for n in 0..PLACES_FREE + 20 {
            let starts = at_once(&mut throttle, v4(1000 + n), &romeo, 1);
            let expected = u64::from(n.saturating_sub(PLACES_FREE)) * LANE_MS;
            assert_eq!(starts, [expected]);
        }
        assert!(throttle.is_crowded(0, v4(2), &romeo));
        assert_eq!(throttle.attempt(0, one, at(v4(1), &romeo)).start_ms, 0);
        let stranger = throttle.attempt(0, one, at(v4(2), &romeo));
        assert_eq!(stranger.start_ms, 20 * LANE_MS);
        // A client that the account knows has turns of its own, wherever it comes from; it guesses no faster.
        let known = Attempter {
            client: Some("a secret"),
            ..at(v4(2), &romeo)
        };
        let starts = (0..30).map(|n| throttle.attempt(0, ConnectionId(n), known));
        let starts: Vec<_> = starts.filter(|it| !it.is_put_off).collect();
        assert_eq!(starts.len(), 14);
        assert!(starts.iter().take(6).all(|it| it.start_ms == 0));
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
        let first = throttle.attempt(0, ConnectionId(1), at(v4(1), &romeo));
        for n in 2..6 {
            throttle.attempt(0, ConnectionId(n), at(v4(1), &romeo));
        }
        let waiting = throttle.succeeded(10, &first);
        assert_eq!(waiting, [ConnectionId(4), ConnectionId(5)]);
        // No crowd comes in with somebody.
        let crowd = (2..50).map(|n| throttle.attempt(0, ConnectionId(n), at(v4(3), &romeo)));
        let crowd: Vec<_> = crowd.collect();
        for attempt in crowd.iter().take(2) {
            let waiting = throttle.succeeded(10, attempt);
            assert_eq!(waiting.len(), KNOWN_AT_ONCE_MAX);
        }
        // Begun and given up, over and over.
        for _ in 0..100 {
            let attempt = throttle.attempt(20, ConnectionId(9), at(v4(2), &romeo));
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
            let one = ConnectionId(1);
            let wrong = throttle.attempt(now_ms, one, at(v4(n), &name));
            throttle.failed(now_ms, &wrong);
            let client = format!("c{n}");
            let romeo = account("romeo");
            let known = Attempter {
                client: Some(&client),
                ..at(v4(n), &romeo)
            };
            let right = throttle.attempt(now_ms, one, known);
            throttle.succeeded(now_ms, &right);
            assert!(throttle.len() <= THROTTLED_MAX);
        }
        // The last are still there.
        let last = 2 * u32::try_from(THROTTLED_MAX).unwrap() - 1;
        let name = account(&format!("a{last}"));
        let attempt = throttle.attempt(81_910, ConnectionId(1), at(v4(last), &name));
        assert_eq!(attempt.answer_ms, 81_910 + 2 * FIRST_DELAY_MS);
        assert!(throttle.known.len() <= KNOWN_MAX);
        throttle.forget_old(81_911 + FORGET_AFTER_MS);
        assert!(throttle.tries.is_empty() && throttle.places.is_empty());
        assert!(throttle.tries.capacity() < THROTTLED_MAX);
    }
}
