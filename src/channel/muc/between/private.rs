//! XEP-0045 §7.5: a message to one occupant. It goes the way of a message to their account, with the room's name for its sender.
use crate::channel::people::nick::Nick;
use crate::channel::people::{self, access};
use crate::channel::said::fan_out::write_occupant_id;
use crate::channel::said::message::{Speaker, said, speaker_of};
use crate::channel::{Channel, mix};
use crate::state::{Cx, Fault, Occupant, OwnMessage, Way};
use crate::xml::{Writer, parse_stored};
use crate::xmpp::{BareJid, Condition, Message, ns};

pub fn send(
    cx: &mut Cx<'_>,
    channel: &Channel,
    message: &Message,
    nick: &str,
) -> Result<(), Fault> {
    let speaker = speaker_of(cx, channel, message)?;
    let nick = Nick::parse(nick).map_err(|_| Condition::ItemNotFound)?;
    let room = cx.state.rooms.get(channel.id());
    let occupants = room.into_iter().flat_map(|room| room.of_nick(&nick.key));
    let occupants: Vec<Occupant> = occupants.cloned().collect();
    let first = occupants.first().ok_or(Condition::ItemNotFound)?;
    let to = first.jid.to_bare();
    let member = people::member(cx, channel, to.as_str())?;
    access::require_may_write(cx, channel, speaker.role, (to.as_str(), &member))?;
    // Whoever takes part and is not in the room knows people by their ids.
    match occupants.iter().all(|one| one.way == Way::Participant) {
        true => mix::between::private::pass(cx, channel, (&speaker, message), &to),
        false => pass(cx, channel, (&speaker, message), &to),
    }
}

/// To all that somebody has in the room.
pub fn pass(
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
fn written(speaker: &Speaker, message: &Message) -> Option<crate::xml::Element> {
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
