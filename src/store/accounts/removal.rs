//! An account goes: what it has goes with it.
use crate::store::StoreError;
use crate::store::engine::table::{TableDefinition, WriteTransaction};
use crate::store::schema::names_of_account;

use super::suspended;

/// Removes what an account has in its tables, but its archive.
pub(in crate::store) fn remove_account(
    txn: &WriteTransaction,
    account: u32,
) -> Result<(), StoreError> {
    suspended::release_bodies(txn, account)?;
    let (first, end) = (
        account.to_be_bytes(),
        account.saturating_add(1).to_be_bytes(),
    );
    for name in names_of_account() {
        let rows: TableDefinition<&[u8], &[u8]> = TableDefinition::new(name);
        txn.open_table(rows)?
            .retain_in(first.as_slice()..end.as_slice(), |_, _| false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::Database;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::schema::create_tables;

    #[test]
    fn nothing_of_a_removed_account_stays_and_all_of_others_does() {
        let backend = InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).unwrap();
        let mut txn = WriteTransaction::begin(&database, Default::default()).unwrap();
        create_tables(&mut txn).unwrap();
        let rows = |name| TableDefinition::<&[u8], &[u8]>::new(name);
        let ids = [6u32, 7, 8, 0x0700, 0x0007_0000];
        for name in names_of_account() {
            let mut table = txn.open_table(rows(name)).unwrap();
            for id in ids {
                let key = id.to_be_bytes();
                table.insert(key.as_slice(), b"1".as_slice()).unwrap();
                let longer = [key.as_slice(), &[0xFF; 9]].concat();
                table.insert(longer.as_slice(), b"2".as_slice()).unwrap();
            }
        }
        remove_account(&txn, 7).unwrap();
        for name in names_of_account() {
            let view = txn.view(rows(name)).unwrap();
            let left: Vec<u32> = view
                .range(..)
                .unwrap()
                .map(|row| {
                    let key = row.unwrap().0.value().to_vec();
                    u32::from_be_bytes(*key.first_chunk().unwrap())
                })
                .collect();
            assert_eq!(
                left,
                [6, 6, 8, 8, 0x0700, 0x0700, 0x0007_0000, 0x0007_0000],
                "{name}"
            );
        }
    }
}
