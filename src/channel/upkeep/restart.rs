//! Rooms over a restart in order: whoever may resume their session (XEP-0198 §5) is in them still, and was sent nothing that
//! their session did not keep; what happens in others they hear as before (XEP-0437). After a crash nobody is in: a ping to
//! oneself (XEP-0410) says so.
use std::collections::HashMap;
use std::rc::Rc;

use crate::state::{Cx, Occupant, Role, State, Way};
use crate::store::{ChannelId, OccupantRow, StoreError, Tx};
use crate::xmpp::{BareJid, Jid};

use crate::channel::people::nick::Nick;

/// Beside the role: it is the presence of a participant (XEP-0403).
const OF_PARTICIPANT: u8 = 0x10;
/// Their session watches the room, and was told of it. Who does no more than that has no nick.
const WATCHES: u8 = 0x20;
const TOLD: u8 = 0x40;
const ROLE: u8 = 0x0f;
/// Where a session watches that knows no room yet.
const NOWHERE: ChannelId = ChannelId(0);

/// The server stops: who is in which room is written down.
pub fn keep(cx: &mut Cx<'_>) -> Result<(), StoreError> {
    let rooms = cx.state.rooms.all();
    let occupants = rooms.flat_map(|room| room.occupants.iter().map(|one| (room.row.id, one)));
    // Who is shown for what they said is shown again when they say something.
    let kept = occupants.filter(|(_, one)| !one.jid.is_bare());
    let mut rows: HashMap<_, OccupantRow> = kept
        .map(|(channel, one)| {
            let row = OccupantRow {
                nick: one.nick.to_string(),
                role: match one.way {
                    Way::Participant => one.role.number() | OF_PARTICIPANT,
                    _ => one.role.number(),
                },
                presence: one.presence.to_string(),
            };
            ((channel, one.jid.clone()), row)
        })
        .collect();
    for (session, room, told) in cx.state.watchers.all() {
        if let Some(session) = cx.state.sessions.get(session) {
            let key = (room.unwrap_or(NOWHERE), session.jid.clone().into());
            rows.entry(key).or_default().role |= WATCHES | if told { TOLD } else { 0 };
        }
    }
    for ((channel, jid), row) in rows {
        cx.tx.keep_occupant(channel, jid.as_str(), &row)?;
    }
    Ok(())
}

/// The server starts after it stopped in order.
pub fn restore(state: &mut State, tx: &mut Tx, now_ms: u64) -> Result<(), StoreError> {
    for (channel, jid, row) in tx.kept_occupants()? {
        let session = Jid::parse(&jid).ok().and_then(|jid| {
            let session = state.sessions.find(&jid)?;
            Some(session.id)
        });
        if let Some(session) = session.filter(|_| row.role & WATCHES != 0) {
            let room = Some(channel).filter(|channel| *channel != NOWHERE);
            let told = row.role & TOLD != 0;
            state.watchers.restore(session, room, told);
        }
        if let Some(occupant) = occupant(state, tx, channel, (&jid, &row))?
            && let Some(name) = tx.channel_name(channel)?
            && let Some(known) = tx.channel(&name)?
        {
            let room = state.rooms.open(&name, &Rc::new(known), now_ms);
            room.enter(occupant);
        }
    }
    tx.forget_kept_occupants()
}

/// `None`: their session is there no more.
fn occupant(
    state: &State,
    tx: &Tx,
    channel: ChannelId,
    (jid, row): (&str, &OccupantRow),
) -> Result<Option<Occupant>, StoreError> {
    let Ok(jid) = Jid::parse(jid) else {
        return Ok(None);
    };
    let (Some(session), Ok(nick)) = (state.sessions.find(&jid), Nick::parse(&row.nick)) else {
        return Ok(None);
    };
    let bare: BareJid = jid.to_bare();
    let member = tx.member(channel, bare.as_str())?.unwrap_or_default();
    let is_participant = row.role & OF_PARTICIPANT != 0;
    if is_participant && member.participation.is_none() {
        return Ok(None);
    }
    Ok(Some(Occupant {
        way: match is_participant {
            true => Way::Participant,
            false => Way::Session(session.id),
        },
        nick: nick.text,
        key: nick.key,
        id: state.participant_ids.of(channel, bare.as_str()),
        affiliation: member.affiliation,
        role: Role::numbered(row.role & ROLE),
        presence: row.presence.as_str().into(),
        jid,
    }))
}
