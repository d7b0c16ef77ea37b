//! One XML stream as a pure machine: bytes in, bytes and events out. It never reads storage, a clock or randomness:
//! where it needs a decision it stops and reports an `Event`; the server answers by a method and polls again.

use std::rc::Rc;

use crate::xml::{Element, Limits};
use crate::xmpp::{BareJid, FullJid, SaslCondition, StreamError};

/// Random bytes, handed in from outside.
pub trait Entropy {
    fn fill(&mut self, bytes: &mut [u8]);
}

/// What every stream of the server shares.
pub struct StreamSettings {
    /// The one domain served, prepared.
    pub domain: Rc<str>,
    /// `xml:lang` of our streams.
    pub lang: &'static str,
    pub limits_before_authentication: Limits,
    pub limits: Limits,
    /// Advertised by XEP-0478.
    pub idle_seconds_max: u32,
    /// SASL failures before the stream is closed with `policy-violation`.
    pub failures_max: u8,
    pub scram_iterations: u32,
    /// Key of the stable fake salts for unknown accounts.
    pub fake_salt_key: [u8; 32],
    /// The `<c/>` of XEP-0115 for the features after authentication, written already (empty: none).
    pub caps: Rc<str>,
}

/// What TLS tells the stream.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// `tls-exporter` (RFC 9266), where it can be had.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929): hash of the certificate.
    pub end_point: Option<Box<[u8]>>,
    pub server_name: Option<Box<str>>,
    pub version_1_3: bool,
}

/// The hashes of SCRAM, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScramHash {
    Sha1,
    Sha256,
    Sha512,
}

/// What is stored of a password for one hash (RFC 5802 §3); lengths as the hash has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramKeys {
    pub stored_key: Box<[u8]>,
    pub server_key: Box<[u8]>,
}

/// What is stored of a password: one salt and iteration count, keys for all three hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub salt: [u8; 16],
    pub iterations: u32,
    pub sha1: ScramKeys,
    pub sha256: ScramKeys,
    pub sha512: ScramKeys,
}

/// What the server answers to `Event::Credentials`.
pub enum AccountAnswer {
    /// Exists; `disabled` is told only after the password proved right.
    Known {
        credentials: Credentials,
        disabled: bool,
    },
    Unknown,
}

/// What a stream wants from its server. After each the stream waits for the named answer, unless none is named.
pub enum Event {
    /// `<proceed/>` is written: start TLS, then `Stream::secured`. Whatever follows in the input is dropped (RFC 6120 §5.3.5).
    StartTls,
    /// Look the account up; answer with `credentials`.
    Credentials { account: BareJid },
    /// PLAIN: derive the SHA-256 keys of this (prepared) password with these parameters off the reactor thread; answer with `derived`.
    Derive {
        password: Box<str>,
        salt: [u8; 16],
        iterations: u32,
    },
    /// A login failed. Answer with `release_failure` when the delay for this address and account is over.
    Failed {
        account: Option<BareJid>,
        condition: SaslCondition,
    },
    /// A login succeeded and `<success/>` is written; nothing to answer.
    Authenticated {
        account: BareJid,
        mechanism: &'static str,
    },
    /// The peer asks for a resource (prepared; `None`: the server makes one). Answer with `bound` or `bind_refused`.
    Bind {
        account: BareJid,
        resource: Option<Box<str>>,
    },
    /// One message, presence or iq after binding, not yet checked beyond its name and namespace.
    Stanza(Element),
    /// Only white space came (a keep-alive).
    Whitespace,
    /// Our part is finished: error and/or closing tag are written. Close the connection once all is sent.
    /// `None`: the closing handshake was regular.
    Closed(Option<StreamError>),
}

pub struct Stream {}

impl Stream {
    /// A stream on a new connection; `direct_tls`: TLS was there before the first byte (XEP-0368), `secured` follows.
    pub fn new(_settings: Rc<StreamSettings>, _direct_tls: bool) -> Stream {
        todo!()
    }
    /// TLS is up; a new stream header is expected.
    pub fn secured(&mut self, _facts: TlsFacts) {
        todo!()
    }
    /// Goes on with `input` (and what it still holds) until there is an event or nothing to do; what it writes is
    /// appended to `out`. Call again until `None`; then `input` is empty.
    pub fn poll(
        &mut self,
        _input: &mut &[u8],
        _entropy: &mut dyn Entropy,
        _out: &mut Vec<u8>,
    ) -> Option<Event> {
        todo!()
    }
    pub fn credentials(&mut self, _answer: AccountAnswer) {
        todo!()
    }
    pub fn derived(&mut self, _keys: ScramKeys) {
        todo!()
    }
    pub fn release_failure(&mut self) {
        todo!()
    }
    pub fn bound(&mut self, _jid: &FullJid) {
        todo!()
    }
    /// Stanza error for the bind request (RFC 6120 §7.6.2, §7.7.2); the stream goes on and may ask again.
    pub fn bind_refused(&mut self, _error: crate::xmpp::StanzaError) {
        todo!()
    }
    /// Ends the stream with an error; header first if none was sent (RFC 6120 §4.9.1.1), then the closing tag.
    pub fn fail(&mut self, _error: StreamError, _entropy: &mut dyn Entropy, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Ends the stream regularly from our side (`</stream:stream>`), keeps reading for the peer's.
    pub fn close(&mut self, _out: &mut Vec<u8>) {
        todo!()
    }
    pub fn is_bound(&self) -> bool {
        todo!()
    }
    /// Bytes this stream holds for unfinished input.
    pub fn held_bytes(&self) -> usize {
        todo!()
    }
}
pub mod sasl {
    pub fn prepare_password(_: &str) -> Result<std::borrow::Cow<'_, str>, ()> {
        todo!()
    }
}
