//! What stays of a channel that its owners destroyed: for a while only they may make another at its address, for people's
//! clients go on entering it, and whoever else made it would hear what they say. Others are told where to go (XEP-0045 §10.9).
//! It stays while there is another, which may end before anybody knows of it.
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, StoreError, TombstoneRow};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, ns};

use crate::channel::Channel;

/// XEP-0045 §10.9: where to go instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Instead<'a> {
    pub jid: Option<&'a str>,
    pub reason: Option<&'a str>,
    pub password: Option<&'a str>,
}

/// How long.
const KEPT_MS: i64 = 31 * 24 * 3_600 * 1_000;
/// Tombstones of one person; the oldest go first.
const OF_ONE_MAX: usize = 20;
/// And of all.
const ALL_MAX: usize = 500;
/// Owners that are remembered.
const OWNERS_MAX: usize = 20;
/// People that are looked through for them.
const PEOPLE_MAX: usize = 10_000;

/// It is about to go.
pub fn set(cx: &mut Cx<'_>, channel: &Channel, instead: Instead<'_>) -> Result<(), StoreError> {
    // Nobody knows of it yet.
    if channel.row.locked {
        return Ok(());
    }
    let people = cx.tx.members_behind(channel.id(), "", PEOPLE_MAX)?;
    let owners = people
        .into_iter()
        .filter(|(_, row)| row.affiliation == ChannelAffiliation::Owner)
        .map(|(jid, _)| jid);
    let row = TombstoneRow {
        at: cx.now.wall,
        owners: owners.take(OWNERS_MAX).collect(),
        instead: instead.jid.unwrap_or_default().into(),
        reason: instead.reason.unwrap_or_default().into(),
    };
    make_room(cx, &row.owners)?;
    cx.tx.set_tombstone(channel.name(), Some(&row))
}

fn make_room(cx: &mut Cx<'_>, owners: &[String]) -> Result<(), StoreError> {
    let mut all = cx.tx.tombstones()?;
    all.sort_by_key(|(_, row)| row.at);
    let is_own = |row: &TombstoneRow| owners.iter().any(|owner| row.owners.contains(owner));
    let mut left = all.len();
    let mut own_left = all.iter().filter(|(_, row)| is_own(row)).count();
    for (name, row) in &all {
        let is_own = is_own(row);
        let is_one_too_many = left >= ALL_MAX || (is_own && own_left >= OF_ONE_MAX);
        if is_over(cx, row) || is_one_too_many {
            cx.tx.set_tombstone(name, None)?;
            left -= 1;
            own_left -= usize::from(is_own);
        }
    }
    Ok(())
}

fn is_over(cx: &Cx<'_>, row: &TombstoneRow) -> bool {
    cx.now.wall.0 >= row.at.0.saturating_add(KEPT_MS)
}

/// That of an address where there is no channel.
pub fn find(cx: &Cx<'_>, jid: &BareJid) -> Result<Option<TombstoneRow>, StoreError> {
    let row = cx.tx.tombstone(jid.local().unwrap_or_default())?;
    Ok(row.filter(|row| !is_over(cx, row)))
}

/// Whether somebody may make a channel of this address.
pub fn require_may_make(cx: &Cx<'_>, jid: &BareJid, who: &BareJid) -> Result<(), Fault> {
    match find(cx, jid)? {
        Some(row) if !row.owners.iter().any(|owner| owner == who.as_str()) => {
            Err(Condition::Gone.into())
        }
        _ => Ok(()),
    }
}

/// RFC 6120 §8.3.3.5: the error of whoever enters; where to go instead is an address as a URI.
pub fn write_error(w: &mut Writer<'_>, by: &BareJid, row: &TombstoneRow) {
    w.open("error")
        .attr("type", "cancel")
        .attr("by", by.as_str());
    w.open_ns("gone", ns::STANZAS);
    if !row.instead.is_empty() {
        w.text(&format!("xmpp:{}?join", row.instead));
    }
    w.close();
    if !row.reason.is_empty() {
        w.open_ns("text", ns::STANZAS).text(&row.reason).close();
    }
    w.close();
}

/// An account is gone: whoever has its name later owned nothing.
pub fn forget_owner(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    for (name, mut row) in cx.tx.tombstones()? {
        let before = row.owners.len();
        row.owners.retain(|owner| owner != jid.as_str());
        if row.owners.len() < before {
            cx.tx.set_tombstone(&name, Some(&row))?;
        }
    }
    Ok(())
}
