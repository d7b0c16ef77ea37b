//! Tokens of XEP-0484: which a client may log in with, and which it could. Of a token only what it is derived from is
//! kept: without the server's key file nobody can make it from these rows.
use std::collections::HashSet;

use crate::store::engine::table::WriteTransaction;

use crate::xmpp::Timestamp;

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::{CLIENTS, FAST_TOKENS};
use crate::store::{AccountId, ClientKey, StoreError, Tx, Writing};

/// Tokens that ended remembered for one client and mechanism, and clients and mechanisms of one account of which nothing
/// else is left; the oldest makes room.
pub const ENDED_TOKENS_MAX: usize = 4;
pub const ENDED_ROWS_MAX: usize = 100;

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

/// The two slots of one client and mechanism (XEP-0484 §5.1), and what was in them before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastTokens {
    pub current: Option<FastToken>,
    pub new: Option<FastToken>,
    /// Oldest first.
    pub ended: Vec<EndedToken>,
}

/// What a token was derived from that is good no more, so that its client can be told so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedToken {
    pub salt: [u8; 16],
    pub at: Timestamp,
}

impl FastTokens {
    /// Remembers that a token has ended.
    pub fn end(&mut self, token: Option<FastToken>, now: Timestamp) {
        let Some(token) = token else { return };
        self.ended.push(EndedToken {
            salt: token.salt,
            at: now,
        });
        let over = self.ended.len().saturating_sub(ENDED_TOKENS_MAX);
        self.ended.drain(..over);
    }

    pub fn end_both(&mut self, now: Timestamp) {
        for token in [self.current.take(), self.new.take()] {
            self.end(token, now);
        }
    }

    /// One of them logs in.
    pub(super) fn is_good(&self) -> bool {
        self.current.is_some() || self.new.is_some()
    }

    fn last_ended(&self) -> Option<Timestamp> {
        self.ended.last().map(|ended| ended.at)
    }
}

impl Tx {
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
        let rows = self.fast_rows(account, Some(key))?;
        Ok(rows.into_iter().map(|(_, _, tokens)| tokens).collect())
    }

    /// Client, mechanism and tokens, of one client or of all of an account.
    pub(super) fn fast_rows(
        &self,
        account: AccountId,
        client: Option<&ClientKey>,
    ) -> Result<Vec<(ClientKey, String, FastTokens)>, StoreError> {
        let first = client.map_or("", |client| &client.0);
        let table = self.view(FAST_TOKENS)?;
        let rows = table.range((account.0, first, "")..)?;
        let wanted = rows.take_while(|row| {
            row.as_ref().map_or(true, |(found, _)| {
                let (of_account, of_client, _) = found.value();
                of_account == account.0 && client.is_none_or(|client| of_client == &*client.0)
            })
        });
        wanted
            .map(|row| {
                let (place, row) = row?;
                let (_, client, mechanism) = place.value();
                let tokens = decode_tokens(row.value())?;
                Ok((ClientKey(client.into()), mechanism.to_string(), tokens))
            })
            .collect()
    }

    /// What logs in must be listed: the client is known, or becomes so in the same step.
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
        match *tokens == FastTokens::default() {
            true => table.remove(place)?,
            false => table.insert(place, encode_tokens(tokens).as_slice())?,
        };
        Ok(())
    }

    /// Ends the tokens of one client.
    pub fn revoke_fast(
        &mut self,
        account: AccountId,
        key: &ClientKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end_tokens(account, Some(key), now)
    }

    pub(super) fn end_tokens(
        &mut self,
        account: AccountId,
        client: Option<&ClientKey>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (key, mechanism, mut tokens) in self.fast_rows(account, client)? {
            if tokens.is_good() {
                tokens.end_both(now);
                self.set_fast_tokens(account, &key, &mechanism, &tokens)?;
            }
        }
        let mut ended = self.fast_rows(account, None)?;
        ended.retain(|(_, _, tokens)| !tokens.is_good());
        ended.sort_by_key(|(_, _, tokens)| tokens.last_ended());
        let over = ended.len().saturating_sub(ENDED_ROWS_MAX);
        for (key, mechanism, _) in ended.into_iter().take(over) {
            self.set_fast_tokens(account, &key, &mechanism, &FastTokens::default())?;
        }
        Ok(())
    }
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
    let out = [&tokens.current, &tokens.new]
        .into_iter()
        .fold(Encoder::default(), encode)
        .length(tokens.ended.len());
    let ended = tokens.ended.iter();
    ended
        .fold(out, |out, ended| out.raw(&ended.salt).time(ended.at))
        .done()
}

pub(in crate::store) fn decode_tokens(bytes: &[u8]) -> Result<FastTokens, StoreError> {
    let mut row = Decoder::new(bytes);
    let (current, new) = (decode_token(&mut row)?, decode_token(&mut row)?);
    let count = row.length()?;
    let ended = (0..count).map(|_| {
        Ok(EndedToken {
            salt: row.array()?,
            at: row.time()?,
        })
    });
    Ok(FastTokens {
        ended: ended.collect::<Result<_, StoreError>>()?,
        current,
        new,
    })
}

fn decode_token(row: &mut Decoder<'_>) -> Result<Option<FastToken>, StoreError> {
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
}

/// From version 1 to 2: rows of tokens tell of those that ended, and a token of a client that nobody knows, which could
/// be neither listed nor revoked, ends.
pub(in crate::store) fn list_only(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    let known: HashSet<(u32, String)> = {
        let clients = txn.view(CLIENTS)?;
        let rows = clients.range(..)?;
        rows.map(|row| {
            let place = row?.0;
            let (account, client) = place.value();
            Ok((account, client.to_string()))
        })
        .collect::<Result<_, StoreError>>()?
    };
    let rows: Vec<(u32, String, String, Vec<u8>)> = {
        let tokens = txn.view(FAST_TOKENS)?;
        let rows = tokens.range(..)?;
        rows.map(|row| {
            let (place, row) = row?;
            let (account, client, mechanism) = place.value();
            let row = Encoder::default().raw(row.value()).length(0).done();
            Ok((account, client.to_string(), mechanism.to_string(), row))
        })
        .collect::<Result<_, StoreError>>()?
    };
    let mut table = txn.open_table(FAST_TOKENS)?;
    for (account, client, mechanism, row) in rows {
        let place = (account, client.as_str(), mechanism.as_str());
        match known.contains(&(account, client.clone())) {
            true => table.insert(place, row.as_slice())?,
            false => table.remove(place)?,
        };
    }
    Ok(())
}

#[cfg(test)]
pub(in crate::store) mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Store;

    pub fn token(byte: u8) -> FastToken {
        FastToken {
            salt: [byte; 16],
            issued: Timestamp(1),
            expires: Timestamp(2),
            count: 3,
            reserved: 9,
        }
    }

    #[test]
    fn what_ended_is_remembered_for_so_many_and_no_more() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut tx = store.begin();
        let account = AccountId(1);
        let key = |n: usize| ClientKey(format!("k{n}").into());
        for n in 0..ENDED_ROWS_MAX + 5 {
            let mut tokens = FastTokens::default();
            for byte in 0..=u8::try_from(ENDED_TOKENS_MAX).unwrap() {
                tokens.current = Some(token(byte));
                tokens.end_both(Timestamp(n as i64));
            }
            assert_eq!(tokens.ended.len(), ENDED_TOKENS_MAX);
            tokens.current = Some(token(9));
            tx.set_fast_tokens(account, &key(n), "m", &tokens).unwrap();
            tx.revoke_fast(account, &key(n), Timestamp(n as i64))
                .unwrap();
            let other = tx.fast_tokens(AccountId(2), &key(n), "m").unwrap();
            assert_eq!(other, FastTokens::default());
        }
        let left = tx.fast_rows(account, None).unwrap();
        assert_eq!(left.len(), ENDED_ROWS_MAX);
        assert!(left.iter().all(|(_, _, tokens)| !tokens.is_good()));
        assert!(left.iter().all(|(key, ..)| *key.0 != *"k4"));
    }
}
