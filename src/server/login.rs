//! Logins as the server has its part in them: what is known of accounts and tokens, and what a login of XEP-0388 asks
//! for beside: an earlier session first, then a resource (XEP-0386), then a token (XEP-0484), all told in one success.

pub mod attempts;
pub mod client;
pub mod events;
pub mod fast;
pub mod jobs;
pub mod rights;
pub mod token;

use crate::state::{ConnectionId, Outbox, SessionClient, SessionId};
use crate::store::{AccountId, StoreError, Tx};
use crate::stream::{
    AccountAnswer, Hashes, Login, Offer, Outcome, Proof, Request, ResumeRequest, ScramHash, Upgrade,
};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, ns, quoted};

use super::session::management;
use super::session::resumption::{ResumeOutcome, write_outcome};
use super::{Server, Step};
use client::{Seen, note_client};

impl Server {
    /// XEP-0388 §2.1: an account nobody knows is offered what one that is there would be.
    pub(super) fn answer_peer(
        &mut self,
        step: &Step<'_>,
        id: ConnectionId,
        account: &BareJid,
    ) -> Result<(), StoreError> {
        if !self.state.redirects.is_empty() {
            let known = account
                .local()
                .map(|name| step.tx.account(name))
                .transpose()?;
            let account = known.flatten().map(|account| account.id);
            if self.is_sent_away(step.now, id, account) {
                return Ok(());
            }
        }
        let online = self.state.sessions.online(account);
        let offer = match online.and_then(|online| online.offer) {
            Some(offer) => offer,
            None => self.offer(account, step.tx)?,
        };
        if let Some(online) = self.state.sessions.online_mut(account) {
            online.offer = Some(offer);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.offer(offer);
        }
        Ok(())
    }

    fn offer(&self, account: &BareJid, tx: &Tx) -> Result<Offer, StoreError> {
        let known = match account.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let credentials = match known {
            Some(account) => tx.credentials(account.id)?,
            None => None,
        };
        let credentials = match credentials {
            Some(credentials) => credentials,
            None => self.fake_credentials(account, tx)?,
        };
        let iterations = self.state.settings.scram_iterations;
        let mut offer = Offer {
            x_oauth: self.state.settings.x_oauth,
            ..Offer::default()
        };
        let stored = |hash: &ScramHash| credentials.hashed(*hash);
        let is_old =
            |hash: &ScramHash| stored(hash).is_none_or(|hashed| hashed.iterations < iterations);
        let all = || ScramHash::ALL.into_iter();
        offer.hashes = all().filter(|hash| stored(hash).is_some()).collect();
        // SHA-1 is for clients that know nothing better; those do not know XEP-0480 either.
        offer.upgrades = all()
            .filter(|hash| *hash != ScramHash::Sha1 && is_old(hash))
            .collect();
        if offer.hashes == Hashes::default() {
            offer.hashes = Hashes::ALL;
        }
        Ok(offer)
    }

    pub(super) fn answer_credentials(
        &mut self,
        id: ConnectionId,
        jid: &BareJid,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        let known = match jid.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let answer = match known {
            Some(account) => match tx.credentials(account.id)? {
                Some(credentials) => AccountAnswer::Known {
                    credentials,
                    disabled: account.disabled,
                    right: self.state.rights.of(account.id),
                },
                None => AccountAnswer::Unknown(self.fake_credentials(jid, tx)?),
            },
            None => AccountAnswer::Unknown(self.fake_credentials(jid, tx)?),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.credentials(answer);
        }
        Ok(())
    }

    /// Everything is proved; what it was proved by may have ended while that took.
    pub(super) fn authenticated(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        login: Login,
    ) -> Result<(), StoreError> {
        let standing = self.login_stands(step, &login)?;
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let account = match standing {
            Ok(account) => account,
            Err(condition) => {
                connection.stream.not_completed(condition);
                return Ok(());
            }
        };
        connection.right = Some(login.right);
        self.attempt_succeeded(step.now, id, &login);
        if self.is_sent_away(step.now, id, Some(account)) {
            return Ok(());
        }
        let resumes = |request: &Request| request.resume.is_some();
        if !login.request.as_deref().is_some_and(resumes) {
            log_login(&login);
        }
        let mut client = SessionClient::default();
        if let Proof::Token(grant) = &login.proof {
            client.grant = Some(grant.clone().into());
        }
        match login.request.as_deref().cloned() {
            Some(request) => {
                let login = (&login, account);
                self.complete(step, id, login, (&request, client))
            }
            None => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.client = client;
                }
                let told = (&[][..], Outcome::Authenticated);
                self.tell_success(id, &login.account, None, told, step.out);
                Ok(())
            }
        }
    }

    /// XEP-0388 §2.6.1: does what was asked for inline, and tells it.
    fn complete(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        (login, account): (&Login, AccountId),
        (request, mut client): (&Request, SessionClient),
    ) -> Result<(), StoreError> {
        let agent = request.agent.id.as_deref();
        client.key = agent.map(|agent| self.state.tokens.key_of_agent(account, agent));
        self.store_upgrades((&login.account, account), &login.upgrades, step.tx)?;
        let due = match self.use_token(step, (login, account), (request, &mut client))? {
            Ok(due) => due,
            Err(condition) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.right = None;
                    connection.stream.not_completed(condition);
                }
                return Ok(());
            }
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.client = client.clone();
        }
        let mut inline = Vec::new();
        let owner = (login, account);
        let done = self.resume_or_bind(step, id, owner, (request, &client), &mut inline)?;
        let session = done.and_then(|(_, session)| session);
        if let (None, Some(key), Some(used)) = (session, &client.key, client.fast) {
            // XEP-0484 §3.4: used up, whatever becomes of the stream.
            fast::settle(step.tx, (account, key), used)?;
        }
        let Some((outcome, _)) = done else {
            return Ok(());
        };
        let token = self.new_token(step, (login, account), (request, &client), due)?;
        if let Some((token, expiry)) = &token {
            let mut w = Writer::new(&mut inline);
            w.open_ns("token", ns::FAST)
                .attr("token", token)
                .attr("expiry", &expiry.to_string())
                .close();
        }
        self.tell_success(id, &login.account, session, (&inline, outcome), step.out);
        let seen = Seen {
            agent: &request.agent,
            by_password: login.proof == Proof::Password,
            // XEP-0494 §3.1: what logs in is listed.
            holds_token: token.is_some(),
        };
        match session {
            Some(session) => note_client(&mut self.cx(step), session, &seen)?,
            None => self.note_login(step, id, account, &seen)?,
        }
        match (outcome, session) {
            (Outcome::Resumed, Some(session)) => self.resumed(step, id, session),
            _ => Ok(()),
        }
    }

    /// XEP-0480: what is stored of the password is now also this.
    fn store_upgrades(
        &mut self,
        (jid, account): (&BareJid, AccountId),
        upgrades: &[Upgrade],
        tx: &mut Tx,
    ) -> Result<(), StoreError> {
        if upgrades.is_empty() {
            return Ok(());
        }
        let mut credentials = tx.credentials(account)?.unwrap_or_default();
        for upgrade in upgrades {
            credentials.replace(upgrade.hash, upgrade.hashed.clone());
        }
        self.state.sessions.credentials_changed(jid);
        tx.set_credentials(account, &credentials)
    }

    /// What came of it, and the session that the stream now has, if any. `None`: the stream ends.
    fn resume_or_bind(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        (login, account): (&Login, AccountId),
        (request, client): (&Request, &SessionClient),
        inline: &mut Vec<u8>,
    ) -> Result<Option<(Outcome, Option<SessionId>)>, StoreError> {
        let mut w = Writer::new(inline);
        match &request.resume {
            None => {}
            // XEP-0198 §8.2: that it failed is told, whatever was wrong.
            Some(ResumeRequest::Malformed) => {
                log_login(login);
                management::write_failed(&mut w, None, Condition::BadRequest);
            }
            Some(ResumeRequest::Session { id: previous, h }) => {
                let outcome = self.resume(step, id, &login.account, (previous, *h))?;
                write_outcome(&mut w, previous, &outcome);
                match outcome {
                    ResumeOutcome::Resumed { session, .. } => {
                        self.log_resumed(session, login.mechanism);
                        return Ok(Some((Outcome::Resumed, Some(session))));
                    }
                    ResumeOutcome::NotFound { .. } => log_login(login),
                    ResumeOutcome::TooHigh(error) => {
                        log_login(login);
                        self.state
                            .effects
                            .ending
                            .push((id, management::too_high(error)));
                        return Ok(None);
                    }
                }
            }
        }
        // XEP-0198 §8.2, XEP-0386 §3.2: only if nothing was resumed.
        let Some(bind) = &request.bind else {
            return Ok(Some((Outcome::Authenticated, None)));
        };
        let owner = (&login.account, account);
        let bound = self.bind_inline(step, id, owner, (bind, client.clone()), &mut w)?;
        let Some(session) = bound else {
            return Ok(Some((Outcome::Authenticated, None)));
        };
        let known = self.state.sessions.get(session);
        let managed = known.is_some_and(|session| session.management.is_some());
        Ok(Some((Outcome::Bound { managed }, Some(session))))
    }

    fn tell_success(
        &mut self,
        id: ConnectionId,
        account: &BareJid,
        session: Option<SessionId>,
        (inline, outcome): (&[u8], Outcome),
        out: &mut Outbox,
    ) {
        let session = session.and_then(|session| self.state.sessions.get(session));
        let authorized = session.map_or(account.as_str(), |session| session.jid.as_str());
        let entropy = self.entropy.as_mut();
        if let Some(connection) = self.connections.get_mut(&id) {
            out.send(connection.wire(id), |bytes| {
                connection
                    .stream
                    .complete(account, authorized, inline, outcome, entropy, bytes);
            });
        }
    }
}

fn log_login(login: &Login) {
    log::info!(
        "login.ok account={} mechanism={}",
        quoted(login.account.as_str()),
        login.mechanism
    );
}
