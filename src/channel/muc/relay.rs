//! XEP-0045 §17.? requests to an occupant, passed on in the room's name; XEP-0410: a ping to oneself.
use crate::channel::access;
use crate::channel::nick::Nick;
use crate::channel::route::Asked;
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::xmpp::{Condition, IqKind};

pub fn request(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let room = cx.state.rooms.get(asked.channel.id());
    let mut occupants = room.into_iter().flat_map(|room| &room.occupants);
    let own = occupants.find(|one| one.jid == *asked.from);
    // XEP-0410 §4: whoever asks is not in the room.
    let own = own.ok_or(access::NOT_INSIDE)?;
    let to = asked.iq.envelope.to.as_ref().and_then(|to| to.resource());
    let nick = Nick::parse(to.unwrap_or_default()).map_err(|_| Condition::ItemNotFound)?;
    let is_ping = asked.iq.kind == IqKind::Get && asked.payload.is("ping", "urn:xmpp:ping");
    if own.key == nick.key && is_ping {
        return Ok(Reply::Empty);
    }
    Err(Condition::ServiceUnavailable.into())
}
