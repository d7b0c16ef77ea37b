//! What handlers want done and cannot do themselves: whoever called them does it when they are through, at the latest at the
//! end of the step.
use std::ops::Range;

use crate::store::AccountId;
use crate::xml::Element;
use crate::xmpp::{BareJid, Envelope, Iq, Jid, MessageKind, PresenceKind, StreamError};

use super::ConnectionId;
use crate::state::SessionId;

#[derive(Debug, Default)]
pub struct Effects {
    /// Presence that a handler wants sent on behalf of an account; the server sends it when the handler is done.
    pub queued_presence: Vec<QueuedPresence>,
    /// Channels that are to hear, or not to hear any more, that sessions are available.
    pub to_channels: Vec<ToChannels>,
    /// Requests that a handler wants sent on behalf of an account; the server sends them when the handler is done.
    pub own_requests: Vec<Iq>,
    /// What came of them, in the outbox's buffer.
    pub own_answers: Vec<Range<usize>>,
    /// Messages that a handler wants sent on behalf of an account or the server; the server sends them when the handler is
    /// done.
    pub own_messages: Vec<OwnMessage>,
    /// Accounts whose avatar changed: the presence of their sessions tells so.
    pub new_photos: Vec<BareJid>,
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

/// A request to change one's own password (XEP-0077 §3.3).
#[derive(Clone, Debug)]
pub struct PasswordChange {
    pub session: SessionId,
    pub envelope: Envelope,
    pub account: BareJid,
    /// Prepared.
    pub password: Box<str>,
}

/// A message of an account or of the server itself, to whom a message may go.
#[derive(Clone, Debug)]
pub struct OwnMessage {
    pub from: Jid,
    pub to: Jid,
    pub kind: MessageKind,
    /// A `<message/>` with its children; many may share it.
    pub element: Element,
}

/// XEP-0405 §2.9: what a session last said of itself, for channels.
#[derive(Clone, Debug)]
pub struct ToChannels {
    pub session: SessionId,
    /// `None`: all that its account is in.
    pub channel: Option<BareJid>,
    /// What it says is not for them any more.
    pub is_hidden: bool,
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
