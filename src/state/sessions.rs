//! Sessions: bound resources and what is known of each; accounts that have any.

pub mod catching_up;
pub mod client_state;
pub mod management;
pub mod session;
pub mod sleep;
pub mod uncopied;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::store::{AccountId, ArchiveId, ArchivePreferences};
use crate::stream::{Framing, Offer};
use crate::xmpp::{BareJid, FullJid, Jid};

use super::{BlockList, CatchingUp, ConnectionId, Uncopied, give_back_room, resettle};
use session::{Session, SessionClient, SessionId};

/// An account with at least one session, and what is kept in memory meanwhile.
#[derive(Debug)]
pub struct Online {
    pub account: AccountId,
    pub sessions: Vec<SessionId>,
    pub blocked: BlockList,
    pub archive_preferences: Rc<ArchivePreferences>,
    /// What its logins may use (XEP-0388 §2.1), once somebody asked, until `credentials_changed`.
    pub offer: Option<Offer>,
    /// What waited for the account is being delivered in pages; what arrives meanwhile waits behind it.
    pub catching_up: Option<Box<CatchingUp>>,
}

/// All sessions, by id and by account.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Boxed: the table grows by doubling.
    by_id: HashMap<SessionId, Box<Session>>,
    online: HashMap<BareJid, Online>,
    last_id: u64,
    /// What most accounts prefer, shared by them.
    usual_preferences: Rc<ArchivePreferences>,
    /// Names for resumption (XEP-0198 §5).
    resumable: HashMap<Rc<str>, SessionId>,
    /// What sessions that ended had received, newest last.
    ended: VecDeque<Ended>,
    /// How often one fell asleep.
    slept: u64,
}

/// Ended sessions whose count of received stanzas is remembered for a client that comes too late.
const ENDED_MAX: usize = 1024;

/// A session that ended and might have been resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub account: AccountId,
    pub name: Rc<str>,
    pub received: u32,
}

impl Sessions {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id).map(Box::as_ref)
    }

    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id).map(Box::as_mut)
    }

    /// What memory had of a session went to the store.
    pub fn note_slept(&mut self) {
        self.slept += 1;
    }

    pub fn slept(&self) -> u64 {
        self.slept
    }

    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values().map(Box::as_ref)
    }

    pub fn ids(&self) -> Vec<SessionId> {
        self.by_id.keys().copied().collect()
    }

    pub fn online(&self, account: &BareJid) -> Option<&Online> {
        self.online.get(account)
    }

    /// Whether anybody who has sessions blocks anybody (XEP-0191).
    pub fn anybody_blocks(&self) -> bool {
        self.online
            .values()
            .any(|online| !online.blocked.is_empty())
    }

    pub fn online_mut(&mut self, account: &BareJid) -> Option<&mut Online> {
        self.online.get_mut(account)
    }

    /// What was kept of the account's credentials, and of what its clients know of them, is no longer so.
    pub fn credentials_changed(&mut self, account: &BareJid) {
        let Some(online) = self.online.get_mut(account) else {
            return;
        };
        online.offer = None;
        for id in &online.sessions {
            if let Some(session) = self.by_id.get_mut(id) {
                session.client.noted = None;
            }
        }
    }

    /// Sessions of an account, oldest first.
    pub fn of(&self, account: &BareJid) -> impl Iterator<Item = &Session> {
        let ids = self
            .online
            .get(account)
            .map(|online| online.sessions.as_slice())
            .unwrap_or_default();
        ids.iter().filter_map(|id| self.get(*id))
    }

    /// Ids of an account's sessions that fulfil a condition, oldest first.
    pub fn ids_where(
        &self,
        account: &BareJid,
        condition: impl Fn(&Session) -> bool,
    ) -> Vec<SessionId> {
        self.of(account)
            .filter(|session| condition(session))
            .map(|session| session.id)
            .collect()
    }

    /// The session with exactly this full JID.
    pub fn find(&self, jid: &Jid) -> Option<&Session> {
        let resource = jid.resource()?;
        self.of(&jid.to_bare())
            .find(|session| session.jid.resource() == resource)
    }

    /// Adds a session; `load` is asked for what is kept for the account when it is the account's first.
    pub fn add(
        &mut self,
        jid: FullJid,
        account: AccountId,
        connection: ConnectionId,
        client: SessionClient,
        loaded: impl FnOnce() -> Online,
    ) -> SessionId {
        self.insert(jid, account, Some(connection), client, loaded)
    }

    /// Adds a session that comes back from the store, without a connection.
    pub fn restore(
        &mut self,
        jid: FullJid,
        account: AccountId,
        client: SessionClient,
        loaded: impl FnOnce() -> Online,
    ) -> SessionId {
        self.insert(jid, account, None, client, loaded)
    }

    fn insert(
        &mut self,
        jid: FullJid,
        account: AccountId,
        connection: Option<ConnectionId>,
        client: SessionClient,
        loaded: impl FnOnce() -> Online,
    ) -> SessionId {
        self.last_id += 1;
        let id = SessionId(self.last_id);
        let usual = &self.usual_preferences;
        let online = self.online.entry(jid.to_bare()).or_insert_with(|| {
            let mut online = loaded();
            if online.archive_preferences == *usual {
                online.archive_preferences = Rc::clone(usual);
            }
            online.sessions.reserve_exact(1);
            online
        });
        online.sessions.push(id);
        let session = Session {
            id,
            jid,
            account,
            connection,
            framing: Framing::default(),
            presence: None,
            wants_roster: false,
            wants_channels: false,
            shown_to_channels: false,
            wants_blocking: false,
            carbons: false,
            uncopied: Uncopied::default(),
            directed: Vec::new(),
            caps: None,
            told: None,
            held: None,
            management: None,
            stored: None,
            archive_read: ArchiveId(0),
            client,
            expires_ms: 0,
            away_timer_ms: None,
            ask_set: false,
        };
        self.by_id.insert(id, Box::new(session));
        id
    }

    /// Those that have available sessions.
    pub fn available_accounts(&self) -> impl Iterator<Item = &BareJid> {
        let is_available = |id: &SessionId| self.get(*id).is_some_and(|it| it.presence.is_some());
        let online = self.online.iter();
        let available = online.filter(move |(_, online)| online.sessions.iter().any(is_available));
        available.map(|(account, _)| account)
    }

    /// The session with this name for resumption.
    pub fn resumable(&self, name: &str) -> Option<&Session> {
        self.get(*self.resumable.get(name)?)
    }

    pub fn name_for_resumption(&mut self, id: SessionId, name: Rc<str>) {
        self.resumable.insert(name, id);
    }

    /// How many stanzas a session that ended had received, where it is remembered.
    pub fn received_of_ended(&self, account: AccountId, name: &str) -> Option<u32> {
        let is_it = |ended: &&Ended| ended.account == account && &*ended.name == name;
        self.ended.iter().find(is_it).map(|ended| ended.received)
    }

    /// What is remembered of sessions that ended.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter()
    }

    /// Remembers the count of a session that ends, and forgets its name.
    pub fn forget_resumption(&mut self, ended: Ended) {
        self.resumable.remove(&ended.name);
        give_back_room(&mut self.resumable);
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }

    /// Most have left.
    pub fn resettle(&mut self) {
        resettle(&mut self.by_id);
        resettle(&mut self.online);
        resettle(&mut self.resumable);
    }

    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        let bare = session.jid.to_bare();
        if let Some(online) = self.online.get_mut(&bare) {
            online.sessions.retain(|other| *other != id);
            if online.sessions.is_empty() {
                self.online.remove(&bare);
                give_back_room(&mut self.online);
            }
        }
        give_back_room(&mut self.by_id);
        Some(*session)
    }
}
