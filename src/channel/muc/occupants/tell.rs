//! XEP-0045 §7.2.2, §7.2.13, §7.14: presence of occupants, told to all with what each may know.
use std::io::Write;
use std::rc::Rc;

use crate::channel::Channel;
use crate::channel::mix::sent::presence;
use crate::channel::people::access;
use crate::channel::said::fan_out::{self, put_back, take_occupants, write_occupant_id};
use crate::channel::said::own::is_channels_own;
use crate::state::{Cx, Kind, Occupant, Role, Shared, Urgency, Way};
use crate::store::ChannelAffiliation;
use crate::xml::{Escaped, Writer};
use crate::xmpp::{Jid, ns};

/// What is told of one occupant.
#[derive(Clone, Debug)]
pub struct News<'a> {
    pub of: &'a Occupant,
    /// They are gone from the room, or from this nick.
    pub is_gone: bool,
    /// Status codes for all (§15.6.2).
    pub codes: Vec<u16>,
    /// And those for themselves, beside 110.
    pub own_codes: Vec<u16>,
    /// The nick they have from now on.
    pub new_nick: Option<&'a str>,
    pub reason: Option<&'a str>,
    /// Nick of whoever did it.
    pub actor: Option<&'a str>,
    /// The id of the presence that this answers, for whoever sent it.
    pub id: Option<&'a str>,
    /// A `<destroy/>`.
    pub destroyed: Option<&'a str>,
    /// XEP-0463: a `<mav/>`, for those who know who is who.
    pub versions: Option<&'a str>,
    /// The same for themselves.
    pub own_versions: Option<&'a str>,
}

impl<'a> News<'a> {
    pub fn of(occupant: &'a Occupant) -> News<'a> {
        News {
            of: occupant,
            is_gone: false,
            codes: Vec::new(),
            own_codes: Vec::new(),
            new_nick: None,
            reason: None,
            actor: None,
            id: None,
            destroyed: None,
            versions: None,
            own_versions: None,
        }
    }

    pub fn gone(occupant: &'a Occupant) -> News<'a> {
        News {
            is_gone: true,
            ..News::of(occupant)
        }
    }
}

/// Who is told: everybody; they themselves last (§7.2.2).
pub fn announce(cx: &mut Cx<'_>, channel: &Channel, news: &News<'_>) {
    let occupants = take_occupants(cx, channel);
    let of = news.of;
    let others = occupants
        .iter()
        .filter(|one| one.jid.bare_str() != of.jid.bare_str());
    to_others(cx, channel, news, others);
    let own = occupants.iter().filter(|one| one.key == of.key);
    for one in own {
        to_self(cx, channel, news, (one.way, &one.jid));
    }
    put_back(cx, channel, occupants);
    tell_participants(cx, channel, news);
}

/// To all but themselves.
pub fn announce_to_others(cx: &mut Cx<'_>, channel: &Channel, news: &News<'_>) {
    let occupants = take_occupants(cx, channel);
    let others = occupants.iter().filter(|one| one.key != news.of.key);
    to_others(cx, channel, news, others);
    put_back(cx, channel, occupants);
    tell_participants(cx, channel, news);
}

/// XEP-0403 §2: another nick is no other client.
fn tell_participants(cx: &mut Cx<'_>, channel: &Channel, news: &News<'_>) {
    if news.new_nick.is_none() {
        presence::told(cx, channel, news.of, news.is_gone);
    }
}

fn to_others<'o>(
    cx: &mut Cx<'_>,
    channel: &Channel,
    news: &News<'_>,
    others: impl Iterator<Item = &'o Occupant>,
) {
    let mut ends: [Option<Shared>; 2] = [None, None];
    let start = head_start(channel, news);
    let from = format!("{}/{}", channel.jid, news.of.nick);
    let urgency = Urgency::latest(Kind::Presence, &from);
    let blocked = fan_out::blocked_as(cx, channel, &news.of.nick);
    for one in others.filter(|one| one.way != Way::Participant) {
        if fan_out::blocks(cx, one, blocked.as_ref()) {
            continue;
        }
        let shows_jid = access::shows_jid(channel, one.role);
        let [without, with] = &mut ends;
        let place = if shows_jid { with } else { without };
        let end = match place {
            Some(end) => &*end,
            None => &*place.insert(write_end(cx, news, shows_jid, false)),
        };
        let to = Escaped(one.jid.as_str());
        let stanza = cx.out.with_head(end, &mut |bytes| {
            bytes.extend_from_slice(&start);
            write!(bytes, "{to}'").expect("memory takes all that is written");
        });
        fan_out::deliver(cx, one.way, &stanza, urgency);
    }
}

/// To one of their own sessions (status 110).
pub fn to_self(cx: &mut Cx<'_>, channel: &Channel, news: &News<'_>, (way, to): (Way, &Jid)) {
    if way == Way::Participant {
        return;
    }
    let end = write_end(cx, news, true, true);
    let mut start = head_start(channel, news);
    if let Some(id) = news.id {
        let id = format!("id='{}' to='", Escaped(id));
        start.truncate(start.len().saturating_sub("to='".len()));
        start.extend_from_slice(id.as_bytes());
    }
    send(cx, (way, to), &start, &end);
}

/// What one who comes in is told of somebody who is there.
pub fn to_newcomer(
    cx: &mut Cx<'_>,
    channel: &Channel,
    of: &Occupant,
    (way, to, role): (Way, &Jid, Role),
) {
    let news = News::of(of);
    let end = write_end(cx, &news, access::shows_jid(channel, role), false);
    send(cx, (way, to), &head_start(channel, &news), &end);
}

fn send(cx: &mut Cx<'_>, (way, to): (Way, &Jid), start: &[u8], end: &Shared) {
    let to = Escaped(to.as_str());
    let stanza = cx.out.with_head(end, &mut |bytes| {
        bytes.extend_from_slice(start);
        write!(bytes, "{to}'").expect("memory takes all that is written");
    });
    fan_out::deliver(cx, way, &stanza, Urgency::Now);
}

fn head_start(channel: &Channel, news: &News<'_>) -> Vec<u8> {
    let (room, nick) = (Escaped(channel.jid.as_str()), Escaped(&news.of.nick));
    let kind = match news.is_gone {
        true => " type='unavailable'",
        false => "",
    };
    format!("<presence{kind} from='{room}/{nick}' to='").into_bytes()
}

fn write_end(cx: &mut Cx<'_>, news: &News<'_>, shows_jid: bool, is_self: bool) -> Shared {
    let of = news.of;
    cx.share(|bytes| {
        bytes.push(b'>');
        let mut w = Writer::new(bytes);
        w.raw(&of.presence);
        write_occupant_id(&mut w, &of.id);
        w.open_ns("x", ns::MUC_USER);
        let versions = match is_self {
            true => news.own_versions,
            false => news.versions.filter(|_| shows_jid),
        };
        if let Some(versions) = versions {
            w.raw(versions);
        }
        write_item(&mut w, news, shows_jid);
        if let Some(destroyed) = news.destroyed {
            w.raw(destroyed);
        }
        let own = match is_self {
            true => &*news.own_codes,
            false => &[],
        };
        let is_self = is_self.then_some(110);
        for code in is_self.iter().chain(own).chain(&news.codes) {
            w.open("status").attr("code", &code.to_string()).close();
        }
        w.close();
        bytes.extend_from_slice(b"</presence>");
    })
}

fn write_item(w: &mut Writer<'_>, news: &News<'_>, shows_jid: bool) {
    let of = news.of;
    let role = match news.is_gone && news.new_nick.is_none() {
        true => Role::None,
        false => of.role,
    };
    // What a participant's client is called is nobody's business.
    let jid = match of.way {
        Way::Participant => of.jid.bare_str(),
        _ => of.jid.as_str(),
    };
    let jid = shows_jid.then_some(jid);
    w.open("item")
        .attr("affiliation", affiliation_text(of.affiliation))
        .attr("role", role.as_str())
        .attr_opt("jid", jid)
        .attr_opt("nick", news.new_nick);
    if let Some(actor) = news.actor {
        w.open("actor").attr("nick", actor).close();
    }
    if let Some(reason) = news.reason {
        w.leaf("reason", reason);
    }
    w.close();
}

pub fn affiliation_text(affiliation: ChannelAffiliation) -> &'static str {
    match affiliation {
        ChannelAffiliation::Outcast => "outcast",
        ChannelAffiliation::None => "none",
        ChannelAffiliation::Member => "member",
        ChannelAffiliation::Admin => "admin",
        ChannelAffiliation::Owner => "owner",
    }
}

pub fn affiliation_named(text: &str) -> Option<ChannelAffiliation> {
    let all = [
        ChannelAffiliation::Outcast,
        ChannelAffiliation::None,
        ChannelAffiliation::Member,
        ChannelAffiliation::Admin,
        ChannelAffiliation::Owner,
    ];
    all.into_iter()
        .find(|known| affiliation_text(*known) == text)
}

/// The children of a presence that others may see: all but what only a room says (§15.6), and the way in.
pub fn shown(presence: &crate::xmpp::Presence) -> Rc<str> {
    let root = presence.element.root();
    let children = root
        .children()
        .filter(|child| !is_channels_own(*child) && child.namespace() != ns::DELAY);
    let text: String = children.map(|child| child.source()).collect();
    text.into()
}
