//! What occupants of XEP-0045 see of participants: one person has one nick, and is gone when they leave.
use std::rc::Rc;

use crate::channel::muc::occupants::{leave, tell};
use crate::channel::people::nick::Nick;
use crate::channel::{Channel, room};
use crate::state::{Cx, Occupant, Way};
use crate::xmpp::Jid;

/// All that somebody has in a room is under this nick from now on (XEP-0045 §7.6).
pub fn renamed(cx: &mut Cx<'_>, channel: &Channel, jid: &str, nick: &str) {
    let Ok(nick) = Nick::parse(nick) else {
        return;
    };
    let Some(known) = cx.state.rooms.get(channel.id()) else {
        return;
    };
    let before: Vec<Occupant> = known.of_person(jid).cloned().collect();
    let Some(first) = before.first().filter(|one| one.nick != nick.text) else {
        return;
    };
    let gone = tell::News {
        codes: vec![303],
        new_nick: Some(&nick.text),
        ..tell::News::gone(first)
    };
    tell::announce(cx, channel, &gone);
    let mut last = None;
    for one in &mut room(cx, channel).occupants {
        if one.jid.bare_str() == jid {
            (one.nick, one.key) = (Rc::clone(&nick.text), Rc::clone(&nick.key));
            last = Some(one.clone());
        }
    }
    if let Some(now) = last {
        tell::announce(cx, channel, &tell::News::of(&now));
    }
}

/// Whoever was shown because they took part is not any more, unless they are in the room as well.
pub fn gone(cx: &mut Cx<'_>, channel: &Channel, jid: &str) {
    let room = cx.state.rooms.get(channel.id());
    let own = room.into_iter().flat_map(|room| room.of_person(jid));
    let own = own.filter(|one| one.way == Way::Participant);
    let shown: Vec<Jid> = own.map(|one| one.jid.clone()).collect();
    for jid in shown {
        if let Some(gone) = leave::take_out(cx, channel, &jid) {
            leave::tell_gone(cx, channel, &gone, &[]);
        }
    }
}
