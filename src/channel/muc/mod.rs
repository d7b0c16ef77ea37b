//! XEP-0045: a channel as a room, for every client there is. What is said and who belongs to it is the channel's; here are
//! occupants, their presence and how they ask.
pub mod between;
mod describe;
pub mod occupants;
pub mod register;
pub mod rulers;
pub mod subject;
pub mod watch;

use std::rc::Rc;

use crate::state::{Cx, Fault, Occupant, Way};
use crate::xmpp::{IqKind, Jid, ns};

use super::people::nick::Nick;
use super::people::{self, access};
use super::route::Row;
use super::{Channel, room};
use occupants::{history, tell};
use rulers::{admin, hat_commands, hats, lists, owner};

/// What is answered at the address of a room.
pub const ROWS: &[Row] = &[
    (IqKind::Get, ns::DISCO_INFO, "query", describe::info),
    (IqKind::Get, ns::DISCO_ITEMS, "query", describe::items),
    (IqKind::Get, ns::MUC_ADMIN, "query", lists::get),
    (IqKind::Set, ns::MUC_ADMIN, "query", admin::set),
    (IqKind::Get, ns::MUC_OWNER, "query", owner::get),
    (IqKind::Set, ns::MUC_OWNER, "query", owner::set),
    (IqKind::Get, ns::REGISTER, "query", register::get),
    (IqKind::Set, ns::REGISTER, "query", register::set),
    (IqKind::Set, ns::COMMANDS, "command", hat_commands::set),
    (IqKind::Get, "urn:xmpp:ping", "ping", describe::ping),
];

/// A kept message as a room sends it inside an archive's result, without its end.
pub fn write_kept(
    bytes: &mut Vec<u8>,
    channel: &Channel,
    kept: &crate::channel::said::archive::Kept,
) {
    history::write(bytes, channel, kept, None);
}

/// A participant of XEP-0369 is an occupant from the first thing they say or share on, until they leave.
pub fn show_participant(cx: &mut Cx<'_>, channel: &Channel, jid: &Jid) -> Result<(), Fault> {
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
