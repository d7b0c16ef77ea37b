//! Names of clients and tokens of XEP-0484: all derived, so that neither what a client calls itself nor what it logs in
//! with can be read from the store.

use crate::store::{AccountId, ClientKey, FastToken};
use crate::xmpp::hashing::hmac;
use crate::xmpp::{DAY_MS, Timestamp, base64_url};

/// Bytes of a derived name.
const NAME_BYTES: usize = 12;
/// A token older than this is replaced at its next use (§3.5).
const ROTATE_AFTER_MS: i64 = DAY_MS;
/// No clock that was ever set shows less (2026-01-01): boards without a battery begin at 1970.
const CLOCK_SET_FROM: Timestamp = Timestamp(1_767_225_600_000);

/// The keys of one server.
pub struct Tokens {
    /// Lies outside the store.
    pub(in crate::state) tokens: hmac::Key,
    clients: hmac::Key,
}

impl Tokens {
    pub fn new(token_key: &[u8; 32], clients: &[u8; 32]) -> Tokens {
        Tokens {
            tokens: hmac::Key::new(hmac::HMAC_SHA256, token_key),
            clients: hmac::Key::new(hmac::HMAC_SHA256, clients),
        }
    }

    /// The client that calls itself by this UUID (XEP-0388 §2.3).
    pub fn key_of_agent(&self, account: AccountId, agent: &str) -> ClientKey {
        ClientKey(self.name("agent", account, &[agent]))
    }

    /// A client that only ever chose a resource.
    pub fn key_of_resource(&self, account: AccountId, resource: &str) -> ClientKey {
        ClientKey(self.name("resource", account, &[resource]))
    }

    /// The same resource for the same client and tag, which tells nothing of the UUID (XEP-0386 §3.2.1).
    pub fn stable_resource(&self, account: AccountId, client: &ClientKey, tag: &str) -> Box<str> {
        self.name("stable", account, &[&client.0, tag])
    }

    fn name(&self, kind: &str, account: AccountId, parts: &[&str]) -> Box<str> {
        let tag = sign(&self.clients, kind, account, parts, &[]);
        let short = tag.as_ref().get(..NAME_BYTES).unwrap_or_default();
        base64_url(short).into()
    }

    /// What the client holds.
    pub fn text(
        &self,
        account: AccountId,
        client: &ClientKey,
        mechanism: &str,
        salt: &[u8; 16],
    ) -> Box<str> {
        let parts = [&*client.0, mechanism];
        let tag = sign(&self.tokens, "fast", account, &parts, salt);
        base64_url(tag).into()
    }
}

/// Every part with its length before it, so that none can pass for another.
fn sign(key: &hmac::Key, kind: &str, account: AccountId, parts: &[&str], salt: &[u8]) -> hmac::Tag {
    let mut signed = hmac::Context::with_key(key);
    signed.update(&account.0.to_be_bytes());
    for part in [kind].iter().chain(parts).map(|part| part.as_bytes()) {
        signed.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        signed.update(part);
    }
    signed.update(salt);
    signed.sign()
}

/// The life of a token by clocks that may not have been set.
impl FastToken {
    /// `now`: what the clock shows, or the latest it ever showed.
    pub fn issue(salt: [u8; 16], now: Timestamp, days: u32) -> FastToken {
        FastToken {
            salt,
            issued: now,
            expires: Timestamp(now.0.saturating_add(i64::from(days) * DAY_MS)),
            count: 0,
            reserved: 0,
        }
    }

    /// Tells it from the client's other tokens.
    pub fn tag(&self) -> u32 {
        tag_of(&self.salt)
    }

    /// Made by a clock that was not set, used by one that is: its life begins now.
    pub fn began_unset(&self, now: Timestamp) -> bool {
        is_from_unset_clock(self.issued, now)
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        !self.began_unset(now) && now.max(self.issued) >= self.expires
    }

    pub fn is_due_for_rotation(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.issued.0) >= ROTATE_AFTER_MS
    }

    /// What the client is told: by its own clock, which may be right when ours is not.
    pub fn told_expiry(&self, days: u32) -> Timestamp {
        self.expires
            .max(FastToken::issue(self.salt, CLOCK_SET_FROM, days).expires)
    }
}

/// Tells what was made with this salt from all else.
pub fn tag_of(salt: &[u8]) -> u32 {
    let begin = salt.first_chunk().copied().unwrap_or_default();
    u32::from_be_bytes(begin)
}

/// True of a time that a clock told before it was set, once it is.
pub fn is_from_unset_clock(at: Timestamp, now: Timestamp) -> bool {
    at < CLOCK_SET_FROM && now >= CLOCK_SET_FROM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_all_they_are_made_of() {
        let tokens = Tokens::new(&[1; 32], &[2; 32]);
        let (one, two) = (AccountId(1), AccountId(2));
        let names = [
            tokens.key_of_agent(one, "ab").0,
            tokens.key_of_agent(two, "ab").0,
            tokens.key_of_agent(one, "a").0,
            tokens.key_of_resource(one, "ab").0,
            tokens.stable_resource(one, &ClientKey("a".into()), "b"),
            tokens.stable_resource(one, &ClientKey("ab".into()), ""),
        ];
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn tokens_need_the_key_outside_the_store() {
        let token = FastToken::issue([3; 16], CLOCK_SET_FROM, 1);
        let text = |key| {
            Tokens::new(&[key; 32], &[2; 32]).text(
                AccountId(1),
                &ClientKey("c".into()),
                "HT-SHA-256-NONE",
                &token.salt,
            )
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn a_clock_at_1970_neither_revives_nor_kills() {
        let day = |n: i64| Timestamp(CLOCK_SET_FROM.0 + n * DAY_MS);
        let token = FastToken::issue([0; 16], day(10), 5);
        assert!(!token.has_expired(day(14)));
        assert!(token.has_expired(day(15)));
        assert!(!token.has_expired(Timestamp(0)), "kills");
        // Made before the clock was set.
        let early = FastToken::issue([0; 16], Timestamp(1000), 5);
        assert!(!early.has_expired(day(300)));
        assert!(early.has_expired(Timestamp(6 * DAY_MS)));
        assert!(early.told_expiry(5) >= day(5));
    }
}
