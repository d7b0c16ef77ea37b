//! XEP-0045 §7.14: somebody leaves, or is found to have left.
use crate::channel::config::{Config, field};
use crate::channel::said::fan_out;
use crate::channel::{Channel, find, remove, room};
use crate::state::{Cx, Fault, Occupant, Urgency, Way};
use crate::store::StoreError;
use crate::xmpp::{BareJid, Jid, Message, Presence, PresenceKind, ns};

use super::tell::{self, News};
use crate::channel::muc::watch;

/// Unavailable presence, or one of type error, for a room.
pub fn go(cx: &mut Cx<'_>, presence: &Presence, jid: &BareJid) -> Result<(), Fault> {
    let Some(from) = &presence.envelope.from else {
        return Ok(());
    };
    let Some(mut channel) = find(cx, jid)? else {
        return Ok(());
    };
    // §15.6.2: what came back as an error is nobody's last word.
    let is_error = presence.kind == PresenceKind::Error;
    if let Some(mut gone) = take_out(cx, &channel, from) {
        let (shown, codes) = match is_error {
            true => ("".into(), &[333][..]),
            false => (tell::shown(presence), &[][..]),
        };
        gone.presence = shown;
        let id = presence.envelope.id.as_deref();
        tell_gone_as(cx, &channel, (&gone, id), codes);
        watch::left(cx, &channel, &gone)?;
        settle(cx, &mut channel)?;
    }
    Ok(())
}

/// A stanza that the room sent came back: whoever it was for is not there.
pub fn by_error(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    from: &Jid,
    message: &Message,
) -> Result<(), StoreError> {
    const SAYS_GONE: &[&str] = &[
        "gone",
        "internal-server-error",
        "item-not-found",
        "jid-malformed",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
        "service-unavailable",
    ];
    let root = message.element.root();
    let error = root.child("error", ns::CLIENT);
    let mut conditions = error.into_iter().flat_map(|error| error.children());
    if !conditions.any(|child| SAYS_GONE.contains(&child.name())) {
        return Ok(());
    }
    if let Some(gone) = take_out(cx, channel, from) {
        tell_gone(cx, channel, &gone, &[333]);
        settle(cx, channel)?;
    }
    Ok(())
}

/// Takes an occupant out; nobody is told.
pub fn take_out(cx: &mut Cx<'_>, channel: &Channel, jid: &Jid) -> Option<Occupant> {
    let room = cx.state.rooms.get_mut(channel.id())?;
    let at = room.occupants.iter().position(|one| one.jid == *jid)?;
    Some(room.occupants.remove(at))
}

/// To all, unless they are still there by another session; to themselves in any case.
pub fn tell_gone(cx: &mut Cx<'_>, channel: &Channel, gone: &Occupant, codes: &[u16]) {
    tell_gone_as(cx, channel, (gone, None), codes);
}

/// `id`: of the presence by which they said so.
fn tell_gone_as(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (gone, id): (&Occupant, Option<&str>),
    codes: &[u16],
) {
    let news = News {
        codes: codes.to_vec(),
        id,
        ..News::gone(gone)
    };
    let room = room(cx, channel);
    let is_there_still = room.of_nick(&gone.key).next().is_some();
    if !is_there_still {
        tell::announce_to_others(cx, channel, &news);
    }
    tell::to_self(cx, channel, &news, (gone.way, &gone.jid));
}

/// §10.1.2, §4.2: a room that nobody is in and that is not to stay is there no more.
pub fn settle(cx: &mut Cx<'_>, channel: &mut Channel) -> Result<(), StoreError> {
    let Some(room) = cx.state.rooms.get(channel.id()) else {
        return Ok(());
    };
    if !room.is_idle() {
        return Ok(());
    }
    let is_temporary = !channel.row.flag(field::PERSISTENT) && channel.row.participants == 0;
    if channel.row.locked || is_temporary {
        return remove(cx, channel);
    }
    cx.state.rooms.close(channel.id());
    Ok(())
}

/// §7.14, XEP-0410: somebody speaks as if they were in, and is not: their client is told, and comes in anew.
pub fn tell_not_there(cx: &mut Cx<'_>, way: Way, to: &Jid, nick: &Jid) {
    let stanza = cx.write(|w| {
        w.open("presence")
            .attr("type", "unavailable")
            .attr("from", nick.as_str())
            .attr("to", to.as_str());
        w.open_ns("x", ns::MUC_USER);
        w.open("item")
            .attr("affiliation", "none")
            .attr("role", "none")
            .close();
        for code in ["110", "307", "333"] {
            w.open("status").attr("code", code).close();
        }
        w.close().close();
    });
    fan_out::deliver(cx, way, &stanza.into(), Urgency::Now);
}
