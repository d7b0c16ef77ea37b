//! XEP-0045 §8.1, §7.2.15: the subject of a room.
use std::io::Write;

use crate::channel::config::{Config, field};
use crate::channel::said::fan_out;
use crate::channel::said::own::said;
use crate::channel::said::say::say;
use crate::channel::said::speaker::Speaker;
use crate::channel::{Channel, change as change_row};
use crate::state::{Cx, Fault, Occupant, Role, Urgency};
use crate::xml::{Escaped, Writer};
use crate::xmpp::{Condition, Message, ns};

/// Bytes of a subject.
const SUBJECT_BYTES_MAX: usize = 4 << 10;

pub fn change(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    speaker: &Speaker,
    message: &Message,
) -> Result<(), Fault> {
    let may = speaker.role == Role::Moderator || channel.row.flag(field::SUBJECT);
    if !may {
        return Err(Condition::Forbidden.into());
    }
    let namespace = message.element.root().namespace();
    let subject = message.child("subject", namespace);
    let text = subject.map(|subject| subject.text()).unwrap_or_default();
    if text.len() > SUBJECT_BYTES_MAX {
        return Err(Condition::NotAcceptable.into());
    }
    let (nick, at) = (speaker.author.nick.to_string(), cx.now.wall);
    change_row(cx, channel, |_, row| {
        row.subject.text = text.to_string();
        row.subject.nick = nick;
        row.subject.at = at;
        Ok(())
    })?;
    say(cx, channel, speaker, (message, &said(message)))
}

/// §7.2.15: it is the last thing whoever comes in is told, also when there is none.
pub fn tell(cx: &mut Cx<'_>, channel: &Channel, occupant: &Occupant) {
    let subject = &channel.row.subject;
    let room = Escaped(channel.jid.as_str());
    // XEP-0191 §3.2: whose name is blocked is not named.
    let blocked = fan_out::blocked_as(cx, channel, &subject.nick);
    let is_blocked = fan_out::blocks(cx, occupant, blocked.as_ref());
    let from = match subject.nick.is_empty() || is_blocked {
        true => room.to_string(),
        false => format!("{room}/{}", Escaped(&subject.nick)),
    };
    let to = Escaped(occupant.jid.as_str());
    let start = cx.out.bytes.len();
    write!(
        cx.out.bytes,
        "<message type='groupchat' from='{from}' to='{to}'>"
    )
    .expect("memory takes all that is written");
    let mut w = Writer::new(&mut cx.out.bytes);
    w.leaf("subject", &subject.text);
    if !subject.nick.is_empty() {
        w.open_ns("delay", ns::DELAY)
            .attr("from", channel.jid.as_str())
            .attr("stamp", &subject.at.to_string())
            .close();
    }
    cx.out.bytes.extend_from_slice(b"</message>");
    let stanza = start..cx.out.bytes.len();
    fan_out::deliver(cx, occupant.way, &stanza.into(), Urgency::Now);
}
