//! XEP-0403: presence as participants are told of it, and the addresses in it. What a participant's client is called is told to nobody.
use std::io::Write;

use crate::channel::config::{Config, field};
use crate::channel::{Channel, people};
use crate::feature::Heard;
use crate::state::{Cx, Keep, Kind, Occupant, Shared, Urgency};
use crate::store::StoreError;
use crate::xml::{Escaped, Writer};
use crate::xmpp::{BareJid, Jid, quoted_error};

use super::deliver::{takers, to_participant};
use super::fan_out::shows_author;
use crate::channel::mix::nodes::Node;

const NS: &str = "urn:xmpp:mix:presence:0";
/// Characters of the resource that stands for a client.
const RESOURCE_CHARS: usize = 8;

/// To all who subscribed to presence: one client or occupant came, changed or went.
pub fn told(cx: &mut Cx<'_>, channel: &Channel, of: &Occupant, is_gone: bool) {
    if let Err(error) = to_subscribers(cx, channel, of, is_gone) {
        log::error!("presence.failed error={}", quoted_error(&error));
    }
}

fn to_subscribers(
    cx: &mut Cx<'_>,
    channel: &Channel,
    of: &Occupant,
    is_gone: bool,
) -> Result<(), StoreError> {
    // Somebody who is shown for what they said shares nothing.
    if of.jid.is_bare() || channel.row.participants == 0 || !channel.row.flag(field::PRESENCE) {
        return Ok(());
    }
    let takers = takers(cx, channel)?;
    let takers = takers
        .iter()
        .filter(|taker| Node::Presence.is_in(taker.nodes));
    let is_shown = shows_author(cx, channel, of.jid.bare_str())?;
    let Some(from) = encoded(cx, channel, &of.jid) else {
        return Ok(());
    };
    let mut ends: [Option<Shared>; 2] = [None, None];
    for taker in takers {
        let shows_jid = is_shown || taker.rules;
        let Some(place) = ends.get_mut(usize::from(shows_jid)) else {
            continue;
        };
        let end = match place {
            Some(end) => &*end,
            None => &*place.insert(end(cx, of, shows_jid)),
        };
        deliver(cx, (&from, is_gone), &taker.jid, end);
    }
    Ok(())
}

/// §3.2: the client of somebody that shares presence under this resource.
pub fn client(cx: &Cx<'_>, channel: &Channel, person: &BareJid, resource: &str) -> Option<Jid> {
    let room = cx.state.rooms.get(channel.id())?;
    let mut clients = room.of_person(person.as_str()).map(|one| &one.jid);
    let is_it = |jid: &&Jid| {
        let known = encoded(cx, channel, jid);
        !jid.is_bare() && known.is_some_and(|it| it.resource() == Some(resource))
    };
    clients.find(is_it).cloned()
}

/// §3.2: the address by which somebody's client is known: its own resource is nobody's business.
pub fn encoded(cx: &Cx<'_>, channel: &Channel, client: &Jid) -> Option<Jid> {
    let id = people::id_of(cx, channel, client.bare_str());
    let mark = cx.state.participant_ids.of(channel.id(), client.as_str());
    let mark: String = mark.chars().take(RESOURCE_CHARS).collect();
    Jid::parse(&format!("{}#{}/{mark}", &*id, channel.jid)).ok()
}

pub fn deliver(cx: &mut Cx<'_>, (from, is_gone): (&Jid, bool), to: &BareJid, end: &Shared) {
    let kind = match is_gone {
        true => " type='unavailable'",
        false => "",
    };
    let mut start = Vec::with_capacity(96);
    write!(start, "<presence{kind} from='{}'", Escaped(from.as_str()))
        .expect("memory takes all that is written");
    let heard = Heard {
        from,
        start: &start,
        end,
        id: None,
        urgency: Urgency::latest(Kind::Presence, from.as_str()),
        keep: Keep::Whole { shared: true },
    };
    to_participant(cx, to, &heard);
}

/// §3.4
pub fn end(cx: &mut Cx<'_>, of: &Occupant, shows_jid: bool) -> Shared {
    cx.share(|bytes| {
        let mut w = Writer::new(bytes);
        w.open_ns("mix", NS);
        if shows_jid {
            w.leaf("jid", of.jid.as_str());
        }
        w.leaf("nick", &of.nick).close();
        w.raw(&of.presence);
        bytes.extend_from_slice(b"</presence>");
    })
}
