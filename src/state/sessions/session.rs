//! One session: a bound resource, and what is known of it and of its client.
use std::rc::Rc;

use crate::state::{Caps, ConnectionId, Held, Management, Uncopied, Wire};
use crate::store::{AccountId, ArchiveId, ClientKey, SuspendedId, SuspendedPresence};
use crate::stream::{Framing, Grant};
use crate::xmpp::{FullJid, Jid, Timestamp, ns};

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
    /// It is told what in the roster is a channel (XEP-0405 §2.10).
    pub wants_channels: bool,
    /// Channels that its account is in know that it is available (XEP-0405 §2.9.1).
    pub shown_to_channels: bool,
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

    /// Its client announces that it knows channels (XEP-0369 §6.6).
    pub fn knows_mix(&self) -> bool {
        self.caps.as_ref().is_some_and(|caps| caps.has(ns::MIX))
    }

    /// What channels say to the account is for it, too (XEP-0405 §2.1). While it is asked what it announced, it is believed
    /// that much.
    pub fn hears_channels(&self) -> bool {
        let caps = self.caps.as_ref().filter(|_| self.presence.is_some());
        caps.is_some_and(|caps| match caps.is_known() {
            true => caps.has(ns::MIX),
            false => self.wants_channels,
        })
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
