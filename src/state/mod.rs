//! What the running server knows, and what handlers are handed.

mod access;
mod address;
mod archive_ids;
mod block_list;
mod budget;
mod capabilities;
mod channels;
mod cx;
mod moment;
mod outbox;
mod sessions;
mod settings;
mod told_presence;

pub use access::grants::{NewAppToken, OauthKind, OauthToken, is_app_token, parse_app_token};
pub use access::network::{AddressRange, Network};
pub use access::redirects::{Redirects, TOLD_MAX as REDIRECTS_TOLD_MAX};
pub use access::rights::Rights;
pub use access::throttle::{Attempt, Attempter, FIRST_DELAY_MS, THROTTLED_MAX, Throttle};
pub use access::tokens::{Tokens, is_from_unset_clock, tag_of};
pub use address::components::{
    Access, Component, ComponentId, ComponentSettings, Components, PresenceAccess, Privileges,
};
pub use address::domains::{Domain, Domains};
pub use address::origin::Origin;
pub use address::questions::{
    Asked, ChannelAsked, Privileged, Question, Questions, Relayed, SubscriptionAsked, Then,
};
pub use address::service::{SERVICES, Service};
pub use address::under_way::{AllUnderWay, UNDER_WAY_MAX, UnderWay};
pub use address::{Address, Local};
pub use archive_ids::ArchiveIds;
pub use block_list::BlockList;
pub use budget::{MemoryAccount, give_back_room, resettle};
pub use capabilities::{CAPABILITIES_MAX, CLIENT_NODES_MAX, Capabilities, Caps, CapsId};
pub use channels::activity::Activity;
pub use channels::watchers::{WATCHED_MAX, Watchers};
pub use channels::{
    IDLE_ROOMS_MAX, Occupant, ParticipantId, ParticipantIds, Role, Room, Rooms, Taker, Way,
    joined_channel,
};
pub use cx::{ASK, Cx, Fault, name_of};
pub use moment::{Belief, Moment};
pub use outbox::effects::{Effects, OwnMessage, PasswordChange, QueuedPresence, ToChannels};
pub use outbox::written::{SHARED_BYTES_MIN, Shared, Written};
pub use outbox::{Applicant, ConnectionId, HashJob, Hashed, JobId, Outbox, Output, Piece, Wire};
pub use sessions::catching_up::{Behind, CatchingUp};
pub use sessions::client_state::{
    HELD_BYTES_MAX as CLIENT_STATE_BYTES_MAX, HELD_STANZAS_MAX as CLIENT_STATE_STANZAS_MAX, Held,
    HeldStanza, Kind, Replaces, Urgency,
};
pub use sessions::management::{
    CONNECTED_BYTES_MAX, DETACHED_BYTES_MAX, Form, Keep, Management, STORED_BYTES_MAX, TooHigh,
    UNACKNOWLEDGED_MAX, received_id,
};
pub use sessions::session::{
    AvailablePresence, FastUsed, PresenceDetails, Session, SessionClient, SessionId, Stored,
};
pub use sessions::uncopied::Uncopied;
pub use sessions::{Ended, Online, Sessions};
pub use settings::Settings;
pub use told_presence::ToldPresence;

use std::cell::Cell;
use std::rc::Rc;

use crate::store::ClientKey;
use crate::xmpp::StreamError;

/// Everything that lives in memory and outlasts a step, but the streams themselves.
pub struct State {
    pub settings: Settings,
    pub domains: Domains,
    pub started: Moment,
    pub sessions: Sessions,
    pub capabilities: Capabilities,
    pub questions: Questions,
    pub under_way: AllUnderWay,
    pub told_presence: ToldPresence,
    pub archive_ids: ArchiveIds,
    pub participant_ids: ParticipantIds,
    /// Channels in memory.
    pub rooms: Rooms,
    /// What is said in them.
    pub activity: Activity,
    /// Who hears of rooms they are not in.
    pub watchers: Watchers,
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
    /// Bytes of what is kept for many at once.
    pub shared_bytes: Rc<Cell<usize>>,
    /// Whose stanza is being handled.
    pub handling: Option<SessionId>,
    /// What handlers want done when they are through.
    pub effects: Effects,
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
            Some(Some(connection)) => self.effects.ending.push((connection, error.clone())),
            Some(None) => self.effects.expiring.push(session),
            None => {}
        }
    }
}
