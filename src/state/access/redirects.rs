//! RFC 6120 §4.9.3.19 `see-other-host`: who is sent to another server, and who was lately.
use std::collections::HashMap;
use std::net::IpAddr;

use crate::store::AccountId;

/// Whoever comes back within this time does not obey, or was sent back: he is let in.
const AGAIN_MS: u64 = 60_000;
/// So many are remembered; beyond that, nobody is sent away before logging in.
pub const TOLD_MAX: usize = 4096;

#[derive(Default)]
pub struct Redirects {
    moved: HashMap<AccountId, Box<str>>,
    /// Everybody is sent there.
    drain: Option<Box<str>>,
    /// Who was told when.
    told: HashMap<(AccountId, IpAddr), u64>,
}

impl Redirects {
    pub fn new(moved: impl IntoIterator<Item = (AccountId, String)>) -> Redirects {
        Redirects {
            moved: moved
                .into_iter()
                .map(|(account, host)| (account, host.into()))
                .collect(),
            ..Redirects::default()
        }
    }

    /// Nobody is sent anywhere.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.drain.is_none()
    }

    pub fn moved(&self, account: AccountId) -> Option<&str> {
        self.moved.get(&account).map(Box::as_ref)
    }

    pub fn drain(&self) -> Option<&str> {
        self.drain.as_deref()
    }

    pub fn set_moved(&mut self, account: AccountId, host: Option<&str>) {
        match host {
            Some(host) => _ = self.moved.insert(account, host.into()),
            None => _ = self.moved.remove(&account),
        }
    }

    pub fn set_drain(&mut self, host: Option<&str>) {
        self.drain = host.map(Box::from);
    }

    /// Where somebody has to go who logs in to an account; that he was told is remembered.
    pub fn tell(&mut self, account: AccountId, address: IpAddr, now_ms: u64) -> Option<Box<str>> {
        let host = self.moved.get(&account).or(self.drain.as_ref())?.clone();
        self.told.retain(|_, told_ms| now_ms < *told_ms + AGAIN_MS);
        if self.told.contains_key(&(account, address)) || self.told.len() >= TOLD_MAX {
            return None;
        }
        self.told.insert((account, address), now_ms);
        Some(host)
    }

    /// Somebody who is here was told to go.
    pub fn note_told(&mut self, account: AccountId, address: IpAddr, now_ms: u64) {
        if self.told.len() < TOLD_MAX {
            self.told.insert((account, address), now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROMEO: AccountId = AccountId(1);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn nobody_is_told_twice_within_a_minute() {
        let mut redirects = Redirects::new([(ROMEO, "b.example".to_string())]);
        assert_eq!(redirects.tell(AccountId(2), HOME, 0), None);
        assert_eq!(redirects.tell(ROMEO, HOME, 0).as_deref(), Some("b.example"));
        assert_eq!(redirects.tell(ROMEO, HOME, AGAIN_MS - 1), None);
        let elsewhere = "192.0.2.1".parse().unwrap();
        assert!(redirects.tell(ROMEO, elsewhere, 5).is_some());
        assert!(redirects.tell(ROMEO, HOME, AGAIN_MS).is_some());
        redirects.set_moved(ROMEO, None);
        assert_eq!(redirects.tell(ROMEO, HOME, 3 * AGAIN_MS), None);
        assert!(redirects.is_empty());
    }

    #[test]
    fn so_many_are_remembered_and_more_are_let_in() {
        let mut redirects = Redirects::default();
        redirects.set_drain(Some("b.example"));
        let most = u32::try_from(TOLD_MAX).unwrap();
        for account in 0..most {
            assert!(redirects.tell(AccountId(account), HOME, 0).is_some());
        }
        assert_eq!(redirects.tell(AccountId(most), HOME, 0), None);
        assert!(redirects.tell(AccountId(most), HOME, AGAIN_MS).is_some());
    }
}
