//! The way of a message (RFC 6121 §8.5): block, decide who gets it, archive, deliver.
pub mod copies;
pub mod forged;
pub mod keeping;
mod private;
pub mod unseen;

use std::ops::Range;

use crate::feature::{self, Storable};
use crate::state::{
    Address, ComponentId, Cx, Fault, Form, Keep, Local, Origin, SessionId, Shared, Written,
};
use crate::xmpp::{Condition, Envelope, Jid, Message, MessageKind, ns, quoted_error};

use super::again::{self, Added};
use super::blocked::{is_blocked_by, require_not_blocked_by_sender};
use super::channels;
use super::turn::{self, Turn};
use crate::server::outlet::{self, Archived, write_message};
use keeping::{Unseen, archive, unseen_by};

/// What becomes of a message at its addressee.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// These sessions get it now.
    Deliver(Vec<SessionId>),
    /// Nobody is there; it waits in the archive (XEP-0160).
    Wait,
    /// It is dropped without a word.
    Ignore,
}

/// A message with a `from` that its sender may use.
pub fn from(cx: &mut Cx<'_>, origin: Origin, mut message: Message) -> Result<(), Fault> {
    if !matches!(origin, Origin::Component(_))
        && let Some(element) = feature::displayed_taken(cx, &message)
    {
        message.element = element;
    }
    if let Some(session) = origin.session()
        && message.kind != MessageKind::Error
        && !feature::carbons_eligible(&message, false)
    {
        copies::remember_uncopied(cx, session, &message);
    }
    match route(cx, origin, &message) {
        Err(Fault::Stanza(error)) if message.kind != MessageKind::Error => {
            copies::refused(cx, origin, &message, &error);
            Ok(())
        }
        done => done,
    }
}

/// Messages that handlers want sent on behalf of accounts or services; nobody hears what becomes of them.
pub fn send_own(cx: &mut Cx<'_>) {
    for own in std::mem::take(&mut cx.state.effects.own_messages) {
        let envelope = Envelope {
            from: Some(own.from),
            to: Some(own.to),
            id: own.element.root().attribute("id").map(|id| id.into()),
            ..Envelope::default()
        };
        let message = Message {
            envelope,
            kind: own.kind,
            element: own.element,
        };
        if let Err(Fault::Store(error)) = route(cx, Origin::Own, &message) {
            log::error!("message.failed error={}", quoted_error(&error));
        }
    }
}

fn route(cx: &mut Cx<'_>, origin: Origin, message: &Message) -> Result<(), Fault> {
    let from = message
        .envelope
        .from
        .clone()
        .expect("who sent it was checked");
    let own = from.to_bare();
    // RFC 6121 §8.1.1.1: without `to` it is meant for the sender's own account.
    let to = message
        .envelope
        .to
        .clone()
        .unwrap_or_else(|| own.clone().into());
    require_not_blocked_by_sender(cx, &own, &to)?;
    let storable = feature::storable(message);
    let (addressee, exactly) = match Address::resolve(cx, &to)? {
        // XEP-0060 §8.6.1: an account decides on who may see its nodes.
        Address::Account(local)
            if local.jid == own && feature::pubsub_decision(cx, Some(&local), message)? =>
        {
            return Ok(());
        }
        Address::Service(service)
            if service.is_pubsub() && feature::pubsub_decision(cx, None, message)? =>
        {
            return Ok(());
        }
        Address::Account(local) => (local, None),
        Address::Session(local, session) => (local, Some(session)),
        // §8.5.1: an unknown user; a blocking one looks the same (XEP-0191 §3.2).
        Address::Nobody => return to_nobody(&to, message, storable),
        Address::Component(component) => {
            return to_component(cx, (origin, component), (&from, &to), message, storable);
        }
        Address::Server if message.child("privilege", ns::PRIVILEGE).is_some() => {
            return privileged(cx, origin, message);
        }
        // XEP-0506: nobody reads what is written to the server.
        Address::Server | Address::Service(_) => {
            return Err(Condition::ServiceUnavailable.into());
        }
        Address::Channel(jid) => {
            return private::to_channel(cx, (origin, &jid), (&from, &to), message, storable);
        }
        Address::Remote => return Err(Condition::RemoteServerNotFound.into()),
    };
    let parties = (&from, &to);
    to_account(
        cx,
        origin,
        parties,
        (&addressee, exactly),
        (message, storable),
    )
}

/// Who of an account gets it now, what becomes of it where nobody does, and what the others see of it. `exactly`: a resource
/// is addressed, and the session that has it.
fn to_account(
    cx: &mut Cx<'_>,
    origin: Origin,
    (from, to): (&Jid, &Jid),
    (addressee, exactly): (&Local, Option<Option<SessionId>>),
    (message, storable): (&Message, Storable),
) -> Result<(), Fault> {
    if is_blocked_by(cx, addressee, from)? {
        return to_nobody(to, message, storable);
    }
    let whose = (&addressee.jid, addressee.account);
    if exactly.is_none()
        && let Some(how) = feature::from_channel(cx, whose, message)?
    {
        return channels::message(cx, (from, to), addressee, message, how);
    }
    let spread = match exactly {
        None => feature::spread_event(cx, whose, message)?,
        Some(_) => None,
    };
    let is_wanted = spread.as_ref().is_some_and(|spread| spread.archived);
    let storable = if is_wanted {
        Storable::Archive
    } else {
        storable
    };
    let turn = turn::turn(cx, &addressee.jid, storable != Storable::No);
    let fate = match &spread {
        Some(spread) if !spread.takers.is_empty() => Fate::Deliver(spread.takers.clone()),
        _ => fate(cx, (addressee, turn), exactly, message, storable)?,
    };
    let direct = match fate {
        Fate::Deliver(sessions) => Some(sessions),
        Fate::Wait => None,
        // XEP-0376 §3.6: nobody is there, and it is in the archive all the same.
        Fate::Ignore if is_wanted => Some(Vec::new()),
        Fate::Ignore => return Ok(()),
    };
    let copied = copies::takers_of_received(cx, message, &addressee.jid, origin, direct.as_deref());
    let unseen = match &spread {
        Some(_) if direct.is_some() => Unseen::No,
        _ => unseen_by(cx, direct.as_deref(), &copied),
    };
    let archived = archive(cx, (from, to), Some((addressee, unseen)), message, storable)?;
    let waits = direct.is_none();
    let direct = direct.unwrap_or_default();
    let shared = direct.len() + copied.len() > 1;
    deliver(cx, message, (addressee, turn), &archived, (&direct, shared));
    copies::received(cx, message, &addressee.jid, &archived, &copied, waits);
    if exactly.is_some() && !direct.iter().any(|session| has_connection(cx, *session)) {
        unseen::hand_over(cx, &addressee.jid)?;
    }
    let own = from.to_bare();
    if addressee.jid != own {
        let mut reached = direct;
        reached.extend(origin.session());
        copies::sent(cx, message, &own, &archived, &reached);
    }
    Ok(())
}

/// XEP-0356 §5.3: a component sends a message in the name of an account. It goes the way of the account's own; nobody hears
/// what becomes of it.
fn privileged(cx: &mut Cx<'_>, origin: Origin, message: &Message) -> Result<(), Fault> {
    let inner = feature::privileged_message(cx, origin, message)?;
    let from = inner.envelope.from.clone().ok_or(Condition::Forbidden)?;
    let element = forged::removed(inner.element.clone(), &cx.state.domains, &from);
    let element = element.map_err(|_| Condition::PolicyViolation)?;
    let done = self::from(cx, Origin::Own, Message { element, ..inner });
    cx.state.effects.own_answers.clear();
    done
}

/// XEP-0114: a component is given a message as a contact is; it has no archive here.
fn to_component(
    cx: &mut Cx<'_>,
    (origin, component): (Origin, ComponentId),
    (from, to): (&Jid, &Jid),
    message: &Message,
    storable: Storable,
) -> Result<(), Fault> {
    if cx.state.domains.components.connection(component).is_none() {
        return match message.kind {
            MessageKind::Error => Ok(()),
            _ => Err(outlet::COMPONENT_AWAY.into()),
        };
    }
    let archived = archive(cx, (from, to), None, message, storable)?;
    let start = cx.out.bytes.len();
    write_message(&mut cx.out.bytes, message, false);
    cx.pass(component, &(start..cx.out.bytes.len()).into());
    let session = origin.session();
    copies::sent(cx, message, &from.to_bare(), &archived, session.as_slice());
    Ok(())
}

fn has_connection(cx: &Cx<'_>, session: SessionId) -> bool {
    let session = cx.state.sessions.get(session);
    session.is_some_and(|session| session.connection.is_some())
}

/// What an absent account would drop is dropped, so that silence tells nobody who there is; what it would keep or refuse
/// is refused.
fn to_nobody(to: &Jid, message: &Message, storable: Storable) -> Result<(), Fault> {
    let is_dropped = match message.kind {
        MessageKind::Headline | MessageKind::Error => true,
        MessageKind::Groupchat => false,
        MessageKind::Normal if to.resource().is_some() => false,
        MessageKind::Normal | MessageKind::Chat => {
            storable == Storable::No && !feature::says_something(message)
        }
    };
    match is_dropped {
        true => Ok(()),
        false => Err(Condition::ServiceUnavailable.into()),
    }
}

/// To the sessions that get the message itself.
fn deliver(
    cx: &mut Cx<'_>,
    message: &Message,
    (addressee, turn): (&Local, Turn),
    archived: &Archived,
    (sessions, shared): (&[SessionId], bool),
) {
    if sessions.is_empty() {
        return;
    }
    let stanza = Shared::at(write(cx, message, addressee, archived));
    let stanza = Written::for_all(&stanza, sessions.len());
    let keep = match archived.received {
        Some(id) => Keep::Archived(id, Form::Direct),
        None => Keep::Whole { shared },
    };
    let sender = message.envelope.from.as_ref().map_or("", Jid::as_str);
    let urgency = feature::message_urgency(message, sender);
    for session in sessions {
        match turn {
            Turn::Now => cx.deliver_as(*session, &stanza, urgency, keep),
            _ => {
                let how = (urgency, keep);
                turn::deliver_in_turn(cx, &addressee.jid, *session, &stanza, how);
            }
        }
    }
}

/// §8.5.2, §8.5.3: by addressee and type. `exactly`: a resource is addressed, and the session that has it.
fn fate(
    cx: &Cx<'_>,
    (addressee, turn): (&Local, Turn),
    exactly: Option<Option<SessionId>>,
    message: &Message,
    storable: Storable,
) -> Result<Fate, Fault> {
    if let Some(session) = exactly {
        // §8.5.3.1: whoever is addressed exactly gets it, available or not.
        if let Some(session) = session {
            return Ok(match turn == Turn::Waits && may_wait(cx, session) {
                true => Fate::Wait,
                false => Fate::Deliver(vec![session]),
            });
        }
        // §8.5.3.2.1: a chat goes on as if to the bare JID, nothing else does.
        match message.kind {
            MessageKind::Chat => {}
            MessageKind::Normal | MessageKind::Groupchat => {
                return Err(Condition::ServiceUnavailable.into());
            }
            MessageKind::Headline | MessageKind::Error => return Ok(Fate::Ignore),
        }
    }
    match message.kind {
        MessageKind::Groupchat => return Err(Condition::ServiceUnavailable.into()),
        MessageKind::Error => return Ok(Fate::Ignore),
        MessageKind::Normal | MessageKind::Chat | MessageKind::Headline => {}
    }
    let sessions = cx
        .state
        .sessions
        .ids_where(&addressee.jid, |session| session.takes_messages());
    if message.kind == MessageKind::Headline {
        return Ok(if sessions.is_empty() {
            Fate::Ignore
        } else {
            Fate::Deliver(sessions)
        });
    }
    if sessions.is_empty() || turn == Turn::Waits {
        return wait(cx, message, storable);
    }
    Ok(Fate::Deliver(sessions))
}

/// RFC 6120 §10.1: to the full JID or to the bare one, what is sent comes in that order. While a session is being given what
/// waited for the account, what comes meanwhile waits behind it in the archive, unless it cannot be stored.
fn may_wait(cx: &Cx<'_>, session: SessionId) -> bool {
    let session = cx.state.sessions.get(session);
    session.is_some_and(|session| session.takes_messages()) && !cx.state.disk_low
}

/// §8.5.2.2: nobody is there. What may be stored waits; what must not be and says something is refused.
fn wait(cx: &Cx<'_>, message: &Message, storable: Storable) -> Result<Fate, Fault> {
    if storable != Storable::No {
        cx.require_disk_space()?;
        return Ok(Fate::Wait);
    }
    if feature::says_something(message) {
        return Err(Condition::ServiceUnavailable.into());
    }
    Ok(Fate::Ignore)
}

/// The stanza as its addressee gets it.
fn write(
    cx: &mut Cx<'_>,
    message: &Message,
    addressee: &Local,
    archived: &Archived,
) -> Range<usize> {
    let start = cx.out.bytes.len();
    let mut bytes = std::mem::take(&mut cx.out.bytes);
    match (archived.received, &archived.xml) {
        (Some(id), Some(xml)) => {
            let added = Added {
                stanza_id: Some((&addressee.jid, id)),
                delay: None,
            };
            again::write_direct(&mut bytes, cx, xml, added);
        }
        _ => write_message(&mut bytes, message, false),
    }
    cx.out.bytes = bytes;
    start..cx.out.bytes.len()
}
