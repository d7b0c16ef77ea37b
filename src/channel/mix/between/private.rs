//! XEP-0404 §3.2: a message to one participant, by an address that tells nothing of who it is. It is kept by whoever's server keeps
//! messages, and not by the channel.
use crate::channel::people::{self, access};
use crate::channel::said::message::{Speaker, said, speaker_of};
use crate::channel::{Channel, muc};
use crate::state::{Cx, Fault, OwnMessage};
use crate::xml::{Writer, parse_stored};
use crate::xmpp::{BareJid, Condition, Message, MessageKind, ns};

use super::presence::encoded;
use super::relay::client;
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
        muc::show_participant(cx, channel, &speaker.author.jid)?;
        return muc::between::private::pass(cx, channel, (&speaker, message), &to);
    }
    pass(cx, channel, (&speaker, message), &to)
}

/// To somebody who takes part, from an address that tells nothing of who it is.
pub fn pass(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (speaker, message): (&Speaker, &Message),
    to: &BareJid,
) -> Result<(), Fault> {
    let from = &speaker.author.jid;
    let sender = encoded(cx, channel, from).ok_or(Condition::InternalServerError)?;
    let resource = message.envelope.to.as_ref().and_then(|to| to.resource());
    let client = resource.and_then(|resource| client(cx, channel, to, resource));
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open("message")
        .attr_opt("id", message.envelope.id.as_deref())
        .attr_opt("xml:lang", message.envelope.lang.as_deref());
    w.raw(&said(message)).close();
    let text = std::str::from_utf8(&bytes).map_err(|_| Condition::InternalServerError)?;
    let element = parse_stored(text, ns::CLIENT).map_err(|_| Condition::InternalServerError)?;
    cx.tx
        .note_id(channel.id(), &speaker.author.id, from.bare_str())?;
    cx.state.effects.own_messages.push(OwnMessage {
        from: sender,
        to: client.unwrap_or_else(|| to.clone().into()),
        kind: message.kind,
        element,
    });
    Ok(())
}
