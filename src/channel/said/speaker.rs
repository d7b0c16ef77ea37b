//! Who says something in a channel, whichever protocol they speak.
use std::rc::Rc;

use crate::channel::Channel;
use crate::channel::people::{self, access};
use crate::state::{Cx, Fault, Role};
use crate::xmpp::{Condition, Jid, Message};

use super::fan_out::Author;

/// Whoever speaks, and what they may.
pub struct Speaker {
    pub author: Author,
    pub role: Role,
    /// They are known as a participant of XEP-0369 only.
    pub is_participant: bool,
}

/// Who is behind a real JID; `None`: nobody who is in it.
pub fn speaker(cx: &Cx<'_>, channel: &Channel, from: &Jid) -> Result<Option<Speaker>, Fault> {
    let room = cx.state.rooms.get(channel.id());
    let mut occupants = room.into_iter().flat_map(|room| &room.occupants);
    if let Some(occupant) = occupants.find(|one| one.jid == *from) {
        return Ok(Some(Speaker {
            author: Author {
                jid: from.clone(),
                nick: Rc::clone(&occupant.nick),
                id: occupant.id,
                is_channel: false,
            },
            role: occupant.role,
            is_participant: false,
        }));
    }
    let member = people::member(cx, channel, from.bare_str())?;
    if member.participation.is_none() {
        return Ok(None);
    }
    let id = people::id_of(cx, channel, from.bare_str());
    let nick = member
        .nick
        .as_deref()
        .map_or_else(|| Rc::from(&*id), Rc::from);
    Ok(Some(Speaker {
        author: Author {
            jid: from.clone(),
            nick,
            id,
            is_channel: false,
        },
        role: access::role_of(channel, &member),
        is_participant: true,
    }))
}

/// Who says this; an error to whoever is not in it (XEP-0045 §7.4, §7.5).
pub fn speaker_of(cx: &Cx<'_>, channel: &Channel, message: &Message) -> Result<Speaker, Fault> {
    let from = message.envelope.from.as_ref();
    let speaker = speaker(cx, channel, from.ok_or(Condition::BadRequest)?)?;
    Ok(speaker.ok_or(access::NOT_INSIDE)?)
}
