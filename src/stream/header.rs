//! RFC 6120 §4.7: stream headers. Checks the peer's, writes ours with the features that follow it.
use std::rc::Rc;

use crate::xml::{Context, Element, ElementRef, Writer};
use crate::xmpp::{BareJid, Jid, StreamCondition, StreamError, base64_url, domainpart, ns};

use super::bind::Bind;
use super::negotiation::{Answer, Io, Negotiation, StartTls};
use super::sasl::Auth;
use super::{Entropy, Event, Framing, Offer, StreamSettings, TlsFacts};
use super::{component, features};

/// A language tag longer than this is not remembered (RFC 5646 §4.4.1).
const LANG_BYTES_MAX: usize = 35;

/// Random bytes of a stream id (§4.7.3: unpredictable).
pub(super) const ID_BYTES: usize = 16;

/// A header is expected; what is known by then decides what follows it.
pub(super) enum Header {
    Plain,
    /// XEP-0114.
    Component,
    Secured(Box<TlsFacts>),
    Authenticated(BareJid),
}

impl Header {
    pub(super) fn handle(
        self,
        element: &Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let root = element.root();
        if matches!(self, Header::Component) {
            return component::header(root, io);
        }
        *io.lang = root
            .lang()
            .filter(|lang| lang.len() <= LANG_BYTES_MAX && !lang.is_empty())
            .map(|lang| lang.into());
        let from = check_from(root, io.settings);
        // §4.9.1.2: an error in the peer's header is told inside ours, so ours comes first whatever was wrong.
        let to = from.as_ref().ok().and_then(Option::as_ref);
        write(
            io.settings,
            io.framing,
            to,
            (&mut *io.entropy, &mut *io.out),
        );
        *io.header_sent = true;
        check(root, io.context, io.settings)?;
        self.answer(from?, io)
    }

    /// What follows our header.
    fn answer(self, from: Option<BareJid>, io: &mut Io<'_>) -> Result<Negotiation, StreamError> {
        match self {
            Header::Plain | Header::Component => {
                features::write_plain(io.out);
                Ok(Negotiation::StartTls(StartTls))
            }
            Header::Secured(facts) => {
                let offering = Offering {
                    facts: *facts,
                    from,
                };
                match offering.from.clone() {
                    // XEP-0388 §2.1: what is offered may depend on who it is.
                    Some(account) => {
                        io.event = Some(Event::Peer { account });
                        Ok(Negotiation::Offering(Box::new(offering)))
                    }
                    None => {
                        let offer = Offer {
                            x_oauth: io.settings.x_oauth,
                            ..Offer::default()
                        };
                        Ok(offering.offer(offer, io))
                    }
                }
            }
            Header::Authenticated(account) => {
                // §4.7.1: by now it is known who the peer is.
                if from.is_some_and(|from| from != account) {
                    return Err(StreamError::new(StreamCondition::InvalidFrom)
                        .text("The address of the stream is not the one logged in."));
                }
                features::write_authenticated(io.settings, io.out);
                Ok(Negotiation::Bind(Bind::new(account)))
            }
        }
    }
}

/// The peer said who it is; `Event::Peer` is out. Nothing is proved yet.
pub(super) struct Offering {
    facts: TlsFacts,
    from: Option<BareJid>,
}

impl Offering {
    pub(super) fn resume(self: Box<Self>, answer: Answer, io: &mut Io<'_>) -> Negotiation {
        match answer {
            Answer::Offer(offer) => self.offer(offer, io),
            _ => Negotiation::Offering(self),
        }
    }

    fn offer(self, offer: Offer, io: &mut Io<'_>) -> Negotiation {
        features::write_mechanisms(&self.facts, offer, io.settings, io.out);
        Negotiation::Auth(Box::new(Auth::new(self.facts, offer, self.from)))
    }
}

/// Everything but `from`.
fn check(
    root: ElementRef<'_>,
    context: &Context,
    settings: &StreamSettings,
) -> Result<(), StreamError> {
    // §4.8.1, §4.9.3.10
    if root.namespace() != ns::STREAM {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if root.name() != "stream" {
        return Err(StreamCondition::BadFormat.into());
    }
    // §4.8.2: the content namespace is the default, or (prefix-free) every stanza names it.
    if !matches!(&*context.default_namespace, ns::CLIENT | ns::STREAM) {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    // §4.7.5
    if !root
        .attribute("version")
        .is_some_and(|version| is_version(&version))
    {
        return Err(StreamError::new(StreamCondition::UnsupportedVersion)
            .text("XMPP 1.0 is the least that is spoken here."));
    }
    // §4.7.2
    let to = root.attribute("to").ok_or_else(|| {
        StreamError::new(StreamCondition::HostUnknown).text("Say in 'to' whom the stream is for.")
    })?;
    let to = domainpart(&to).map_err(|_| StreamCondition::ImproperAddressing)?;
    if to != *settings.domain {
        return Err(StreamCondition::HostUnknown.into());
    }
    Ok(())
}

/// `major.minor`, each a number, major at least 1.
fn is_version(text: &str) -> bool {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
    text.split_once('.').is_some_and(|(major, minor)| {
        number(major) && number(minor) && major.bytes().any(|b| b != b'0')
    })
}

/// §4.7.1: the peer's own address, if given; one of our accounts. A domain alone names nobody: some put their machine's
/// name there.
fn check_from(
    root: ElementRef<'_>,
    settings: &StreamSettings,
) -> Result<Option<BareJid>, StreamError> {
    let Some(from) = root.attribute("from") else {
        return Ok(None);
    };
    let from = Jid::parse(&from).map_err(|_| StreamCondition::ImproperAddressing)?;
    match from.local() {
        None => Ok(None),
        Some(_) if from.domain() == &*settings.domain => Ok(Some(from.to_bare())),
        Some(_) => Err(StreamError::new(StreamCondition::InvalidFrom)
            .text("The address of the stream is not of this server.")),
    }
}

/// Our header.
pub(super) fn write(
    settings: &StreamSettings,
    framing: Framing,
    to: Option<&BareJid>,
    (entropy, out): (&mut dyn Entropy, &mut Vec<u8>),
) {
    let mut id = [0; ID_BYTES];
    entropy.fill(&mut id);
    if framing == Framing::Bytes {
        out.extend_from_slice(b"<?xml version='1.0'?>");
    }
    let mut w = Writer::new(out);
    match framing {
        Framing::Bytes => {
            w.open_ns("stream:stream", ns::CLIENT);
            w.attr("xmlns:stream", ns::STREAM);
        }
        // RFC 7395 §3.4
        Framing::Messages => _ = w.open_ns("open", ns::FRAMING),
    }
    w.attr("from", &settings.domain)
        .attr_opt("to", to.map(|to| to.as_str()))
        .attr("id", &base64_url(id))
        .attr("version", "1.0")
        .attr("xml:lang", settings.lang);
    match framing {
        Framing::Bytes => _ = w.raw(""),
        Framing::Messages => _ = w.close(),
    }
}

thread_local! {
    static USUAL: Rc<Context> = Rc::new(Context {
        default_namespace: ns::CLIENT.into(),
        prefixes: vec![("stream".into(), ns::STREAM.into())],
    });
}

/// What nearly every client declares; shared by all streams.
pub(super) fn usual_context() -> Rc<Context> {
    USUAL.with(Rc::clone)
}

/// Declarations of a header, not kept a second time when they are the usual ones.
pub(super) fn share(context: Context) -> Rc<Context> {
    let usual = usual_context();
    match context == *usual {
        true => usual,
        false => Rc::new(context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["1.0", "1.1", "01.0", "2.0", "10.35"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "", "0.9", "1", "1.", ".1", "one.0", "-1.0", "1.0.0", "00.1", " 1.0",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn the_usual_declarations_are_shared() {
        let usual = Context::clone(&usual_context());
        assert!(Rc::ptr_eq(&share(usual.clone()), &usual_context()));
        let other = Context {
            prefixes: Vec::new(),
            ..usual
        };
        assert_eq!(*share(other.clone()), other);
    }
}
