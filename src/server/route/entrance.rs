//! The way of each stanza into the server: what its sender cannot know taken out, addresses checked and stamped, then by
//! kind.
use std::rc::Rc;

use crate::server::outlet::send_error;
use crate::state::{ComponentId, Cx, Fault, Origin, SessionId};
use crate::xml::Element;
use crate::xmpp::{
    Condition, Envelope, FullJid, IqKind, Jid, MessageKind, PresenceKind, Stanza, StanzaError,
    StanzaParseError, StreamCondition, StreamError,
};

use super::iq;
use super::message::{self, forged};
use super::presence::{self, photo};

/// A stanza of a session; `lang` is the language of its stream. An error ends the stream.
pub fn from_session(
    cx: &mut Cx<'_>,
    session: SessionId,
    element: Element,
    lang: Option<Rc<str>>,
) -> Result<(), StreamError> {
    let Some(from) = cx
        .state
        .sessions
        .get(session)
        .map(|session| session.jid.clone())
    else {
        return Ok(());
    };
    let origin = Origin::Session(session);
    let element = forged::removed(element, &cx.state.domains, &from)?;
    let parsed = match Stanza::from_element(element.clone()) {
        None => return Err(StreamCondition::UnsupportedStanzaType.into()),
        Some(Err(error)) => {
            refuse_malformed(cx, origin, &from, &element, error);
            return Ok(());
        }
        Some(Ok(stanza)) => stanza,
    };
    // RFC 6120 §8.1.2.1: a client's `from` is its own JID, bare or full, or absent; what leaves is the full one.
    if let Some(claimed) = &parsed.envelope().from
        && claimed != from.as_jid()
        && claimed.as_str() != from.bare_str()
    {
        return Err(StreamCondition::InvalidFrom.into());
    }
    match parsed {
        Stanza::Message(mut message) => {
            stamp(&mut message.envelope, from, lang);
            let answered = (message.kind != MessageKind::Error).then(|| message.envelope.clone());
            let done = message::from(cx, origin, message);
            answer_fault(cx, origin, "message", answered, done);
        }
        Stanza::Presence(mut presence) => {
            stamp(&mut presence.envelope, from, lang);
            let answered =
                (presence.kind != PresenceKind::Error).then(|| presence.envelope.clone());
            let done = presence::from_session(cx, session, presence);
            answer_fault(cx, origin, "presence", answered, done);
        }
        Stanza::Iq(mut iq) => {
            stamp(&mut iq.envelope, from, lang);
            iq::from(cx, origin, &iq);
        }
    }
    presence::send_queued(cx);
    photo::announce(cx);
    message::send_own(cx);
    Ok(())
}

/// A stanza of an external component (XEP-0114 §3); `lang` as above. An error ends the stream.
pub fn from_component(
    cx: &mut Cx<'_>,
    component: ComponentId,
    element: Element,
    lang: Option<Rc<str>>,
) -> Result<(), StreamError> {
    let Some(jid) = cx
        .state
        .domains
        .components
        .get(component)
        .map(|known| known.jid.clone())
    else {
        return Ok(());
    };
    let origin = Origin::Component(component);
    let element = forged::removed(element, &cx.state.domains, &jid)?;
    let mut parsed = match Stanza::from_element(element.clone()) {
        None => return Err(StreamCondition::UnsupportedStanzaType.into()),
        Some(Err(error)) => {
            refuse_malformed(cx, origin, &jid, &element, error);
            return Ok(());
        }
        Some(Ok(stanza)) => stanza,
    };
    let envelope = parsed.envelope_mut();
    // Any address of its domain, and no other; one that names none speaks for itself.
    let from = envelope.from.get_or_insert_with(|| jid.into());
    if cx.state.domains.component(from) != Some(component) {
        return Err(StreamCondition::InvalidFrom.into());
    }
    envelope.lang = envelope.lang.take().or(lang);
    let has_addressee = envelope.to.is_some();
    let answered = (!parsed.is_error()).then(|| parsed.envelope().clone());
    if !has_addressee {
        let error = StanzaError::new(Condition::BadRequest).text("A component says to whom.");
        let is_answer = matches!(&parsed, Stanza::Iq(iq) if iq.kind == IqKind::Result);
        if let Some(answered) = answered.filter(|_| !is_answer) {
            send_error(cx, origin, parsed.name(), &answered, &error);
        }
        return Ok(());
    }
    let name = parsed.name();
    let done = match parsed {
        Stanza::Message(message) => message::from(cx, origin, message),
        Stanza::Presence(presence) => presence::from_component(cx, origin, presence),
        Stanza::Iq(iq) => {
            iq::from(cx, origin, &iq);
            Ok(())
        }
    };
    answer_fault(cx, origin, name, answered, done);
    presence::send_queued(cx);
    photo::announce(cx);
    message::send_own(cx);
    Ok(())
}

/// What every stanza says when it leaves its client's server.
fn stamp(envelope: &mut Envelope, from: FullJid, lang: Option<Rc<str>>) {
    envelope.from = Some(from.into());
    // RFC 6120 §4.7.4: the language of the stream, for a stanza that names none.
    if envelope.lang.is_none() {
        envelope.lang = lang;
    }
}

/// Tells the sender what went wrong; never an error to an error (RFC 6120 §8.3.1).
fn answer_fault(
    cx: &mut Cx<'_>,
    origin: Origin,
    name: &'static str,
    answered: Option<Envelope>,
    done: Result<(), Fault>,
) {
    let Err(fault) = done else { return };
    let error = fault.into_stanza_error();
    if let Some(envelope) = answered {
        send_error(cx, origin, name, &envelope, &error);
    }
}

/// A stanza whose addresses or type cannot be read.
fn refuse_malformed(
    cx: &mut Cx<'_>,
    origin: Origin,
    from: &Jid,
    element: &Element,
    error: StanzaParseError,
) {
    let root = element.root();
    let name = match root.name() {
        "message" => "message",
        "presence" => "presence",
        _ => "iq",
    };
    let kind = root.attribute("type");
    // An iq of type result is an answer as well, and answers are not answered.
    if kind.as_deref() == Some("error") || (name == "iq" && kind.as_deref() == Some("result")) {
        return;
    }
    let condition = match error {
        StanzaParseError::ToMalformed | StanzaParseError::FromMalformed => Condition::JidMalformed,
        StanzaParseError::BadRequest => Condition::BadRequest,
    };
    let answered = Envelope {
        from: Some(from.clone()),
        to: root.attribute("to").and_then(|to| {
            // Where the resource alone is wrong, whose it was to be answers.
            let bare = to.split('/').next().unwrap_or_default();
            Jid::parse(&to).or_else(|_| Jid::parse(bare)).ok()
        }),
        id: root.attribute("id").map(|id| id.into()),
        lang: None,
    };
    send_error(cx, origin, name, &answered, &condition.into());
}
