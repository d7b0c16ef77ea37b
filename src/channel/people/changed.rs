//! What follows for those in a channel when it is configured anew, or goes (XEP-0045 §10.2, §10.9).
use crate::state::{Cx, Way};
use crate::store::{ChannelAffiliation, ConfigRow, StoreError};
use crate::xml::Writer;
use crate::xmpp::ns;

use super::access;
use super::standing::{By, announce_each, put_out};
use crate::channel::config::{Config, field, whois};
use crate::channel::mix::participants::preferences;
use crate::channel::mix::participants::told;
use crate::channel::muc::occupants::tell;
use crate::channel::said::{fan_out, say};
use crate::channel::upkeep::tombstone::{self, Instead};
use crate::channel::{Channel, people, remove, room};

/// §10.9: everybody is told, and it is there no more.
pub fn destroy(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    instead: Instead<'_>,
) -> Result<(), StoreError> {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open("destroy").attr_opt("jid", instead.jid);
    for (name, text) in [("password", instead.password), ("reason", instead.reason)] {
        if let Some(text) = text {
            w.leaf(name, text);
        }
    }
    w.close();
    let destroyed = String::from_utf8(bytes).expect("the writer writes UTF-8");
    for one in fan_out::take_occupants(cx, channel) {
        let mut one = one;
        one.affiliation = ChannelAffiliation::None;
        let news = tell::News {
            destroyed: Some(&destroyed),
            ..tell::News::gone(&one)
        };
        tell::to_self(cx, channel, &news, (one.way, &one.jid));
    }
    told::destroyed(cx, channel)?;
    tombstone::set(cx, channel, instead)?;
    remove(cx, channel)
}

/// §10.2.1: what it is from now on is told to all inside; whoever may not be in it any more leaves.
pub fn configured(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    before: &ConfigRow,
) -> Result<(), StoreError> {
    let now = channel.row.config.clone();
    let turned_on = |number| now.flag(number) && !before.flag(number);
    if turned_on(field::MEMBERS_ONLY) {
        put_out_strangers(cx, channel)?;
    }
    if before.flag(field::MODERATED) && !now.flag(field::MODERATED) {
        give_voice(cx, channel)?;
    }
    // What may be subscribed to is another thing, too.
    room(cx, channel).takers = None;
    let shown = |config: &ConfigRow| Config::number(config, field::WHOIS);
    if shown(before) != shown(&now) {
        preferences::put_out_unwilling(cx, channel)?;
    }
    let mut codes = vec![104];
    let shows = |config: &ConfigRow| Config::number(config, field::WHOIS) == whois::ANYONE;
    match (shows(before), shows(&now)) {
        (false, true) => codes.push(172),
        (true, false) => codes.push(173),
        _ => {}
    }
    tell_codes(cx, channel, &codes);
    told::configured(cx, channel)
}

/// §10.2.1: what changed of the room, for those inside.
pub fn tell_codes(cx: &mut Cx<'_>, channel: &Channel, codes: &[u16]) {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open_ns("x", ns::MUC_USER);
    for code in codes {
        w.open("status").attr("code", &code.to_string()).close();
    }
    w.close();
    let payload = String::from_utf8(bytes).expect("the writer writes UTF-8");
    let id = cx.new_id();
    say::say_in_rooms(cx, channel, Some(&id), &payload);
}

/// §9.4 note: the room is for members from now on.
fn put_out_strangers(cx: &mut Cx<'_>, channel: &mut Channel) -> Result<(), StoreError> {
    let occupants = &room(cx, channel).occupants;
    let mut people_inside: Vec<String> = occupants
        .iter()
        .filter(|one| one.affiliation <= ChannelAffiliation::None && one.way != Way::Participant)
        .map(|one| one.jid.bare_str().to_string())
        .collect();
    people_inside.sort();
    people_inside.dedup();
    for jid in people_inside {
        let member = people::member(cx, channel, &jid)?;
        if !access::belongs(&member) {
            put_out(
                cx,
                channel,
                (&jid, member.affiliation),
                (322, By::default()),
            )?;
        }
    }
    Ok(())
}

/// Voice is everybody's from now on. Who has it while that changes the other way keeps it.
fn give_voice(cx: &mut Cx<'_>, channel: &Channel) -> Result<(), StoreError> {
    let mut occupants = fan_out::take_occupants(cx, channel);
    let mut changed = Vec::new();
    for one in &mut occupants {
        let member = people::member(cx, channel, one.jid.bare_str())?;
        let role = access::role_of(channel, &member);
        if one.role < role {
            one.role = role;
            changed.push(one.clone());
        }
    }
    fan_out::put_back(cx, channel, occupants);
    announce_each(cx, channel, &changed, By::default());
    Ok(())
}
