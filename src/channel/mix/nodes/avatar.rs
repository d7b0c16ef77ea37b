//! XEP-0407 §2: the avatar of a channel, in two nodes of XEP-0084. They are the only nodes whose items are stored as such.
use crate::channel::Channel;
use crate::feature::Reply;
use crate::pubsub::config::field;
use crate::pubsub::refusal;
use crate::state::{Cx, Fault};
use crate::store::{ConfigRow, Item, NodeRow, StoreError};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, Condition, ns};

use super::{Node, events};

/// Pictures that are kept, of several kinds and sizes.
const PICTURES_MAX: u64 = 4;
/// Bytes of an item's id: of a hash.
const ID_BYTES_MAX: usize = 128;

fn limit(node: Node) -> u64 {
    match node {
        Node::AvatarData => PICTURES_MAX,
        _ => 1,
    }
}

fn row(cx: &Cx<'_>, channel: &Channel, node: Node) -> Result<Option<NodeRow>, StoreError> {
    cx.tx.node(channel.id().nodes(), node.as_str())
}

/// Those that are named, or the last one.
pub fn read(
    cx: &Cx<'_>,
    channel: &Channel,
    (node, wanted): (Node, &[String]),
) -> Result<Reply, Fault> {
    let mut items = Vec::new();
    if let Some(row) = row(cx, channel, node)? {
        if wanted.is_empty() {
            items.extend(cx.tx.last_item(&row)?);
        }
        for id in wanted.iter().filter(|id| id.len() <= ID_BYTES_MAX) {
            items.extend(cx.tx.item(&row, id)?);
        }
    }
    items.dedup_by(|one, other| one.id == other.id);
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("items").attr("node", node.as_str());
        for item in items
            .iter()
            .take(usize::try_from(PICTURES_MAX).unwrap_or(1))
        {
            w.open("item").attr("id", &item.id);
            w.raw(&item.payload).close();
        }
        w.close().close();
    }))
}

/// What is in one that is named, or in the last one.
pub fn payload(
    cx: &Cx<'_>,
    channel: &Channel,
    (node, id): (Node, Option<&str>),
) -> Result<Option<String>, StoreError> {
    let Some(row) = row(cx, channel, node)? else {
        return Ok(None);
    };
    let item = match id {
        Some(id) => cx.tx.item(&row, id)?,
        None => cx.tx.last_item(&row)?,
    };
    Ok(item.map(|item| item.payload.to_string()))
}

/// An item that may be published; whoever publishes it has the right.
pub fn publish(
    cx: &mut Cx<'_>,
    channel: &Channel,
    who: &BareJid,
    (node, item): (Node, ElementRef<'_>),
) -> Result<String, Fault> {
    let name = match node {
        Node::AvatarData => "data",
        _ => "metadata",
    };
    let payload = item.children().find(|child| child.is(name, node.as_str()));
    let payload = payload.ok_or(refusal::INVALID_PAYLOAD)?.to_xml();
    if payload.len() > cx.state.settings.pubsub_item_bytes_max {
        return Err(refusal::PAYLOAD_TOO_BIG.into());
    }
    let id = match item.attribute("id") {
        Some(id) if id.len() > ID_BYTES_MAX => return Err(Condition::NotAcceptable.into()),
        Some(id) if !id.is_empty() => id.into_owned(),
        _ => cx.new_id(),
    };
    cx.require_disk_space()?;
    put(cx, channel, who, (node, &id), payload.into_owned())?;
    Ok(id)
}

/// Puts an item there, in place of the oldest, and tells those who subscribed.
pub fn put(
    cx: &mut Cx<'_>,
    channel: &Channel,
    who: &BareJid,
    (node, id): (Node, &str),
    payload: String,
) -> Result<(), StoreError> {
    let owner = channel.id().nodes();
    let mut row = match row(cx, channel, node)? {
        Some(row) => row,
        None => {
            // The upkeep of nodes keeps to it, too.
            let number = u8::try_from(field::MAX_ITEMS).unwrap_or_default();
            let config = ConfigRow {
                numbers: vec![(number, limit(node))],
                ..ConfigRow::default()
            };
            let made = (config, cx.now.wall);
            cx.tx.add_node(owner, node.as_str(), who.as_str(), made)?
        }
    };
    let item = Item {
        id: id.into(),
        publisher: who.as_str().into(),
        at: cx.now.wall,
        born: 0,
        payload: payload.into(),
    };
    cx.tx.put_item(&mut row, &item)?;
    while row.items > limit(node) {
        let oldest = cx.tx.items_in(&row, Default::default(), (false, 1))?;
        let Some((_, oldest)) = oldest.into_iter().next() else {
            break;
        };
        cx.tx.remove_item(&mut row, &oldest.id)?;
    }
    cx.tx.set_node(&mut row)?;
    events::tell(cx, channel, node, true, &|w, _| {
        w.open("items").attr("node", node.as_str());
        w.open("item").attr("id", &item.id);
        w.raw(&item.payload).close().close();
    })
}

pub fn retract(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (node, item): (Node, ElementRef<'_>),
) -> Result<(), Fault> {
    let id = item.attribute("id").ok_or(refusal::ITEM_REQUIRED)?;
    let mut row = row(cx, channel, node)?.ok_or(Condition::ItemNotFound)?;
    if id.len() > ID_BYTES_MAX || !cx.tx.remove_item(&mut row, &id)? {
        return Err(Condition::ItemNotFound.into());
    }
    cx.tx.set_node(&mut row)?;
    Ok(events::tell(cx, channel, node, true, &|w, _| {
        w.open("items").attr("node", node.as_str());
        w.open("retract").attr("id", &id).close();
        w.close();
    })?)
}
