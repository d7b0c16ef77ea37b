//! Who is what in a channel, and what follows when that changes, for both protocols: one change, written once, told to all
//! (XEP-0045 §8.2 to §9, §10.3 to §10.8, XEP-0406).
use crate::state::{Cx, Occupant, Role, Urgency, Way};
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xmpp::ns;

use super::access;
use crate::channel::config::{Config, field};
use crate::channel::mix::participants::leave as leave_channel;
use crate::channel::mix::participants::told::{self, Left};
use crate::channel::muc::occupants::{leave, tell};
use crate::channel::muc::rulers::versions;
use crate::channel::said::fan_out;
use crate::channel::{Channel, people, room};

/// Who changed it, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct By<'a> {
    /// Their nick.
    pub actor: Option<&'a str>,
    pub reason: Option<&'a str>,
    /// XEP-0463: the versions between which it changed.
    versions: Option<&'a str>,
}

impl<'a> By<'a> {
    pub fn new(actor: Option<&'a str>, reason: Option<&'a str>) -> By<'a> {
        let versions = None;
        By {
            actor,
            reason,
            versions,
        }
    }
}

/// An affiliation of somebody, by bare JID, present or not.
pub fn set_affiliation(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    jid: &str,
    (affiliation, by): (ChannelAffiliation, By<'_>),
) -> Result<(), StoreError> {
    let before = people::member(cx, channel, jid)?;
    if before.affiliation == affiliation {
        return Ok(());
    }
    let mut now = before.clone();
    now.affiliation = affiliation;
    now.reason = by.reason.unwrap_or_default().into();
    let of_domain = people::of_domain(cx, &channel.row, jid)?;
    let is_out = is_put_out(channel, affiliation) && of_domain <= ChannelAffiliation::None;
    if is_out {
        now = MemberRow {
            affiliation,
            reason: now.reason,
            ..MemberRow::default()
        };
    }
    if affiliation >= ChannelAffiliation::Admin {
        now.muted = false;
    }
    people::set(cx, channel, jid, &now)?;
    let versions = versions::changed(channel);
    let by = By {
        versions: Some(&versions),
        ..by
    };
    if before.participation.is_some() && is_out {
        told::left(cx, channel, jid, &before, Left::PutOut)?;
    }
    told::access_changed(cx, channel, jid, &before, &now)?;
    match people::is_inside(cx, channel, jid) {
        false => tell_of_absent(cx, channel, (jid, &now), &versions),
        true if is_out => {
            let code = put_out_code(affiliation);
            put_out(cx, channel, (jid, affiliation), (code, by))?;
        }
        true => change_present(cx, channel, (jid, &now), by),
    }
    if !jid.contains('@') {
        put_out_domain(cx, channel, jid)?;
    }
    Ok(())
}

/// §9.2, §9.4: whoever has this affiliation cannot be in it.
fn is_put_out(channel: &Channel, affiliation: ChannelAffiliation) -> bool {
    affiliation == ChannelAffiliation::Outcast
        || (affiliation == ChannelAffiliation::None && channel.row.flag(field::MEMBERS_ONLY))
}

fn put_out_code(affiliation: ChannelAffiliation) -> u16 {
    match affiliation {
        ChannelAffiliation::Outcast => 301,
        _ => 321,
    }
}

/// §9.3 and others: those who are inside see it in their presence.
fn change_present(cx: &mut Cx<'_>, channel: &Channel, (jid, now): (&str, &MemberRow), by: By<'_>) {
    let role = access::role_of(channel, now);
    let mut changed = Vec::new();
    for one in &mut room(cx, channel).occupants {
        if one.jid.bare_str() == jid {
            one.affiliation = now.affiliation;
            // Voice that was given stays; what an affiliation gives comes with it.
            one.role = match (one.role, role) {
                (Role::Moderator, role) => role,
                (had, role) => had.max(role),
            };
            changed.push(one.clone());
        }
    }
    announce_each(cx, channel, &changed, by);
}

/// Each nick once; the last one tells the others which version that makes.
pub(super) fn announce_each(cx: &mut Cx<'_>, channel: &Channel, changed: &[Occupant], by: By<'_>) {
    for (at, one) in changed.iter().enumerate() {
        let is_last = !changed
            .iter()
            .skip(at + 1)
            .any(|later| later.key == one.key);
        if is_last {
            let news = tell::News {
                reason: by.reason,
                actor: by.actor,
                versions: by.versions.filter(|_| at + 1 == changed.len()),
                own_versions: by.versions,
                ..tell::News::of(one)
            };
            tell::announce(cx, channel, &news);
        }
    }
}

/// All sessions of somebody leave, and are told why.
pub(super) fn put_out(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    (jid, affiliation): (&str, ChannelAffiliation),
    (code, by): (u16, By<'_>),
) -> Result<(), StoreError> {
    let occupants = &mut room(cx, channel).occupants;
    let gone: Vec<Occupant> = occupants
        .extract_if(.., |one| one.jid.bare_str() == jid)
        .collect();
    for (at, one) in gone.iter().enumerate() {
        let mut one = one.clone();
        one.affiliation = affiliation;
        let news = tell::News {
            codes: vec![code],
            reason: by.reason,
            actor: by.actor,
            versions: by.versions.filter(|_| at + 1 == gone.len()),
            own_versions: by.versions,
            ..tell::News::gone(&one)
        };
        // Each nick is gone once.
        if !gone.iter().skip(at + 1).any(|later| later.key == one.key) {
            tell::announce_to_others(cx, channel, &news);
        }
        tell::to_self(cx, channel, &news, (one.way, &one.jid));
    }
    leave::settle(cx, channel)
}

/// XEP-0406 §3.3: whoever of a domain may not be in it any more.
fn put_out_domain(cx: &mut Cx<'_>, channel: &mut Channel, domain: &str) -> Result<(), StoreError> {
    let is_of = |jid: &str| jid.split_once('@').is_some_and(|(_, of)| of == domain);
    let mut found: Vec<String> = people::participants(cx, channel)?;
    let occupants = &room(cx, channel).occupants;
    found.extend(occupants.iter().map(|one| one.jid.bare_str().to_string()));
    found.retain(|jid| is_of(jid));
    found.sort();
    found.dedup();
    for jid in found {
        let affiliation = people::with_domain(cx, &channel.row, &jid)?.affiliation;
        if !is_put_out(channel, affiliation) {
            continue;
        }
        let before = people::member(cx, channel, &jid)?;
        if before.participation.is_some() {
            leave_channel::end(cx, channel, (&jid, &before), Left::PutOut)?;
        }
        if people::is_inside(cx, channel, &jid) {
            let code = put_out_code(affiliation);
            put_out(cx, channel, (&jid, affiliation), (code, By::default()))?;
        }
    }
    Ok(())
}

/// §9: what somebody who is not there is from now on, for those who may know who it is. COMPAT(Dino, Gajim): without a type.
fn tell_of_absent(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (jid, now): (&str, &MemberRow),
    versions: &str,
) {
    let occupants = fan_out::take_occupants(cx, channel);
    for one in &occupants {
        if one.way == Way::Participant || !access::shows_jid(channel, one.role) {
            continue;
        }
        let stanza = cx.write(|w| {
            w.open("message")
                .attr("from", channel.jid.as_str())
                .attr("to", one.jid.as_str());
            w.open_ns("x", ns::MUC_USER).raw(versions);
            w.open("item")
                .attr("affiliation", tell::affiliation_text(now.affiliation))
                .attr("jid", jid)
                .attr_opt("nick", now.nick.as_deref());
            if !now.reason.is_empty() {
                w.leaf("reason", &now.reason);
            }
            w.close().close().close();
        });
        fan_out::deliver(cx, one.way, &stanza.into(), Urgency::Now);
    }
    fan_out::put_back(cx, channel, occupants);
}

/// §8.2 to §8.4, §9.6: a role of whoever has a nick, by how it is compared, and of all else they have in the room. Whoever is kicked
/// takes part no more.
pub fn set_role(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    key: &str,
    (role, by): (Role, By<'_>),
) -> Result<(), StoreError> {
    let room_of = room(cx, channel);
    let Some(occupant) = room_of.of_nick(key).next().cloned() else {
        return Ok(());
    };
    let jid = occupant.jid.bare_str();
    let before = people::member(cx, channel, jid)?;
    if role == Role::None {
        if before.participation.is_some() {
            let now = MemberRow {
                participation: None,
                ..before.clone()
            };
            people::set(cx, channel, jid, &now)?;
            told::left(cx, channel, jid, &before, Left::PutOut)?;
        }
        return put_out(cx, channel, (jid, before.affiliation), (307, by));
    }
    let is_muted = role == Role::Visitor;
    if before.muted != is_muted && is_mute_kept(cx, channel, &before) {
        let now = MemberRow {
            muted: is_muted,
            ..before
        };
        people::set(cx, channel, jid, &now)?;
    }
    let mut changed = Vec::new();
    for one in &mut room(cx, channel).occupants {
        if one.jid.bare_str() == jid {
            one.role = role;
            changed.push(one.clone());
        }
    }
    announce_each(cx, channel, &changed, by);
    Ok(())
}

/// Whoever was muted is so when they come again. Strangers are remembered where they would have a voice, and as long as there
/// is room for people who belong here.
fn is_mute_kept(cx: &Cx<'_>, channel: &Channel, before: &MemberRow) -> bool {
    let is_known = *before != MemberRow::default();
    let half = cx.state.settings.channel_members_max / 2;
    let has_room = channel.row.members < u64::try_from(half).unwrap_or(u64::MAX);
    is_known || (has_room && access::role_of(channel, before) > Role::Visitor)
}
