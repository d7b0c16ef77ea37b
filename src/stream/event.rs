//! What a stream is told when it begins, and what it wants from its server.
use std::rc::Rc;

use super::features::LastWritten;
use super::sasl::{Credentials, Login, Right, ScramHash, TokenScheme};
use crate::xml::{Element, Limits};
use crate::xmpp::{BareJid, SaslCondition, StreamError};

/// Random bytes, handed in from outside.
pub trait Entropy {
    fn fill(&mut self, bytes: &mut [u8]);
}

/// What every stream of the server shares.
pub struct StreamSettings {
    /// The one domain served, prepared.
    pub domain: Rc<str>,
    /// External components that may connect (XEP-0114), prepared.
    pub components: Box<[Rc<str>]>,
    /// `xml:lang` of our streams.
    pub lang: &'static str,
    pub limits_before_authentication: Limits,
    pub limits: Limits,
    /// Advertised by XEP-0478.
    pub idle_seconds_max: u32,
    /// XEP-0352 is offered.
    pub client_state: bool,
    /// SASL failures before the stream is closed with `policy-violation`.
    pub failures_max: u8,
    pub scram_iterations: u32,
    /// Tokens are taken in TLS early data (XEP-0484 §3.1).
    pub early_data: bool,
    /// X-OAUTH is offered.
    pub x_oauth: bool,
    /// The `<c/>` of XEP-0115 for the features after authentication, written already (empty: none).
    pub caps: Rc<str>,
    pub last_written: LastWritten,
}

/// What TLS tells the stream.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// `tls-exporter` (RFC 9266), where it can be had.
    pub exporter: Option<[u8; 32]>,
    /// `tls-unique` (RFC 5929 §3) of TLS 1.2.
    pub unique: Option<[u8; 12]>,
    /// The client's Finished message of TLS 1.3 (RFC 8446 §4.4.4), where the handshake was over at once.
    pub finished: Option<Box<[u8]>>,
    /// `tls-server-end-point` (RFC 5929): hash of the certificate.
    pub end_point: Option<Box<[u8]>>,
    pub server_name: Option<Box<str>>,
    pub version_1_3: bool,
    /// The handshake has not ended: what comes was sent as early data (RFC 8446 §2.3) and may have been caught and sent
    /// again by somebody else. `Stream::handshake_done` follows.
    pub early: bool,
}

/// What the server answers to `Event::Credentials`.
pub enum AccountAnswer {
    /// Exists; `disabled` is told only after the password proved right.
    Known {
        credentials: Credentials,
        disabled: bool,
        right: Right,
    },
    /// There is none of this name; these stand in for what it would have, and no password fits.
    Unknown(Credentials),
}

/// What a login of XEP-0388 led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A resource is still to be bound.
    Authenticated,
    /// A resource was bound on the way (XEP-0386), with stream management turned on or without.
    Bound { managed: bool },
    /// An earlier session goes on (XEP-0198 §8.2).
    Resumed,
}

/// What a stream wants from its server. After each the stream waits for the named answer, unless none is named.
pub enum Event {
    /// `<proceed/>` is written: start TLS, then `Stream::secured`. Whatever follows in the input is dropped (RFC 6120 §5.3.5).
    StartTls,
    /// The header names this account, and nothing proves it. Answer with `offer`.
    Peer { account: BareJid },
    /// A password, or a proof of it, is there to be compared. Answer with `turn` when that may be done. `agent`: the id of
    /// the client (XEP-0388 §2.3).
    Attempt {
        account: BareJid,
        agent: Option<Box<str>>,
    },
    /// Look the account up; answer with `credentials`.
    Credentials { account: BareJid },
    /// Look up what this client may hold for this mechanism (XEP-0484); answer with `fast`. `early`: it came in TLS early
    /// data, so `count` must be there and larger than any before.
    Fast {
        account: BareJid,
        agent: Box<str>,
        mechanism: &'static str,
        count: Option<u32>,
        early: bool,
    },
    /// Whose token is this? Answer with `token`.
    Token {
        scheme: TokenScheme,
        token: Box<str>,
    },
    /// PLAIN: derive the keys of this (prepared) password with these parameters off the reactor thread; answer with `derived`.
    Derive {
        password: Box<str>,
        hash: ScramHash,
        salt: [u8; 16],
        iterations: u32,
    },
    /// A login failed. Answer with `release_failure` when it may be told.
    Failed {
        account: Option<BareJid>,
        condition: SaslCondition,
    },
    /// What was proved before a wait is about to be used in a login that is not over. Answer with `standing`.
    Standing { account: BareJid, right: Right },
    /// A login proved what it had to, by what it was told when it began. See whether that is still so, do what it asks for
    /// (`request`, XEP-0388), then `complete` or `not_completed`.
    Authenticated(Box<Login>),
    /// The peer asks for a resource (prepared; `None`: the server makes one). Answer with `bound` or `bind_refused`.
    Bind {
        account: BareJid,
        resource: Option<Box<str>>,
    },
    /// XEP-0198 §5: the peer asks for an earlier session and has handled `h` of its stanzas. The answer is written by the
    /// server; then `resumed` or `resume_refused`.
    Resume {
        account: BareJid,
        id: Box<str>,
        h: u32,
    },
    /// An element of XEP-0198 or XEP-0352 after binding.
    Nonza(Element),
    /// One message, presence or iq after binding, not yet checked beyond its name and namespace.
    Stanza(Element),
    /// XEP-0114 §3: this should be the hash over the id of our header and the component's secret. `Stream::admit` if it is.
    Handshake {
        component: Box<str>,
        stream_id: Box<str>,
        proof: Box<str>,
    },
    /// Only white space came (a keep-alive).
    Whitespace,
    /// Our part is finished: error and/or closing tag are written. Close the connection once all is sent.
    /// `None`: the closing handshake was regular.
    Closed(Option<StreamError>),
}
