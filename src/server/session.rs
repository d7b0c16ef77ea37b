//! Session life: binding a resource (RFC 6120 §7), and the session's end.

pub mod bind2;
pub mod giving_up;
pub mod handing_over;
pub mod hibernation;
pub mod management;
pub mod resumption;

use std::rc::Rc;

use crate::state::{BlockList, ConnectionId, Cx, Online, Output, SessionClient, SessionId};
use crate::store::{AccountId, StoreError};
use crate::stream::UserAgent;
use crate::xmpp::{BareJid, Condition, FullJid, StanzaError, StreamCondition, StreamError, quoted};

use super::login::client::{Seen, note_client};
use super::login::fast;
use super::route::message::unseen;
use super::route::{presence, turn, unanswered};
use super::{Server, Step};

impl Server {
    /// RFC 6120 §7: the resource asked for, or one of ours.
    pub(super) fn bind(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        account_jid: &BareJid,
        resource: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(account) = self.still_logged_in(step, id, account_jid)? else {
            // The account or the right to it went away while its owner was logging in.
            self.state
                .effects
                .ending
                .push((id, StreamCondition::NotAuthorized.into()));
            return Ok(());
        };
        let made = resource.is_none().then(|| self.cx(step).new_id());
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
            Some(jid) => self.open_session(step, id, (&jid, account), client)?,
            None => Err(Condition::BadRequest.into()),
        };
        match opened {
            Ok(session) => {
                let cx = self.cx(step);
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
        step: &mut Step<'_>,
        id: ConnectionId,
        (jid, account): (&FullJid, AccountId),
        client: SessionClient,
    ) -> Result<Result<SessionId, StanzaError>, StoreError> {
        let older = self
            .state
            .sessions
            .find(jid.as_jid())
            .map(|session| (session.id, session.connection));
        if let Some((session, connection)) = older {
            // §7.7.2.2: the newer takes over.
            self.replace(step, session, connection)?;
        } else if !self.make_room(step, &jid.to_bare())? {
            // §7.6.2.1
            return Ok(Err(StanzaError::new(Condition::ResourceConstraint)
                .text("Too many sessions of this account.")));
        }
        let session = add_session(&mut self.cx(step), jid, account, id, client)?;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.session = Some(session);
            if let Some(known) = self.state.sessions.get_mut(session) {
                known.framing = connection.stream.framing();
            }
        }
        step.out.push(Output::LoggedIn { connection: id });
        self.watch_idle(step.now, id);
        log::info!("session.bound jid={}", quoted(jid.as_str()));
        Ok(Ok(session))
    }

    /// Ends a session whose client has a newer one.
    pub(super) fn replace(
        &mut self,
        step: &mut Step<'_>,
        session: SessionId,
        connection: Option<ConnectionId>,
    ) -> Result<(), StoreError> {
        let error =
            StreamError::new(StreamCondition::Conflict).text("Replaced by a new connection.");
        end(&mut self.cx(step), session)?;
        self.state
            .effects
            .ending
            .extend(connection.map(|connection| (connection, error)));
        Ok(())
    }

    /// Whether the account may have one more session; one that is away (XEP-0198) gives its place to one that is here.
    fn make_room(&mut self, step: &mut Step<'_>, account: &BareJid) -> Result<bool, StoreError> {
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
        end(&mut self.cx(step), away)?;
        Ok(true)
    }
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
    turn::let_go(cx, &jid.to_bare(), id);
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
    unanswered::session_ended(cx, jid.as_jid());
    cx.state.sessions.remove(id);
    passed_over(unseen::hand_over(cx, &jid.to_bare()))?;
    log::info!("session.ended jid={}", quoted(jid.as_str()));
    Ok(())
}
