//! XEP-0198 §4: messages that are in no archive and that only a session without a connection was given. Whoever else is there
//! gets them (the rule is at `unseen::hand_over`), once: the session's queue notes that somebody else was given them, and
//! keeps them for its own return.
use crate::feature;
use crate::state::{Cx, Keep, Session, SessionId, Shared, Urgency, Written};
use crate::store::{Kept, QueueRow, StoreError};
use crate::xmpp::{BareJid, MessageKind, Stanza, Timestamp, ns};

use crate::server::route::{again, turn};

/// A message of a queue that nobody else was given.
struct Unshared {
    position: u64,
    stanza: Kept,
    at: Timestamp,
}

pub fn hand_over_unarchived(cx: &mut Cx<'_>, account: &BareJid) -> Result<(), StoreError> {
    let is_away = |session: &Session| session.connection.is_none() && session.acknowledges();
    let is_there = |session: &Session| session.connection.is_some() && session.takes_messages();
    let away = cx.state.sessions.ids_where(account, is_away);
    let takers = cx.state.sessions.ids_where(account, is_there);
    if away.is_empty() || takers.is_empty() {
        return Ok(());
    }
    for session in away {
        for message in unshared(cx, session)? {
            let mut bytes = std::mem::take(&mut cx.out.bytes);
            let start = bytes.len();
            again::write_late(&mut bytes, cx, &message.stanza.bytes(), message.at);
            cx.out.bytes = bytes;
            let stanza = Shared::at(start..cx.out.bytes.len());
            let stanza = Written::for_all(&stanza, takers.len());
            for taker in &takers {
                let how = (Urgency::Now, Keep::Whole { shared: true });
                turn::deliver_in_turn(cx, account, *taker, &stanza, how);
            }
            share(cx, session, message)?;
        }
    }
    Ok(())
}

fn unshared(cx: &Cx<'_>, session: SessionId) -> Result<Vec<Unshared>, StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(Vec::new());
    };
    let Some(management) = &known.management else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut position = management.stored().start;
    let mut look = |row: &QueueRow| {
        if let QueueRow::Whole { stanza, at, shared } = row
            && !shared
            && is_for_a_person(&stanza.bytes())
        {
            found.push(Unshared {
                position,
                stanza: stanza.clone(),
                at: *at,
            });
        }
        position += 1;
    };
    if let Some(stored) = known.stored {
        cx.tx
            .visit_queue(stored.id, management.stored(), &mut |row| {
                look(&row);
                Ok(true)
            })?;
    }
    management.queue().for_each(look);
    Ok(found)
}

/// A message of somebody that says something; what else the session was sent means nothing to others.
fn is_for_a_person(stanza: &[u8]) -> bool {
    let text = std::str::from_utf8(stanza).unwrap_or_default();
    if !text.starts_with("<message") {
        return false;
    }
    let element = crate::xml::parse_stored(text, ns::CLIENT);
    let Some(Ok(Stanza::Message(message))) = element.ok().and_then(Stanza::from_element) else {
        return false;
    };
    let from = message.envelope.from.as_ref();
    from.is_some_and(|from| !from.is_bare())
        && matches!(message.kind, MessageKind::Chat | MessageKind::Normal)
        && feature::says_something(&message)
}

/// Nobody else is given it again.
fn share(cx: &mut Cx<'_>, session: SessionId, message: Unshared) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get_mut(session) else {
        return Ok(());
    };
    let (stored, Some(management)) = (known.stored, &mut known.management) else {
        return Ok(());
    };
    let Unshared {
        position,
        stanza,
        at,
    } = message;
    let Some(stored) = stored.filter(|_| management.stored().contains(&position)) else {
        management.share(position);
        return Ok(());
    };
    let row = QueueRow::Whole {
        stanza,
        at,
        shared: true,
    };
    cx.tx
        .append_queue(stored.id, position, std::iter::once(&row))
        .map(drop)
}
