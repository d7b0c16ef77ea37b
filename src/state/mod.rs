//! What the running server knows, and what handlers are handed.

mod access;
mod address;
mod archive_ids;
mod block_list;
mod budget;
mod capabilities;
mod cx;
mod moment;
mod network;
mod outbox;
mod sessions;
mod settings;
mod uncopied;

pub use access::grants::{NewAppToken, OauthKind, OauthToken, is_app_token, parse_app_token};
pub use access::redirects::{Redirects, TOLD_MAX as REDIRECTS_TOLD_MAX};
pub use access::rights::Rights;
pub use access::throttle::{Attempt, Attempter, FIRST_DELAY_MS, THROTTLED_MAX, Throttle};
pub use access::tokens::{Tokens, is_from_unset_clock, tag_of};
pub use address::components::{
    Access, Component, ComponentId, ComponentSettings, Components, Privileges,
};
pub use address::domains::{Domain, Domains};
pub use address::origin::Origin;
pub use address::questions::{Privileged, Question, Questions, Then};
pub use address::service::{SERVICES, Service};
pub use address::{Address, Local};
pub use archive_ids::ArchiveIds;
pub use block_list::BlockList;
pub use budget::{MemoryAccount, give_back_room, resettle};
pub use capabilities::{CLIENT_FEATURES_MAX, Capabilities, CapsId};
pub use cx::{ASK, Cx, Fault, name_of};
pub use moment::{Belief, Moment};
pub use network::{AddressRange, Network};
pub use outbox::{Applicant, ConnectionId, HashJob, Hashed, JobId, Outbox, Output};
pub use sessions::catching_up::{Behind, CatchingUp};
pub use sessions::client_state::{
    HELD_BYTES_MAX as CLIENT_STATE_BYTES_MAX, HELD_STANZAS_MAX as CLIENT_STATE_STANZAS_MAX, Held,
    HeldStanza, Kind, Replaces, Urgency,
};
pub use sessions::management::{
    CONNECTED_BYTES_MAX, DETACHED_BYTES_MAX, Form, Keep, Management, STORED_BYTES_MAX, TooHigh,
    UNACKNOWLEDGED_MAX, received_id,
};
pub use sessions::{
    AvailablePresence, Ended, FastUsed, Online, PresenceDetails, Session, SessionClient, SessionId,
    Sessions, Stored,
};
pub use settings::Settings;
pub use uncopied::Uncopied;

use std::ops::Range;
use std::rc::Rc;

use crate::store::{AccountId, ClientKey};
use crate::xmpp::{BareJid, Envelope, Iq, PresenceKind, StreamError};

/// Everything that lives in memory and outlasts a step, but the streams themselves.
pub struct State {
    pub settings: Settings,
    pub domains: Domains,
    pub started: Moment,
    pub sessions: Sessions,
    pub capabilities: Capabilities,
    pub questions: Questions,
    pub archive_ids: ArchiveIds,
    pub tokens: Tokens,
    pub rights: Rights,
    /// Who is sent to another server.
    pub redirects: Redirects,
    /// `ver` of the server's own capabilities (XEP-0115) and the `<c/>` that carries it.
    pub own_caps: Rc<str>,
    /// The disk is nearly full: nothing that must be stored is accepted.
    pub disk_low: bool,
    /// As of the last look.
    pub memory: MemoryAccount,
    /// Presence that a handler wants sent on behalf of an account; the server sends it when the handler is done.
    pub queued_presence: Vec<QueuedPresence>,
    /// Whose stanza is being handled.
    pub handling: Option<SessionId>,
    /// Requests that a handler wants sent on behalf of an account; the server sends them when the handler is done.
    pub own_requests: Vec<Iq>,
    /// What came of them, in the outbox's buffer.
    pub own_answers: Vec<Range<usize>>,
    /// Stanzas that follow the reply of the request being handled.
    pub after_reply: Vec<(SessionId, Range<usize>)>,
    /// Sessions to end: their unacknowledged stanzas passed the limit, their time is over, or their account is gone.
    pub expiring: Vec<SessionId>,
    /// Sessions that were given something to be acknowledged.
    pub unasked: Vec<SessionId>,
    /// What access was taken away from: whoever logged in by it and bound nothing yet is as good as not logged in.
    pub withdrawn: Vec<(AccountId, Box<str>)>,
    /// Accounts that their owners want removed.
    pub removals: Vec<BareJid>,
    /// Passwords that their owners want changed; the answer comes when the new one is hashed and stored.
    pub password_changes: Vec<PasswordChange>,
    /// Sessions whose queues have grown too large for memory.
    pub spilling: Vec<SessionId>,
    /// Streams that the step's handlers want ended, with the reason for their peers.
    pub ending: Vec<(ConnectionId, StreamError)>,
}

impl State {
    /// What a session's client is called, by its resource if by nothing else.
    pub fn client_key(&self, session: &Session) -> ClientKey {
        let by_resource = || {
            self.tokens
                .key_of_resource(session.account, session.jid.resource())
        };
        session.client.key.clone().unwrap_or_else(by_resource)
    }

    /// Has a session end: with a reason for its client, if that is connected.
    pub fn end_session(&mut self, session: SessionId, error: &StreamError) {
        // Whoever is thrown out is not written down as one who has access.
        if let Some(known) = self.sessions.get_mut(session) {
            known.client.by_resource = false;
        }
        match self.sessions.get(session).map(|known| known.connection) {
            Some(Some(connection)) => self.ending.push((connection, error.clone())),
            Some(None) => self.expiring.push(session),
            None => {}
        }
    }
}

/// A request to change one's own password (XEP-0077 §3.3).
#[derive(Clone, Debug)]
pub struct PasswordChange {
    pub session: SessionId,
    pub envelope: Envelope,
    pub account: BareJid,
    /// Prepared.
    pub password: Box<str>,
}

/// A subscription stanza to be sent as if the account had sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedPresence {
    pub from: BareJid,
    pub to: BareJid,
    pub kind: PresenceKind,
    /// `to` was subscribed to the account's presence.
    pub to_subscriber: bool,
}
