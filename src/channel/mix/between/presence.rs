//! XEP-0403: participants share the presence of their clients through the channel. Occupants of the room are seen as others are;
//! what a participant's client is called is told to nobody.

use crate::channel::config::{Config, field};
use crate::channel::muc::occupants::{leave, tell};
use crate::channel::muc::rulers::hats;
use crate::channel::people::nick::Nick;
use crate::channel::people::{self, access};
use crate::channel::{Channel, room};
use crate::state::{Cx, Fault, Occupant, Way};
use crate::store::{MemberRow, StoreError};
use crate::xmpp::{BareJid, Condition, Jid, Presence, PresenceKind};

use crate::channel::mix::nodes::Node;
use crate::channel::mix::sent::fan_out::shows_author;
use crate::channel::mix::sent::presence::{deliver, encoded, end};

/// Presence for the channel itself; false: it is not of a participant.
pub fn take(cx: &mut Cx<'_>, channel: &mut Channel, presence: &Presence) -> Result<bool, Fault> {
    let Some(from) = &presence.envelope.from else {
        return Ok(false);
    };
    let member = people::member(cx, channel, from.bare_str())?;
    let Some(participation) = &member.participation else {
        return Ok(false);
    };
    let is_shared = participation.shares_presence || presence.kind != PresenceKind::Available;
    // XEP-0404 §3.1: some do not want theirs told.
    if !channel.row.flag(field::PRESENCE) || (!is_shared && !from.is_bare()) {
        return Ok(true);
    }
    match (presence.kind, from.is_bare()) {
        // XEP-0405 §2.9.3: their server asks who is there.
        (PresenceKind::Available, true) => {
            if Node::Presence.is_in(participation.nodes) {
                tell_all_to(cx, channel, &from.to_bare(), &member)?;
            }
        }
        (PresenceKind::Available, false) => came(cx, channel, (from, &member), presence)?,
        (PresenceKind::Unavailable, false) => went(cx, channel, from, &tell::shown(presence))?,
        (PresenceKind::Unavailable, true) => all_went(cx, channel, from.bare_str())?,
        _ => return Err(Condition::BadRequest.into()),
    }
    Ok(true)
}

/// §3.7: a client is there, or says something else of itself.
fn came(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (from, member): (&Jid, &MemberRow),
    presence: &Presence,
) -> Result<(), Fault> {
    let id = people::id_of(cx, channel, from.bare_str());
    let nick = Nick::parse(member.nick.as_deref().unwrap_or(&id))?;
    let limit = cx.state.settings.channel_occupants_max;
    let room = room(cx, channel);
    // Who was shown for having said something is there for real now.
    room.occupants
        .retain(|one| one.jid != *from && one.jid.as_str() != from.bare_str());
    if room.occupants.len() >= limit {
        return Err(Condition::ResourceConstraint.into());
    }
    let occupant = Occupant {
        jid: from.clone(),
        way: Way::Participant,
        nick: nick.text,
        key: nick.key,
        id,
        affiliation: member.affiliation,
        role: access::role_of(channel, member),
        presence: hats::worn(channel, &tell::shown(presence), member),
    };
    room.enter(occupant.clone());
    // The room's way of telling tells participants as well.
    tell::announce(cx, channel, &tell::News::of(&occupant));
    Ok(())
}

/// §3.8: a client is gone.
pub fn went(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    from: &Jid,
    last_words: &str,
) -> Result<(), StoreError> {
    let Some(mut gone) = leave::take_out(cx, channel, from) else {
        return Ok(());
    };
    gone.presence = last_words.into();
    leave::tell_gone(cx, channel, &gone, &[]);
    leave::settle(cx, channel)
}

/// All clients of somebody.
pub fn all_went(cx: &mut Cx<'_>, channel: &mut Channel, jid: &str) -> Result<(), StoreError> {
    let room = cx.state.rooms.get(channel.id());
    let of = room.into_iter().flat_map(|room| room.of_person(jid));
    let of = of.filter(|one| one.way == Way::Participant);
    let clients: Vec<Jid> = of.map(|one| one.jid.clone()).collect();
    clients
        .iter()
        .try_for_each(|client| went(cx, channel, client, ""))
}

/// Everybody's presence, to one who has come online.
fn tell_all_to(
    cx: &mut Cx<'_>,
    channel: &Channel,
    to: &BareJid,
    member: &MemberRow,
) -> Result<(), StoreError> {
    let rules = member.affiliation >= crate::store::ChannelAffiliation::Admin;
    let room = cx.state.rooms.get(channel.id());
    let occupants = room.into_iter().flat_map(|room| &room.occupants);
    let occupants: Vec<Occupant> = occupants
        .filter(|one| !one.jid.is_bare())
        .cloned()
        .collect();
    for of in &occupants {
        let shows_jid = rules || shows_author(cx, channel, of.jid.bare_str())?;
        let Some(from) = encoded(cx, channel, &of.jid) else {
            continue;
        };
        let end = end(cx, of, shows_jid);
        deliver(cx, (&from, false), to, &end);
    }
    Ok(())
}
