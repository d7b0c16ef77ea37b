//! XEP-0486: the picture of a channel. There is one, whichever face it was given by: it lies in the channel's vCard (XEP-0054),
//! its hashes in the configuration. It is told of in service discovery and by status 104; no presence comes from the address
//! of the channel itself (§5.2).
use crate::feature::{self, Reply};
use crate::state::{Cx, Fault};
use crate::store::ChannelAffiliation;
use crate::xmpp::{Condition, IqKind, StanzaError};

use super::config::{Config, field, set_texts};
use super::mix::describe::require_seen;
use super::route::{Asked, Row};
use super::{change, people, standing};

pub const NS: &str = "vcard-temp";
/// §5.1: the same picture in several formats.
const PHOTOS_MAX: usize = 4;

pub const ROWS: &[Row] = &[
    (IqKind::Get, NS, "vCard", get),
    (IqKind::Set, NS, "vCard", set),
];

/// §4.4: for whoever may know of the channel. Where there is none, an empty one is no failure.
fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_seen(cx, asked)?;
    let vcard = cx.tx.vcard(asked.channel.id().archive())?;
    let vcard = vcard.unwrap_or_else(|| format!("<vCard xmlns='{NS}'/>"));
    Ok(Reply::Payload(vcard.into_bytes()))
}

/// §4.2: the whole of it, every time; without a picture there is none any more.
fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_seen(cx, asked)?;
    require_may_set(cx, asked)?;
    let vcard = asked.payload.to_xml();
    let hashes = feature::photo_ids(asked.payload).ok();
    let hashes = hashes.filter(|hashes| hashes.len() <= PHOTOS_MAX);
    let (Some(hashes), true) = (hashes, vcard.len() <= cx.state.settings.private_bytes_max) else {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("The picture is too large, or none that is known.")
            .into());
    };
    cx.require_disk_space()?;
    let channel = &mut asked.channel;
    cx.tx.set_vcard(channel.id().archive(), &vcard)?;
    if channel.row.texts(field::AVATAR) == hashes {
        return Ok(Reply::Empty);
    }
    change(cx, channel, |_, row| {
        set_texts(&mut row.config, field::AVATAR, hashes);
        Ok(())
    })?;
    standing::tell_codes(cx, channel, &[104]);
    Ok(Reply::Empty)
}

/// XEP-0406 §2.4: `Avatar Nodes Update Rights`.
fn require_may_set(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(), Fault> {
    const PARTICIPANTS: u64 = 0;
    const ADMINS: u64 = 1;
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    let least = match asked.channel.row.number(field::AVATAR_RIGHTS) {
        PARTICIPANTS if member.participation.is_some() => ChannelAffiliation::None,
        PARTICIPANTS => ChannelAffiliation::Member,
        ADMINS => ChannelAffiliation::Admin,
        _ => ChannelAffiliation::Owner,
    };
    match member.affiliation >= least {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}
