//! XEP-0045 §7.2, §7.6, §7.7, §10.1: somebody comes in, takes another nick, says how available they are.
use std::collections::HashMap;
use std::rc::Rc;

use crate::channel::config::{Config, field, whois};
use crate::channel::mix::participants::told;
use crate::channel::people::nick::{self, Nick};
use crate::channel::people::{self, access};
use crate::channel::said::fan_out;
use crate::channel::upkeep::tombstone;
use crate::channel::{Channel, create, find, room};
use crate::state::{Cx, Fault, Occupant, Urgency, Way};
use crate::store::{ChannelAffiliation, MemberRow};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, Condition, ErrorType, Jid, Presence, StanzaError, ns};

use super::tell::{self, News};
use super::{history, leave};
use crate::channel::muc::between::tokens;
use crate::channel::muc::rulers::{hats, versions};
use crate::channel::muc::subject;

/// Available presence for a room.
pub fn come(cx: &mut Cx<'_>, way: Way, presence: &Presence, jid: &BareJid) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (&presence.envelope.from, &presence.envelope.to) else {
        return Ok(());
    };
    let x = presence.element.root().child("x", ns::MUC);
    // §7.2.1: without a nick nobody comes in.
    let nick = to.resource().ok_or(Condition::JidMalformed)?;
    let nick = Nick::parse(nick)?;
    let Some(mut channel) = find(cx, jid)? else {
        return match x {
            Some(x) => found(cx, way, (presence, x), (jid, nick)),
            None => {
                leave::tell_not_there(cx, way, from, to);
                Ok(())
            }
        };
    };
    let occupant = inside(cx, &channel, from);
    match (occupant, x) {
        (Some(occupant), None) if occupant.key == nick.key && occupant.nick == nick.text => {
            update(cx, &channel, &occupant, presence);
            Ok(())
        }
        (Some(occupant), None) => rename(cx, &mut channel, &occupant, (presence, nick)),
        // Its client has forgotten that it is in, and is told everything again; the others see no difference.
        (Some(occupant), Some(x)) => {
            if occupant.nick != nick.text
                && people::member(cx, &channel, from.bare_str())?
                    .nick
                    .is_none()
            {
                rename(cx, &mut channel, &occupant, (presence, nick.clone()))?;
            }
            again(cx, &channel, (presence, x), from)
        }
        (None, Some(x)) => enter(cx, channel, way, (presence, x), nick, How::New),
        // XEP-0410: it thinks that it is in, and is not.
        (None, None) => {
            leave::tell_not_there(cx, way, from, to);
            Ok(())
        }
    }
}

/// How somebody comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    New,
    /// They made the room.
    First,
}

pub fn inside(cx: &Cx<'_>, channel: &Channel, jid: &Jid) -> Option<Occupant> {
    let room = cx.state.rooms.get(channel.id())?;
    let mut occupants = room.occupants.iter();
    let is_it = |one: &&Occupant| one.jid == *jid && one.way != Way::Participant;
    occupants.find(is_it).cloned()
}

/// §10.1.1: the first one makes the room.
fn found(
    cx: &mut Cx<'_>,
    way: Way,
    presence: (&Presence, ElementRef<'_>),
    (jid, nick): (&BareJid, Nick),
) -> Result<(), Fault> {
    let from = presence.0.envelope.from.as_ref();
    let from = from.ok_or(Condition::BadRequest)?;
    let mut channel = create(cx, jid, &from.to_bare())?;
    // §10.1.2: until it is configured, or its defaults are taken.
    crate::channel::change(cx, &mut channel, |_, row| {
        row.locked = true;
        Ok(())
    })?;
    enter(cx, channel, way, presence, nick, How::First)
}

fn enter(
    cx: &mut Cx<'_>,
    mut channel: Channel,
    way: Way,
    (presence, x): (&Presence, ElementRef<'_>),
    nick: Nick,
    how: How,
) -> Result<(), Fault> {
    let from = presence.envelope.from.as_ref();
    let from = from.ok_or(Condition::BadRequest)?;
    let mut member = people::member(cx, &channel, from.bare_str())?;
    let entering = people::with_domain(cx, &channel.row, from.bare_str())?;
    let token = tokens::given(cx, &channel, &entering, x)?;
    require_entry(cx, &channel, (from, &entering), (x, token.is_some()))?;
    let mut own_codes = match how {
        How::First => vec![201],
        How::New => Vec::new(),
    };
    let nick = nick_given(cx, &channel, (from, &member), nick, &mut own_codes)?;
    if channel.row.number(field::WHOIS) == whois::ANYONE {
        own_codes.push(100);
    }
    if let Some(token) = token {
        cx.require_disk_space()?;
        tokens::use_up(cx, &mut channel, from, &token)?;
        member = people::member(cx, &channel, from.bare_str())?;
    }
    let occupant = Occupant {
        jid: from.clone(),
        way,
        nick: nick.text,
        key: nick.key,
        id: people::id_of(cx, &channel, from.bare_str()),
        affiliation: member.affiliation,
        role: access::role_of(&channel, &member),
        presence: hats::worn(&channel, &tell::shown(presence), &member),
    };
    let id = presence.envelope.id.as_deref();
    let versions = versions::tell(cx, &channel, (&occupant, id), x)?;
    tell_of_others(cx, &channel, &occupant);
    // A participant who is shown already is the same person.
    room(cx, &channel).enter(occupant.clone());
    let news = News {
        own_codes,
        id,
        own_versions: versions.as_deref(),
        ..News::of(&occupant)
    };
    tell::announce_to_others(cx, &channel, &news);
    tell::to_self(cx, &channel, &news, (way, from));
    history::send(cx, &channel, (&occupant, x))?;
    subject::tell(cx, &channel, &occupant);
    Ok(())
}

/// Whoever is in is told everything anew; the others hear of it only if they say something else of themselves.
fn again(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (presence, x): (&Presence, ElementRef<'_>),
    from: &Jid,
) -> Result<(), Fault> {
    let Some(mut occupant) = inside(cx, channel, from) else {
        return Ok(());
    };
    let member = people::member(cx, channel, from.bare_str())?;
    let shown = hats::worn(channel, &tell::shown(presence), &member);
    let says_else = occupant.presence != shown;
    occupant.presence = Rc::clone(&shown);
    // They are the last to have come.
    let room = room(cx, channel);
    room.occupants.retain(|one| one.jid != *from);
    room.enter(occupant.clone());
    let id = presence.envelope.id.as_deref();
    let versions = versions::tell(cx, channel, (&occupant, id), x)?;
    tell_of_others(cx, channel, &occupant);
    let mut own_codes = Vec::new();
    if channel.row.number(field::WHOIS) == whois::ANYONE {
        own_codes.push(100);
    }
    let news = News {
        own_codes,
        id,
        own_versions: versions.as_deref(),
        ..News::of(&occupant)
    };
    if says_else {
        tell::announce_to_others(cx, channel, &news);
    }
    tell::to_self(cx, channel, &news, (occupant.way, from));
    history::send(cx, channel, (&occupant, x))?;
    subject::tell(cx, channel, &occupant);
    Ok(())
}

/// §7.2.5 to §7.2.9
fn require_entry(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (from, member): (&Jid, &MemberRow),
    (x, has_token): (ElementRef<'_>, bool),
) -> Result<(), Fault> {
    let rules = member.affiliation >= ChannelAffiliation::Admin;
    let password = channel.row.text(field::PASSWORD);
    let given = x.child("password", ns::MUC);
    let is_given = given.is_some();
    let is_right = has_token || given.is_some_and(|given| given.text() == password);
    match access::require_entry(channel, member) {
        Err(Fault::Stanza(error)) if error.condition == Condition::RegistrationRequired => {
            match (has_token, is_given && password.is_empty()) {
                (true, _) => {}
                (false, true) => return Err(tokens::EXPIRED.into()),
                (false, false) => return Err(error.into()),
            }
        }
        refused => refused?,
    }
    if !password.is_empty() && !is_right && !rules {
        return Err(Condition::NotAuthorized.into());
    }
    let set = usize::try_from(channel.row.number(field::OCCUPANTS_MAX)).unwrap_or(usize::MAX);
    let limit = cx.state.settings.channel_occupants_max;
    let occupants = &room(cx, channel).occupants;
    let is_full = occupants.len() >= limit || (set > 0 && occupants.len() >= set && !rules);
    let is_in = occupants
        .iter()
        .any(|one| one.jid.bare_str() == from.bare_str());
    // §7.2.9
    match is_full && !(is_in && occupants.len() < limit) {
        true => Err(StanzaError::new(Condition::ServiceUnavailable)
            .kind(ErrorType::Wait)
            .text("The room is full.")
            .into()),
        false => Ok(()),
    }
}

/// §7.2.8: a nick is one person's; whoever has one registered has that.
fn nick_given(
    cx: &Cx<'_>,
    channel: &Channel,
    (from, member): (&Jid, &MemberRow),
    wanted: Nick,
    own_codes: &mut Vec<u16>,
) -> Result<Nick, Fault> {
    if let Some(held) = &member.nick
        && let Ok(held) = Nick::parse(held)
    {
        if held.text != wanted.text {
            own_codes.push(210);
        }
        return Ok(held);
    }
    if !nick::is_free_for(cx, channel, &wanted.key, from.bare_str())? {
        return Err(Condition::Conflict.into());
    }
    Ok(as_written(cx, channel, wanted, own_codes))
}

/// Two ways to write one nick would look like two people: it is written as they have it already.
fn as_written(cx: &Cx<'_>, channel: &Channel, wanted: Nick, own_codes: &mut Vec<u16>) -> Nick {
    let room = cx.state.rooms.get(channel.id());
    let own = room.and_then(|room| room.of_nick(&wanted.key).next());
    let Some(own) = own.filter(|own| own.nick != wanted.text) else {
        return wanted;
    };
    own_codes.push(210);
    Nick {
        text: Rc::clone(&own.nick),
        key: Rc::clone(&own.key),
    }
}

/// §7.2.2: each nick once, as it was last heard of.
pub fn tell_of_others(cx: &mut Cx<'_>, channel: &Channel, newcomer: &Occupant) {
    let occupants = fan_out::take_occupants(cx, channel);
    let mut last_of: HashMap<&str, usize> = HashMap::with_capacity(occupants.len());
    for (at, one) in occupants.iter().enumerate() {
        last_of.insert(&one.key, at);
    }
    let to = (newcomer.way, &newcomer.jid, newcomer.role);
    let online = cx.state.sessions.online(&newcomer.jid.to_bare());
    let blocks_some = online.is_some_and(|online| !online.blocked.is_empty());
    for (at, one) in occupants.iter().enumerate() {
        let blocked = match blocks_some {
            true => fan_out::blocked_as(cx, channel, &one.nick),
            false => None,
        };
        if last_of.get(&*one.key) == Some(&at)
            && one.key != newcomer.key
            && !fan_out::blocks(cx, newcomer, blocked.as_ref())
        {
            tell::to_newcomer(cx, channel, one, to);
        }
    }
    drop(last_of);
    fan_out::put_back(cx, channel, occupants);
}

/// §7.7
fn update(cx: &mut Cx<'_>, channel: &Channel, occupant: &Occupant, presence: &Presence) {
    let member = people::member(cx, channel, occupant.jid.bare_str()).unwrap_or_default();
    let shown = hats::worn(channel, &tell::shown(presence), &member);
    let mut now = occupant.clone();
    now.presence = Rc::clone(&shown);
    for one in &mut room(cx, channel).occupants {
        if one.jid == occupant.jid {
            one.presence = Rc::clone(&shown);
        }
    }
    let news = News {
        id: presence.envelope.id.as_deref(),
        ..News::of(&now)
    };
    tell::announce(cx, channel, &news);
}

/// §7.6: all sessions of the person have the new nick.
fn rename(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    occupant: &Occupant,
    (presence, nick): (&Presence, Nick),
) -> Result<(), Fault> {
    let who = occupant.jid.bare_str();
    let mut member = people::member(cx, channel, who)?;
    if !nick::is_free_for(cx, channel, &nick.key, who)? {
        return Err(Condition::Conflict.into());
    }
    let mut own_codes = Vec::new();
    let nick = match nick.key == occupant.key {
        true => nick,
        false => as_written(cx, channel, nick, &mut own_codes),
    };
    // Whoever has one registered has this one registered from now on.
    if member.nick.is_some() {
        cx.require_disk_space()?;
        member.nick = Some(nick.text.to_string());
        people::set(cx, channel, who, &member)?;
    }
    let gone = News {
        codes: vec![303],
        new_nick: Some(&nick.text),
        ..News::gone(occupant)
    };
    tell::announce(cx, channel, &gone);
    let shown = hats::worn(channel, &tell::shown(presence), &member);
    let mut now = occupant.clone();
    for one in &mut room(cx, channel).occupants {
        if one.key == occupant.key {
            (one.nick, one.key) = (Rc::clone(&nick.text), Rc::clone(&nick.key));
            one.presence = Rc::clone(&shown);
        }
    }
    (now.nick, now.key, now.presence) = (nick.text, nick.key, shown);
    let news = News {
        own_codes,
        id: presence.envelope.id.as_deref(),
        ..News::of(&now)
    };
    tell::announce(cx, channel, &news);
    Ok(told::nick_changed(cx, channel, who, &member)?)
}

/// COMPAT(slixmpp, 1.17; nbxmpp): they know an error by the element they sent.
pub fn refuse(cx: &mut Cx<'_>, way: Way, presence: &Presence, error: &StanzaError) {
    let envelope = &presence.envelope;
    // Nobody here is to hear of the session's end.
    if let Way::Session(session) = way
        && let Some(known) = cx.state.sessions.get_mut(session)
    {
        known
            .directed
            .retain(|told| Some(told) != envelope.to.as_ref());
    }
    let is_coming = presence.element.root().child("x", ns::MUC).is_some();
    let mut gone = None;
    if error.condition == Condition::Gone
        && let Some(to) = &envelope.to
    {
        gone = tombstone::find(cx, &to.to_bare()).ok().flatten();
    }
    let stanza = cx.write(|w| {
        w.open("presence")
            .attr("type", "error")
            .attr_opt("from", envelope.to.as_ref().map(Jid::as_str))
            .attr_opt("to", envelope.from.as_ref().map(Jid::as_str))
            .attr_opt("id", envelope.id.as_deref());
        if is_coming {
            w.open_ns("x", ns::MUC).close();
        }
        match (&gone, &envelope.to) {
            (Some(gone), Some(to)) => tombstone::write_error(w, &to.to_bare(), gone),
            (_, to) => error.write_by(w, to.as_ref().map(Jid::bare_str)),
        }
        w.close();
    });
    fan_out::deliver(cx, way, &stanza.into(), Urgency::Now);
}
