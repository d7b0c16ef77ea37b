//! What goes to all who are in a channel: the end of it is written once, and a head for each.
use std::io::Write;
use std::rc::Rc;

use crate::state::{Cx, Form, Keep, Occupant, ParticipantId, Shared, Urgency, Way, Written};
use crate::store::ArchiveId;
use crate::xml::{Escaped, Writer};
use crate::xmpp::{Jid, ns};

use crate::channel::Channel;

/// Who says something, as all in the channel know them.
#[derive(Clone, Debug)]
pub struct Author {
    /// Their real JID.
    pub jid: Jid,
    pub nick: Rc<str>,
    /// The stable id.
    pub id: ParticipantId,
    /// The channel itself speaks.
    pub is_channel: bool,
}

impl Author {
    pub fn of_channel(channel: &Channel) -> Author {
        Author {
            jid: channel.jid.clone().into(),
            nick: "".into(),
            id: ParticipantId::default(),
            is_channel: true,
        }
    }
}

/// What was said.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub author: &'a Author,
    /// As its sender called it.
    pub id: Option<&'a str>,
    pub lang: Option<&'a str>,
    /// Checked children.
    pub payload: &'a str,
    pub archived: Option<ArchiveId>,
    pub urgency: Urgency<'a>,
}

/// Delivers what is in the buffer to an occupant.
pub fn deliver(cx: &mut Cx<'_>, way: Way, stanza: &Written<'_>, urgency: Urgency<'_>) {
    deliver_kept(cx, way, stanza, (urgency, None));
}

/// The same of a message that the channel may have in its archive: what is sent once more (XEP-0198 §5) is what became of it.
pub fn deliver_kept(
    cx: &mut Cx<'_>,
    way: Way,
    stanza: &Written<'_>,
    (urgency, archived): (Urgency<'_>, Option<ArchiveId>),
) {
    let keep = archived.map_or(Keep::WHOLE, |id| Keep::Archived(id, Form::Occupant));
    match way {
        Way::Session(session) => cx.deliver_as(session, stanza, urgency, keep),
        Way::Component(component) => {
            cx.pass(component, stanza);
        }
        Way::Participant => {}
    }
}

/// The occupants of a channel, taken out while they are written to; `put_back` follows.
pub fn take_occupants(cx: &mut Cx<'_>, channel: &Channel) -> Vec<Occupant> {
    let room = cx.state.rooms.get_mut(channel.id());
    room.map_or_else(Vec::new, |room| std::mem::take(&mut room.occupants))
}

pub fn put_back(cx: &mut Cx<'_>, channel: &Channel, occupants: Vec<Occupant>) {
    if let Some(room) = cx.state.rooms.get_mut(channel.id()) {
        room.occupants = occupants;
    }
}

/// XEP-0191 §3.2: by what name an occupant is blocked; `None`: nobody blocks anybody. Nothing that comes from this name is
/// delivered, be it a message, presence or a request.
pub fn blocked_as(cx: &Cx<'_>, channel: &Channel, nick: &str) -> Option<Jid> {
    let jid = match cx.state.sessions.anybody_blocks() {
        true => channel.jid.with_resource(nick).ok()?,
        false => return None,
    };
    Some(jid.into())
}

/// Whether somebody blocks whoever has this name. Nobody blocks themselves.
pub fn blocks(cx: &Cx<'_>, one: &Occupant, other: Option<&Jid>) -> bool {
    let Some(other) = other.filter(|other| other.resource() != Some(&*one.nick)) else {
        return false;
    };
    let online = cx.state.sessions.online(&one.jid.to_bare());
    online.is_some_and(|online| online.blocked.matches(other))
}

/// XEP-0045 §7.4: a message to all occupants.
pub fn to_occupants(cx: &mut Cx<'_>, channel: &Channel, said: Said<'_>) {
    let occupants = take_occupants(cx, channel);
    if occupants.iter().any(|one| one.way != Way::Participant) {
        let end = end_of_message(cx, channel, said);
        let start = head_start(channel, said.author);
        let blocked = blocked_as(cx, channel, &said.author.nick);
        for occupant in &occupants {
            if !blocks(cx, occupant, blocked.as_ref()) {
                to_one(cx, occupant, (&start, &end), &said);
            }
        }
    }
    put_back(cx, channel, occupants);
}

/// One stanza up to whom it is to.
fn head_start(channel: &Channel, author: &Author) -> Vec<u8> {
    let room = Escaped(channel.jid.as_str());
    let from = match author.is_channel {
        true => format!("<message from='{room}' to='"),
        false => format!("<message from='{room}/{}' to='", Escaped(&author.nick)),
    };
    from.into_bytes()
}

fn to_one(cx: &mut Cx<'_>, occupant: &Occupant, (start, end): (&[u8], &Shared), said: &Said<'_>) {
    if occupant.way == Way::Participant {
        return;
    }
    let to = Escaped(occupant.jid.as_str());
    let stanza = cx.out.with_head(end, &mut |bytes| {
        bytes.extend_from_slice(start);
        write!(bytes, "{to}'").expect("memory takes all that is written");
    });
    let how = (said.urgency, said.archived);
    deliver_kept(cx, occupant.way, &stanza, how);
}

fn end_of_message(cx: &mut Cx<'_>, channel: &Channel, said: Said<'_>) -> Shared {
    let archived = said.archived.map(|id| cx.state.archive_ids.text(id));
    cx.share(|bytes| {
        let attributes = [("id", said.id), ("xml:lang", said.lang)];
        for (name, value) in attributes {
            if let Some(value) = value {
                write!(bytes, " {name}='{}'", Escaped(value)).expect("memory takes all");
            }
        }
        bytes.extend_from_slice(b" type='groupchat'>");
        let mut w = Writer::new(bytes);
        w.raw(said.payload);
        if !said.author.is_channel {
            write_occupant_id(&mut w, &said.author.id);
        }
        if let Some(id) = &archived {
            write_stanza_id(&mut w, channel, id);
        }
        bytes.extend_from_slice(b"</message>");
    })
}

/// XEP-0421 §3.
pub fn write_occupant_id(w: &mut Writer<'_>, id: &str) {
    w.open_ns("occupant-id", ns::OCCUPANT_ID)
        .attr("id", id)
        .close();
}

/// XEP-0359 §3.
pub fn write_stanza_id(w: &mut Writer<'_>, channel: &Channel, id: &str) {
    w.open_ns("stanza-id", ns::STANZA_ID)
        .attr("by", channel.jid.as_str())
        .attr("id", id)
        .close();
}
