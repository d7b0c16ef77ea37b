//! Session life: binding a resource (RFC 6120 §7), the way of each stanza into the server, the session's end.

pub mod bind2;
pub mod giving_up;
pub mod hibernation;
pub mod management;
pub mod resumption;

use std::rc::Rc;

use crate::feature;
use crate::state::{
    BlockList, ConnectionId, Cx, Fault, Moment, Online, Outbox, Output, SessionClient, SessionId,
    Sessions,
};
use crate::store::{AccountId, StoreError, Tx};
use crate::stream::UserAgent;
use crate::xml::Element;
use crate::xmpp::{
    BareJid, Condition, Envelope, FullJid, Jid, Stanza, StanzaError, StanzaParseError,
    StreamCondition, StreamError, quoted, write_error,
};

use super::Server;
use super::login::client::{Seen, note_client};
use super::login::fast;
use super::route::{forged, iq, message, presence, unseen};

impl Server {
    /// RFC 6120 §7: the resource asked for, or one of ours.
    pub(super) fn bind(
        &mut self,
        now: Moment,
        id: ConnectionId,
        account_jid: &BareJid,
        resource: Option<&str>,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let Some(account) = self.still_logged_in(now, id, account_jid, tx)? else {
            // The account or the right to it went away while its owner was logging in.
            self.state
                .ending
                .push((id, StreamCondition::NotAuthorized.into()));
            return Ok(());
        };
        let made = resource.is_none().then(|| self.cx(now, tx, out).new_id());
        let jid = resource
            .or(made.as_deref())
            .and_then(|resource| account_jid.with_resource(resource).ok());
        let mut client = SessionClient::default();
        if let Some(connection) = self.connections.get_mut(&id) {
            client = std::mem::take(&mut connection.client);
        }
        // A resource that the client chose is the only name it has that lasts, if it tells no other.
        client.by_resource = client.key.is_none() && resource.is_some();
        let opened = match jid {
            Some(jid) => self.open_session(now, id, (&jid, account), client, tx, out)?,
            None => Err(Condition::BadRequest.into()),
        };
        match opened {
            Ok(session) => {
                let cx = self.cx(now, tx, out);
                let jid = cx
                    .state
                    .sessions
                    .get(session)
                    .map(|known| known.jid.clone());
                if let (Some(connection), Some(jid)) = (self.connections.get_mut(&id), jid) {
                    connection.stream.bound(&jid);
                }
            }
            Err(error) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.stream.bind_refused(error);
                }
            }
        }
        Ok(())
    }

    /// RFC 6120 §7.6, §7.7: a session of this name; an older one gives way.
    pub(super) fn open_session(
        &mut self,
        now: Moment,
        id: ConnectionId,
        (jid, account): (&FullJid, AccountId),
        client: SessionClient,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<Result<SessionId, StanzaError>, StoreError> {
        let older = self
            .state
            .sessions
            .find(jid.as_jid())
            .map(|session| (session.id, session.connection));
        if let Some((session, connection)) = older {
            // §7.7.2.2: the newer takes over.
            self.replace(now, session, connection, tx, out)?;
        } else if !self.make_room(now, &jid.to_bare(), tx, out)? {
            // §7.6.2.1
            return Ok(Err(StanzaError::new(Condition::ResourceConstraint)
                .text("Too many sessions of this account.")));
        }
        let session = add_session(&mut self.cx(now, tx, out), jid, account, id, client)?;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.session = Some(session);
        }
        out.push(Output::LoggedIn { connection: id });
        self.watch_idle(now, id);
        log::info!("session.bound jid={}", quoted(jid.as_str()));
        Ok(Ok(session))
    }

    /// Ends a session whose client has a newer one.
    pub(super) fn replace(
        &mut self,
        now: Moment,
        session: SessionId,
        connection: Option<ConnectionId>,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let error =
            StreamError::new(StreamCondition::Conflict).text("Replaced by a new connection.");
        end(&mut self.cx(now, tx, out), session)?;
        self.state
            .ending
            .extend(connection.map(|connection| (connection, error)));
        Ok(())
    }

    /// Whether the account may have one more session; one that is away (XEP-0198) gives its place to one that is here.
    fn make_room(
        &mut self,
        now: Moment,
        account: &BareJid,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<bool, StoreError> {
        let sessions = &self.state.sessions;
        if sessions.of(account).count() < self.state.settings.sessions_per_account_max {
            return Ok(true);
        }
        let away = sessions
            .of(account)
            .find(|session| session.connection.is_none());
        let Some(away) = away.map(|session| session.id) else {
            return Ok(false);
        };
        end(&mut self.cx(now, tx, out), away)?;
        Ok(true)
    }
}

/// An account and whether it is disabled. One with sessions is not: they end with the step that disables it.
pub(super) fn known_account(
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

fn add_session(
    cx: &mut Cx<'_>,
    jid: &FullJid,
    account: AccountId,
    connection: ConnectionId,
    mut client: SessionClient,
) -> Result<SessionId, StoreError> {
    client.since = Some(cx.now.wall);
    let blocked = BlockList::new(cx.tx.blocked(account)?);
    let archive_preferences = Rc::new(cx.tx.archive_preferences(account)?);
    let online = || Online {
        account,
        sessions: Vec::new(),
        blocked,
        archive_preferences,
        offer: None,
        catching_up: None,
    };
    Ok(cx
        .state
        .sessions
        .add(jid.clone(), account, connection, client, online))
}

/// The way of one stanza from a session into the server: addresses checked and stamped, then by kind. `lang` is the
/// language of its stream. An error ends the stream.
pub fn stanza(
    cx: &mut Cx<'_>,
    session: SessionId,
    element: Element,
    lang: Option<Rc<str>>,
) -> Result<(), StreamError> {
    let Some(from) = cx
        .state
        .sessions
        .get(session)
        .map(|session| session.jid.clone())
    else {
        return Ok(());
    };
    let element = forged::removed(element, &cx.state.domains, &from)?;
    let parsed = match Stanza::from_element(element.clone()) {
        None => return Err(StreamCondition::UnsupportedStanzaType.into()),
        Some(Err(error)) => {
            refuse_malformed(cx, session, &from, &element, error);
            return Ok(());
        }
        Some(Ok(stanza)) => stanza,
    };
    // RFC 6120 §8.1.2.1: a client's `from` is its own JID, bare or full, or absent; what leaves is the full one.
    if let Some(claimed) = &parsed.envelope().from
        && claimed != from.as_jid()
        && claimed.as_str() != from.bare_str()
    {
        return Err(StreamCondition::InvalidFrom.into());
    }
    match parsed {
        Stanza::Message(mut message) => {
            stamp(&mut message.envelope, from, lang);
            let answered =
                (message.kind != crate::xmpp::MessageKind::Error).then(|| message.envelope.clone());
            let done = message::from_session(cx, session, message);
            answer_fault(cx, session, "message", answered, done);
        }
        Stanza::Presence(mut presence) => {
            stamp(&mut presence.envelope, from, lang);
            let answered = (presence.kind != crate::xmpp::PresenceKind::Error)
                .then(|| presence.envelope.clone());
            let done = presence::from_session(cx, session, presence);
            answer_fault(cx, session, "presence", answered, done);
        }
        Stanza::Iq(mut iq) => {
            stamp(&mut iq.envelope, from, lang);
            iq::from_session(cx, session, &iq);
        }
    }
    presence::send_queued(cx);
    Ok(())
}

/// What every stanza says when it leaves its client's server.
fn stamp(envelope: &mut Envelope, from: FullJid, lang: Option<Rc<str>>) {
    envelope.from = Some(from.into());
    // RFC 6120 §4.7.4: the language of the stream, for a stanza that names none.
    if envelope.lang.is_none() {
        envelope.lang = lang;
    }
}

/// Tells the sender what went wrong; never an error to an error (RFC 6120 §8.3.1).
fn answer_fault(
    cx: &mut Cx<'_>,
    session: SessionId,
    name: &'static str,
    answered: Option<Envelope>,
    done: Result<(), Fault>,
) {
    let Err(fault) = done else { return };
    let error = fault.into_stanza_error();
    if let Some(envelope) = answered {
        send_error(cx, session, name, &envelope, &error);
    }
}

/// Sends the error answer to a stanza that came from this session.
pub fn send_error(
    cx: &mut Cx<'_>,
    session: SessionId,
    name: &'static str,
    answered: &Envelope,
    error: &StanzaError,
) {
    let start = cx.out.bytes.len();
    write_error(&mut cx.out.bytes, name, answered, error);
    let range = start..cx.out.bytes.len();
    cx.deliver(session, range);
}

/// A stanza whose addresses or type cannot be read.
fn refuse_malformed(
    cx: &mut Cx<'_>,
    session: SessionId,
    from: &FullJid,
    element: &Element,
    error: StanzaParseError,
) {
    let root = element.root();
    let name = match root.name() {
        "message" => "message",
        "presence" => "presence",
        _ => "iq",
    };
    let kind = root.attribute("type");
    // An iq of type result is an answer as well, and answers are not answered.
    if kind.as_deref() == Some("error") || (name == "iq" && kind.as_deref() == Some("result")) {
        return;
    }
    let condition = match error {
        StanzaParseError::ToMalformed | StanzaParseError::FromMalformed => Condition::JidMalformed,
        StanzaParseError::BadRequest => Condition::BadRequest,
    };
    let answered = Envelope {
        from: Some(from.clone().into()),
        to: root.attribute("to").and_then(|to| Jid::parse(&to).ok()),
        id: root.attribute("id").map(|id| id.into()),
        lang: None,
    };
    send_error(cx, session, name, &answered, &condition.into());
}

/// Damage was reported where it was found.
fn passed_over(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::Damaged { .. }) => Ok(()),
        done => done,
    }
}

/// Ends a session: its contacts hear that it is unavailable (RFC 6121 §4.5.2), the account remembers when.
pub fn end(cx: &mut Cx<'_>, id: SessionId) -> Result<(), StoreError> {
    let Some(session) = cx.state.sessions.get_mut(id) else {
        return Ok(());
    };
    // Its stream is over: nothing more can be said on it.
    session.connection = None;
    let jid = session.jid.clone();
    // What is damaged keeps nobody from ending.
    passed_over(giving_up::give_up(cx, id))?;
    passed_over(presence::end_of_session(cx, id))?;
    passed_over(fast::settle_session(cx, id))?;
    let seen = Seen {
        agent: &UserAgent::default(),
        by_password: false,
        holds_token: false,
    };
    passed_over(note_client(cx, id, &seen))?;
    feature::capabilities_session_ended(cx.state, id);
    cx.state.sessions.remove(id);
    passed_over(unseen::hand_over(cx, &jid.to_bare()))?;
    log::info!("session.ended jid={}", quoted(jid.as_str()));
    Ok(())
}
