//! Clients of an account as XEP-0494 lists them, and their tokens of XEP-0484. Of a token only what it is derived from
//! is kept: without the server's key file nobody can make it from these rows.
use std::ops::Bound;

use super::table::WriteTransaction;

use crate::xmpp::Timestamp;

use super::codec::{Decoder, Encoder};
use super::schema::{CLIENTS, FAST_TOKENS};
use super::{AccountId, StoreError, Tx, Writing, texts_of};

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

/// What one token is derived from, and how far it is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastToken {
    pub salt: [u8; 16],
    pub issued: Timestamp,
    pub expires: Timestamp,
    /// It was used with this count (XEP-0484 §3.4), and may have been with others up to `reserved`.
    pub count: u32,
    pub reserved: u32,
}

/// The two slots of one client and mechanism (XEP-0484 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastTokens {
    pub current: Option<FastToken>,
    pub new: Option<FastToken>,
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

    /// Adds or changes a client.
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
                self.remove_client(account, oldest)?;
            }
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CLIENTS)?
            .insert((account.0, &*key.0), encode_client(client).as_slice())?;
        Ok(())
    }

    /// Forgets a client and ends its tokens. False: no such client.
    pub fn remove_client(
        &mut self,
        account: AccountId,
        key: &ClientKey,
    ) -> Result<bool, StoreError> {
        if self.client(account, key)?.is_none() {
            return Ok(false);
        }
        self.revoke_fast(account, key)?;
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CLIENTS)?.remove((account.0, &*key.0))?;
        Ok(true)
    }

    pub fn fast_tokens(
        &self,
        account: AccountId,
        key: &ClientKey,
        mechanism: &str,
    ) -> Result<FastTokens, StoreError> {
        let table = self.view(FAST_TOKENS)?;
        let row = table.get((account.0, &*key.0, mechanism))?;
        row.map_or(Ok(FastTokens::default()), |row| decode_tokens(row.value()))
    }

    /// The tokens of a client for all mechanisms.
    pub fn all_fast_tokens(
        &self,
        account: AccountId,
        key: &ClientKey,
    ) -> Result<Vec<FastTokens>, StoreError> {
        let table = self.view(FAST_TOKENS)?;
        let rows = table.range((account.0, &*key.0, "")..)?;
        let of_client = rows.take_while(|row| {
            row.as_ref().map_or(true, |(found, _)| {
                let (of_account, of_client, _) = found.value();
                of_account == account.0 && of_client == &*key.0
            })
        });
        of_client.map(|row| decode_tokens(row?.1.value())).collect()
    }

    pub fn set_fast_tokens(
        &mut self,
        account: AccountId,
        key: &ClientKey,
        mechanism: &str,
        tokens: &FastTokens,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(FAST_TOKENS)?;
        let place = (account.0, &*key.0, mechanism);
        match tokens.current.is_none() && tokens.new.is_none() {
            true => table.remove(place)?,
            false => table.insert(place, encode_tokens(tokens).as_slice())?,
        };
        Ok(())
    }

    /// Ends the tokens of one client.
    pub fn revoke_fast(&mut self, account: AccountId, key: &ClientKey) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        // No text lies between the two: neither octet can stand in one.
        let end = format!("{}\u{1}", key.0);
        txn.open_table(FAST_TOKENS)?.retain_in(
            (account.0, &*key.0, "")..(account.0, end.as_str(), ""),
            |_, _| false,
        )?;
        Ok(())
    }

    /// Ends what all clients of an account hold: its password was changed, or it was disabled.
    pub fn revoke_all_clients(&mut self, account: AccountId) -> Result<(), StoreError> {
        for (key, mut client) in self.clients(account)? {
            client.knows_password = false;
            self.set_client(account, &key, &client)?;
        }
        self.set_oauth_grant(account, None)?;
        let Writing { txn, .. } = self.writing()?;
        remove_tokens(txn, account)
    }
}

/// Part of removing an account.
pub(super) fn remove_all(txn: &WriteTransaction, account: AccountId) -> Result<(), StoreError> {
    txn.open_table(CLIENTS)?
        .retain_in(texts_of(account), |_, _| false)?;
    remove_tokens(txn, account)
}

fn remove_tokens(txn: &WriteTransaction, account: AccountId) -> Result<(), StoreError> {
    let end = account.0.saturating_add(1);
    txn.open_table(FAST_TOKENS)?
        .retain_in((account.0, "", "")..(end, "", ""), |_, _| false)?;
    Ok(())
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

fn encode_tokens(tokens: &FastTokens) -> Vec<u8> {
    let encode = |out: Encoder, token: &Option<FastToken>| match token {
        None => out.flag(false),
        Some(token) => out
            .flag(true)
            .raw(&token.salt)
            .time(token.issued)
            .time(token.expires)
            .number(token.count.into())
            .number(token.reserved.into()),
    };
    [&tokens.current, &tokens.new]
        .into_iter()
        .fold(Encoder::default(), encode)
        .done()
}

fn decode_tokens(bytes: &[u8]) -> Result<FastTokens, StoreError> {
    let mut row = Decoder::new(bytes);
    let mut token = || -> Result<Option<FastToken>, StoreError> {
        if !row.flag()? {
            return Ok(None);
        }
        Ok(Some(FastToken {
            salt: row.array()?,
            issued: row.time()?,
            expires: row.time()?,
            count: row.number_u32()?,
            reserved: row.number_u32()?,
        }))
    };
    Ok(FastTokens {
        current: token()?,
        new: token()?,
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Store;

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

    fn token(byte: u8) -> FastToken {
        FastToken {
            salt: [byte; 16],
            issued: Timestamp(1),
            expires: Timestamp(2),
            count: 3,
            reserved: 9,
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
        };
        for n in 0..=CLIENTS_MAX {
            tx.set_client(account, &key(n), &client(n as i64)).unwrap();
            tx.set_fast_tokens(account, &key(n), "HT-SHA-256-NONE", &tokens)
                .unwrap();
        }
        assert_eq!(tx.clients(account).unwrap().len(), CLIENTS_MAX);
        assert_eq!(tx.client(account, &key(0)).unwrap(), None);
        let of = |n, mechanism| tx.fast_tokens(account, &key(n), mechanism).unwrap();
        assert_eq!(of(0, "HT-SHA-256-NONE"), FastTokens::default());
        assert_eq!(of(1, "HT-SHA-256-NONE"), tokens);
        assert_eq!(of(1, "HT-SHA-256-ENDP"), FastTokens::default());
        assert_eq!(tx.all_fast_tokens(account, &key(1)).unwrap(), [tokens]);
        // "k1" is the beginning of "k10", whose tokens stay.
        assert!(tx.remove_client(account, &key(1)).unwrap());
        assert!(!tx.remove_client(account, &key(1)).unwrap());
        let left = tx.all_fast_tokens(account, &key(10)).unwrap();
        assert_eq!(left.len(), 1);
        tx.revoke_all_clients(account).unwrap();
        assert!(tx.all_fast_tokens(account, &key(10)).unwrap().is_empty());
        let client = tx.client(account, &key(10)).unwrap();
        assert!(!client.unwrap().knows_password);
    }
}
