//! Clients of an account as XEP-0494 lists them.
use std::ops::Bound;

use crate::xmpp::Timestamp;

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::CLIENTS;
use crate::store::{AccountId, FastTokens, StoreError, Tx, Writing, texts_of};

/// Clients remembered for one account; the one not seen for longest makes room, and its tokens end.
pub const CLIENTS_MAX: usize = 100;

/// Names a client of one account: opaque, made from what the client calls itself, never reused for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub Box<str>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// It has logged in with the password there is now.
    pub knows_password: bool,
    /// As it calls itself; empty where it does not.
    pub software: String,
    pub uri: String,
    pub device: String,
}

impl Tx {
    pub fn client(
        &self,
        account: AccountId,
        key: &ClientKey,
    ) -> Result<Option<Client>, StoreError> {
        let table = self.view(CLIENTS)?;
        let row = table.get((account.0, &*key.0))?;
        row.map(|row| decode_client(row.value())).transpose()
    }

    /// All clients of an account, in no order that means anything.
    pub fn clients(&self, account: AccountId) -> Result<Vec<(ClientKey, Client)>, StoreError> {
        let table = self.view(CLIENTS)?;
        let rows = table.range(texts_of(account))?;
        rows.map(|row| {
            let (key, row) = row?;
            let client = decode_client(row.value())?;
            Ok((ClientKey(key.value().1.into()), client))
        })
        .collect()
    }

    /// The next so many clients of all accounts, behind one of them or (`None`) from the first.
    pub fn clients_behind(
        &self,
        last: Option<&(AccountId, ClientKey)>,
        rows_max: usize,
    ) -> Result<Vec<(AccountId, ClientKey, Client)>, StoreError> {
        let from = last.map_or(Bound::Unbounded, |(account, key)| {
            Bound::Excluded((account.0, &*key.0))
        });
        let table = self.view(CLIENTS)?;
        let rows = table.range((from, Bound::Unbounded))?;
        rows.take(rows_max)
            .map(|row| {
                let (place, row) = row?;
                let (account, key) = place.value();
                let client = decode_client(row.value())?;
                Ok((AccountId(account), ClientKey(key.into()), client))
            })
            .collect()
    }

    /// Adds or changes a client, which was seen last just now if it is new.
    pub fn set_client(
        &mut self,
        account: AccountId,
        key: &ClientKey,
        client: &Client,
    ) -> Result<(), StoreError> {
        if self.client(account, key)?.is_none() {
            let mut known = self.clients(account)?;
            known.sort_by_key(|(_, client)| client.last_seen);
            let over = (known.len() + 1).saturating_sub(CLIENTS_MAX);
            for (oldest, _) in known.iter().take(over) {
                self.remove_client(account, oldest, client.last_seen)?;
            }
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CLIENTS)?
            .insert((account.0, &*key.0), encode_client(client).as_slice())?;
        Ok(())
    }

    /// Forgets a client, and that it ever had tokens.
    pub fn forget_client(&mut self, account: AccountId, key: &ClientKey) -> Result<(), StoreError> {
        for (_, mechanism, _) in self.fast_rows(account, Some(key))? {
            self.set_fast_tokens(account, key, &mechanism, &FastTokens::default())?;
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CLIENTS)?.remove((account.0, &*key.0))
    }

    /// Takes a client away and ends its tokens. False: no such client.
    pub fn remove_client(
        &mut self,
        account: AccountId,
        key: &ClientKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if self.client(account, key)?.is_none() {
            return Ok(false);
        }
        self.revoke_fast(account, key, now)?;
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CLIENTS)?.remove((account.0, &*key.0))?;
        Ok(true)
    }

    /// Ends what all clients of an account hold: its password was changed, or it was disabled.
    pub fn revoke_all_clients(
        &mut self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (key, mut client) in self.clients(account)? {
            client.knows_password = false;
            self.set_client(account, &key, &client)?;
        }
        self.set_oauth_grant(account, None)?;
        self.end_tokens(account, None, now)
    }
}

fn encode_client(client: &Client) -> Vec<u8> {
    Encoder::default()
        .time(client.first_seen)
        .time(client.last_seen)
        .flag(client.knows_password)
        .text(&client.software)
        .text(&client.uri)
        .text(&client.device)
        .done()
}

fn decode_client(bytes: &[u8]) -> Result<Client, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(Client {
        first_seen: row.time()?,
        last_seen: row.time()?,
        knows_password: row.flag()?,
        software: row.text()?.to_string(),
        uri: row.text()?.to_string(),
        device: row.text()?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::super::tokens::tests::token;
    use super::*;
    use crate::store::{EndedToken, Store};

    fn client(seen: i64) -> Client {
        Client {
            first_seen: Timestamp(seen),
            last_seen: Timestamp(seen),
            knows_password: true,
            software: "Gajim".into(),
            uri: String::new(),
            device: "desk".into(),
        }
    }

    #[test]
    fn the_client_unseen_for_longest_makes_room_and_its_tokens_end() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut tx = store.begin();
        let account = AccountId(1);
        let key = |n: usize| ClientKey(format!("k{n}").into());
        let tokens = FastTokens {
            current: Some(token(1)),
            new: Some(token(2)),
            ended: Vec::new(),
        };
        let now = Timestamp(1000);
        let ended = |salt| EndedToken {
            salt: [salt; 16],
            at: Timestamp(CLIENTS_MAX as i64),
        };
        for n in 0..=CLIENTS_MAX {
            tx.set_client(account, &key(n), &client(n as i64)).unwrap();
            tx.set_fast_tokens(account, &key(n), "HT-SHA-256-NONE", &tokens)
                .unwrap();
        }
        assert_eq!(tx.clients(account).unwrap().len(), CLIENTS_MAX);
        assert_eq!(tx.client(account, &key(0)).unwrap(), None);
        let of = |n, mechanism| tx.fast_tokens(account, &key(n), mechanism).unwrap();
        assert_eq!(of(0, "HT-SHA-256-NONE").ended, [ended(1), ended(2)]);
        assert!(!of(0, "HT-SHA-256-NONE").is_good());
        assert_eq!(of(1, "HT-SHA-256-NONE"), tokens);
        assert_eq!(of(1, "HT-SHA-256-ENDP"), FastTokens::default());
        assert_eq!(tx.all_fast_tokens(account, &key(1)).unwrap(), [tokens]);
        // "k1" is the beginning of "k10", whose tokens stay.
        assert!(tx.remove_client(account, &key(1), now).unwrap());
        assert!(!tx.remove_client(account, &key(1), now).unwrap());
        let is_good = |tx: &Tx, n| {
            let rows = tx.all_fast_tokens(account, &key(n)).unwrap();
            rows.iter().any(FastTokens::is_good)
        };
        assert!(!is_good(&tx, 1) && is_good(&tx, 10));
        tx.forget_client(account, &key(10)).unwrap();
        assert_eq!(tx.client(account, &key(10)).unwrap(), None);
        assert!(tx.all_fast_tokens(account, &key(10)).unwrap().is_empty());
        tx.set_client(account, &key(10), &client(10)).unwrap();
        tx.revoke_all_clients(account, now).unwrap();
        assert!((0..=CLIENTS_MAX).all(|n| !is_good(&tx, n)));
        let client = tx.client(account, &key(10)).unwrap();
        assert!(!client.unwrap().knows_password);
    }
}
