//! Tokens that are shown as they are, as the server checks and makes them.
use crate::feature::{OAUTH_ACCESS_MS, OAUTH_GRANT};
use crate::state::{
    ConnectionId, Cx, OauthKind, OauthToken, SessionId, is_app_token, parse_app_token, tag_of,
};
use crate::store::{StoreError, Tx};
use crate::stream::{Grant, TokenAnswer, TokenScheme};
use crate::xmpp::{BareJid, Timestamp};

use crate::server::{Server, Step};

/// A client that is seen again is written down no more often than this.
pub const NOTE_SEEN_MS: i64 = 3_600_000;

impl Server {
    pub(in crate::server) fn answer_token(
        &mut self,
        step: &Step<'_>,
        id: ConnectionId,
        scheme: TokenScheme,
        token: &str,
    ) -> Result<(), StoreError> {
        let now = step.now.sure;
        let answer = match scheme {
            TokenScheme::App => self.check_app_token(now, token, step.tx)?,
            TokenScheme::Oauth => self.check_oauth_token(now, token, step.tx)?,
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.token(answer);
        }
        Ok(())
    }

    fn check_app_token(
        &self,
        now: Timestamp,
        text: &str,
        tx: &Tx,
    ) -> Result<TokenAnswer, StoreError> {
        let Some((account, id)) = parse_app_token(text) else {
            return Ok(TokenAnswer::Invalid);
        };
        let token = tx.app_token(account, id)?;
        let Some(token) = token.filter(|token| is_app_token(text, &token.hash)) else {
            return Ok(TokenAnswer::Invalid);
        };
        let known = tx.account(&token.account)?;
        if !known.is_some_and(|known| known.id == account && !known.disabled) {
            return Ok(TokenAnswer::Disabled);
        }
        if token.expires.is_some_and(|expires| now >= expires) {
            return Ok(TokenAnswer::Expired);
        }
        Ok(TokenAnswer::Valid {
            account: self.user_jid(&token.account),
            right: self.state.rights.of(account),
            grant: Grant {
                id: id.into(),
                restricted: token.restricted,
                tag: tag_of(&token.hash),
            },
            data: None,
        })
    }

    /// A refresh token brings an access token with it.
    fn check_oauth_token(
        &self,
        now: Timestamp,
        text: &str,
        tx: &Tx,
    ) -> Result<TokenAnswer, StoreError> {
        let Some((token, signature)) = OauthToken::parse(text) else {
            return Ok(TokenAnswer::Invalid);
        };
        let name = token.account.local().unwrap_or_default();
        if token.account != self.user_jid_of(&token.account) {
            return Ok(TokenAnswer::Invalid);
        }
        let Some(account) = tx.account(name)? else {
            return Ok(TokenAnswer::Invalid);
        };
        let grant = tx.oauth_grant(account.id)?;
        let signed = |salt: &[u8; 16]| self.state.tokens.is_oauth(&token, signature, salt);
        let Some(grant) = grant.filter(|grant| signed(&grant.salt)) else {
            return Ok(TokenAnswer::Invalid);
        };
        if account.disabled {
            return Ok(TokenAnswer::Disabled);
        }
        if now >= token.expires {
            return Ok(TokenAnswer::Expired);
        }
        let access = OauthToken {
            kind: OauthKind::Access,
            account: token.account.clone(),
            expires: Timestamp(now.0.saturating_add(OAUTH_ACCESS_MS)),
        };
        let data = (token.kind == OauthKind::Refresh)
            .then(|| self.state.tokens.write_oauth(&access, &grant.salt));
        Ok(TokenAnswer::Valid {
            account: token.account,
            right: self.state.rights.of(account.id),
            grant: Grant {
                id: OAUTH_GRANT.into(),
                restricted: false,
                tag: tag_of(&grant.salt),
            },
            data,
        })
    }

    /// An address with the domain that is ours.
    fn user_jid_of(&self, jid: &BareJid) -> BareJid {
        match jid.local() {
            Some(local) => self.user_jid(local),
            None => jid.clone(),
        }
    }
}

/// XEP-0494: when the token of a session was last used.
pub fn note_use(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(());
    };
    let (account, grant) = (known.account, known.client.grant.clone());
    let Some(grant) = grant else { return Ok(()) };
    let now = cx.now.wall;
    let is_stale = |last: Option<Timestamp>| {
        last.is_none_or(|last| now.0.saturating_sub(last.0) >= NOTE_SEEN_MS)
    };
    if *grant.id == *OAUTH_GRANT {
        if let Some(mut row) = cx.tx.oauth_grant(account)?
            && is_stale(row.last_used)
        {
            row.last_used = Some(now);
            cx.tx.set_oauth_grant(account, Some(&row))?;
        }
    } else if let Some(mut token) = cx.tx.app_token(account, &grant.id)?
        && is_stale(token.last_used)
    {
        token.last_used = Some(now);
        cx.tx.set_app_token(account, &grant.id, &token)?;
    }
    Ok(())
}
