//! The service that channels are at: what it says of itself, and which of them somebody may find (XEP-0030, XEP-0045 §6.1 to
//! §6.3, XEP-0369 §6.1, §6.2).
pub mod asked;
pub mod search;
pub mod specs;

use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{ChannelRow, StoreError};
use crate::xmpp::{BareJid, Condition, Iq, IqKind, Rsm, RsmStart, ns};

use super::config::{Config, field};
use super::people::{self, access};
use super::{avatar, mix, muc};
use asked::{Asked, Row};

/// Channels on one page of a list.
const PAGE_MAX: usize = 250;
/// Rows that are looked at for a page.
const LOOK_MAX: usize = 2_000;

const TABLES: &[&[Row]] = &[
    &[
        (IqKind::Get, ns::DISCO_INFO, "query", info),
        (IqKind::Get, ns::DISCO_ITEMS, "query", items),
        (IqKind::Get, "urn:xmpp:ping", "ping", ping),
    ],
    search::ROWS,
    mix::SERVICE_ROWS,
];

pub fn iq(cx: &mut Cx<'_>, iq: &Iq) -> Result<Reply, Fault> {
    let from = iq.envelope.from.as_ref().ok_or(Condition::BadRequest)?;
    let payload = iq.payload();
    let is_it = |row: &&Row| row.0 == iq.kind && payload.is(row.2, row.1);
    let row = TABLES.iter().find_map(|rows| rows.iter().find(is_it));
    let (.., handler) = row.ok_or(Condition::ServiceUnavailable)?;
    let asked = Asked {
        payload,
        who: from.to_bare(),
    };
    handler(cx, &asked)
}

/// XEP-0408 §4: both protocols, one service.
fn info(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    if let Some(node) = asked.payload.attribute("node")
        && node != "mix"
    {
        return Err(Condition::ItemNotFound.into());
    }
    let is_user = cx.state.domains.is_served(asked.who.as_jid());
    let may_create = cx.state.settings.channels_create && is_user;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_INFO)
            .attr_opt("node", asked.payload.attribute("node").as_deref());
        for kind in ["text", "mix"] {
            w.open("identity")
                .attr("category", "conference")
                .attr("type", kind)
                .attr("name", "Channels")
                .close();
        }
        let mut feature = |var: &str| {
            w.open("feature").attr("var", var).close();
        };
        for var in [
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            ns::MUC,
            "http://jabber.org/protocol/muc#stable_id",
            ns::MIX,
            "urn:xmpp:mix:core:1#searchable",
            ns::RSM,
            search::NS,
            avatar::NS,
            muc::watch::NS,
            "urn:xmpp:ping",
            "urn:xmpp:noreply:0",
        ] {
            feature(var);
        }
        if may_create {
            feature("urn:xmpp:mix:core:1#create-channel");
        }
        if is_user {
            feature("urn:xmpp:mix:misc:0#nick-register");
        }
        w.close();
    }))
}

/// One that somebody may find.
pub struct Found {
    pub name: String,
    pub row: ChannelRow,
}

/// Channels that somebody may find, in order of name, from behind one on; whether there are more.
pub fn findable(
    cx: &Cx<'_>,
    who: &BareJid,
    behind: &str,
    max: usize,
) -> Result<(Vec<Found>, bool), StoreError> {
    let mut found = Vec::new();
    // Whoever is no user here is told of none.
    if !cx.state.domains.is_served(who.as_jid()) {
        return Ok((found, false));
    }
    let mut behind = behind.to_string();
    let mut looked = 0;
    while looked < LOOK_MAX {
        let rows = cx.tx.channels_behind(&behind, PAGE_MAX)?;
        looked += rows.len();
        let is_end = rows.len() < PAGE_MAX;
        for (name, row) in rows {
            behind.clone_from(&name);
            if !may_find(cx, &row, who)? {
                continue;
            }
            if found.len() == max {
                return Ok((found, true));
            }
            found.push(Found { name, row });
        }
        if is_end {
            return Ok((found, false));
        }
    }
    Ok((found, true))
}

fn may_find(cx: &Cx<'_>, row: &ChannelRow, who: &BareJid) -> Result<bool, StoreError> {
    if row.locked {
        return Ok(false);
    }
    let member = people::with_domain(cx, row, who.as_str())?;
    let is_out = member.affiliation == crate::store::ChannelAffiliation::Outcast;
    Ok(!is_out && (row.flag(field::PUBLIC) || access::belongs(&member)))
}

fn items(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let is_paged = asked.payload.child("set", ns::RSM).is_some();
    let page = page(cx, asked)?;
    let Page { found, more, .. } = &page;
    let domain = cx.state.domains.channels().unwrap_or_default().to_string();
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS)
            .attr_opt("node", asked.payload.attribute("node").as_deref());
        for one in found {
            let name = match one.row.text(field::NAME) {
                "" => &one.name,
                name => name,
            };
            let jid = format!("{}@{domain}", one.name);
            w.open("item").attr("jid", &jid).attr("name", name).close();
        }
        if is_paged || *more {
            let ends = found.first().zip(found.last());
            let ends = ends.map(|(first, last)| (&*first.name, &*last.name));
            Rsm::write_answer(w, ends, page.index, page.count);
        }
        w.close();
    }))
}

struct Page {
    found: Vec<Found>,
    more: bool,
    index: Option<u64>,
    count: Option<u64>,
}

/// XEP-0059. Of very many nobody counts how many somebody may find: they are told of them forwards only.
fn page(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<Page, Fault> {
    let rsm = Rsm::parse(asked.payload)?;
    let (mut all, is_cut) = findable(cx, &asked.who, "", LOOK_MAX)?;
    if is_cut {
        let behind = match &rsm.start {
            RsmStart::First => "",
            RsmStart::After(name) => name,
            _ => return Err(Condition::FeatureNotImplemented.into()),
        };
        let max = rsm.max.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let (found, more) = findable(cx, &asked.who, behind, max)?;
        let (index, count) = (None, None);
        return Ok(Page {
            found,
            more,
            index,
            count,
        });
    }
    let len = all.len();
    // Whatever went meanwhile had its place among the others.
    let span = rsm.span(len, PAGE_MAX, &|name| {
        let before = all.partition_point(|one| one.name.as_str() < name);
        Some(before..all.partition_point(|one| one.name.as_str() <= name))
    })?;
    let more = span.end < len;
    let index = u64::try_from(span.start).ok();
    all.truncate(span.end);
    Ok(Page {
        found: all.split_off(span.start.min(all.len())),
        more,
        index,
        count: u64::try_from(len).ok(),
    })
}

fn ping(_cx: &mut Cx<'_>, _asked: &Asked<'_>) -> Result<Reply, Fault> {
    Ok(Reply::Empty)
}

/// Occupants and participants of a channel, each person once.
pub fn people_of(cx: &Cx<'_>, row: &ChannelRow) -> u64 {
    let room = cx.state.rooms.get(row.id);
    let present = room.map_or(0, |room| room.nicks().len());
    row.participants
        .max(u64::try_from(present).unwrap_or_default())
}
