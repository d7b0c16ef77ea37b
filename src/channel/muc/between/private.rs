//! XEP-0045 §7.5: a message to one occupant. It goes the way of a message to their account, with the room's name for its sender.
use crate::channel::Channel;
use crate::channel::people::nick::Nick;
use crate::channel::people::{self, access};
use crate::channel::said::private::{to_occupant, to_participant};
use crate::channel::said::speaker::speaker_of;
use crate::state::{Cx, Fault, Occupant, Way};
use crate::xmpp::{Condition, Message};

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
        true => to_participant(cx, channel, (&speaker, message), &to),
        false => to_occupant(cx, channel, (&speaker, message), &to),
    }
}
