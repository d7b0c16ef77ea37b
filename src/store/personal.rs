//! Small things an account keeps: private XML (XEP-0049), vCard (XEP-0054), last activity (XEP-0012).
use crate::xmpp::Timestamp;

use super::{AccountId, StoreError, Tx};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastActivity {
    pub at: Timestamp,
    /// Status text of the last unavailable presence; empty: none.
    pub status: String,
}

impl Tx {
    pub fn private_xml(
        &self,
        _account: AccountId,
        _name: &str,
        _namespace: &str,
    ) -> Result<Option<String>, StoreError> {
        todo!()
    }
    /// `None` removes.
    pub fn set_private_xml(
        &mut self,
        _account: AccountId,
        _name: &str,
        _namespace: &str,
        _xml: Option<&str>,
    ) -> Result<(), StoreError> {
        todo!()
    }
    pub fn private_xml_count(&self, _account: AccountId) -> Result<usize, StoreError> {
        todo!()
    }
    pub fn vcard(&self, _account: AccountId) -> Result<Option<String>, StoreError> {
        todo!()
    }
    pub fn set_vcard(&mut self, _account: AccountId, _xml: &str) -> Result<(), StoreError> {
        todo!()
    }
    pub fn last_activity(&self, _account: AccountId) -> Result<Option<LastActivity>, StoreError> {
        todo!()
    }
    pub fn set_last_activity(
        &mut self,
        _account: AccountId,
        _activity: &LastActivity,
    ) -> Result<(), StoreError> {
        todo!()
    }
}
