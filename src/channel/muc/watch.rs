//! XEP-0437: whoever tells the service that they want to know hears of rooms they belong to and are not in, once a room, when
//! something is said there. Where somebody left is written down only of those who do.
use crate::channel::Channel;
use crate::channel::people::{self, access};
use crate::state::{Cx, Fault, Occupant, Origin, SessionId, WATCHED_MAX, Way};
use crate::store::{ArchiveId, ArchiveQuery, ChannelId, Shows, StoreError};
use crate::xmpp::{Presence, PresenceKind};

pub const NS: &str = "urn:xmpp:rai:0";
/// Channels that are looked through for those one belongs to, at a time and together.
const LOOK_AT_A_TIME: usize = 250;
const LOOK_MAX: usize = 2_000;

/// §4: presence for the service itself.
pub fn presence(cx: &mut Cx<'_>, origin: Origin, presence: &Presence) -> Result<(), Fault> {
    let Origin::Session(session) = origin else {
        return Ok(());
    };
    match presence.kind {
        PresenceKind::Unavailable => cx.state.watchers.end(session),
        PresenceKind::Available if presence.element.root().child("rai", NS).is_some() => {
            begin(cx, session)?;
        }
        _ => {}
    }
    Ok(())
}

/// §5: where something was said since they were last in.
fn begin(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(jid) = cx.state.sessions.get(session).map(|it| it.jid.clone()) else {
        return Ok(());
    };
    let own = jid.to_bare();
    let mut rooms: Vec<(ChannelId, bool)> = Vec::new();
    let mut active: Vec<String> = Vec::new();
    let (mut behind, mut looked) = (String::new(), 0);
    while looked < LOOK_MAX && rooms.len() < WATCHED_MAX {
        let rows = cx.tx.channels_behind(&behind, LOOK_AT_A_TIME)?;
        let Some((last, _)) = rows.last() else { break };
        behind.clone_from(last);
        looked += rows.len();
        for (name, row) in rows.into_iter().filter(|(_, row)| row.members > 0) {
            let member = cx.tx.member(row.id, own.as_str())?;
            if !member.is_some_and(|member| access::belongs(&member)) {
                continue;
            }
            let left = cx.tx.left_channel_at(row.id, own.as_str())?;
            let is_active = match left {
                Some(left) if !is_inside(cx, row.id, session) => is_active(cx, row.id, left)?,
                _ => false,
            };
            rooms.push((row.id, is_active));
            if is_active {
                active.push(name);
            }
        }
    }
    cx.state.watchers.begin(session, rooms.into_iter());
    send(cx, session, &active);
    Ok(())
}

fn is_active(cx: &Cx<'_>, channel: ChannelId, left: ArchiveId) -> Result<bool, StoreError> {
    let query = ArchiveQuery {
        page_after: Some(ArchiveId(left.0.saturating_sub(1))),
        shows: Shows::Said,
        max: 1,
        ..ArchiveQuery::default()
    };
    let page = cx.tx.page(channel.archive(), &query)?;
    Ok(!page.stanzas.is_empty())
}

fn is_inside(cx: &Cx<'_>, channel: ChannelId, session: SessionId) -> bool {
    let room = cx.state.rooms.get(channel);
    let mut occupants = room.into_iter().flat_map(|room| &room.occupants);
    occupants.any(|one| one.way == Way::Session(session))
}

fn send(cx: &mut Cx<'_>, session: SessionId, names: &[String]) {
    let domain = cx.state.domains.channels().unwrap_or_default().to_string();
    let to = cx.state.sessions.get(session).map(|it| it.jid.to_string());
    let (Some(to), false) = (to, names.is_empty()) else {
        return;
    };
    cx.send(session, |w| {
        w.open("message").attr("from", &domain).attr("to", &to);
        w.open_ns("rai", NS);
        for name in names {
            w.leaf("activity", &format!("{name}@{domain}"));
        }
        w.close().close();
    });
}

/// §5: something was said that stays.
pub fn said(cx: &mut Cx<'_>, channel: &Channel) -> Result<(), StoreError> {
    for session in cx.state.watchers.waiting(channel.id()) {
        let Some(own) = cx.state.sessions.get(session).map(|it| it.jid.to_bare()) else {
            cx.state.watchers.end(session);
            continue;
        };
        let member = people::member(cx, channel, own.as_str())?;
        if is_inside(cx, channel.id(), session) || !access::belongs(&member) {
            continue;
        }
        cx.state.watchers.told(session, channel.id());
        send(cx, session, &[channel.name().to_string()]);
    }
    Ok(())
}

/// Somebody is not in it any more.
pub fn left(cx: &mut Cx<'_>, channel: &Channel, gone: &Occupant) -> Result<(), StoreError> {
    let Way::Session(session) = gone.way else {
        return Ok(());
    };
    let jid = gone.jid.bare_str();
    let belongs = access::belongs(&people::member(cx, channel, jid)?);
    if belongs && cx.state.watchers.left(session, channel.id()) && !cx.state.disk_low {
        let next = cx.tx.next_archive_id()?;
        cx.tx.set_left_channel_at(channel.id(), jid, next)?;
    }
    Ok(())
}
