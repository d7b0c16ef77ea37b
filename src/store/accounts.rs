//! Accounts: name, credentials, state.
use crate::stream::Credentials;
use crate::xmpp::Timestamp;

use super::{StoreError, Tx};

/// Number of an account; never reused, also not after deletion. First part of every key of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub disabled: bool,
    pub created: Timestamp,
}

/// `name` is always the prepared localpart (RFC 7622 §3.3).
impl Tx {
    pub fn account(&self, _name: &str) -> Result<Option<Account>, StoreError> {
        todo!()
    }
    pub fn credentials(&self, _id: AccountId) -> Result<Option<Credentials>, StoreError> {
        todo!()
    }
    /// `None`: the name is taken.
    pub fn add_account(
        &mut self,
        _name: &str,
        _credentials: &Credentials,
        _now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        todo!()
    }
    pub fn set_credentials(
        &mut self,
        _id: AccountId,
        _credentials: &Credentials,
    ) -> Result<(), StoreError> {
        todo!()
    }
    pub fn set_account_disabled(
        &mut self,
        _name: &str,
        _disabled: bool,
    ) -> Result<bool, StoreError> {
        todo!()
    }
    /// Removes the name and all of the account's data at once but its archive, which `purge_step` removes in small steps.
    /// False: no such account.
    pub fn delete_account(&mut self, _name: &str) -> Result<bool, StoreError> {
        todo!()
    }
    /// Removes up to `rows_max` rows of deleted accounts' archives; true while there is more.
    pub fn purge_step(&mut self, _rows_max: usize) -> Result<bool, StoreError> {
        todo!()
    }
    /// All accounts in order of name.
    pub fn accounts(&self) -> Result<Vec<(String, Account)>, StoreError> {
        todo!()
    }
}
