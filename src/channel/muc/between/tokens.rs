//! XEP-0488: tokens by which people whose address nobody knows come into a room of members. They lie where invitations of MIX do,
//! but for nobody by name, and are given as a password.
use crate::channel::asked::{Asked, Row};
use crate::channel::mix::participants::invitations;
use crate::channel::people::standing::{self, By};
use crate::channel::{Channel, people};
use crate::feature::Reply;
use crate::state::{Cx, Fault, Role};
use crate::store::{ChannelAffiliation, InvitationRow, MemberRow, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{Condition, IqKind, Jid, StanzaError, Timestamp, ns};

use super::mediated;
use crate::channel::muc::rulers::lists;

pub const NS: &str = "urn:xmpp:muc-token-invite:0";
/// §4.3: how long one holds good at most, and if nobody says.
const SECONDS_MAX: u32 = 31 * 24 * 3_600;
/// As often as anybody likes.
const UNCOUNTED: u32 = u32::MAX;
/// Bytes of what is given as a password.
const TOKEN_BYTES_MAX: usize = 128;

pub const ROWS: &[Row] = &[
    (IqKind::Set, NS, "request", request),
    (IqKind::Get, NS, "tokens", list),
    (IqKind::Set, NS, "revoke", revoke),
];

/// §4.2
fn request(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_may_invite(cx, asked)?;
    let number = |name| {
        let text = asked.payload.attribute(name);
        let number = text.map(|text| text.trim().parse::<u32>());
        number.transpose().map_err(|_| Condition::BadRequest)
    };
    let (delay, counter) = (number("delay")?, number("counter")?);
    if delay == Some(0) || counter == Some(0) {
        return Err(Condition::BadRequest.into());
    }
    cx.require_disk_space()?;
    let inviter = asked.who.as_str();
    invitations::make_room(cx, &asked.channel, (inviter, ""))?;
    let seconds = delay.unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
    let expires = cx.now.wall.0.saturating_add(i64::from(seconds) * 1_000);
    let row = InvitationRow {
        inviter: inviter.into(),
        invitee: String::new(),
        expires: Timestamp(expires),
        uses: counter.unwrap_or(UNCOUNTED),
    };
    let token = cx.new_secret_id();
    let channel = asked.channel.id();
    cx.tx.set_channel_invitation(channel, &token, Some(&row))?;
    let now = cx.now.wall;
    Ok(Reply::payload(|w| {
        write(w, (&token, &row), (now, Some(NS)));
    }))
}

/// A token makes members: it is for those to give who belong to the room.
fn require_may_invite(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(), Fault> {
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    match mediated::might_invite(&asked.channel, &member) {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}

/// With what is left of it.
fn write(
    w: &mut Writer<'_>,
    (token, row): (&str, &InvitationRow),
    (now, namespace): (Timestamp, Option<&str>),
) {
    match namespace {
        Some(namespace) => w.open_ns("token", namespace),
        None => w.open("token"),
    };
    let seconds = row.expires.0.saturating_sub(now.0) / 1_000;
    w.attr("delay", &seconds.to_string());
    if row.uses != UNCOUNTED {
        w.attr("counter", &row.uses.to_string());
    }
    w.text(token).close();
}

/// §4.6: their own; moderators see all.
fn list(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_may_invite(cx, asked)?;
    let all = cx.tx.channel_invitations(asked.channel.id())?;
    let mut shown = Vec::new();
    for (token, row) in all {
        if row.expires > cx.now.wall && is_for(cx, asked, &row)? {
            shown.push((token, row));
        }
    }
    let now = cx.now.wall;
    Ok(Reply::payload(|w| {
        w.open_ns("tokens", NS);
        for (token, row) in &shown {
            write(w, (token, row), (now, None));
        }
        w.close();
    }))
}

fn is_for(cx: &Cx<'_>, asked: &Asked<'_>, row: &InvitationRow) -> Result<bool, Fault> {
    let (_, role) = lists::rights(cx, asked)?;
    let is_theirs = row.inviter == asked.who.as_str() || role == Role::Moderator;
    Ok(row.invitee.is_empty() && is_theirs)
}

/// §4.7
fn revoke(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_may_invite(cx, asked)?;
    let token = asked.payload.text();
    let (token, channel) = (token.trim(), asked.channel.id());
    let row = match token.len() <= TOKEN_BYTES_MAX {
        true => cx.tx.channel_invitation(channel, token)?,
        false => None,
    };
    let row = row.ok_or(Condition::ItemNotFound)?;
    if !is_for(cx, asked, &row)? {
        return Err(Condition::ItemNotFound.into());
    }
    cx.tx.set_channel_invitation(channel, token, None)?;
    Ok(Reply::Empty)
}

/// §4.5: a token that whoever comes in has, and needs. Whoever gave it could still give it.
pub fn given(
    cx: &Cx<'_>,
    channel: &Channel,
    member: &MemberRow,
    x: ElementRef<'_>,
) -> Result<Option<String>, Fault> {
    let given = x.child("password", ns::MUC).map(|given| given.text());
    let is_stranger = member.affiliation == ChannelAffiliation::None;
    let given = given.filter(|it| is_stranger && it.len() <= TOKEN_BYTES_MAX);
    let Some(token) = given.as_deref().filter(|_| !channel.row.locked) else {
        return Ok(None);
    };
    let Some(row) = cx.tx.channel_invitation(channel.id(), token)? else {
        return Ok(None);
    };
    let holds = row.invitee.is_empty()
        && row.uses > 0
        && row.expires > cx.now.wall
        && mediated::might_invite(channel, &people::member(cx, channel, &row.inviter)?);
    if holds {
        people::require_room(cx, channel, u64::from(*member == MemberRow::default()))?;
    }
    Ok(holds.then(|| token.to_string()))
}

/// They come in, and are members.
pub fn use_up(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    jid: &Jid,
    token: &str,
) -> Result<(), StoreError> {
    let Some(row) = cx.tx.channel_invitation(channel.id(), token)? else {
        return Ok(());
    };
    let left = InvitationRow {
        uses: match row.uses {
            UNCOUNTED => UNCOUNTED,
            uses => uses.saturating_sub(1),
        },
        ..row
    };
    let left = (left.uses > 0).then_some(&left);
    cx.tx.set_channel_invitation(channel.id(), token, left)?;
    let made = (ChannelAffiliation::Member, By::default());
    standing::set_affiliation(cx, channel, jid.bare_str(), made)
}

/// §4.5: where no password is needed, it was a token that is of no use any more.
pub const EXPIRED: StanzaError =
    StanzaError::new(Condition::NotAuthorized).application("expired-token", NS);
