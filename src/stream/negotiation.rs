//! RFC 6120 §4.3: the states of a stream, one type each, and the way from one to the next. Every first-level element
//! goes through `First`, then to the `handle` of the state.
use std::rc::Rc;

use crate::xml::{Context, Element, ElementRef, Framer, Writer};
use crate::xmpp::{FullJid, SaslCondition, StanzaError, StreamCondition, StreamError, ns};

use super::bind::Bind;
use super::component;
use super::header::{Header, Offering};
use super::sasl::{Auth, Profile, SaslFailure};
use super::{
    AccountAnswer, Entropy, Event, FastCandidate, Framing, Offer, ScramKeys, StreamSettings,
    TlsFacts, TokenAnswer,
};

pub(super) enum Negotiation {
    /// TLS is being set up; nothing may come.
    Handshake,
    /// A stream header is expected.
    Header(Header),
    /// Our header is written; what to offer is asked for.
    Offering(Box<Offering>),
    StartTls(StartTls),
    Auth(Box<Auth>),
    Bind(Bind),
    Bound(Bound),
    /// XEP-0114: the proof is expected.
    Component(component::Handshake),
    /// The proof is being looked at; `Stream::admit`.
    Proving,
    BoundComponent(component::Bound),
    /// Our closing tag is written, the peer's is awaited.
    Closing,
    /// Closed from our side before there was a stream; to be reported.
    Abandoned,
    Ended,
}

/// What the server answered to an event.
pub(super) enum Answer {
    Offer(Offer),
    Turn(bool),
    Credentials(AccountAnswer),
    Derived(ScramKeys),
    Fast(Vec<FastCandidate>),
    Token(TokenAnswer),
    Standing(Result<(), SaslCondition>),
    NotCompleted(SaslCondition),
    ReleaseFailure,
    Bound(FullJid),
    BindRefused(StanzaError),
    Resumed,
    ResumeRefused,
}

/// What a state may use while it handles something.
pub(super) struct Io<'a> {
    pub settings: &'a StreamSettings,
    pub framer: &'a mut Framer,
    /// Of the header being handled, or of the last one.
    pub context: &'a Context,
    pub lang: &'a mut Option<Rc<str>>,
    pub header_sent: &'a mut bool,
    pub framing: Framing,
    /// What is handled came before the end of the TLS handshake.
    pub early: bool,
    pub entropy: &'a mut dyn Entropy,
    pub out: &'a mut Vec<u8>,
    pub event: Option<Event>,
}

impl Io<'_> {
    pub(super) fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.out)
    }

    /// RFC 6120 §4.3.3: a new stream begins on the same connection.
    pub(super) fn restart(&mut self) {
        self.framer.restart();
        *self.header_sent = false;
    }
}

impl Negotiation {
    pub(super) fn plain() -> Negotiation {
        Negotiation::Header(Header::Plain)
    }

    pub(super) fn secured(facts: TlsFacts) -> Negotiation {
        Negotiation::Header(Header::Secured(Box::new(facts)))
    }

    /// An event was reported whose answer must come first.
    pub(super) fn is_waiting(&self) -> bool {
        match self {
            Negotiation::Offering(_) | Negotiation::Proving => true,
            Negotiation::Auth(auth) => auth.is_waiting(),
            Negotiation::Bind(bind) => bind.is_waiting(),
            _ => false,
        }
    }

    /// What may be handled before the end of the TLS handshake, where it could have been sent by somebody who caught it
    /// earlier (XEP-0388 §3, XEP-0484 §3.4).
    pub(super) fn is_early(&self, root: ElementRef<'_>) -> bool {
        match self {
            Negotiation::Header(_) => true,
            Negotiation::Auth(auth) => auth.is_early(root),
            _ => false,
        }
    }

    /// White space between elements is out of place (XEP-0388 §2.5).
    pub(super) fn is_strict(&self) -> bool {
        matches!(self, Negotiation::Auth(auth) if auth.is_strict())
    }

    /// Takes a header or a first-level element.
    pub(super) fn handle(
        self,
        element: Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        match self {
            Negotiation::Header(state) => state.handle(&element, io),
            Negotiation::StartTls(state) => state.handle(&element, io),
            Negotiation::Auth(state) => state.handle(&element, io),
            Negotiation::Bind(state) => state.handle(&element, io),
            Negotiation::Bound(state) => state.handle(element, io),
            Negotiation::Component(state) => state.handle(&element, io),
            Negotiation::BoundComponent(state) => state.handle(element, io),
            Negotiation::Handshake
            | Negotiation::Offering(_)
            | Negotiation::Proving
            | Negotiation::Closing
            | Negotiation::Abandoned
            | Negotiation::Ended => Ok(self),
        }
    }

    /// Takes an answer; one that was not asked for changes nothing.
    pub(super) fn resume(
        self,
        answer: Answer,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        match self {
            Negotiation::Offering(state) => Ok(state.resume(answer, io)),
            Negotiation::Auth(state) => state.resume(answer, io),
            Negotiation::Bind(state) => Ok(state.resume(answer, io)),
            state => Ok(state),
        }
    }
}

/// What a first-level element is to the stream.
pub(super) enum First {
    Stanza,
    StartTls,
    Sasl,
    /// XEP-0388.
    Sasl2,
    /// XEP-0198.
    Management,
    /// XEP-0352.
    ClientState,
}

impl First {
    pub(super) fn of(root: ElementRef<'_>) -> Result<First, StreamError> {
        match (root.namespace(), root.name()) {
            (ns::CLIENT, "message" | "presence" | "iq") => match is_prefixed(root) {
                // §4.8.5: the content namespace is never prefixed.
                true => Err(StreamCondition::BadNamespacePrefix.into()),
                false => Ok(First::Stanza),
            },
            (ns::TLS, "starttls") => Ok(First::StartTls),
            (ns::SASL, "auth" | "response" | "abort") => Ok(First::Sasl),
            (ns::SASL2, "authenticate" | "response" | "abort" | "next" | "task-data") => {
                Ok(First::Sasl2)
            }
            (ns::MANAGEMENT, "enable" | "resume" | "r" | "a") => Ok(First::Management),
            (ns::CLIENT_STATE, "active" | "inactive") => Ok(First::ClientState),
            // §4.9.3.24
            _ => Err(StreamCondition::UnsupportedStanzaType.into()),
        }
    }
}

fn is_prefixed(root: ElementRef<'_>) -> bool {
    !root
        .source()
        .strip_prefix('<')
        .is_some_and(|rest| rest.starts_with(root.name()))
}

/// RFC 6120 §4.9.1: the peer gives the stream up.
pub(super) fn is_stream_error(element: &Element) -> bool {
    element.root().is("error", ns::STREAM)
}

/// RFC 6120 §5: nothing but STARTTLS goes over a plain connection.
pub(super) struct StartTls;

impl StartTls {
    fn handle(self, element: &Element, io: &mut Io<'_>) -> Result<Negotiation, StreamError> {
        match First::of(element.root())? {
            First::StartTls => {
                io.writer().open_ns("proceed", ns::TLS).close();
                io.event = Some(Event::StartTls);
                io.restart();
                Ok(Negotiation::Handshake)
            }
            first @ (First::Sasl | First::Sasl2) => {
                let profile = match first {
                    First::Sasl2 => Profile::Sasl2,
                    _ => Profile::Sasl,
                };
                SaslFailure::new(SaslCondition::EncryptionRequired)
                    .text("Start TLS first.")
                    .write(profile, io.out);
                Ok(Negotiation::StartTls(self))
            }
            First::Management => {
                refuse_management(io.out);
                Ok(Negotiation::StartTls(self))
            }
            First::Stanza | First::ClientState => {
                Err(StreamError::new(StreamCondition::NotAuthorized)
                    .text("Start TLS and log in first."))
            }
        }
    }
}

/// A resource is bound: stanzas pass.
pub(super) struct Bound;

impl Bound {
    fn handle(self, element: Element, io: &mut Io<'_>) -> Result<Negotiation, StreamError> {
        match First::of(element.root())? {
            First::Stanza => {
                io.event = Some(Event::Stanza(element));
                Ok(Negotiation::Bound(self))
            }
            First::Management | First::ClientState => {
                io.event = Some(Event::Nonza(element));
                Ok(Negotiation::Bound(self))
            }
            First::StartTls | First::Sasl | First::Sasl2 => {
                Err(StreamCondition::UnsupportedStanzaType.into())
            }
        }
    }
}

/// XEP-0198 §3: out of order.
pub(super) fn refuse_management(out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open_ns("failed", ns::MANAGEMENT);
    w.open_ns("unexpected-request", ns::STANZAS).close().close();
}
