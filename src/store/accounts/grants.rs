//! Tokens that are shown as they are: those made for apps, of which a hash is kept, and what those of X-OAUTH are signed
//! with.

use crate::xmpp::Timestamp;

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::{APP_TOKENS, OAUTH_GRANTS};
use crate::store::{AccountId, StoreError, Tx, Writing, texts_of};

/// Tokens for apps of one account at once.
pub const APP_TOKENS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppToken {
    /// What its owner calls it.
    pub name: String,
    /// Localpart of the account.
    pub account: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    pub created: Timestamp,
    /// `None`: never.
    pub expires: Option<Timestamp>,
    /// `None`: never yet.
    pub last_used: Option<Timestamp>,
    /// May message and read, no more.
    pub restricted: bool,
}

/// What makes all tokens of X-OAUTH of one account good; removed, none is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthGrant {
    pub salt: [u8; 16],
    pub created: Timestamp,
    pub last_used: Option<Timestamp>,
}

impl Tx {
    pub fn app_token(&self, account: AccountId, id: &str) -> Result<Option<AppToken>, StoreError> {
        let table = self.view(APP_TOKENS)?;
        let row = table.get((account.0, id))?;
        row.map(|row| decode_token(row.value())).transpose()
    }

    /// All of an account, in order of id.
    pub fn app_tokens(&self, account: AccountId) -> Result<Vec<(String, AppToken)>, StoreError> {
        let table = self.view(APP_TOKENS)?;
        let rows = table.range(texts_of(account))?;
        rows.map(|row| {
            let (key, row) = row?;
            Ok((key.value().1.to_string(), decode_token(row.value())?))
        })
        .collect()
    }

    pub fn set_app_token(
        &mut self,
        account: AccountId,
        id: &str,
        token: &AppToken,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(APP_TOKENS)?
            .insert((account.0, id), encode_token(token).as_slice())?;
        Ok(())
    }

    /// False: no such token.
    pub fn remove_app_token(&mut self, account: AccountId, id: &str) -> Result<bool, StoreError> {
        if self.app_token(account, id)?.is_none() {
            return Ok(false);
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(APP_TOKENS)?.remove((account.0, id))?;
        Ok(true)
    }

    pub fn oauth_grant(&self, account: AccountId) -> Result<Option<OauthGrant>, StoreError> {
        let table = self.view(OAUTH_GRANTS)?;
        let Some(row) = table.get(account.0)? else {
            return Ok(None);
        };
        let mut row = Decoder::new(row.value());
        Ok(Some(OauthGrant {
            salt: row.array()?,
            created: row.time()?,
            last_used: optional_time(&mut row)?,
        }))
    }

    /// `None` takes the grant away, and with it all its tokens.
    pub fn set_oauth_grant(
        &mut self,
        account: AccountId,
        grant: Option<&OauthGrant>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(OAUTH_GRANTS)?;
        match grant {
            None => table.remove(account.0)?,
            Some(grant) => {
                let row = Encoder::default().raw(&grant.salt).time(grant.created);
                let row = encode_optional(row, grant.last_used).done();
                table.insert(account.0, row.as_slice())?
            }
        };
        Ok(())
    }
}

fn encode_token(token: &AppToken) -> Vec<u8> {
    let row = Encoder::default()
        .text(&token.name)
        .text(&token.account)
        .raw(&token.hash)
        .flag(token.restricted)
        .time(token.created);
    let row = encode_optional(row, token.expires);
    encode_optional(row, token.last_used).done()
}

fn decode_token(bytes: &[u8]) -> Result<AppToken, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(AppToken {
        name: row.text()?.to_string(),
        account: row.text()?.to_string(),
        hash: row.array()?,
        restricted: row.flag()?,
        created: row.time()?,
        expires: optional_time(&mut row)?,
        last_used: optional_time(&mut row)?,
    })
}

fn encode_optional(row: Encoder, time: Option<Timestamp>) -> Encoder {
    match time {
        None => row.flag(false),
        Some(time) => row.flag(true).time(time),
    }
}

fn optional_time(row: &mut Decoder<'_>) -> Result<Option<Timestamp>, StoreError> {
    Ok(match row.flag()? {
        true => Some(row.time()?),
        false => None,
    })
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Store;

    #[test]
    fn tokens_are_kept_by_account_and_go_with_it() {
        let store = Store::open_backend(InMemoryBackend::new(), 1 << 16).unwrap();
        let mut tx = store.begin();
        let credentials = Default::default();
        let account = tx.add_account("romeo", &credentials, Timestamp(1)).unwrap();
        let account = account.unwrap();
        let token = AppToken {
            name: "door bell".into(),
            account: "romeo".into(),
            hash: [3; 32],
            created: Timestamp(1),
            expires: Some(Timestamp(2)),
            last_used: None,
            restricted: true,
        };
        tx.set_app_token(account, "a", &token).unwrap();
        tx.set_app_token(AccountId(9), "a", &token).unwrap();
        assert_eq!(tx.app_token(account, "a").unwrap(), Some(token.clone()));
        assert_eq!(tx.app_tokens(account).unwrap(), [("a".into(), token)]);
        assert!(tx.remove_app_token(AccountId(9), "a").unwrap());
        assert!(!tx.remove_app_token(AccountId(9), "a").unwrap());
        let grant = OauthGrant {
            salt: [4; 16],
            created: Timestamp(5),
            last_used: Some(Timestamp(6)),
        };
        tx.set_oauth_grant(account, Some(&grant)).unwrap();
        assert_eq!(tx.oauth_grant(account).unwrap(), Some(grant));
        assert!(tx.delete_account("romeo").unwrap());
        assert_eq!(tx.oauth_grant(account).unwrap(), None);
        assert!(tx.app_tokens(account).unwrap().is_empty());
    }
}
