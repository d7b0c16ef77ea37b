//! The way out: how stanzas are written, what of them the archive keeps, and answers to whom they came from.
use std::ops::Range;

use crate::feature::Reply;
use crate::state::{Cx, Origin};
use crate::store::ArchiveId;
use crate::xml::{Element, Writer};
use crate::xmpp::{
    Condition, Envelope, Jid, Message, MessageKind, StanzaError, write_error, write_open,
};

/// Where a message was archived, if it was: the same id in both archives.
#[derive(Clone, Debug, Default)]
pub struct Archived {
    pub received: Option<ArchiveId>,
    pub sent: Option<ArchiveId>,
    /// The stanza as the archive keeps it, if it is kept.
    pub xml: Option<String>,
}

/// RFC 6120 §8.3.3.17: the operator named this component, and it is not connected.
pub const COMPONENT_AWAY: StanzaError =
    StanzaError::new(Condition::RemoteServerTimeout).text("The component is not connected.");

/// Sends a stanza that was written to the buffer; false: nobody is there.
pub fn send(cx: &mut Cx<'_>, target: Origin, stanza: Range<usize>) -> bool {
    match target {
        Origin::Session(session) => {
            cx.deliver(session, stanza);
            true
        }
        Origin::Component(component) => cx.pass(component, &stanza.into()),
        Origin::Own => {
            cx.state.effects.own_answers.push(stanza);
            true
        }
    }
}

/// Answers a stanza, the way it came.
pub fn answer(cx: &mut Cx<'_>, origin: Origin, write: impl FnOnce(&mut Writer<'_>)) {
    let stanza = cx.write(write);
    send(cx, origin, stanza);
}

/// Whoever sends from this address is connected now.
pub fn origin_of(cx: &Cx<'_>, from: &Jid) -> Option<Origin> {
    let session = cx.state.sessions.find(from);
    session
        .map(|session| Origin::Session(session.id))
        .or_else(|| cx.state.domains.component(from).map(Origin::Component))
}

/// Answers a request with what came of it.
pub fn send_result(cx: &mut Cx<'_>, origin: Origin, request: &Envelope, reply: &Reply) {
    answer(cx, origin, |w| write_result(w, request, reply));
}

/// Answers a stanza with an error.
pub fn send_error(
    cx: &mut Cx<'_>,
    origin: Origin,
    name: &'static str,
    answered: &Envelope,
    error: &StanzaError,
) {
    let start = cx.out.bytes.len();
    write_error(&mut cx.out.bytes, name, answered, error);
    send(cx, origin, start..cx.out.bytes.len());
}

fn write_result(w: &mut Writer<'_>, request: &Envelope, reply: &Reply) {
    let kind = match reply {
        Reply::Refused(..) => "error",
        _ => "result",
    };
    w.open("iq").attr("type", kind);
    w.attr_opt("id", request.id.as_deref());
    w.attr_opt("from", request.to.as_ref().map(Jid::as_str));
    w.attr_opt("to", request.from.as_ref().map(Jid::as_str));
    if let Reply::Payload(xml) | Reply::Refused(_, xml) = reply {
        w.raw(std::str::from_utf8(xml).expect("the writer writes UTF-8"));
    }
    if let Reply::Refused(error, _) = reply {
        error.write(w);
    }
    w.close();
}

/// The stanza as the archive keeps it: no id of ours, and none that pretends to be.
pub fn stored_xml(message: &Message) -> String {
    let mut bytes = Vec::with_capacity(message.element.source().len() + 64);
    write_message(&mut bytes, message, true);
    String::from_utf8(bytes).expect("stanzas are UTF-8")
}

/// A message with its stamped envelope. `declared`: with its namespace, to
/// stand inside another element.
pub fn write_message(bytes: &mut Vec<u8>, message: &Message, declared: bool) {
    let name = if declared {
        "message xmlns='jabber:client'"
    } else {
        "message"
    };
    write_open(bytes, name, kind_text(message), &message.envelope);
    write_end(bytes, "message", message.element.root().inner_source());
}

/// `normal` is what a missing type means; it is not written.
fn kind_text(message: &Message) -> &'static str {
    match message.kind {
        MessageKind::Normal => "",
        kind => kind.as_str(),
    }
}

/// Writes a whole stanza: its envelope, and its children as they came.
pub fn write_stanza(
    bytes: &mut Vec<u8>,
    name: &'static str,
    kind: &str,
    envelope: &Envelope,
    element: &Element,
) {
    write_open(bytes, name, kind, envelope);
    write_end(bytes, name, element.root().inner_source());
}

/// What follows the attributes of a stanza: `>`, its children and its closing tag.
pub fn write_end(bytes: &mut Vec<u8>, name: &'static str, children: &str) {
    if children.is_empty() {
        bytes.extend_from_slice(b"/>");
        return;
    }
    bytes.push(b'>');
    bytes.extend_from_slice(children.as_bytes());
    bytes.extend_from_slice(b"</");
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(b'>');
}
