//! XEP-0054 and XEP-0292: one person in two forms. What is written in one is in the other; what only one of them can say
//! stays in it. The picture is the avatar (XEP-0398): it lies in the avatar's node only, a vcard-temp shows it to those who
//! may read it there, and a vCard4, which lies in a node itself, if everybody may.
//!
//! What its owner shows only to some of a vCard4 is shown to nobody else as a vcard-temp, which is public as long as there is
//! no other: the access model of the node counts, and that of the avatar's for the picture.
//!
//! A vcard-temp without a picture takes the avatar away, for it was shown with one; a vCard4 without one does not, for those
//! who write that set avatars by their nodes.
use crate::pubsub::{self, NewItem, Owner, What, access};
use crate::state::{Cx, Fault};
use crate::store::AccountId;
use crate::xml::{Element, ElementRef, parse_stored};
use crate::xmpp::{BareJid, Jid};

use super::avatars::{self, photo_of};
use super::image;
use super::vcard_forms::{
    FOUR_NS, TEMP_NS, four_of_temp, four_photo, photo, temp_of_four, with_photo,
};

/// The node of a vCard4, and the id of the item that is made here.
pub const FOUR: &str = "urn:xmpp:vcard4";
const CURRENT: &str = "current";
/// Where the picture stands in what is stored.
const PLACE: &str = "<PHOTO/>";
const EMPTY_TEMP: &str = "<vCard xmlns='vcard-temp'/>";

/// As it is shown to somebody; `None`: there is nothing to show.
pub fn temp(
    cx: &Cx<'_>,
    owner: &Owner,
    account: AccountId,
    who: &Jid,
) -> Result<Option<String>, Fault> {
    let mut stored = cx.tx.vcard(account)?;
    if let Some(node) = pubsub::node(cx, owner, FOUR)?
        && !access::can(cx, owner, &node, who, What::Read)?
    {
        stored = None;
    }
    let picture = avatars::picture(cx, owner, account, who)?;
    let element = parsed(stored.as_deref().unwrap_or(EMPTY_TEMP));
    let has_own = element
        .root()
        .child("PHOTO", TEMP_NS)
        .is_some_and(|photo| photo.children().next().is_some());
    Ok(match picture {
        Some(picture) if !has_own => {
            let photo = photo(&picture.kind, &picture.text);
            Some(with_photo(element.root(), &photo))
        }
        _ if has_own => stored,
        _ => stored.map(|_| with_photo(element.root(), "")),
    })
}

/// A vCard of a database of before has its picture in it: that becomes the avatar, once.
pub fn adopt(cx: &mut Cx<'_>, jid: &BareJid, account: AccountId) -> Result<(), Fault> {
    if cx.state.disk_low || cx.tx.avatar(account)?.is_some() {
        return Ok(());
    }
    let Some(vcard) = cx.tx.vcard(account)? else {
        return Ok(());
    };
    if !vcard.contains("BINVAL") {
        return Ok(());
    }
    let element = parsed(&vcard);
    match photo_of(element.root().child("PHOTO", TEMP_NS)) {
        Ok(Some(_)) => set_temp(cx, &Owner::account(jid, account), account, &vcard),
        _ => Ok(()),
    }
}

/// Somebody writes their vcard-temp.
pub fn set_temp(
    cx: &mut Cx<'_>,
    owner: &Owner,
    account: AccountId,
    xml: &str,
) -> Result<(), Fault> {
    let element = parsed(xml);
    let temp = element.root();
    let is_avatar = set_photo(cx, owner, account, &element, true)?;
    let stored = match is_avatar {
        true => with_photo(temp, PLACE),
        false => xml.to_string(),
    };
    cx.tx.set_vcard(account, &stored)?;
    let without = parsed(&with_photo(temp, ""));
    let said = if is_avatar { without.root() } else { temp };
    let before = four(cx, owner)?;
    let four = four_of_temp(said, before.as_ref().map(Element::root));
    publish_four(cx, owner, account, &parsed(&four))
}

/// A vCard4 was written to its node, or went from it.
pub fn four_changed(cx: &mut Cx<'_>, owner: &Owner, account: AccountId) -> Result<(), Fault> {
    let before = cx.tx.vcard(account)?;
    let before = before.map(|before| parsed(&before));
    let four = four(cx, owner)?;
    if before.is_none() && four.is_none() {
        return Ok(());
    }
    let empty = parsed(&format!("<vcard xmlns='{FOUR_NS}'/>"));
    let temp = temp_of_four(
        four.as_ref().unwrap_or(&empty).root(),
        before.as_ref().map(Element::root),
    );
    let element = parsed(&temp);
    let stored = match set_photo(cx, owner, account, &element, false)? {
        true => with_photo(element.root(), PLACE),
        false => temp,
    };
    Ok(cx.tx.set_vcard(account, &stored)?)
}

/// The picture of a vcard-temp becomes the avatar, if it can. False: it stays in the vcard-temp.
fn set_photo(
    cx: &mut Cx<'_>,
    owner: &Owner,
    account: AccountId,
    temp: &Element,
    none_is_none: bool,
) -> Result<bool, Fault> {
    let is_now = cx.tx.avatar(account)?;
    let Ok(picture) = photo_of(temp.root().child("PHOTO", TEMP_NS)) else {
        return Ok(false);
    };
    let is_it = |picture: &[u8]| {
        is_now
            .as_ref()
            .is_some_and(|now| now.id == image::id(picture))
    };
    let set = match picture {
        Some(picture) if is_it(&picture) => Ok(()),
        Some(picture) => avatars::set(cx, owner, &picture),
        None if none_is_none && is_now.is_some() => avatars::disable(cx, owner),
        None => Ok(()),
    };
    match set {
        // No room for it in the nodes.
        Err(Fault::Stanza(_)) => Ok(false),
        Err(error) => Err(error),
        Ok(()) => {
            avatars::advertise(cx, owner)?;
            Ok(true)
        }
    }
}

/// The avatar changed: a vCard4 shows the new one, if it is for everybody.
pub fn show_photo(cx: &mut Cx<'_>, owner: &Owner, account: AccountId) -> Result<(), Fault> {
    match four(cx, owner)? {
        Some(four) => publish_four(cx, owner, account, &four),
        None => Ok(()),
    }
}

fn four(cx: &Cx<'_>, owner: &Owner) -> Result<Option<Element>, Fault> {
    let Some(node) = pubsub::node(cx, owner, FOUR)? else {
        return Ok(None);
    };
    let item = pubsub::last_item(cx, &node)?;
    let four = item.and_then(|item| parse_stored(&item.payload, "").ok());
    Ok(four.filter(|four| four.root().is("vcard", FOUR_NS)))
}

/// With the picture, if it is for everybody. What is too large for a node is not there.
fn publish_four(
    cx: &mut Cx<'_>,
    owner: &Owner,
    account: AccountId,
    four: &Element,
) -> Result<(), Fault> {
    let mut picture = None;
    if avatars::is_public(cx, owner)? {
        picture = avatars::picture(cx, owner, account, owner.jid.as_jid())?;
    }
    let root = four.root();
    let new = match picture {
        Some(picture) => with_photo(root, &four_photo(&picture.kind, &picture.text)),
        None if shows_data(root) => with_photo(root, ""),
        None => root.source().to_string(),
    };
    let is_so = self::four(cx, owner)?.is_some_and(|now| now.root().source() == new);
    if is_so {
        return Ok(());
    }
    let item = NewItem {
        id: Some(CURRENT.into()),
        payload: new.into(),
    };
    let own = owner.jid.as_jid();
    match pubsub::publish(cx, owner, FOUR, vec![item], own, None) {
        Err(Fault::Store(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// The picture itself is in it, not where to find it.
fn shows_data(four: ElementRef<'_>) -> bool {
    let photo = four.child("photo", FOUR_NS);
    let uri = photo.and_then(|photo| photo.child("uri", FOUR_NS));
    uri.is_some_and(|uri| uri.text().trim_start().starts_with("data:"))
}

/// What is stored was checked; what is not what it was says nothing.
fn parsed(xml: &str) -> Element {
    let checked = parse_stored(xml, "").or_else(|_| parse_stored(EMPTY_TEMP, ""));
    checked.expect("an empty element is well-formed")
}
