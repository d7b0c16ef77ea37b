//! How much each archive holds: a row for each account, written when rows of the index move to the tables or are removed, so
//! that a message costs nothing. What is not in the tables yet is counted in memory. A stanza counts in every archive
//! that holds it.
use std::collections::BTreeMap;

use super::super::stanza::StanzaRow;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{ARCHIVE_BYTES, META, META_CHECKPOINT, STANZAS};
use crate::store::{AccountId, StoreError, Tx};

/// What archives have more or less than before.
pub fn change(txn: &WriteTransaction, bytes: &BTreeMap<u32, i64>) -> Result<(), StoreError> {
    let mut table = txn.open_table(ARCHIVE_BYTES)?;
    for (account, change) in bytes {
        let before = match table.get(*account) {
            Ok(row) => row.map_or(0, |row| row.value()),
            // It is counted from here on; whoever seems to have little is asked last.
            Err(StoreError::Damaged { .. }) => 0,
            Err(error) => return Err(error),
        };
        match before.saturating_add_signed(*change) {
            0 => table.remove(*account)?,
            after => table.insert(*account, after)?,
        }
    }
    Ok(())
}

/// For files in which nobody counted.
pub fn count(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    count_anew(txn)
}

/// Counts what is in the tables.
pub fn count_anew(txn: &WriteTransaction) -> Result<(), StoreError> {
    txn.open_table(ARCHIVE_BYTES)?.retain_in(.., |_, _| false)?;
    let meta = txn.view(META)?;
    let checkpoint = meta.get(META_CHECKPOINT)?.map_or(1, |row| row.value());
    drop(meta);
    let mut bytes = BTreeMap::new();
    for row in txn.view(STANZAS)?.range(..checkpoint)? {
        let (_, row) = row?;
        let stanza = StanzaRow::decode(row.value())?;
        for owner in &stanza.owners {
            *bytes.entry(owner.account.0).or_default() += stanza.weight().cast_signed();
        }
    }
    change(txn, &bytes)
}

impl Tx {
    /// Bytes of the stanzas in an archive, with what else of the file they take, roughly.
    pub fn archive_bytes(&self, account: AccountId) -> Result<u64, StoreError> {
        let settled = match self.view(ARCHIVE_BYTES)?.get(account.0) {
            Ok(row) => row.map_or(0, |row| row.value()),
            Err(StoreError::Damaged { .. }) => 0,
            Err(error) => return Err(error),
        };
        let memory = self.memory()?;
        let mut tails = memory.bytes_of_tails();
        let tail = tails.find(|(of, _)| *of == account);
        Ok(settled + tail.map_or(0, |(_, bytes)| bytes))
    }

    /// Who has how much, most first; of those who have the same, the older account.
    pub(super) fn archives_by_bytes(&self) -> Result<Vec<(AccountId, u64)>, StoreError> {
        let mut bytes: BTreeMap<AccountId, u64> = BTreeMap::new();
        for row in self.view(ARCHIVE_BYTES)?.range(..)? {
            let (account, row) = row?;
            bytes.insert(AccountId(account.value()), row.value());
        }
        for (account, tail) in self.memory()?.bytes_of_tails() {
            *bytes.entry(account).or_default() += tail;
        }
        let mut bytes: Vec<_> = bytes.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
        bytes.sort_by_key(|(account, bytes)| (std::cmp::Reverse(*bytes), *account));
        Ok(bytes)
    }
}
