//! A message to one person in a channel, by what they speak (XEP-0045 §7.5, XEP-0404 §3.2).
use crate::channel::Channel;
use crate::channel::mix::sent::presence::{client, encoded};
use crate::state::{Cx, Fault, Occupant, OwnMessage, Way};
use crate::xml::{Element, Writer, parse_stored};
use crate::xmpp::{BareJid, Condition, Message, ns};

use super::fan_out::write_occupant_id;
use super::own::said;
use super::speaker::Speaker;

/// To somebody who takes part, from an address that tells nothing of who it is.
pub fn to_participant(
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

/// To all that somebody has in the room.
pub fn to_occupant(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (speaker, message): (&Speaker, &Message),
    to: &BareJid,
) -> Result<(), Fault> {
    let element = written(speaker, message).ok_or(Condition::InternalServerError)?;
    let from = channel.jid.with_resource(&speaker.author.nick);
    let from = from.map_err(|_| Condition::NotAcceptable)?;
    let room = cx.state.rooms.get(channel.id());
    let of = room
        .into_iter()
        .flat_map(|room| room.of_person(to.as_str()));
    let occupants = of.filter(|one| one.way != Way::Participant);
    for occupant in occupants.cloned().collect::<Vec<Occupant>>() {
        cx.state.effects.own_messages.push(OwnMessage {
            from: from.clone().into(),
            to: occupant.jid.clone(),
            kind: message.kind,
            element: element.clone(),
        });
    }
    Ok(())
}

/// §7.5: marked as what it is, so that clients know a room's occupant from a person.
fn written(speaker: &Speaker, message: &Message) -> Option<Element> {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open("message")
        .attr_opt("id", message.envelope.id.as_deref())
        .attr_opt("xml:lang", message.envelope.lang.as_deref());
    w.raw(&said(message));
    w.open_ns("x", ns::MUC_USER).close();
    write_occupant_id(&mut w, &speaker.author.id);
    w.close();
    parse_stored(std::str::from_utf8(&bytes).ok()?, ns::CLIENT).ok()
}
