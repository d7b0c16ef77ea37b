//! Sessions: bound resources and what is known of each; accounts that have any.

pub mod catching_up;
pub mod client_state;
pub mod management;
pub mod sleep;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::store::{
    AccountId, ArchiveId, ArchivePreferences, ClientKey, SuspendedId, SuspendedPresence,
};
use crate::stream::{Framing, Grant, Offer};
use crate::xmpp::{BareJid, FullJid, Jid, Timestamp};

use super::{
    BlockList, Caps, CatchingUp, ConnectionId, Held, Management, Uncopied, Wire, give_back_room,
    resettle,
};

/// A session, for the life of the process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// What a session last said of itself to all (RFC 6121 §4.2, §4.4).
#[derive(Clone, Debug)]
pub struct AvailablePresence {
    pub priority: i8,
    /// `None`: in the store, for the session is asleep; `Cx::presence_details` knows.
    pub details: Option<Rc<PresenceDetails>>,
}

#[derive(Debug, Default)]
pub struct PresenceDetails {
    /// The children of the `<presence/>`, checked.
    pub payload: Box<str>,
    pub id: Option<Rc<str>>,
    pub lang: Option<Rc<str>>,
}

impl From<SuspendedPresence> for PresenceDetails {
    fn from(row: SuspendedPresence) -> PresenceDetails {
        PresenceDetails {
            payload: row.payload.into(),
            id: row.id.map(Rc::from),
            lang: row.lang.map(Rc::from),
        }
    }
}

/// What the store holds of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: SuspendedId,
    /// The session has a row that is true as long as its client says nothing more.
    pub has_row: bool,
    /// Presence, directed presence and what was held up to then are in the row only.
    pub is_asleep: bool,
}

/// The client of a session, and by what right it is there.
#[derive(Clone, Debug, Default)]
pub struct SessionClient {
    /// `None`: it has no name that lasts.
    pub key: Option<ClientKey>,
    /// Its name that lasts is the resource it chose: it is written down when it leaves.
    pub by_resource: bool,
    /// It logged in by this token of `stonechat token add` or of X-OAUTH.
    pub grant: Option<Rc<Grant>>,
    /// The token of XEP-0484 it last came back with.
    pub fast: Option<FastUsed>,
    /// When it was last written down (XEP-0494), and a digest of what it said of itself then.
    pub noted: Option<(Timestamp, u64)>,
    /// When its session began; of one from the store, when that was written there.
    pub since: Option<Timestamp>,
}

/// How far a token is used up; the store knows only a bound (`FastToken::reserved`) until the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastUsed {
    pub mechanism: &'static str,
    pub tag: u32,
    pub count: u32,
}

impl SessionClient {
    /// It may not change the password, manage clients or tokens, or remove the account.
    pub fn is_restricted(&self) -> bool {
        self.grant.as_ref().is_some_and(|grant| grant.restricted)
    }
}

/// One bound resource.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    pub jid: FullJid,
    pub account: AccountId,
    /// `None`: its connection is gone, and it may come back (XEP-0198 §5).
    pub connection: Option<ConnectionId>,
    /// Of that connection.
    pub framing: Framing,
    /// `None`: not available.
    pub presence: Option<AvailablePresence>,
    /// Asked for the roster, so it gets pushes (RFC 6121 §2.1.6).
    pub wants_roster: bool,
    /// Asked for the block list, so it gets pushes (XEP-0191 §3.2).
    pub wants_blocking: bool,
    /// Wants copies of what other sessions send and receive (XEP-0280).
    pub carbons: bool,
    /// What it sent lately that was not copied.
    pub uncopied: Uncopied,
    /// Entities that got directed presence and hear when it ends (RFC 6121 §4.6).
    pub directed: Vec<Jid>,
    /// Capabilities announced in presence (XEP-0115, XEP-0390).
    pub caps: Option<Rc<Caps>>,
    /// Those by which it was sent the last items of nodes since it became available (XEP-0163 §4.3.4).
    pub told: Option<Rc<Caps>>,
    /// The client is inactive (XEP-0352): what waits until it is not.
    pub held: Option<Box<Held>>,
    /// Stream management is on (XEP-0198).
    pub management: Option<Box<Management>>,
    /// Part of it is in the store.
    pub stored: Option<Stored>,
    /// Its client reads up to here in the archive itself (XEP-0386).
    pub archive_read: ArchiveId,
    /// Who its client is, as far as it said.
    pub client: SessionClient,
    /// When a session without a connection ends (`Moment::monotonic_ms`).
    pub expires_ms: u64,
    /// When it is looked at next while it has no connection.
    pub away_timer_ms: Option<u64>,
    /// A timer is set to ask for an acknowledgement.
    pub ask_set: bool,
}

impl Session {
    /// Available with a priority that gets messages to the bare JID (RFC 6121 §8.5.2.1.1).
    pub fn takes_messages(&self) -> bool {
        self.presence
            .as_ref()
            .is_some_and(|presence| presence.priority >= 0)
    }

    /// Where what it is sent goes, if anywhere.
    pub fn wire(&self) -> Option<Wire> {
        let framing = self.framing;
        self.connection.map(|connection| Wire {
            connection,
            framing,
        })
    }

    /// Whoever is sent something and stays silent may not have got it.
    pub fn acknowledges(&self) -> bool {
        self.management.is_some()
    }

    pub fn is_asleep(&self) -> bool {
        self.stored.is_some_and(|stored| stored.is_asleep)
    }
}

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
