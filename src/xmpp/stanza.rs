//! Stanzas (RFC 6120 §8): an envelope that was parsed and an element whose children travel as checked bytes.
use std::fmt::Write as _;
use std::rc::Rc;

use crate::xml::{Element, ElementRef, Escaped, Writer};

use super::{Jid, StanzaError, ns};

/// What all stanzas carry. `from` is what the server stamped, once it did.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    pub from: Option<Jid>,
    pub to: Option<Jid>,
    pub id: Option<Rc<str>>,
    pub lang: Option<Rc<str>>,
}

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }
        impl $name {
            /// The value of the `type` attribute (empty: no attribute).
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
            fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    /// RFC 6121 §5.2.2.
    MessageKind { Normal = "normal", Chat = "chat", Groupchat = "groupchat", Headline = "headline", Error = "error", }
}
kinds! {
    /// RFC 6121 §4.7.1; available has no `type`.
    PresenceKind {
        Available = "", Unavailable = "unavailable", Subscribe = "subscribe", Subscribed = "subscribed",
        Unsubscribe = "unsubscribe", Unsubscribed = "unsubscribed", Probe = "probe", Error = "error",
    }
}
kinds! {
    /// RFC 6120 §8.2.3.
    IqKind { Get = "get", Set = "set", Result = "result", Error = "error", }
}

/// A message; `element` is the whole `<message/>` as it came.
#[derive(Clone, Debug)]
pub struct Message {
    pub envelope: Envelope,
    pub kind: MessageKind,
    pub element: Element,
}

#[derive(Clone, Debug)]
pub struct Presence {
    pub envelope: Envelope,
    pub kind: PresenceKind,
    pub element: Element,
}

#[derive(Clone, Debug)]
pub struct Iq {
    pub envelope: Envelope,
    pub kind: IqKind,
    pub element: Element,
}

#[derive(Clone, Debug)]
pub enum Stanza {
    Message(Message),
    Presence(Presence),
    Iq(Iq),
}

/// Why an element is no stanza that can be routed; the sender hears it as a stanza error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StanzaParseError {
    /// `to` is no JID (RFC 6120 §8.3.3.8).
    ToMalformed,
    /// `from` is no JID.
    FromMalformed,
    /// An iq or presence `type` that does not exist, an iq without id or with other than one child (§8.2.3).
    BadRequest,
}

impl Stanza {
    /// `None`: neither message, presence nor iq.
    pub fn from_element(element: Element) -> Option<Result<Stanza, StanzaParseError>> {
        let root = element.root();
        let parsed = match root.name() {
            "message" => message(&element).map(Stanza::Message),
            "presence" => presence(&element).map(Stanza::Presence),
            "iq" => iq(&element).map(Stanza::Iq),
            _ => return None,
        };
        Some(parsed)
    }

    pub fn envelope(&self) -> &Envelope {
        match self {
            Stanza::Message(message) => &message.envelope,
            Stanza::Presence(presence) => &presence.envelope,
            Stanza::Iq(iq) => &iq.envelope,
        }
    }

    pub fn envelope_mut(&mut self) -> &mut Envelope {
        match self {
            Stanza::Message(message) => &mut message.envelope,
            Stanza::Presence(presence) => &mut presence.envelope,
            Stanza::Iq(iq) => &mut iq.envelope,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Stanza::Message(_) => "message",
            Stanza::Presence(_) => "presence",
            Stanza::Iq(_) => "iq",
        }
    }

    pub fn element(&self) -> &Element {
        match self {
            Stanza::Message(message) => &message.element,
            Stanza::Presence(presence) => &presence.element,
            Stanza::Iq(iq) => &iq.element,
        }
    }

    /// True for a stanza of type error, which must never be answered by an error (RFC 6120 §8.3.1).
    pub fn is_error(&self) -> bool {
        match self {
            Stanza::Message(message) => message.kind == MessageKind::Error,
            Stanza::Presence(presence) => presence.kind == PresenceKind::Error,
            Stanza::Iq(iq) => iq.kind == IqKind::Error,
        }
    }
}

impl Iq {
    /// The one child of a get or set.
    pub fn payload(&self) -> ElementRef<'_> {
        self.element
            .root()
            .children()
            .next()
            .unwrap_or(self.element.root())
    }
}

impl Message {
    pub fn child(&self, name: &str, namespace: &str) -> Option<ElementRef<'_>> {
        self.element.root().child(name, namespace)
    }

    pub fn has_body(&self) -> bool {
        self.child("body", self.element.root().namespace())
            .is_some()
    }
}

impl Presence {
    /// RFC 6121 §4.7.2.3: -128 to 127, 0 when absent; `None` when it is no such number.
    pub fn priority(&self) -> Option<i8> {
        match self
            .element
            .root()
            .child("priority", self.element.root().namespace())
        {
            None => Some(0),
            Some(priority) => priority.text().trim().parse().ok(),
        }
    }
}

fn envelope(root: ElementRef<'_>) -> Result<Envelope, StanzaParseError> {
    let to = root
        .attribute("to")
        .map(|to| Jid::parse(&to))
        .transpose()
        .map_err(|_| StanzaParseError::ToMalformed)?;
    let from = root
        .attribute("from")
        .map(|from| Jid::parse(&from))
        .transpose()
        .map_err(|_| StanzaParseError::FromMalformed)?;
    let lang = root
        .attributes()
        .find(|a| a.name == "lang" && a.namespace == ns::XML)
        .map(|a| a.value.into());
    Ok(Envelope {
        from,
        to,
        id: root.attribute("id").map(|id| id.into()),
        lang,
    })
}

fn message(element: &Element) -> Result<Message, StanzaParseError> {
    let root = element.root();
    // RFC 6121 §5.2.2: a type not understood is treated as normal.
    let kind = root
        .attribute("type")
        .and_then(|t| MessageKind::parse(&t))
        .unwrap_or(MessageKind::Normal);
    Ok(Message {
        envelope: envelope(root)?,
        kind,
        element: element.clone(),
    })
}

fn presence(element: &Element) -> Result<Presence, StanzaParseError> {
    let root = element.root();
    let kind = match root.attribute("type") {
        None => PresenceKind::Available,
        Some(text) if text.is_empty() => return Err(StanzaParseError::BadRequest),
        Some(text) => PresenceKind::parse(&text).ok_or(StanzaParseError::BadRequest)?,
    };
    Ok(Presence {
        envelope: envelope(root)?,
        kind,
        element: element.clone(),
    })
}

fn iq(element: &Element) -> Result<Iq, StanzaParseError> {
    let root = element.root();
    let envelope = envelope(root)?;
    let kind = root
        .attribute("type")
        .and_then(|t| IqKind::parse(&t))
        .ok_or(StanzaParseError::BadRequest)?;
    // RFC 6120 §8.2.3: get and set have exactly one child; a result at most one; every iq an id.
    let children = root.children().take(2).count();
    let well_formed = match kind {
        IqKind::Get | IqKind::Set => children == 1,
        IqKind::Result => children <= 1,
        IqKind::Error => true,
    };
    if !well_formed || envelope.id.is_none() {
        return Err(StanzaParseError::BadRequest);
    }
    Ok(Iq {
        envelope,
        kind,
        element: element.clone(),
    })
}

/// Writes the open tag of a stanza, without `>`: `<message from='…' to='…' id='…' type='…' xml:lang='…'`.
pub fn write_open(out: &mut Vec<u8>, name: &'static str, kind: &str, envelope: &Envelope) {
    let mut text = String::with_capacity(160);
    let _ = write!(text, "<{name}");
    for (attribute, jid) in [("from", &envelope.from), ("to", &envelope.to)] {
        if let Some(jid) = jid {
            let _ = write!(text, " {attribute}='{}'", Escaped(jid.as_str()));
        }
    }
    for (attribute, value) in [("id", &envelope.id), ("xml:lang", &envelope.lang)] {
        if let Some(value) = value {
            let _ = write!(text, " {attribute}='{}'", Escaped(value));
        }
    }
    if !kind.is_empty() {
        let _ = write!(text, " type='{kind}'");
    }
    out.extend_from_slice(text.as_bytes());
}

/// Writes the error answer to a stanza (RFC 6120 §8.3.1): same kind and id, addresses swapped.
pub fn write_error(
    out: &mut Vec<u8>,
    name: &'static str,
    answered: &Envelope,
    error: &StanzaError,
) {
    let mut w = Writer::new(out);
    w.open(name).attr("type", "error");
    w.attr_opt("from", answered.to.as_ref().map(Jid::as_str));
    w.attr_opt("to", answered.from.as_ref().map(Jid::as_str));
    w.attr_opt("id", answered.id.as_deref());
    let by = answered.to.as_ref().filter(|_| error.is_by_bare);
    error.write_by(&mut w, by.map(Jid::bare_str));
    w.close();
}
