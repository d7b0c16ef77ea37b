//! XEP-0198 §4: a session will not come back. What is archived and nobody acknowledged waits already (XEP-0160); requests
//! are refused, and messages that are in no archive go where those to an absent user go.
use std::rc::Rc;

use crate::feature::{self, Storable};
use crate::state::{Cx, Ended, Keep, SessionId, Shared, Urgency, Written};
use crate::store::{AccountId, Direction, Kept, Named, Owner, QueueRow, Record, StoreError};
use crate::xmpp::relation::act_of;
use crate::xmpp::{
    BareJid, Condition, Envelope, Iq, IqKind, Jid, Message, MessageKind, Stanza, StanzaError, ns,
};

use crate::server::outlet;
use crate::server::route::again;

/// What of a session's queue needs something done.
struct Left {
    stanza: Kept,
    at: crate::xmpp::Timestamp,
    shared: bool,
}

/// Takes the session's management away and does what is left to do.
pub fn give_up(cx: &mut Cx<'_>, id: SessionId) -> Result<(), StoreError> {
    cx.wake(id)?;
    let Some(known) = cx.state.sessions.get_mut(id) else {
        return Ok(());
    };
    let Some(management) = known.management.take() else {
        return Ok(());
    };
    let (account, jid, stored) = (known.account, known.jid.clone(), known.stored);
    let mut left = Vec::new();
    let mut take = |row: &QueueRow| {
        if let QueueRow::Whole { stanza, at, shared } = row {
            left.push(Left {
                stanza: stanza.clone(),
                at: *at,
                shared: *shared,
            });
        }
    };
    if let Some(stored) = stored {
        let positions = cx.tx.queue_positions(stored.id)?;
        cx.tx.visit_queue(stored.id, positions, &mut |row| {
            take(&row);
            Ok(true)
        })?;
    }
    management.queue().for_each(take);
    cx.forget_stored(id)?;
    let bare = jid.to_bare();
    if let Some(name) = &management.name {
        cx.state.sessions.forget_resumption(Ended {
            account,
            name: Rc::clone(name),
            received: management.received,
        });
    }
    for left in left {
        let stanza = left.stanza.bytes();
        let text = std::str::from_utf8(&stanza).unwrap_or_default();
        // Presence needs nothing done.
        if text.starts_with("<presence") {
            continue;
        }
        let element = crate::xml::parse_stored(text, ns::CLIENT);
        match element.ok().and_then(Stanza::from_element) {
            Some(Ok(Stanza::Iq(iq))) => refuse_request(cx, &iq),
            Some(Ok(Stanza::Message(message))) => {
                redirect(cx, (id, &bare, account), &message, &left)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A request that the session was given and will never answer (RFC 6120 §8.2.3).
fn refuse_request(cx: &mut Cx<'_>, iq: &Iq) {
    if matches!(iq.kind, IqKind::Get | IqKind::Set) {
        refuse(cx, "iq", &iq.envelope, Condition::RecipientUnavailable);
    }
}

fn refuse(cx: &mut Cx<'_>, name: &'static str, envelope: &Envelope, condition: Condition) {
    let sender = envelope.from.as_ref();
    if let Some(sender) = sender.and_then(|from| outlet::origin_of(cx, from)) {
        outlet::send_error(cx, sender, name, envelope, &StanzaError::new(condition));
    }
}

/// A message that is in no archive: to another session of the account, or kept for it, or refused, as if it came now
/// (RFC 6121 §8.5.2.2). What the server itself sent on behalf of others, copies and archived messages, is dropped.
fn redirect(
    cx: &mut Cx<'_>,
    (id, jid, account): (SessionId, &BareJid, AccountId),
    message: &Message,
    left: &Left,
) -> Result<(), StoreError> {
    let is_of_somebody = message
        .envelope
        .from
        .as_ref()
        .is_some_and(|from| !from.is_bare() || !cx.state.domains.is_ours(from));
    let is_chat = matches!(message.kind, MessageKind::Chat | MessageKind::Normal);
    if !is_of_somebody || !is_chat {
        return Ok(());
    }
    let others = cx
        .state
        .sessions
        .ids_where(jid, |other| other.id != id && other.takes_messages());
    if !others.is_empty() {
        // If it was shared, they were given it already.
        if !left.shared {
            let mut bytes = std::mem::take(&mut cx.out.bytes);
            let start = bytes.len();
            again::write_late(&mut bytes, cx, &left.stanza.bytes(), left.at);
            cx.out.bytes = bytes;
            let stanza = Shared::at(start..cx.out.bytes.len());
            let stanza = Written::for_all(&stanza, others.len());
            for other in others {
                let urgency = Urgency::Now;
                cx.deliver_as(other, &stanza, urgency, Keep::Whole { shared: true });
            }
        }
        return Ok(());
    }
    if feature::storable(message) != Storable::No && !cx.state.disk_low {
        return keep(cx, (jid, account), message, left);
    }
    if feature::says_something(message) && !left.shared {
        refuse(
            cx,
            "message",
            &message.envelope,
            Condition::ServiceUnavailable,
        );
    }
    Ok(())
}

/// It waits for the account although its owner wants no archive, like what comes while nobody is there.
fn keep(
    cx: &mut Cx<'_>,
    (jid, account): (&BareJid, AccountId),
    message: &Message,
    left: &Left,
) -> Result<(), StoreError> {
    let Some(from) = &message.envelope.from else {
        return Ok(());
    };
    let to = message.envelope.to.clone();
    let to = to.unwrap_or_else(|| Jid::from(jid.clone()));
    let xml = outlet::stored_xml(message);
    let owners = [Owner {
        account,
        direction: Direction::Passing,
        unseen: true,
    }];
    let act = act_of(message.element.root());
    let record = Record {
        owners: &owners,
        from,
        to: &to,
        at: left.at,
        xml: &xml,
        act: act.as_ref().map(|(act, id)| (*act, Named::Id(id))),
    };
    let appended = cx.tx.append(&record)?;
    feature::related(cx, (account, Some(account)), &appended, message)
}
