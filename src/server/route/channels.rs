//! XEP-0405: what channels say to an account that takes part in them. What they hear of it is in `to_channels`.
use crate::feature::{self, FromChannel, Heard};
use crate::state::{Cx, Fault, Form, Keep, Kind, Local, Shared, Urgency};
use crate::store::StoreError;
use crate::xmpp::{Envelope, Jid, Message, Presence, write_open};

use super::message::keeping::{Unseen, archive};

/// §2.2, §2.11: a message that a channel distributes: into the archive, and to all clients that know channels.
pub fn message(
    cx: &mut Cx<'_>,
    (from, to): (&Jid, &Jid),
    addressee: &Local,
    message: &Message,
    how: FromChannel,
) -> Result<(), Fault> {
    let whose = Some((addressee, Unseen::No));
    let archived = archive(cx, (from, to), whose, message, how.storable)?;
    let keep = match archived.received {
        Some(id) => Keep::Archived(id, Form::ToSession),
        None => Keep::Whole { shared: true },
    };
    let start = start("message", message.kind.as_str(), &message.envelope);
    let end = end(cx, "message", message.element.root().inner_source());
    let heard = Heard {
        from,
        start: &start,
        end: &end,
        id: archived.received,
        urgency: feature::message_urgency(message, from.as_str()),
        keep,
    };
    feature::deliver_from_channel(cx, &addressee.jid, &heard);
    Ok(())
}

/// §2.9.2: presence of a participant, to the account. False: it is none.
pub fn presence(cx: &mut Cx<'_>, presence: &Presence, to: &Jid) -> Result<bool, StoreError> {
    let own = to.to_bare();
    let Some(from) = presence.envelope.from.as_ref().filter(|_| to.is_bare()) else {
        return Ok(false);
    };
    let Some(online) = cx.state.sessions.online(&own) else {
        return Ok(false);
    };
    let Some(channel) = feature::channel_of_presence(cx, online.account, from)? else {
        return Ok(false);
    };
    // §2.12: whoever blocks a channel blocks its participants.
    if online.blocked.matches(&channel) {
        return Ok(true);
    }
    let payload = presence.element.root().inner_source();
    let start = start("presence", presence.kind.as_str(), &presence.envelope);
    let end = end(cx, "presence", payload);
    let urgency = match feature::presence_wakes(presence.kind, payload) {
        true => Urgency::Now,
        false => Urgency::latest(Kind::Presence, from.as_str()),
    };
    let heard = Heard {
        from,
        start: &start,
        end: &end,
        id: None,
        urgency,
        keep: Keep::Whole { shared: true },
    };
    feature::deliver_from_channel(cx, &own, &heard);
    Ok(true)
}

/// Up to whom it is to.
fn start(name: &'static str, kind: &str, envelope: &Envelope) -> Vec<u8> {
    let envelope = Envelope {
        to: None,
        ..envelope.clone()
    };
    let kind = if kind == "normal" { "" } else { kind };
    let mut start = Vec::with_capacity(160);
    write_open(&mut start, name, kind, &envelope);
    start
}

fn end(cx: &mut Cx<'_>, name: &str, children: &str) -> Shared {
    cx.share(|bytes| {
        bytes.extend_from_slice(children.as_bytes());
        bytes.extend_from_slice(format!("</{name}>").as_bytes());
    })
}
