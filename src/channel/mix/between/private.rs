//! XEP-0404 §3.2: a message to one participant, by an address that tells nothing of who it is. It is kept by whoever's server keeps
//! messages, and not by the channel.
use crate::channel::Channel;
use crate::channel::muc::occupants::participant;
use crate::channel::people::{self, access};
use crate::channel::said::private::{to_occupant, to_participant};
use crate::channel::said::speaker::speaker_of;
use crate::state::{Cx, Fault};
use crate::xmpp::{BareJid, Condition, Message, MessageKind};

use crate::channel::mix::create::OF;

/// The participant and the channel of an address (XEP-0403 §3.2).
pub fn address(jid: &BareJid) -> Option<(String, BareJid)> {
    let (id, name) = jid.local()?.split_once(OF)?;
    let channel = BareJid::from_parts(Some(name), jid.domain()).ok()?;
    Some((id.to_string(), channel))
}

pub fn send(cx: &mut Cx<'_>, channel: &Channel, id: &str, message: &Message) -> Result<(), Fault> {
    match message.kind {
        MessageKind::Error => return Ok(()),
        MessageKind::Groupchat => return Err(Condition::BadRequest.into()),
        _ => {}
    }
    let speaker = speaker_of(cx, channel, message)?;
    let to = cx.tx.behind_id(channel.id(), id)?;
    let to = to.and_then(|jid| BareJid::stored(&jid));
    let to = to.ok_or(Condition::ItemNotFound)?;
    let member = people::member(cx, channel, to.as_str())?;
    let is_there = member.participation.is_some() || people::is_inside(cx, channel, to.as_str());
    if !is_there {
        return Err(Condition::ItemNotFound.into());
    }
    access::require_may_write(cx, channel, speaker.role, (to.as_str(), &member))?;
    // Whoever is in the room only knows people by their nicks.
    if member.participation.is_none() {
        participant::show(cx, channel, &speaker.author.jid)?;
        return to_occupant(cx, channel, (&speaker, message), &to);
    }
    to_participant(cx, channel, (&speaker, message), &to)
}
