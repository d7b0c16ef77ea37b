//! XEP-0486: the picture of a channel. There is one, whichever face it was given by: it lies in the nodes that channels have for
//! it (XEP-0407 §2), rooms show it in a vCard (XEP-0054), and the configuration has the hashes by which it is told of. That is
//! done in service discovery and by status 104; no presence comes from the address of the channel itself (§5.2).
use crate::feature::{Reply, avatars};
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, StoreError};
use crate::xml::parse_stored;
use crate::xmpp::{Condition, IqKind, StanzaError};

use super::asked::{Asked, Row};
use super::config::{Config, field, set_texts};
use super::mix::describe::require_seen;
use super::mix::nodes::{Node, avatar as nodes};
use super::people::{self, changed};
use super::{Channel, change};

pub const NS: &str = "vcard-temp";
/// §5.1: the same picture in several formats, each an item.
const PHOTOS_MAX: usize = 4;
/// Of the metadata where there is none.
const NONE: &str = "disabled";

pub const ROWS: &[Row] = &[
    (IqKind::Get, NS, "vCard", get),
    (IqKind::Set, NS, "vCard", set),
];

/// §4.4: for whoever may know of the channel. Where there is none, an empty one is no failure.
fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_seen(cx, asked)?;
    let channel = &asked.channel;
    let vcard = cx.tx.vcard(channel.id().archive())?;
    let vcard = vcard.unwrap_or_else(|| format!("<vCard xmlns='{NS}'/>"));
    let mut photos = String::new();
    for hash in hashes(channel) {
        let item = nodes::payload(cx, channel, (Node::AvatarData, Some(hash)))?;
        let picture = item.and_then(|item| avatars::named(hash, &item));
        photos.extend(picture.map(|picture| avatars::photo(&picture)));
    }
    let element = parse_stored(&vcard, "").map_err(|_| Condition::InternalServerError)?;
    let shown = avatars::with_photo(element.root(), &photos);
    Ok(Reply::Payload(shown.into_bytes()))
}

/// By which it is told of.
pub fn hashes(channel: &Channel) -> &[String] {
    match Node::AvatarData.is_there(channel) {
        true => channel.row.texts(field::AVATAR),
        false => &[],
    }
}

/// §4.2: the whole of it, every time; without a picture there is none any more.
fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_seen(cx, asked)?;
    require_may_set(cx, asked)?;
    let vcard = asked.payload.to_xml();
    let pictures = avatars::photos_of(asked.payload).ok();
    let pictures = pictures.filter(|pictures| pictures.len() <= PHOTOS_MAX);
    let (Some(pictures), true) = (pictures, vcard.len() <= cx.state.settings.private_bytes_max)
    else {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("The picture is too large, or none that is known.")
            .into());
    };
    cx.require_disk_space()?;
    let element = parse_stored(&vcard, "").map_err(|_| Condition::BadRequest)?;
    let without = avatars::with_photo(element.root(), "");
    let (channel, who) = (&mut asked.channel, &asked.who);
    cx.tx.set_vcard(channel.id().archive(), &without)?;
    let ids: Vec<String> = pictures
        .iter()
        .map(|picture| avatars::id(picture))
        .collect();
    if hashes(channel) == ids {
        return Ok(Reply::Empty);
    }
    for (id, picture) in ids.iter().zip(&pictures) {
        let item = (Node::AvatarData, id.as_str());
        nodes::put(cx, channel, who, item, avatars::data(picture))?;
    }
    let all: Vec<&[u8]> = pictures.iter().map(Vec::as_slice).collect();
    let item = (Node::AvatarMetadata, ids.first().map_or(NONE, |id| id));
    nodes::put(cx, channel, who, item, avatars::metadata(&all))?;
    settle(cx, channel)?;
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
    if member.affiliation < least {
        return Err(Condition::Forbidden.into());
    }
    match Node::AvatarData.is_there(&asked.channel) {
        true => Ok(()),
        false => Err(Condition::ServiceUnavailable.into()),
    }
}

/// The nodes have changed: rooms are told of what is in them now.
pub fn settle(cx: &mut Cx<'_>, channel: &mut Channel) -> Result<(), StoreError> {
    let metadata = nodes::payload(cx, channel, (Node::AvatarMetadata, None))?;
    let mut found = Vec::new();
    for id in metadata.map_or_else(Vec::new, |metadata| avatars::told_of(&metadata)) {
        let item = nodes::payload(cx, channel, (Node::AvatarData, Some(&id)))?;
        let is_there = item.is_some_and(|item| avatars::named(&id, &item).is_some());
        if is_there && found.len() < PHOTOS_MAX {
            found.push(id);
        }
    }
    if channel.row.texts(field::AVATAR) == found {
        return Ok(());
    }
    change(cx, channel, |_, row| {
        set_texts(&mut row.config, field::AVATAR, found);
        Ok(())
    })?;
    changed::tell_codes(cx, channel, &[104]);
    Ok(())
}
