//! Rosters (RFC 6121 §2) with versions (§2.6) and the block list (XEP-0191).
use crate::xmpp::BareJid;

use super::{AccountId, StoreError, Tx};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    #[default]
    None,
    To,
    From,
    Both,
}

/// One row: a roster item and what the server remembers about that contact beside it (RFC 6121 appendix A).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Empty: no name.
    pub name: String,
    pub groups: Vec<String>,
    pub subscription: Subscription,
    /// "pending out": we asked.
    pub ask: bool,
    /// Pre-approved (§3.4).
    pub approved: bool,
    /// "pending in": the stored request, a whole `<presence type='subscribe'/>` (§3.1.3).
    pub request: Option<String>,
    /// False: only a request or pre-approval is remembered; not shown in the roster.
    pub listed: bool,
}

/// A change of the roster since a version; `None`: the item was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterChange {
    pub jid: BareJid,
    pub contact: Option<Contact>,
}

impl Tx {
    /// All rows, unlisted ones too, in order of JID.
    pub fn contacts(&self, _account: AccountId) -> Result<Vec<(BareJid, Contact)>, StoreError> {
        todo!()
    }
    pub fn contact(
        &self,
        _account: AccountId,
        _jid: &BareJid,
    ) -> Result<Option<Contact>, StoreError> {
        todo!()
    }
    /// Writes a row. Returns the roster's new version, which never repeats; the version moves only if what is visible
    /// in the roster (listed, name, groups, subscription, ask, approved) changed.
    pub fn set_contact(
        &mut self,
        _account: AccountId,
        _jid: &BareJid,
        _contact: &Contact,
    ) -> Result<u64, StoreError> {
        todo!()
    }
    pub fn remove_contact(
        &mut self,
        _account: AccountId,
        _jid: &BareJid,
    ) -> Result<u64, StoreError> {
        todo!()
    }
    pub fn roster_version(&self, _account: AccountId) -> Result<u64, StoreError> {
        todo!()
    }
    /// Listed changes since a version in order of version; `None`: cannot be told (too old or never existed), send all.
    /// Removals are remembered for the newest 100 changes.
    pub fn roster_changes(
        &self,
        _account: AccountId,
        _since: u64,
    ) -> Result<Option<Vec<(u64, RosterChange)>>, StoreError> {
        todo!()
    }

    /// Blocked JIDs as written (`user@domain/resource`, `user@domain`, `domain/resource`, `domain`), in order.
    pub fn blocked(&self, _account: AccountId) -> Result<Vec<String>, StoreError> {
        todo!()
    }
    pub fn block(&mut self, _account: AccountId, _jid: &str) -> Result<(), StoreError> {
        todo!()
    }
    pub fn unblock(&mut self, _account: AccountId, _jid: &str) -> Result<(), StoreError> {
        todo!()
    }
}
