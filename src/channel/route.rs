//! What comes to the address of a channel, or of somebody in it, by kind.
use crate::feature::Reply;
use crate::state::{Cx, Fault, Origin, Way};
use crate::xmpp::{BareJid, Condition, Iq, Message, MessageKind, Presence, PresenceKind, ns};

use super::asked::{Asked, Row};
use super::people::access;
use super::said::{history_query, message as said, retraction};
use super::{avatar, find, mix, muc};

/// What a channel answers, by chapter.
const TABLES: &[&[Row]] = &[
    muc::ROWS,
    muc::between::tokens::ROWS,
    mix::ROWS,
    avatar::ROWS,
    retraction::ROWS,
    history_query::ROWS,
];

/// A request to a channel, or to somebody in it.
pub fn iq(cx: &mut Cx<'_>, origin: Origin, iq: &Iq, jid: &BareJid) -> Result<Reply, Fault> {
    let (Some(from), Some(to)) = (&iq.envelope.from, &iq.envelope.to) else {
        return Err(Condition::BadRequest.into());
    };
    let payload = iq.payload();
    if let Some((id, jid)) = mix::between::private::address(jid)
        && let Some(channel) = find(cx, &jid)?
    {
        return mix::between::relay::request(cx, &channel, &id, iq);
    }
    let Some(channel) = find(cx, jid)? else {
        // XEP-0410 §4: whoever asks an occupant is not in.
        return Err(match to.is_bare() {
            true => Condition::ItemNotFound.into(),
            false => access::NOT_INSIDE.into(),
        });
    };
    let mut asked = Asked {
        iq,
        payload,
        from,
        who: from.to_bare(),
        origin,
        channel,
    };
    if to.resource().is_some() {
        return muc::between::relay::request(cx, &mut asked);
    }
    let is_it = |row: &&Row| row.0 == iq.kind && payload.is(row.2, row.1);
    let row = TABLES.iter().find_map(|rows| rows.iter().find(is_it));
    let (.., handler) = row.ok_or(Condition::ServiceUnavailable)?;
    handler(cx, &mut asked)
}

/// A result or error for somebody in a channel.
pub fn answer(cx: &mut Cx<'_>, iq: &Iq, jid: &BareJid) -> Result<(), Fault> {
    if let Some(channel) = find(cx, jid)? {
        muc::between::relay::answer(cx, &channel, iq);
    }
    Ok(())
}

/// A message. XEP-0045 §7.4: it is the channel that refuses.
pub fn message(cx: &mut Cx<'_>, message: &Message, jid: &BareJid) -> Result<(), Fault> {
    if let Some((id, jid)) = mix::between::private::address(jid)
        && let Some(channel) = find(cx, &jid)?
    {
        return mix::between::private::send(cx, &channel, &id, message);
    }
    take(cx, message, jid).map_err(Fault::by_bare)
}

fn take(cx: &mut Cx<'_>, message: &Message, jid: &BareJid) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (&message.envelope.from, &message.envelope.to) else {
        return Ok(());
    };
    let Some(mut channel) = find(cx, jid)? else {
        return match message.kind {
            MessageKind::Error => Ok(()),
            _ => Err(Condition::ItemNotFound.into()),
        };
    };
    match (message.kind, to.resource()) {
        (MessageKind::Error, _) => Ok(muc::occupants::leave::by_error(
            cx,
            &mut channel,
            from,
            message,
        )?),
        (MessageKind::Groupchat, None) => said::groupchat(cx, &mut channel, message),
        // XEP-0045 §7.5: private messages have another type.
        (MessageKind::Groupchat, Some(_)) => Err(Condition::BadRequest.into()),
        (_, Some(nick)) => muc::between::private::send(cx, &channel, message, nick),
        // XEP-0407 §4: its examples have no type.
        (_, None) if message.child("retract", ns::MIX_MISC).is_some() => {
            said::groupchat(cx, &mut channel, message)
        }
        (_, None) => muc::between::mediated::take(cx, &mut channel, message),
    }
}

/// Presence that is for nobody else.
pub fn presence(
    cx: &mut Cx<'_>,
    origin: Origin,
    presence: &Presence,
    jid: &BareJid,
) -> Result<(), Fault> {
    let way = match origin {
        Origin::Session(session) => Way::Session(session),
        Origin::Component(component) => Way::Component(component),
        Origin::Own => Way::Participant,
    };
    if presence.kind == PresenceKind::Probe {
        return match way {
            Way::Participant => Ok(()),
            way => muc::occupants::probe::answer(cx, way, presence, jid),
        };
    }
    let to = presence.envelope.to.as_ref();
    let is_for_channel = to.is_some_and(|to| to.is_bare());
    if is_for_channel
        && presence.element.root().child("x", ns::MUC).is_none()
        && let Some(mut channel) = find(cx, jid)?
        && mix::between::presence::take(cx, &mut channel, presence)?
    {
        return Ok(());
    }
    match presence.kind {
        // Nobody enters on behalf of somebody else.
        _ if way == Way::Participant => Ok(()),
        PresenceKind::Available => match muc::occupants::enter::come(cx, way, presence, jid) {
            Err(Fault::Stanza(error)) => {
                muc::occupants::enter::refuse(cx, way, presence, &error);
                Ok(())
            }
            done => done,
        },
        PresenceKind::Unavailable | PresenceKind::Error => {
            muc::occupants::leave::go(cx, presence, jid)
        }
        // XEP-0369: participants are no contacts; nothing is subscribed to this way.
        _ => Ok(()),
    }
}
