//! Logins as the server has its part in them: what is known of accounts and tokens, and what a login of XEP-0388 asks
//! for beside: an earlier session first, then a resource (XEP-0386), then a token (XEP-0484), all told in one success.
use crate::feature;
use crate::state::{ConnectionId, Cx, Moment, Outbox, SessionClient, SessionId};
use crate::store::{AccountId, Client, ClientKey, FastToken, StoreError, Tx};
use crate::stream::{
    AccountAnswer, BindRequest, FastCandidate, FastStanding, Hashes, Login, Offer, Outcome, Proof,
    Request, ResumeRequest, ScramHash, Slot, Upgrade, UserAgent,
};
use crate::xml::Writer;
use crate::xmpp::{BareJid, FullJid, SaslCondition, Timestamp, ns};

use super::Server;
use super::management;
use super::resumption::{ResumeOutcome, write_outcome};
use super::session::usable_account;
use super::token;
use super::unseen;

/// A client that is seen again is written down no more often than this.
pub const NOTE_SEEN_MS: i64 = 3_600_000;

/// How a token of XEP-0484 is used.
pub struct FastUse {
    pub account: BareJid,
    pub agent: Box<str>,
    pub mechanism: &'static str,
    pub count: Option<u32>,
    pub early: bool,
}

/// A token for the client, and until when.
type NewToken = Option<(Box<str>, Timestamp)>;

impl Server {
    /// XEP-0388 §2.1: an account nobody knows is offered what most are.
    pub(super) fn answer_peer(
        &mut self,
        id: ConnectionId,
        account: &BareJid,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        let known = match account.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let credentials = match known {
            Some(account) => tx.credentials(account.id)?,
            None => None,
        };
        let iterations = self.state.settings.scram_iterations;
        let mut offer = Offer {
            x_oauth: self.state.settings.x_oauth,
            ..Offer::default()
        };
        if let Some(credentials) = credentials {
            let stored = |hash: &ScramHash| credentials.hashed(*hash);
            let is_old =
                |hash: &ScramHash| stored(hash).is_none_or(|hashed| hashed.iterations < iterations);
            let all = || ScramHash::ALL.into_iter();
            offer.hashes = all().filter(|hash| stored(hash).is_some()).collect();
            // SHA-1 is for clients that know nothing better; those do not know XEP-0480 either.
            offer.upgrades = all()
                .filter(|hash| *hash != ScramHash::Sha1 && is_old(hash))
                .collect();
        }
        if offer.hashes == Hashes::default() {
            offer.hashes = Hashes::ALL;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.offer(offer);
        }
        Ok(())
    }

    pub(super) fn answer_credentials(
        &mut self,
        id: ConnectionId,
        account: &BareJid,
        tx: &mut Tx,
    ) -> Result<(), StoreError> {
        let known = match account.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let answer = match known {
            Some(account) => match tx.credentials(account.id)? {
                Some(credentials) => AccountAnswer::Known {
                    credentials,
                    disabled: account.disabled,
                },
                None => AccountAnswer::Unknown,
            },
            None => AccountAnswer::Unknown,
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.credentials(answer);
        }
        Ok(())
    }

    /// XEP-0484 §3.4, §5.1: the tokens this client may hold, the newer one first.
    pub(super) fn answer_fast(
        &mut self,
        now: Moment,
        id: ConnectionId,
        used: &FastUse,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        let known = match used.account.local() {
            Some(name) => tx.account(name)?,
            None => None,
        };
        let mut candidates = Vec::new();
        if let Some(account) = known {
            let tokens = &self.state.tokens;
            let key = tokens.key_of_agent(account.id, &used.agent);
            let stored = tx.fast_tokens(account.id, &key, used.mechanism)?;
            let now = time(now, tx)?;
            let slots = [(Slot::New, stored.new), (Slot::Current, stored.current)];
            for (slot, token) in slots {
                let Some(token) = token else { continue };
                let standing = match used.count {
                    _ if account.disabled => FastStanding::Disabled,
                    _ if token.has_expired(now) => FastStanding::Expired,
                    Some(count) if count <= token.count => FastStanding::Replayed,
                    None if used.early => FastStanding::Replayed,
                    _ => FastStanding::Good,
                };
                candidates.push(FastCandidate {
                    token: tokens.text(account.id, &key, used.mechanism, &token),
                    slot,
                    standing,
                });
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.fast(candidates);
        }
        Ok(())
    }

    pub(super) fn authenticated(
        &mut self,
        now: Moment,
        id: ConnectionId,
        login: Login,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        self.throttle.succeeded(&login.account);
        log::info!(
            "login.ok account={} mechanism={}",
            login.account,
            login.mechanism
        );
        let mut client = SessionClient::default();
        if let Proof::Token(grant) = &login.proof {
            client.grant = Some(grant.clone().into());
        }
        match login.request.as_deref().cloned() {
            Some(request) => self.complete(now, id, login, (&request, client), tx, out),
            None => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.client = client;
                }
                Ok(())
            }
        }
    }

    /// XEP-0388 §2.6.1: does what was asked for inline, and tells it.
    fn complete(
        &mut self,
        now: Moment,
        id: ConnectionId,
        login: Login,
        (request, mut client): (&Request, SessionClient),
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let Some(account) = usable_account(&login.account, tx)? else {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection
                    .stream
                    .not_completed(SaslCondition::AccountDisabled);
            }
            return Ok(());
        };
        let agent = request.agent.id.as_deref();
        client.key = agent.map(|agent| self.state.tokens.key_of_agent(account, agent));
        store_upgrades(account, &login.upgrades, tx)?;
        let token = match &client.key {
            Some(key) => self.renew_token(now, (account, key), &login, request, tx)?,
            None => None,
        };
        let mut inline = Vec::new();
        let mut w = Writer::new(&mut inline);
        let mut resumed = None;
        if let Some(ResumeRequest { id: previous, h }) = &request.resume {
            let outcome = self.resume(now, id, &login.account, (previous, *h), tx, out)?;
            write_outcome(&mut w, previous, &outcome);
            match outcome {
                ResumeOutcome::Resumed { session, .. } => resumed = Some(session),
                ResumeOutcome::NotFound { .. } => {}
                ResumeOutcome::TooHigh(error) => {
                    self.state.ending.push((id, management::too_high(error)));
                    return Ok(());
                }
            }
        }
        let session = match (resumed, &request.bind) {
            (Some(session), _) => Some(session),
            // XEP-0198 §8.2, XEP-0386 §3.2: only if nothing was resumed.
            (None, Some(bind)) => {
                let owner = (&login.account, account);
                self.bind_inline(now, id, owner, (bind, client.clone()), &mut w, (tx, out))?
            }
            (None, None) => None,
        };
        if let Some((token, expiry)) = token {
            w.open_ns("token", ns::FAST)
                .attr("token", &token)
                .attr("expiry", &expiry.to_string())
                .close();
        }
        let outcome = match (resumed, session) {
            (Some(_), _) => Outcome::Resumed,
            (None, Some(_)) => Outcome::Bound,
            (None, None) => Outcome::Authenticated,
        };
        self.tell_success(id, &login.account, session, (&inline, outcome), out);
        match (session, self.connections.get_mut(&id)) {
            (Some(session), _) => {
                let mut cx = self.cx(now, tx, out);
                let by_password = login.proof == Proof::Password;
                note_client(&mut cx, session, &request.agent, by_password)?;
            }
            (None, Some(connection)) => connection.client = client,
            (None, None) => {}
        }
        match resumed {
            Some(session) => self.resumed(now, id, session, tx, out),
            None => Ok(()),
        }
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
            out.send(id, |bytes| {
                connection
                    .stream
                    .complete(account, authorized, inline, outcome, entropy, bytes);
            });
        }
    }

    /// XEP-0386 §3.2: a session with all it asked for, and the archive as it is at this moment. `None`: there is no room
    /// for one more session, and the client may ask again in the old way.
    fn bind_inline(
        &mut self,
        now: Moment,
        id: ConnectionId,
        (account_jid, account): (&BareJid, AccountId),
        (request, client): (&BindRequest, SessionClient),
        w: &mut Writer<'_>,
        (tx, out): (&mut Tx, &mut Outbox),
    ) -> Result<Option<SessionId>, StoreError> {
        let jid = self.inline_resource((account_jid, account), request, client.key.as_ref());
        let earlier = client.key.clone();
        let opened = self.open_session(now, id, (&jid, account), client, tx, out)?;
        let Ok(session) = opened else {
            return Ok(None);
        };
        // The earlier session of the same client, under another tag.
        if let Some(key) = earlier {
            let same = |known: &crate::state::Session| {
                known.id != session && known.client.key.as_ref() == Some(&key)
            };
            for old in self.state.sessions.ids_where(account_jid, same) {
                let connection = self.state.sessions.get(old).and_then(|old| old.connection);
                self.replace(now, old, connection, tx, out)?;
            }
        }
        let mut cx = self.cx(now, tx, out);
        // What waited is in the archive, where this client looks itself; a client that is being given it keeps getting it.
        unseen::dismiss(&mut cx, account_jid)?;
        w.open_ns("bound", ns::BIND2);
        let ends = cx.tx.archive_ends(account)?;
        feature::write_archive_metadata(&cx.state.archive_ids, ends, w);
        if let Some(known) = cx.state.sessions.get_mut(session) {
            known.carbons = request.carbons;
        }
        if let Some(enable) = request.enable {
            let enabled = management::enable(&mut cx, session, enable);
            management::write_enabled(w, &enabled);
        }
        management::client_state(&mut cx, session, !request.inactive);
        w.close();
        Ok(Some(session))
    }

    /// XEP-0386 §3.2.1: `tag/name`, always the same for a client that has a name that lasts.
    fn inline_resource(
        &mut self,
        (account_jid, account): (&BareJid, AccountId),
        request: &BindRequest,
        key: Option<&ClientKey>,
    ) -> FullJid {
        let tag = request.tag.as_deref().unwrap_or_default();
        let name = match key {
            Some(key) => self.state.tokens.stable_resource(account, key, tag),
            None => {
                let mut bytes = [0; 9];
                self.entropy.fill(&mut bytes);
                crate::state::name_of(&bytes)
            }
        };
        let tagged = Some(tag)
            .filter(|tag| !tag.is_empty())
            .and_then(|tag| account_jid.with_resource(&format!("{tag}/{name}")).ok());
        tagged.unwrap_or_else(|| {
            account_jid
                .with_resource(&name)
                .expect("base64 is a resource")
        })
    }

    /// XEP-0484 §3.3 to §3.6: counts the use of a token, and makes a new one where it is asked for or due.
    fn renew_token(
        &mut self,
        now: Moment,
        (account, key): (AccountId, &ClientKey),
        login: &Login,
        request: &Request,
        tx: &mut Tx,
    ) -> Result<NewToken, StoreError> {
        // A token of an app begets no other: it could not be taken away with it.
        if matches!(login.proof, Proof::Token(_)) {
            return Ok(None);
        }
        let now = time(now, tx)?;
        let mut due = None;
        if let Proof::Fast { slot } = login.proof {
            let fast = request.fast.unwrap_or_default();
            let stored = tx.fast_tokens(account, key, login.mechanism)?;
            let mut tokens = stored.clone();
            if slot == Slot::New {
                tokens.current = tokens.new.take();
            }
            if let Some(current) = &mut tokens.current {
                current.count = current.count.max(fast.count.unwrap_or_default());
                if current.began_unset(now) {
                    let days = self.state.settings.fast_days_max;
                    let count = current.count;
                    *current = FastToken::issue(current.salt, now, days);
                    current.count = count;
                } else if current.is_due_for_rotation(now) && !fast.invalidate {
                    due = Some(login.mechanism);
                }
            }
            if fast.invalidate {
                tokens = Default::default();
            }
            if tokens != stored {
                tx.set_fast_tokens(account, key, login.mechanism, &tokens)?;
            }
        }
        let asked = request.token_for.as_deref();
        let asked = asked.and_then(crate::stream::fast_mechanism);
        let Some(mechanism) = asked.or(due) else {
            return Ok(None);
        };
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let days = self.state.settings.fast_days_max;
        let token = FastToken::issue(salt, now, days);
        let text = self.state.tokens.text(account, key, mechanism, &token);
        let expiry = token.told_expiry(days);
        let mut tokens = tx.fast_tokens(account, key, mechanism)?;
        tokens.new = Some(token);
        tx.set_fast_tokens(account, key, mechanism, &tokens)?;
        Ok(Some((text, expiry)))
    }
}

/// The time by which tokens are good: what the clock shows, or the latest it ever did.
pub fn time(now: Moment, tx: &Tx) -> Result<Timestamp, StoreError> {
    Ok(now.wall.max(tx.latest_time()?))
}

/// XEP-0480: what is stored of the password is now also this.
fn store_upgrades(account: AccountId, upgrades: &[Upgrade], tx: &mut Tx) -> Result<(), StoreError> {
    if upgrades.is_empty() {
        return Ok(());
    }
    let mut credentials = tx.credentials(account)?.unwrap_or_default();
    for upgrade in upgrades {
        credentials.replace(upgrade.hash, upgrade.hashed.clone());
    }
    tx.set_credentials(account, &credentials)
}

/// XEP-0494: what is known of the session's client, written down when it is new, changed, or long not seen.
pub fn note_client(
    cx: &mut Cx<'_>,
    session: SessionId,
    agent: &UserAgent,
    by_password: bool,
) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(());
    };
    let (account, client) = (known.account, known.client.clone());
    if client.grant.is_some() {
        return token::note_use(cx, session);
    }
    let Some(key) = client.key else {
        return Ok(());
    };
    let now = time(cx.now, cx.tx)?;
    let stored = cx.tx.client(account, &key)?;
    let mut noted = stored.clone().unwrap_or(Client {
        first_seen: now,
        last_seen: now,
        knows_password: false,
        software: String::new(),
        uri: String::new(),
        device: String::new(),
    });
    noted.knows_password |= by_password;
    for (noted, told) in [
        (&mut noted.software, &agent.software),
        (&mut noted.uri, &agent.uri),
        (&mut noted.device, &agent.device),
    ] {
        if !told.is_empty() && **noted != **told {
            *noted = told.to_string();
        }
    }
    if now.0.saturating_sub(noted.last_seen.0) >= NOTE_SEEN_MS {
        noted.last_seen = now;
    }
    match stored.as_ref() == Some(&noted) {
        true => Ok(()),
        false => cx.tx.set_client(account, &key, &noted),
    }
}
