//! The people of a channel: what is known of each, by bare JID.
pub mod access;
pub mod changed;
pub mod nick;
pub mod rulers;
pub mod standing;

use crate::state::{Cx, Fault, ParticipantId};
use crate::store::{ChannelAffiliation, ChannelRow, MemberRow, StoreError};
use crate::xmpp::{BareJid, Condition, StanzaError, folded_nick};

use super::{Channel, change};

/// Members that are read at a time.
const READ_AT_A_TIME: usize = 250;

/// What is known of somebody; nothing of most.
pub fn member(cx: &Cx<'_>, channel: &Channel, jid: &str) -> Result<MemberRow, StoreError> {
    match channel.row.members {
        0 => Ok(MemberRow::default()),
        _ => Ok(cx.tx.member(channel.id(), jid)?.unwrap_or_default()),
    }
}

/// What is said of all of the domain of somebody (XEP-0406 §2.2, §2.3).
pub fn of_domain(
    cx: &Cx<'_>,
    of: &ChannelRow,
    jid: &str,
) -> Result<ChannelAffiliation, StoreError> {
    let domain = jid.split_once('@').map(|(_, domain)| domain);
    let known = match domain.filter(|_| of.members > 0) {
        Some(domain) => cx.tx.member(of.id, domain)?,
        None => None,
    };
    Ok(known.unwrap_or_default().affiliation)
}

/// What is known of somebody, and what is said of all of their domain: a ban comes before everything but ruling the channel. Not
/// to be written down.
pub fn with_domain(cx: &Cx<'_>, of: &ChannelRow, jid: &str) -> Result<MemberRow, StoreError> {
    if of.members == 0 {
        return Ok(MemberRow::default());
    }
    let mut row = cx.tx.member(of.id, jid)?.unwrap_or_default();
    if row.affiliation <= ChannelAffiliation::Member {
        row.affiliation = match of_domain(cx, of, jid)? {
            ChannelAffiliation::None => row.affiliation,
            ChannelAffiliation::Outcast => ChannelAffiliation::Outcast,
            _ if row.affiliation == ChannelAffiliation::None => ChannelAffiliation::Member,
            _ => row.affiliation,
        };
    }
    Ok(row)
}

/// They are in it now, by whatever session. `jid`: a bare one.
pub fn is_inside(cx: &Cx<'_>, channel: &Channel, jid: &str) -> bool {
    let room = cx.state.rooms.get(channel.id());
    room.is_some_and(|room| room.of_person(jid).next().is_some())
}

/// Bare JIDs of all who joined.
pub fn participants(cx: &Cx<'_>, channel: &Channel) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    if channel.row.participants > 0 {
        each(cx, channel, &mut |jid, row| {
            if row.participation.is_some() {
                found.push(jid);
            }
        })?;
    }
    Ok(found)
}

/// Everybody of whom anything is known, in order of JID.
pub fn each(
    cx: &Cx<'_>,
    channel: &Channel,
    visit: &mut dyn FnMut(String, MemberRow),
) -> Result<(), StoreError> {
    let mut behind = String::new();
    loop {
        let rows = cx
            .tx
            .members_behind(channel.id(), &behind, READ_AT_A_TIME)?;
        let Some((last, _)) = rows.last() else {
            return Ok(());
        };
        behind.clone_from(last);
        for (jid, row) in rows {
            visit(jid, row);
        }
    }
}

/// The stable id of somebody.
pub fn id_of(cx: &Cx<'_>, channel: &Channel, jid: &str) -> ParticipantId {
    cx.state.participant_ids.of(channel.id(), jid)
}

/// Writes down what became of somebody; who is told is for others to do.
pub fn set(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    jid: &str,
    row: &MemberRow,
) -> Result<(), StoreError> {
    let before = member(cx, channel, jid)?;
    let key = |row: &MemberRow| row.nick.as_deref().and_then(folded_nick);
    let (held, holds) = (key(&before), key(row));
    let takes_otherwise = before.participation != row.participation
        || (row.participation.is_some() && before.affiliation != row.affiliation);
    change(cx, channel, |cx, channel| {
        let nicks = (held.as_deref(), holds.as_deref());
        let mut row = row.clone();
        if row.affiliation != before.affiliation {
            // XEP-0463 §3.
            channel.version += 1;
            row.version = channel.version;
        }
        if row.is_empty() {
            let changed = row.version.max(before.version);
            channel.known_from = channel.known_from.max(changed);
        }
        cx.tx.set_member(channel, jid, &row, nicks)
    })?;
    if takes_otherwise && let Some(room) = cx.state.rooms.get_mut(channel.id()) {
        room.takers = None;
    }
    Ok(())
}

pub fn make_owner(cx: &mut Cx<'_>, channel: &mut Channel, jid: &BareJid) -> Result<(), Fault> {
    let mut row = member(cx, channel, jid.as_str())?;
    row.affiliation = ChannelAffiliation::Owner;
    Ok(set(cx, channel, jid.as_str(), &row)?)
}

/// There is room for so many more that must be remembered.
pub fn require_room(cx: &Cx<'_>, channel: &Channel, more: u64) -> Result<(), Fault> {
    let members_max = u64::try_from(cx.state.settings.channel_members_max).unwrap_or(u64::MAX);
    match more > 0 && channel.row.members.saturating_add(more) > members_max {
        true => Err(StanzaError::new(Condition::ResourceConstraint)
            .text("The channel knows as many people as it may.")
            .into()),
        false => Ok(()),
    }
}
