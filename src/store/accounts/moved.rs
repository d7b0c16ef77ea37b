//! Accounts that are on another server now.
use crate::store::schema::MOVED;
use crate::store::{AccountId, StoreError, Tx};

impl Tx {
    /// All of them, with where they are.
    pub fn moved(&self) -> Result<Vec<(AccountId, String)>, StoreError> {
        let table = self.view(MOVED)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (account, host) = row?;
            Ok((AccountId(account.value()), host.value().to_string()))
        })
        .collect()
    }

    /// `None`: it is here.
    pub fn set_moved(&mut self, account: AccountId, host: Option<&str>) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let mut table = writing.txn.open_table(MOVED)?;
        match host {
            Some(host) => table.insert(account.0, host),
            None => table.remove(account.0),
        }
    }
}
