//! Participants of XEP-0369 among the occupants of a room.
use std::rc::Rc;

use crate::channel::muc::rulers::hats;
use crate::channel::people::nick::Nick;
use crate::channel::people::{self, access};
use crate::channel::{Channel, room};
use crate::state::{Cx, Fault, Occupant, Way};
use crate::xmpp::Jid;

use super::tell;

/// They are occupants from the first thing they say or share on, until they leave.
pub fn show(cx: &mut Cx<'_>, channel: &Channel, jid: &Jid) -> Result<(), Fault> {
    let bare = jid.to_bare();
    let is_known = |one: &Occupant| one.jid.bare_str() == bare.as_str();
    if room(cx, channel).occupants.iter().any(is_known) {
        return Ok(());
    }
    let member = people::member(cx, channel, bare.as_str())?;
    let id = people::id_of(cx, channel, bare.as_str());
    let Ok(nick) = Nick::parse(member.nick.as_deref().unwrap_or(&id)) else {
        return Ok(());
    };
    let occupant = Occupant {
        jid: bare.into(),
        way: Way::Participant,
        nick: nick.text,
        key: nick.key,
        id,
        affiliation: member.affiliation,
        role: access::role_of(channel, &member),
        presence: hats::worn(channel, &Rc::from(""), &member),
    };
    tell::announce(cx, channel, &tell::News::of(&occupant));
    room(cx, channel).enter(occupant);
    Ok(())
}
