//! One XML stream as a pure machine: bytes in, bytes and events out. It never reads storage, a clock or randomness:
//! where it needs a decision it stops and reports an `Event`; the server answers by a method and polls again.
//! RFC 6120 §4-§7 for the side that accepts clients; each state of the negotiation is a type in a file of its own.

mod answers;
mod bind;
mod component;
mod event;
mod features;
mod framing;
mod header;
mod negotiation;
pub mod sasl;
#[cfg(test)]
mod tests;
mod unread;

use std::rc::Rc;

pub use event::{AccountAnswer, Entropy, Event, Outcome, StreamSettings, TlsFacts};
pub use features::LastWritten;
pub use framing::Framing;
pub use sasl::{
    BindRequest, Credentials, EnableRequest, FastCandidate, FastStanding, Grant, HashedPassword,
    Hashes, Login, Offer, Proof, Request, ResumeRequest, Right, ScramHash, ScramKeys, Slot,
    TokenAnswer, TokenScheme, Upgrade, UserAgent, enable_request,
};

use crate::xml::{self, Context, Element, Frame, Framer, XmlError};
use crate::xmpp::{StreamCondition, StreamError};
use negotiation::{Answer, Io, Negotiation};
use unread::Unread;

/// The mechanism of XEP-0484 of this name, if tokens are made for it.
pub fn fast_mechanism(name: &str) -> Option<&'static str> {
    sasl::mechanism::FAST
        .iter()
        .map(|mechanism| mechanism.name)
        .find(|known| *known == name)
}

/// Bytes a peer may send ahead while the stream waits for an answer, as a multiple of the largest first-level element
/// before authentication; then `policy-violation`.
const AHEAD_ELEMENTS_MAX: usize = 2;

pub struct Stream {
    settings: Rc<StreamSettings>,
    framer: Framer,
    /// Came while the stream waited for an answer.
    unread: Unread,
    /// What the current header declared for its children.
    context: Rc<Context>,
    /// `xml:lang` of the current header.
    lang: Option<Rc<str>>,
    /// Our header of the current stream is written.
    header_sent: bool,
    answer: Option<Box<Answer>>,
    /// What comes now came before the end of the TLS handshake.
    early: bool,
    /// Came so early that it has to wait for that end.
    deferred: Option<Box<Element>>,
    /// XEP-0114.
    is_component: bool,
    framing: Framing,
    state: Negotiation,
}

impl Stream {
    /// A stream on a new connection; `direct_tls`: TLS was there before the first byte (XEP-0368), `secured` follows.
    pub fn new(settings: Rc<StreamSettings>, direct_tls: bool) -> Stream {
        let state = match direct_tls {
            true => Negotiation::Handshake,
            false => Negotiation::plain(),
        };
        Stream {
            framer: Framer::new(settings.limits_before_authentication),
            settings,
            unread: Unread::default(),
            context: header::usual_context(),
            lang: None,
            header_sent: false,
            answer: None,
            early: false,
            deferred: None,
            is_component: false,
            framing: Framing::default(),
            state,
        }
    }

    /// The stream of an external component.
    pub fn of_component(settings: Rc<StreamSettings>) -> Stream {
        Stream {
            is_component: true,
            state: Negotiation::Header(header::Header::Component),
            ..Stream::new(settings, false)
        }
    }

    /// The same, framed in another way than most.
    pub fn framed(self, framing: Framing) -> Stream {
        Stream { framing, ..self }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// TLS is up; a new stream header is expected.
    pub fn secured(&mut self, facts: TlsFacts) {
        if matches!(self.state, Negotiation::Handshake) {
            self.unread = Unread::default();
            self.early = facts.early;
            self.state = Negotiation::secured(facts);
        }
    }

    /// The TLS handshake whose early data was taken is complete: poll for what had to wait for that.
    pub fn handshake_done(&mut self) {
        self.early = false;
    }

    /// Goes on with `input` (and what it still holds) until there is an event or nothing to do; what it writes is
    /// appended to `out`. Call again until `None`; then `input` is empty.
    pub fn poll(
        &mut self,
        input: &mut &[u8],
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Option<Event> {
        if let Some(answer) = self.answer.take() {
            let event = self.run(entropy, out, |state, io| state.resume(*answer, io));
            if event.is_some() {
                return event;
            }
        }
        match self.state {
            Negotiation::Handshake | Negotiation::Ended => {
                // RFC 6120 §5.3.5: nothing sent before the handshake may count after it.
                self.unread = Unread::default();
                *input = &[];
                return None;
            }
            Negotiation::Abandoned => {
                self.state = Negotiation::Ended;
                return Some(Event::Closed(None));
            }
            _ if self.state.is_waiting() || (self.early && self.deferred.is_some()) => {
                return self.keep(input, entropy, out);
            }
            _ => {}
        }
        if let Some(element) = self.deferred.take() {
            let event = self.run(entropy, out, |state, io| state.handle(*element, io));
            if event.is_some() {
                return event;
            }
        }
        if self.unread.is_empty() {
            let event = self.advance(input, entropy, out);
            return match self.deferred {
                Some(_) if event.is_none() => self.keep(input, entropy, out),
                _ => event,
            };
        }
        let mut unread = std::mem::take(&mut self.unread);
        unread.append(input);
        let mut rest = unread.rest();
        let event = self.advance(&mut rest, entropy, out);
        let left = rest.len();
        self.unread = unread.keep_last(left);
        event
    }

    /// Ends the stream with an error; header first if none was sent (RFC 6120 §4.9.1.1), then the closing tag.
    pub fn fail(&mut self, error: StreamError, entropy: &mut dyn Entropy, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, Negotiation::Ended) {
            // Nobody could read it, or it would come after our closing tag.
            Negotiation::Handshake
            | Negotiation::Closing
            | Negotiation::Abandoned
            | Negotiation::Ended => {}
            _ => {
                self.write_error(&error, entropy, out);
            }
        }
        self.forget();
    }

    /// Ends the stream regularly from our side (`</stream:stream>`), keeps reading for the peer's.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        match self.state {
            Negotiation::Closing | Negotiation::Abandoned | Negotiation::Ended => {}
            _ if self.header_sent => {
                out.extend_from_slice(self.framing.end());
                self.state = Negotiation::Closing;
            }
            // There is no stream to close yet.
            _ => self.state = Negotiation::Abandoned,
        }
    }

    /// XEP-0114 §3: the component proved who it is.
    pub fn admit(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, Negotiation::Proving) {
            out.extend_from_slice(b"<handshake/>");
            self.framer.set_limits(self.settings.limits);
            self.state = Negotiation::BoundComponent(component::Bound);
        }
    }

    pub fn is_bound(&self) -> bool {
        matches!(self.state, Negotiation::Bound(_))
    }

    /// `xml:lang` of the peer's header: the language of its stanzas that name none (RFC 6120 §4.7.4).
    pub fn lang(&self) -> Option<Rc<str>> {
        self.lang.clone()
    }

    /// Bytes this stream holds for unfinished input.
    pub fn held_bytes(&self) -> usize {
        self.framer.held_bytes() + self.unread.held_bytes()
    }

    fn answer(&mut self, answer: Answer) {
        self.answer = Some(Box::new(answer));
    }

    /// Takes frames until one makes an event.
    fn advance(
        &mut self,
        input: &mut &[u8],
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Option<Event> {
        loop {
            let frame = match self.framer.next(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) => return Some(self.end(error.into(), entropy, out)),
            };
            let element = match frame {
                Frame::End => return Some(self.peer_closed(out)),
                // RFC 6120 §4.4: we are done with the peer's stanzas once we closed.
                _ if matches!(self.state, Negotiation::Closing) => continue,
                Frame::Whitespace if self.state.is_strict() => {
                    return Some(self.end(sasl::out_of_turn(), entropy, out));
                }
                Frame::Whitespace => return Some(Event::Whitespace),
                Frame::Element(bytes) => xml::parse(bytes, &self.context),
                Frame::Header(bytes) => xml::parse_header(bytes).map(|(element, context)| {
                    self.context = header::share(match self.is_component {
                        true => component::exchanged(context),
                        false => context,
                    });
                    element
                }),
            };
            let event = match element {
                Ok(element) if self.header_sent && negotiation::is_stream_error(&element) => {
                    Some(self.peer_closed(out))
                }
                Ok(element) if self.early && !self.state.is_early(element.root()) => {
                    self.deferred = Some(Box::new(element));
                    None
                }
                Ok(element) => self.run(entropy, out, |state, io| state.handle(element, io)),
                Err(error) => Some(self.end(error.into(), entropy, out)),
            };
            if event.is_some() || self.deferred.is_some() {
                return event;
            }
        }
    }

    /// One step of the negotiation.
    fn run(
        &mut self,
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
        step: impl FnOnce(Negotiation, &mut Io<'_>) -> Result<Negotiation, StreamError>,
    ) -> Option<Event> {
        let state = std::mem::replace(&mut self.state, Negotiation::Ended);
        let mut io = Io {
            settings: &self.settings,
            framer: &mut self.framer,
            context: &self.context,
            lang: &mut self.lang,
            header_sent: &mut self.header_sent,
            framing: self.framing,
            early: self.early,
            entropy,
            out,
            event: None,
        };
        match step(state, &mut io) {
            Ok(next) => {
                let event = io.event;
                self.state = next;
                event
            }
            Err(error) => {
                self.write_error(&error, entropy, out);
                self.forget();
                Some(Event::Closed(Some(error)))
            }
        }
    }

    /// Input that comes while an answer is outstanding.
    fn keep(
        &mut self,
        input: &mut &[u8],
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Option<Event> {
        self.unread.append(input);
        let most = self.settings.limits_before_authentication.bytes * AHEAD_ELEMENTS_MAX;
        if self.unread.rest().len() <= most {
            return None;
        }
        let error = StreamError::new(StreamCondition::PolicyViolation)
            .text("Too much sent ahead while an answer was outstanding.");
        Some(self.end(error, entropy, out))
    }

    fn end(&mut self, error: StreamError, entropy: &mut dyn Entropy, out: &mut Vec<u8>) -> Event {
        self.fail(error.clone(), entropy, out);
        Event::Closed(Some(error))
    }

    /// RFC 6120 §4.4: the peer's closing tag (or error) is answered by ours, if that was not first.
    fn peer_closed(&mut self, out: &mut Vec<u8>) -> Event {
        if self.header_sent && !matches!(self.state, Negotiation::Closing) {
            out.extend_from_slice(self.framing.end());
        }
        self.forget();
        Event::Closed(None)
    }

    fn write_error(&mut self, error: &StreamError, entropy: &mut dyn Entropy, out: &mut Vec<u8>) {
        if !self.header_sent {
            match self.is_component {
                true => drop(component::write_header(&self.settings.domain, entropy, out)),
                false => header::write(&self.settings, self.framing, None, (entropy, &mut *out)),
            }
        }
        error.write(&mut xml::Writer::new(out));
        out.extend_from_slice(self.framing.end());
    }

    /// Nothing more will be read or written.
    fn forget(&mut self) {
        self.state = Negotiation::Ended;
        self.unread = Unread::default();
        self.answer = None;
        self.deferred = None;
        self.framer.restart();
    }
}

impl From<XmlError> for StreamError {
    fn from(error: XmlError) -> StreamError {
        match error {
            XmlError::NotWellFormed | XmlError::NotUtf8 | XmlError::BadNamespace => {
                StreamCondition::NotWellFormed.into()
            }
            XmlError::SecondHeader => StreamError::new(StreamCondition::UnsupportedStanzaType)
                .text("A stream is open already."),
            XmlError::Restricted => StreamCondition::RestrictedXml.into(),
            XmlError::UnsupportedEncoding => StreamCondition::UnsupportedEncoding.into(),
            XmlError::TooLarge => StreamError::new(StreamCondition::PolicyViolation)
                .text("An element is larger than the limits of this stream."),
        }
    }
}
