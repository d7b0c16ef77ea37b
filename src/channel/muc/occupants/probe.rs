//! XEP-0045 §16.3: an occupant, or their server, asks who is there (RFC 6121 §4.3).
use crate::channel::find;
use crate::channel::people::nick::Nick;
use crate::channel::said::fan_out;
use crate::state::{Cx, Fault, Urgency, Way};
use crate::xmpp::{BareJid, Jid, Presence};

use super::tell::{self, News};
use super::{enter, leave};

/// Of one occupant, or of all. Whoever is not in hears that, and nothing else.
pub fn answer(cx: &mut Cx<'_>, way: Way, probe: &Presence, jid: &BareJid) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (&probe.envelope.from, &probe.envelope.to) else {
        return Ok(());
    };
    let channel = find(cx, jid)?;
    let own = channel
        .as_ref()
        .and_then(|channel| enter::inside(cx, channel, from));
    let (Some(channel), Some(own)) = (channel, own) else {
        leave::tell_not_there(cx, way, from, to);
        return Ok(());
    };
    let key = match to.resource() {
        Some(nick) => Some(Nick::parse(nick)?.key),
        None => {
            enter::tell_of_others(cx, &channel, &own);
            None
        }
    };
    if key.as_ref().is_none_or(|key| *key == own.key) {
        tell::to_self(cx, &channel, &News::of(&own), (way, from));
        return Ok(());
    }
    let room = cx.state.rooms.get(channel.id());
    let of = key.and_then(|key| room?.of_nick(&key).last().cloned());
    match of {
        Some(of) => tell::to_newcomer(cx, &channel, &of, (way, from, own.role)),
        None => tell_nobody(cx, way, from, to),
    }
    Ok(())
}

fn tell_nobody(cx: &mut Cx<'_>, way: Way, to: &Jid, nick: &Jid) {
    let stanza = cx.write(|w| {
        w.open("presence")
            .attr("type", "unavailable")
            .attr("from", nick.as_str())
            .attr("to", to.as_str())
            .close();
    });
    fan_out::deliver(cx, way, &stanza.into(), Urgency::Now);
}
