//! Carbon copies on the way of a message (XEP-0280 §7, §8): one forwarded copy for each session that asked for copies and
//! did not get the message itself.
use crate::feature;
use crate::state::{Cx, Form, Keep, Origin, SessionId, Shared};
use crate::store::{ArchiveId, Stored};
use crate::xmpp::{BareJid, Envelope, Jid, Message, MessageKind, StanzaError, write_error};

use crate::server::outlet::{Archived, send_error, stored_xml};
use crate::server::route::again::{self, Added, Direction};
use crate::server::route::turn;

/// §7: the addressee's sessions that get a copy. `direct`: those that get the message itself; `None`: it waits, and those
/// that would be given it later get no copy now.
pub fn takers_of_received(
    cx: &Cx<'_>,
    message: &Message,
    account: &BareJid,
    sender: Origin,
    direct: Option<&[SessionId]>,
) -> Vec<SessionId> {
    if !is_copied(cx, message) {
        return Vec::new();
    }
    cx.state.sessions.ids_where(account, |session| {
        let has_it = match direct {
            Some(direct) => direct.contains(&session.id),
            None => session.presence.is_none() || session.takes_messages(),
        };
        session.carbons && Some(session.id) != sender.session() && !has_it
    })
}

/// §6.1. An error is copied if what it answers was.
fn is_copied(cx: &Cx<'_>, message: &Message) -> bool {
    if message.kind != MessageKind::Error {
        return feature::carbons_eligible(message, true);
    }
    let answered = message.envelope.to.as_ref();
    let session = answered.and_then(|to| cx.state.sessions.find(to));
    match (session, &message.envelope.id) {
        (Some(session), Some(id)) => !session.uncopied.contains(id),
        _ => false,
    }
}

/// §7: what the addressee's other sessions get. `waits`: the message itself is given to nobody yet, and these copies change
/// nothing about that.
pub fn received(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    archived: &Archived,
    takers: &[SessionId],
    waits: bool,
) {
    let id = archived.received;
    let keep = match id {
        Some(id) if !waits => Keep::Archived(id, Form::Received),
        _ => Keep::Whole { shared: true },
    };
    copy(
        cx,
        message,
        account,
        (Direction::Received, id, keep),
        archived,
        takers,
    );
}

/// §7: what the others get of a message that waited, and is now given to the session it is addressed to by its full JID.
/// Returns who gets it.
pub fn received_late(
    cx: &mut Cx<'_>,
    message: &Message,
    (account, is_archived): (&BareJid, bool),
    stored: &Stored,
    others: &[SessionId],
) -> Vec<SessionId> {
    if !is_copied(cx, message) {
        return Vec::new();
    }
    let mut takers = others.to_vec();
    takers.retain(|id| cx.state.sessions.get(*id).is_some_and(|s| s.carbons));
    let added = Added {
        stanza_id: is_archived.then_some((account, stored.id)),
        delay: Some(stored.at),
    };
    let keep = Keep::Archived(stored.id, Form::Received);
    let copy = Copy {
        xml: &stored.xml,
        direction: Direction::Received,
        added,
        keep,
        in_turn: false,
    };
    write_copies(cx, message, account, &copy, &takers);
    takers
}

/// §8: what the sender's other sessions get, whether or not the sending one asked for copies.
pub fn sent(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    archived: &Archived,
    except: &[SessionId],
) {
    if message.kind != MessageKind::Error && !feature::carbons_eligible(message, false) {
        return;
    }
    let takers = cx
        .state
        .sessions
        .ids_where(account, |s| s.carbons && !except.contains(&s.id));
    let keep = match archived.sent {
        Some(id) => Keep::Archived(id, Form::Sent),
        None => Keep::Whole { shared: true },
    };
    copy(
        cx,
        message,
        account,
        (Direction::Sent, archived.sent, keep),
        archived,
        &takers,
    );
}

fn copy(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    (direction, id, keep): (Direction, Option<ArchiveId>, Keep),
    archived: &Archived,
    takers: &[SessionId],
) {
    if takers.is_empty() {
        return;
    }
    let written;
    let xml = match &archived.xml {
        Some(xml) => xml,
        None => {
            written = stored_xml(message);
            &written
        }
    };
    let added = Added {
        stanza_id: id.map(|id| (account, id)),
        delay: None,
    };
    let copy = Copy {
        xml,
        direction,
        added,
        keep,
        in_turn: direction == Direction::Received,
    };
    write_copies(cx, message, account, &copy, takers);
}

/// What one is made of.
struct Copy<'c> {
    xml: &'c str,
    direction: Direction,
    added: Added<'c>,
    keep: Keep,
    /// It is its turn only when what waits has come; not so of what waited itself, or what one's own other device sent.
    in_turn: bool,
}

fn write_copies(
    cx: &mut Cx<'_>,
    message: &Message,
    account: &BareJid,
    copy: &Copy<'_>,
    takers: &[SessionId],
) {
    let sender = message.envelope.from.as_ref().map_or("", Jid::as_str);
    let urgency = feature::message_urgency(message, sender);
    let mut bytes = std::mem::take(&mut cx.out.bytes);
    let start = bytes.len();
    again::write_copied(&mut bytes, cx, copy.xml, copy.direction, copy.added);
    cx.out.bytes = bytes;
    let copied = Shared::at(start..cx.out.bytes.len());
    for taker in takers {
        let Some(session) = cx.state.sessions.get(*taker) else {
            continue;
        };
        let to = session.jid.clone();
        let head = &mut |bytes: &mut Vec<u8>| {
            again::write_copy_head(bytes, copy.xml, (account, &to));
        };
        let stanza = cx.out.with_head(&copied, head);
        match copy.in_turn {
            true => {
                let how = (urgency, copy.keep);
                turn::deliver_in_turn(cx, account, *taker, &stanza, how);
            }
            false => cx.deliver_as(*taker, &stanza, urgency, copy.keep),
        }
    }
}

/// The server refuses a message: the sender hears why. §6.1, §8: if it is one that is copied, the sender's other sessions
/// see it and the refusal.
pub fn refused(cx: &mut Cx<'_>, origin: Origin, message: &Message, error: &StanzaError) {
    send_error(cx, origin, "message", &message.envelope, error);
    let Some(from) = message.envelope.from.as_ref() else {
        return;
    };
    let account = from.to_bare();
    if !feature::carbons_eligible(message, false) {
        return;
    }
    let none = Archived::default();
    let session = origin.session();
    sent(cx, message, &account, &none, session.as_slice());
    let takers = cx
        .state
        .sessions
        .ids_where(&account, |s| s.carbons && Some(s.id) != session);
    if takers.is_empty() {
        return;
    }
    if let Some(error) = error_message(&message.envelope, error) {
        received(cx, &error, &account, &none, &takers, false);
    }
}

/// The error answer to a message, as a message.
fn error_message(answered: &Envelope, error: &StanzaError) -> Option<Message> {
    let mut xml = Vec::with_capacity(256);
    write_error(&mut xml, "message", answered, error);
    let xml = String::from_utf8(xml).ok()?;
    let element = crate::xml::parse_stored(&xml, crate::xmpp::ns::CLIENT).ok()?;
    match crate::xmpp::Stanza::from_element(element) {
        Some(Ok(crate::xmpp::Stanza::Message(message))) => Some(message),
        _ => None,
    }
}

/// §6.1: an error that answers this one is not copied either.
pub fn remember_uncopied(cx: &mut Cx<'_>, session: SessionId, message: &Message) {
    if let (Some(known), Some(id)) = (cx.state.sessions.get_mut(session), &message.envelope.id) {
        known.uncopied.remember(id);
    }
}
