//! XEP-0084: the avatar in its two nodes, and what is known of it elsewhere: the hash in presence (XEP-0153), the picture in
//! vCards (XEP-0398, XEP-0054, XEP-0292). There is one picture, in the data node, and its access model says who sees it.
//!
//! What is advertised is a picture that is there, is of a known kind, is no larger than `PHOTO_BYTES_MAX` and has the hash
//! that it is named by. Of a node that is closed to everybody nothing is told.
use crate::pubsub::config::field;
use crate::pubsub::{self, AccessModel, NewItem, Node, Owner, OwnerKind, What, access};
use crate::state::{Cx, Fault};
use crate::store::{AccountId, Avatar};
use crate::xml::{ElementRef, Writer, parse_stored};
use crate::xmpp::Jid;

use super::{image, vcard_forms};

pub use image::id;
pub use vcard_forms::with_photo;

pub const DATA: &str = "urn:xmpp:avatar:data";
pub const METADATA: &str = "urn:xmpp:avatar:metadata";
/// Bytes of a picture that is shown in other forms.
pub const PHOTO_BYTES_MAX: usize = 128 << 10;

/// A picture as it lies in the data node.
pub struct Picture {
    pub kind: String,
    /// In base64.
    pub text: String,
}

/// Something changed at the nodes: what is advertised changes with it. True: it did.
pub fn advertise(cx: &mut Cx<'_>, owner: &Owner) -> Result<bool, Fault> {
    let OwnerKind::Account(account) = owner.kind else {
        return Ok(false);
    };
    let now = found(cx, owner)?;
    if cx.tx.avatar(account)? == now {
        return Ok(false);
    }
    cx.tx.set_avatar(account, now.as_ref())?;
    cx.state.effects.new_photos.push(owner.jid.clone());
    Ok(true)
}

/// What the nodes have that can be advertised.
fn found(cx: &Cx<'_>, owner: &Owner) -> Result<Option<Avatar>, Fault> {
    let Some(metadata) = open_node(cx, owner, METADATA)? else {
        return Ok(None);
    };
    let Some(item) = pubsub::last_item(cx, &metadata)? else {
        return Ok(None);
    };
    let Some(id) = pointed_at(&item.payload) else {
        return Ok(None);
    };
    let Some(data) = open_node(cx, owner, DATA)? else {
        return Ok(None);
    };
    // XEP-0153 §3.1: hexadecimal digits are written either way.
    let named = |item: String| -> Result<_, Fault> {
        let payload = pubsub::item(cx, &data, &item)?.map(|item| item.payload);
        Ok(payload.map(|payload| (item, payload)))
    };
    let lower = id.to_ascii_lowercase();
    let found = match named(id)? {
        Some(found) => Some(found),
        None => named(lower.clone())?,
    };
    let found = found.and_then(|(item, payload)| Some((item, bytes(&payload)?)));
    let found = found.filter(|(_, bytes)| image::id(bytes) == lower);
    Ok(found.and_then(|(item, bytes)| {
        Some(Avatar {
            kind: image::media_type(&bytes)?.to_string(),
            id: lower,
            item,
        })
    }))
}

fn open_node(cx: &Cx<'_>, owner: &Owner, name: &str) -> Result<Option<Node>, Fault> {
    let node = pubsub::node(cx, owner, name)?;
    Ok(node.filter(|node| node.config.access() != AccessModel::Whitelist))
}

/// XEP-0398 §3.1: the picture that lies in the data node, among those that are told of.
fn pointed_at(metadata: &str) -> Option<String> {
    let metadata = parse_stored(metadata, "").ok()?;
    let mut infos = metadata.root().children();
    let info = infos.find(|info| info.is("info", METADATA) && info.attribute("url").is_none())?;
    Some(info.attribute("id")?.into_owned())
}

fn bytes(data: &str) -> Option<Vec<u8>> {
    let data = parse_stored(data, "").ok()?;
    let text = data.root().text();
    image::decode(&text, PHOTO_BYTES_MAX).filter(|_| data.root().is("data", DATA))
}

/// The picture, for who may read it at both nodes (XEP-0398 §7); `None`: there is none, or not for them.
pub fn picture(
    cx: &Cx<'_>,
    owner: &Owner,
    account: AccountId,
    who: &Jid,
) -> Result<Option<Picture>, Fault> {
    let Some(avatar) = cx.tx.avatar(account)? else {
        return Ok(None);
    };
    for name in [METADATA, DATA] {
        let Some(node) = pubsub::node(cx, owner, name)? else {
            return Ok(None);
        };
        if !access::can(cx, owner, &node, who, What::Read)? {
            return Ok(None);
        }
        if name == DATA {
            let item = pubsub::item(cx, &node, &avatar.item)?;
            let data = item.and_then(|item| parse_stored(&item.payload, "").ok());
            return Ok(data.map(|data| Picture {
                kind: avatar.kind,
                text: data.root().text().split_whitespace().collect(),
            }));
        }
    }
    Ok(None)
}

/// Whether everybody may see it.
pub fn is_public(cx: &Cx<'_>, owner: &Owner) -> Result<bool, Fault> {
    for name in [METADATA, DATA] {
        let node = pubsub::node(cx, owner, name)?;
        if node.is_none_or(|node| node.config.access() != AccessModel::Open) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// XEP-0398 §3.2: a picture of a vCard becomes the avatar. vCards are public, so nodes that are made for it are.
pub fn set(cx: &mut Cx<'_>, owner: &Owner, picture: &[u8]) -> Result<(), Fault> {
    let id = image::id(picture);
    publish(cx, owner, DATA, &id, data(picture))?;
    publish(cx, owner, METADATA, &id, metadata(&[picture]))
}

/// A picture as it lies in the data node.
pub fn data(picture: &[u8]) -> String {
    written(|w| {
        w.open_ns("data", DATA)
            .text(&image::encode(picture))
            .close();
    })
}

/// What is told of one picture in so many formats; none: there is no avatar.
pub fn metadata(pictures: &[&[u8]]) -> String {
    written(|w| {
        w.open_ns("metadata", METADATA);
        for picture in pictures {
            w.open("info")
                .attr("bytes", &picture.len().to_string())
                .attr("id", &image::id(picture))
                .attr("type", image::media_type(picture).unwrap_or_default());
            if let Some((width, height)) = image::size(picture) {
                w.attr("width", &width.to_string());
                w.attr("height", &height.to_string());
            }
            w.close();
        }
        w.close();
    })
}

/// The same within a vcard-temp.
pub fn photo(picture: &[u8]) -> String {
    let kind = image::media_type(picture).unwrap_or_default();
    vcard_forms::photo(kind, &image::encode(picture))
}

/// XEP-0084 §4.2.2: there is no avatar any more.
pub fn disable(cx: &mut Cx<'_>, owner: &Owner) -> Result<(), Fault> {
    let empty = format!("<metadata xmlns='{METADATA}'/>");
    publish(cx, owner, METADATA, "disabled", empty)
}

fn publish(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    id: &str,
    payload: String,
) -> Result<(), Fault> {
    let own = owner.jid.as_jid();
    if pubsub::node(cx, owner, node)?.is_none() {
        let mut config = pubsub::known::usual(owner.kind, node);
        config.set_number(field::ACCESS_MODEL, 0);
        pubsub::create(cx, owner, node, own, config)?;
    }
    let item = NewItem {
        id: Some(id.into()),
        payload: payload.into(),
    };
    pubsub::publish(cx, owner, node, vec![item], own, None)?;
    Ok(())
}

/// What was published tells whether there is anything to advertise anew: of the data node, only the picture that is told of
/// already, for the one that takes its place is told of next.
pub fn concerns(cx: &Cx<'_>, owner: &Owner, ids: &[Box<str>]) -> Result<bool, Fault> {
    let Some(metadata) = pubsub::node(cx, owner, METADATA)? else {
        return Ok(false);
    };
    let item = pubsub::last_item(cx, &metadata)?;
    let id = item.and_then(|item| pointed_at(&item.payload));
    Ok(id.is_some_and(|id| ids.iter().any(|known| known.eq_ignore_ascii_case(&id))))
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut xml = Vec::new();
    write(&mut Writer::new(&mut xml));
    String::from_utf8(xml).expect("the writer writes UTF-8")
}

/// The picture within a vcard-temp. `Err`: it has one that is of no use as an avatar.
pub fn photo_of(photo: Option<ElementRef<'_>>) -> Result<Option<Vec<u8>>, ()> {
    let Some(photo) = photo else { return Ok(None) };
    let text = |name| photo.child(name, photo.namespace()).map(|part| part.text());
    if text("EXTVAL").is_some_and(|uri| !uri.trim().is_empty()) {
        return Err(());
    }
    let text = text("BINVAL").unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(None);
    }
    let bytes = image::decode(&text, PHOTO_BYTES_MAX).ok_or(())?;
    image::media_type(&bytes).ok_or(())?;
    Ok(Some(bytes))
}

/// All pictures within a vcard-temp, in order (XEP-0486 §5.1). `Err`: one is of no use as an avatar.
pub fn photos_of(vcard: ElementRef<'_>) -> Result<Vec<Vec<u8>>, ()> {
    let photos = vcard
        .children()
        .filter(|child| child.is("PHOTO", vcard.namespace()));
    let pictures = photos.filter_map(|photo| photo_of(Some(photo)).transpose());
    pictures.collect()
}

/// The picture of an item of the data node, if it is what it is named by.
pub fn named(id: &str, payload: &str) -> Option<Vec<u8>> {
    let known = bytes(payload).filter(|bytes| image::media_type(bytes).is_some());
    known.filter(|bytes| image::id(bytes) == id)
}

/// Ids of all that metadata tells of and does not lie elsewhere.
pub fn told_of(metadata: &str) -> Vec<String> {
    let metadata = parse_stored(metadata, "").ok();
    let infos = metadata.iter().flat_map(|it| it.root().children());
    infos
        .filter(|info| info.is("info", METADATA) && info.attribute("url").is_none())
        .filter_map(|info| Some(info.attribute("id")?.to_ascii_lowercase()))
        .collect()
}
