//! XEP-0114: the stream of an external component that connects to us ("accept"). Its header names it, a hash over the id of
//! our header and a secret proves that; from then on stanzas pass as on a client's stream.
use std::borrow::Cow;

use crate::xml::{Context, Element, ElementRef, Writer, parse_stored};
use crate::xmpp::{StreamCondition, StreamError, base64_url, domainpart, ns};

use super::header::ID_BYTES;
use super::negotiation::{First, Io, Negotiation};
use super::{Entropy, Event};

/// The header was taken; the proof is expected.
pub(super) struct Handshake {
    name: Box<str>,
    /// Of our header.
    stream_id: String,
}

/// The proof was right: stanzas pass.
pub(super) struct Bound;

/// Stanzas are those of clients but for the namespace they inherit. The peer's declarations with both exchanged are a
/// client's, and those of a client are refused.
pub(super) fn exchanged(context: Context) -> Context {
    let default_namespace = match &*context.default_namespace {
        ns::COMPONENT => ns::CLIENT.into(),
        ns::CLIENT => ns::COMPONENT.into(),
        _ => context.default_namespace,
    };
    Context {
        default_namespace,
        ..context
    }
}

/// Takes the peer's header; ours comes first whatever is wrong with it (RFC 6120 §4.9.1.2).
pub(super) fn header(root: ElementRef<'_>, io: &mut Io<'_>) -> Result<Negotiation, StreamError> {
    let asked = root.attribute("to").unwrap_or_default();
    let known = domainpart(&asked).ok().and_then(|name| {
        let names = io.settings.components.iter();
        names.into_iter().find(|known| ***known == *name)
    });
    let stream_id = write_header(known.unwrap_or(&io.settings.domain), io.entropy, io.out);
    *io.header_sent = true;
    if root.namespace() != ns::STREAM || *io.context.default_namespace != *ns::CLIENT {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if root.name() != "stream" {
        return Err(StreamCondition::BadFormat.into());
    }
    let name = known.ok_or(StreamCondition::HostUnknown)?.as_ref().into();
    Ok(Negotiation::Component(Handshake { name, stream_id }))
}

/// Our header; returns its id. `name`: the component's, as in its own.
pub(super) fn write_header(name: &str, entropy: &mut dyn Entropy, out: &mut Vec<u8>) -> String {
    let mut id = [0; ID_BYTES];
    entropy.fill(&mut id);
    let id = base64_url(id);
    out.extend_from_slice(b"<?xml version='1.0'?>");
    Writer::new(out)
        .open_ns("stream:stream", ns::COMPONENT)
        .attr("xmlns:stream", ns::STREAM)
        .attr("from", name)
        .attr("id", &id)
        .raw("");
    id
}

impl Handshake {
    pub(super) fn handle(
        self,
        element: &Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let root = element.root();
        let is_handshake = root.name() == "handshake" && is_content(root);
        if !is_handshake {
            return Err(
                StreamError::new(StreamCondition::NotAuthorized).text("The handshake comes first.")
            );
        }
        io.event = Some(Event::Handshake {
            component: self.name,
            stream_id: self.stream_id.into(),
            proof: root.text().trim().into(),
        });
        Ok(Negotiation::Proving)
    }
}

impl Bound {
    pub(super) fn handle(
        self,
        element: Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let element = of_clients(element)?;
        match First::of(element.root())? {
            First::Stanza => {
                io.event = Some(Event::Stanza(element));
                Ok(Negotiation::BoundComponent(self))
            }
            _ => Err(StreamCondition::UnsupportedStanzaType.into()),
        }
    }
}

fn is_content(root: ElementRef<'_>) -> bool {
    matches!(root.namespace(), ns::CLIENT | ns::COMPONENT)
}

/// A stanza that names the namespace of its stream itself.
fn of_clients(element: Element) -> Result<Element, StreamError> {
    let root = element.root();
    if root.namespace() != ns::COMPONENT {
        return Ok(element);
    }
    let whole = element.source();
    let (open, rest) = whole
        .split_at_checked(element.inner_range().start)
        .unwrap_or((whole, ""));
    let open: Cow<'_, str> = open.replace(ns::COMPONENT, ns::CLIENT).into();
    let text = [&*open, rest].concat();
    parse_stored(&text, ns::CLIENT).map_err(|_| StreamCondition::PolicyViolation.into())
}
