//! Whether what somebody proved is still true: an account's credentials have a number that changes whenever they end, and
//! whatever waits (an exchange, a login without a session, a queued job) carries the number it began with.
use std::collections::HashMap;

use crate::store::AccountId;
use crate::stream::Right;

/// How often the credentials of accounts ended in this run. No exchange outlives the process, so neither do these; only
/// accounts whose credentials changed have a row.
#[derive(Debug, Default)]
pub struct Rights(HashMap<AccountId, u32>);

impl Rights {
    /// What a login that begins now stands on.
    pub fn of(&self, account: AccountId) -> Right {
        Right {
            account: account.0,
            generation: self.0.get(&account).copied().unwrap_or_default(),
        }
    }

    /// Whoever began before has proved nothing.
    pub fn end(&mut self, account: AccountId) {
        let generation = self.0.entry(account).or_default();
        *generation = generation.wrapping_add(1);
    }

    /// The account is gone; its number is never given again.
    pub fn forget(&mut self, account: AccountId) {
        self.0.remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_ends_with_its_credentials_and_no_others() {
        let mut rights = Rights::default();
        let (one, two) = (AccountId(1), AccountId(2));
        let before = [rights.of(one), rights.of(two)];
        rights.end(one);
        assert_ne!(rights.of(one), before[0]);
        assert_eq!(rights.of(two), before[1]);
        assert_ne!(before[0], before[1]);
    }
}
