//! A right that was proved is looked at again by whatever uses it after a wait: a login when it succeeds, each of its tasks
//! (XEP-0480), a resource that is bound, a session that is resumed. Sessions themselves end in the step that ends the right.
use crate::feature::OAUTH_GRANT;
use crate::state::{ConnectionId, Sessions, tag_of};
use crate::store::{AccountId, StoreError, Tx};
use crate::stream::{Grant, Login, Proof, Right};
use crate::xmpp::{BareJid, SaslCondition, StreamCondition, StreamError};

use crate::server::{Server, Step};

/// Time between looks at what has expired.
const LOOK_EVERY_MS: u64 = 60_000;

/// The account, or why its name and what was proved of it are good no more.
type Standing = Result<AccountId, SaslCondition>;

impl Server {
    /// A login that has just proved everything.
    pub(super) fn login_stands(
        &self,
        step: &Step<'_>,
        login: &Login,
    ) -> Result<Standing, StoreError> {
        if let Proof::Token(grant) = &login.proof {
            return self.grant_stands(step, &login.account, login.right, grant);
        }
        // Whether a token of XEP-0484 is there still shows when it is used (`use_token`).
        self.right_stands(&login.account, login.right, step.tx)
    }

    /// What was proved with a password, or a token that a password gave.
    pub(in crate::server) fn right_stands(
        &self,
        account: &BareJid,
        right: Right,
        tx: &Tx,
    ) -> Result<Standing, StoreError> {
        Ok(self
            .account_stands(account, right, tx)?
            .and_then(|account| match self.state.rights.of(account) == right {
                true => Ok(account),
                false => Err(SaslCondition::NotAuthorized),
            }))
    }

    /// The same account has the name, and may log in.
    fn account_stands(
        &self,
        account: &BareJid,
        right: Right,
        tx: &Tx,
    ) -> Result<Standing, StoreError> {
        let known = known_account(&self.state.sessions, account, tx)?;
        Ok(match known {
            Some((id, _)) if id.0 != right.account => Err(SaslCondition::NotAuthorized),
            Some((_, true)) => Err(SaslCondition::AccountDisabled),
            Some((id, false)) => Ok(id),
            None => Err(SaslCondition::NotAuthorized),
        })
    }

    /// A token that is shown as it is does not end with the password.
    fn grant_stands(
        &self,
        step: &Step<'_>,
        account: &BareJid,
        right: Right,
        grant: &Grant,
    ) -> Result<Standing, StoreError> {
        let account = match self.account_stands(account, right, step.tx)? {
            Ok(account) => account,
            refused => return Ok(refused),
        };
        let (tag, expires) = match *grant.id == *OAUTH_GRANT {
            true => (
                step.tx.oauth_grant(account)?.map(|row| tag_of(&row.salt)),
                None,
            ),
            false => {
                let row = step.tx.app_token(account, &grant.id)?;
                let expires = row.as_ref().and_then(|row| row.expires);
                (row.map(|row| tag_of(&row.hash)), expires)
            }
        };
        let now = step.now.sure;
        Ok(match expires {
            _ if tag != Some(grant.tag) => Err(SaslCondition::NotAuthorized),
            Some(expires) if now >= expires => Err(SaslCondition::CredentialsExpired),
            _ => Ok(account),
        })
    }

    /// A client that has logged in and now asks for a resource, or for a session it had. `None`: it may not any more.
    pub(in crate::server) fn still_logged_in(
        &self,
        step: &Step<'_>,
        id: ConnectionId,
        account: &BareJid,
    ) -> Result<Option<AccountId>, StoreError> {
        let connection = self.connections.get(&id);
        let Some((connection, right)) = connection.and_then(|it| Some((it, it.right?))) else {
            return Ok(None);
        };
        let standing = match &connection.client.grant {
            Some(grant) => self.grant_stands(step, account, right, grant)?,
            None => self.right_stands(account, right, step.tx)?,
        };
        Ok(standing.ok())
    }

    /// A token that was made for some time ends the sessions it holds, too; within a minute.
    pub(in crate::server) fn end_expired(&mut self, step: &Step<'_>) -> Result<(), StoreError> {
        if step.now.monotonic_ms < self.expiry_due_ms {
            return Ok(());
        }
        self.expiry_due_ms = step.now.monotonic_ms + LOOK_EVERY_MS;
        let now = step.now.sure;
        let mut expired = Vec::new();
        for session in self.state.sessions.all() {
            let Some(grant) = session.client.grant.as_deref() else {
                continue;
            };
            let token = step.tx.app_token(session.account, &grant.id)?;
            let expires = token.and_then(|token| token.expires);
            if expires.is_some_and(|expires| now >= expires) {
                expired.push(session.id);
            }
        }
        let error = StreamError::new(StreamCondition::NotAuthorized).text("The token has expired.");
        for session in expired {
            self.state.end_session(session, &error);
        }
        Ok(())
    }

    /// Access was taken away from clients and tokens: who has only logged in by them is not logged in.
    pub(in crate::server) fn withdraw(&mut self) {
        for (account, id) in std::mem::take(&mut self.state.effects.withdrawn) {
            for (_, connection) in self.connections.iter_mut() {
                let client = &connection.client;
                let by = match &client.grant {
                    Some(grant) => Some(&grant.id),
                    None => client.key.as_ref().map(|key| &key.0),
                };
                let of_account = connection.right.map(|right| right.account) == Some(account.0);
                if of_account && by == Some(&id) {
                    connection.right = None;
                }
            }
        }
    }
}

/// An account and whether it is disabled. One with sessions is not: they end with the step that disables it.
pub fn known_account(
    sessions: &Sessions,
    jid: &BareJid,
    tx: &Tx,
) -> Result<Option<(AccountId, bool)>, StoreError> {
    if let Some(online) = sessions.online(jid) {
        return Ok(Some((online.account, false)));
    }
    let account = match jid.local() {
        Some(local) => tx.account(local)?,
        None => None,
    };
    Ok(account.map(|account| (account.id, account.disabled)))
}
