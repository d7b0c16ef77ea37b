//! Accounts: name, credentials, state.

pub mod bodies;
pub mod clients;
pub mod grants;
pub mod joined;
pub mod kept;
pub mod moved;
pub mod personal;
pub mod queue_row;
pub mod removal;
pub mod roster;
pub mod suspended;
pub mod suspended_row;
pub mod tokens;

use crate::stream::{Credentials, HashedPassword, ScramHash, ScramKeys};
use crate::xmpp::Timestamp;

use super::engine::codec::{Decoder, Encoder};
use super::schema::{ACCOUNTS, CREDENTIALS, META, META_NEXT_ACCOUNT, PURGE};
use super::{StoreError, Tx, Writing};

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
    pub fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let row = self.view(ACCOUNTS)?;
        let row = row.get(name)?;
        row.map(|row| decode_account(row.value())).transpose()
    }

    pub fn credentials(&self, id: AccountId) -> Result<Option<Credentials>, StoreError> {
        let row = self.view(CREDENTIALS)?;
        let row = row.get(id.0)?;
        row.map(|row| decode_credentials(row.value())).transpose()
    }

    /// What some account has, always that of the same for the same number, and nearly so when there is one account more.
    /// `None`: there is no account.
    pub fn sample_credentials(&self, number: u64) -> Result<Option<Credentials>, StoreError> {
        let next = self
            .view(META)?
            .get(META_NEXT_ACCOUNT)?
            .map_or(1, |row| row.value());
        let given = next.saturating_sub(1);
        let from = u32::try_from(1 + spread(number, given)).unwrap_or(u32::MAX);
        let table = self.view(CREDENTIALS)?;
        // Some have gone.
        let found = match table.range(from..)?.next().transpose()? {
            Some((_, row)) => Some(row),
            None => table.range(..)?.next().transpose()?.map(|(_, row)| row),
        };
        found.map(|row| decode_credentials(row.value())).transpose()
    }

    /// `None`: the name is taken.
    pub fn add_account(
        &mut self,
        name: &str,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        if self.account(name)?.is_some() {
            return Ok(None);
        }
        let next = self
            .view(META)?
            .get(META_NEXT_ACCOUNT)?
            .map(|row| row.value());
        let next = next.unwrap_or(1);
        let id = u32::try_from(next).ok().filter(|id| *id < u32::MAX);
        let id = AccountId(id.ok_or_else(|| StoreError::Io("no account number is left".into()))?);
        let account = Account {
            id,
            disabled: false,
            created: now,
        };
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(META)?.insert(META_NEXT_ACCOUNT, next + 1)?;
        txn.open_table(ACCOUNTS)?
            .insert(name, encode_account(&account).as_slice())?;
        self.set_credentials(id, credentials)?;
        Ok(Some(id))
    }

    pub fn set_credentials(
        &mut self,
        id: AccountId,
        credentials: &Credentials,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CREDENTIALS)?
            .insert(id.0, encode_credentials(credentials).as_slice())?;
        Ok(())
    }

    /// False: no such account.
    pub fn set_account_disabled(&mut self, name: &str, disabled: bool) -> Result<bool, StoreError> {
        let Some(mut account) = self.account(name)? else {
            return Ok(false);
        };
        if account.disabled != disabled {
            account.disabled = disabled;
            let Writing { txn, .. } = self.writing()?;
            txn.open_table(ACCOUNTS)?
                .insert(name, encode_account(&account).as_slice())?;
        }
        Ok(true)
    }

    /// Removes the name and all of the account's data at once but its archive, which `purge_step` removes in small steps.
    /// False: no such account.
    pub fn delete_account(&mut self, name: &str) -> Result<bool, StoreError> {
        let Some(Account { id, .. }) = self.account(name)? else {
            return Ok(false);
        };
        let Writing { txn, mut memory } = self.writing()?;
        txn.open_table(ACCOUNTS)?.remove(name)?;
        memory.unseen.forget(id);
        removal::remove_account(txn, id.0)?;
        txn.open_table(PURGE)?.insert(id.0, ())?;
        Ok(true)
    }

    pub fn has_accounts(&self) -> Result<bool, StoreError> {
        let table = self.view(ACCOUNTS)?;
        Ok(table.range(..)?.next().transpose()?.is_some())
    }

    /// All accounts in order of name.
    pub fn accounts(&self) -> Result<Vec<(String, Account)>, StoreError> {
        let table = self.view(ACCOUNTS)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (name, row) = row?;
            Ok((name.value().to_string(), decode_account(row.value())?))
        })
        .collect()
    }
}

/// Jump consistent hash (Lamping, Veach 2014): one of so many places, and no other than the last when one more is added.
fn spread(mut number: u64, places: u64) -> u64 {
    let mut place = 0;
    let mut next = 0;
    while next < places {
        place = next;
        number = number
            .wrapping_mul(2_862_933_555_777_941_757)
            .wrapping_add(1);
        let step = u128::from((number >> 33) + 1);
        let far = (u128::from(place) + 1) * (1 << 31) / step;
        next = u64::try_from(far).unwrap_or(u64::MAX);
    }
    place
}

fn encode_account(account: &Account) -> Vec<u8> {
    Encoder::default()
        .number(account.id.0.into())
        .flag(account.disabled)
        .time(account.created)
        .done()
}

pub(super) fn decode_account(bytes: &[u8]) -> Result<Account, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(Account {
        id: AccountId(row.number_u32()?),
        disabled: row.flag()?,
        created: row.time()?,
    })
}

/// Of each hash, weakest first: whether it is there, salt, iterations, keys.
pub(super) fn encode_credentials(credentials: &Credentials) -> Vec<u8> {
    let encode = |out: Encoder, hash| match credentials.hashed(hash) {
        None => out.flag(false),
        Some(hashed) => out
            .flag(true)
            .raw(&hashed.salt)
            .number(hashed.iterations.into())
            .bytes(&hashed.keys.stored_key)
            .bytes(&hashed.keys.server_key),
    };
    ScramHash::ALL
        .into_iter()
        .fold(Encoder::default(), encode)
        .done()
}

fn decode_credentials(bytes: &[u8]) -> Result<Credentials, StoreError> {
    let mut row = Decoder::new(bytes);
    let mut credentials = Credentials::default();
    for hash in ScramHash::ALL {
        if row.flag()? {
            let salt = row.array()?;
            let iterations = row.number_u32()?;
            let keys = decode_keys(&mut row)?;
            credentials.replace(
                hash,
                HashedPassword {
                    salt,
                    iterations,
                    keys,
                },
            );
        }
    }
    Ok(credentials)
}

fn decode_keys(row: &mut Decoder<'_>) -> Result<ScramKeys, StoreError> {
    Ok(ScramKeys {
        stored_key: row.bytes()?.into(),
        server_key: row.bytes()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Store;

    #[test]
    fn one_more_account_moves_few_samples_and_those_to_itself() {
        let numbers = || (0..1000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for places in 1..50 {
            let mut moved = 0;
            for number in numbers() {
                let (before, after) = (spread(number, places), spread(number, places + 1));
                assert!(before < places && (after == before || after == places));
                moved += u64::from(after != before);
            }
            assert!(moved <= 1500 / places + 20, "{moved} of 1000 at {places}");
        }
    }

    #[test]
    fn a_sample_is_of_an_account_there_is() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut tx = store.begin();
        assert_eq!(tx.sample_credentials(7).unwrap(), None);
        for n in 1..=5 {
            let credentials = crate::stream::sasl::new_credentials("x", [n; 16], n.into());
            let name = format!("a{n}");
            tx.add_account(&name, &credentials, Timestamp(1)).unwrap();
        }
        for gone in ["a1", "a3", "a5"] {
            tx.delete_account(gone).unwrap();
        }
        let mut seen = std::collections::HashSet::new();
        for number in 0..100u64 {
            let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let sample = tx.sample_credentials(number).unwrap().unwrap();
            seen.insert(sample.sha256.unwrap().iterations);
        }
        assert_eq!(seen, [2, 4].into_iter().collect());
    }
}
