//! What a node may hold, and what goes when it is full.
use crate::state::{Cx, Fault};
use crate::store::{Item, Span};

use crate::pubsub::config::{NodeConfig, NodeFull, field};
use crate::pubsub::node::Node;
use crate::pubsub::notify;
use crate::pubsub::owner::{Owner, OwnerKind};
use crate::pubsub::refusal;

/// Items that lose their place to newer ones at a time; what else is too many goes with upkeep (`expiry`).
const OUSTED_MAX: usize = 500;

/// Of items at the node, and of bytes at the owner.
pub fn require_room(
    cx: &Cx<'_>,
    owner: &Owner,
    (node, config): (Option<&Node>, &NodeConfig),
    items: &[Item],
) -> Result<(), Fault> {
    if !config.persists() {
        return Ok(());
    }
    let items_max = config.items_max(cx.state);
    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
    if count > items_max {
        return Err(refusal::MAX_ITEMS_EXCEEDED.into());
    }
    let mut replaced = 0;
    let mut new = count;
    if let Some(node) = node {
        for item in items {
            if let Some(before) = cx.tx.item(&node.row, &item.id)? {
                replaced += before.bytes();
                new -= 1;
            }
        }
        if config.node_full() == NodeFull::Reject && node.row.items + new > items_max {
            return Err(refusal::NODE_FULL.into());
        }
    }
    let added: u64 = items.iter().map(Item::bytes).sum();
    let bytes_max = u64::try_from(cx.state.settings.pubsub_bytes_max).unwrap_or(u64::MAX);
    let has = match owner.kind {
        OwnerKind::Account(_) => cx.tx.owned(owner.number())?.bytes,
        OwnerKind::Service => node.map_or(0, |node| node.row.bytes),
    };
    match added > replaced && has.saturating_sub(replaced) + added > bytes_max {
        true => Err(refusal::NO_ROOM.into()),
        false => Ok(()),
    }
}

/// §7.1.2.5: the oldest make room for what is newer, so many at a time; whoever asks meanwhile finds a few more.
pub fn keep_to_limit(cx: &mut Cx<'_>, owner: &Owner, node: &mut Node) -> Result<(), Fault> {
    let items_max = node.config.items_max(cx.state);
    let over = node.row.items.saturating_sub(items_max);
    let over = usize::try_from(over).unwrap_or(OUSTED_MAX).min(OUSTED_MAX);
    if over == 0 {
        return Ok(());
    }
    let oldest = cx.tx.items_in(&node.row, Span::default(), (false, over))?;
    let ids: Vec<Box<str>> = oldest.into_iter().map(|(_, item)| item.id).collect();
    for id in &ids {
        cx.tx.remove_item(&mut node.row, id)?;
    }
    cx.tx.set_node(&mut node.row)?;
    // A node of one item is told of its new one; nobody need hear that the old one is gone.
    let is_told = node.config.flag(field::NOTIFY_RETRACT)
        && node.config.node_full() == NodeFull::RetractOldest
        && items_max > 1;
    match is_told {
        true => notify::retracted(cx, owner, node, &ids),
        false => Ok(()),
    }
}
