//! XEP-0045 §17.4: requests of one occupant to another, in the room's names, and what is answered. XEP-0410: a ping to oneself.
//! The id of a request says which session of the asker waits, and tells nobody else who that is. Each has a deadline, so that whoever
//! asked hears if no answer comes (RFC 6120 §8.2.3).
use std::rc::Rc;

use crate::channel::asked::Asked;
use crate::channel::people::nick::Nick;
use crate::channel::people::{self, access};
use crate::channel::relayed::{pass_on, wait_for};
use crate::channel::said::fan_out::{self};
use crate::channel::{Channel, avatar};
use crate::feature::Reply;
use crate::state::{Cx, Fault, Occupant, ParticipantId, Way};
use crate::xmpp::{Condition, Envelope, Iq, IqKind, Jid, ns};

/// Bytes of a request's id.
const ID_BYTES_MAX: usize = 1_024;

pub fn request(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let room = cx.state.rooms.get(asked.channel.id());
    let mut occupants = room.into_iter().flat_map(|room| &room.occupants);
    let own = occupants.find(|one| one.jid == *asked.from).cloned();
    // §6.6
    let is_disco = matches!(asked.payload.namespace(), ns::DISCO_INFO | ns::DISCO_ITEMS);
    if own.is_none() && is_disco {
        return Err(Condition::BadRequest.into());
    }
    // XEP-0410 §4: whoever asks is not in the room.
    let own = own.ok_or(access::NOT_INSIDE)?;
    let to = asked.iq.envelope.to.as_ref().and_then(|to| to.resource());
    let nick = Nick::parse(to.unwrap_or_default()).map_err(|_| Condition::ItemNotFound)?;
    let is_ping = asked.iq.kind == IqKind::Get && asked.payload.is("ping", "urn:xmpp:ping");
    if own.key == nick.key && is_ping {
        return Ok(Reply::Empty);
    }
    let target = room
        .and_then(|room| room.of_nick(&nick.key).last())
        .cloned();
    let target = target.ok_or(Condition::ItemNotFound)?;
    let is_of_account = asked.payload.namespace() == avatar::NS;
    // What an account keeps is asked of the account, and changed by nobody else.
    if is_of_account && asked.iq.kind != IqKind::Get {
        return Err(Condition::Forbidden.into());
    }
    if is_of_account {
        require_gives_vcard(cx, &asked.channel, &target)?;
    }
    let id = asked.iq.envelope.id.as_deref().unwrap_or_default();
    if id.len() > ID_BYTES_MAX {
        return Err(Condition::BadRequest.into());
    }
    let from = asked.channel.jid.with_resource(&own.nick);
    let from = from.map_err(|_| Condition::NotAcceptable)?;
    // XEP-0191 §3.2
    if fan_out::blocks(cx, &target, Some(&from.clone().into())) {
        return Err(Condition::ServiceUnavailable.into());
    }
    let envelope = Envelope {
        from: Some(from.into()),
        to: Some(match is_of_account {
            true => target.jid.to_bare().into(),
            false => target.jid.clone(),
        }),
        id: Some(Rc::from(format!(
            "{}:{id}",
            &*mark_of(cx, &asked.channel, &own.jid)
        ))),
        lang: asked.iq.envelope.lang.clone(),
    };
    match (is_of_account, target.way) {
        (true, _) => cx.state.effects.own_requests.push(Iq {
            envelope,
            kind: asked.iq.kind,
            element: asked.iq.element.clone(),
        }),
        // A participant has no session here.
        (false, Way::Participant) => return Err(Condition::ServiceUnavailable.into()),
        (false, way) => {
            wait_for(cx, &asked.iq.envelope, &envelope)?;
            pass_on(cx, way, asked.iq, &envelope);
        }
    }
    Ok(Reply::Later)
}

/// XEP-0404 §3.1: participants say whether theirs is given to others.
fn require_gives_vcard(cx: &Cx<'_>, channel: &Channel, target: &Occupant) -> Result<(), Fault> {
    let member = people::member(cx, channel, target.jid.bare_str())?;
    match member.participation.is_some_and(|one| !one.gives_vcard) {
        true => Err(Condition::Forbidden.into()),
        false => Ok(()),
    }
}

/// What tells the sessions of one nick apart. It is told to whoever is asked, so nobody can work out whose it is.
fn mark_of(cx: &Cx<'_>, channel: &Channel, jid: &Jid) -> ParticipantId {
    cx.state.participant_ids.of(channel.id(), jid.as_str())
}

/// A result or an error of somebody who was asked, for the occupant of this nick who did.
pub fn answer(cx: &mut Cx<'_>, channel: &Channel, iq: &Iq) {
    let envelope = &iq.envelope;
    let (Some(from), Some(to)) = (&envelope.from, &envelope.to) else {
        return;
    };
    let (nick, id) = (to.resource(), envelope.id.as_deref());
    let nick = nick.and_then(|nick| Nick::parse(nick).ok());
    let (Some(nick), Some((mark, id))) = (nick, id.and_then(|id| id.split_once(':'))) else {
        return;
    };
    let Some(room) = cx.state.rooms.get(channel.id()) else {
        return;
    };
    let is_asker = |one: &&Occupant| *mark_of(cx, channel, &one.jid) == *mark;
    let asker = room.of_nick(&nick.key).find(is_asker).cloned();
    let answerer = room.of_person(from.bare_str()).last();
    let answerer = answerer.map(|one| Rc::clone(&one.nick));
    let (Some(asker), Some(answerer)) = (asker, answerer) else {
        return;
    };
    let Ok(from) = channel.jid.with_resource(&answerer) else {
        return;
    };
    let told = Envelope {
        from: Some(from.into()),
        to: Some(asker.jid.clone()),
        id: Some(id.into()),
        lang: None,
    };
    pass_on(cx, asker.way, iq, &told);
}
