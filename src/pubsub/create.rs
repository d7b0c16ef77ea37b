//! XEP-0060 §8.1: nodes are made, by whom and how many.
use crate::state::{Cx, Fault};
use crate::store::{Affiliation, Related};
use crate::xmpp::{Condition, Jid};

use super::config::NodeConfig;
use super::known;
use super::node::{self, Node};
use super::owner::{Owner, OwnerKind};
use super::refusal;

/// Bytes of a node's name; keys hold it.
pub const NAME_BYTES_MAX: usize = 1023;
/// Nodes of the service, whoever made them.
pub const SERVICE_NODES_MAX: u64 = 20_000;

/// §8.1: who creates a node owns it. `Conflict`: there is one of this name.
pub fn create(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    creator: &Jid,
    config: NodeConfig,
) -> Result<Node, Fault> {
    // Who may not create hears of no conflict.
    if matches!(owner.kind, OwnerKind::Account(_)) && !owner.is_self(creator) {
        return Err(Condition::Forbidden.into());
    }
    if node::node(cx, owner, name)?.is_some() {
        return Err(Condition::Conflict.into());
    }
    require_may_create(cx, owner, name, creator)?;
    known::require_private(owner.kind, name, &config)?;
    cx.require_disk_space()?;
    let config_row = config.to_row(owner.kind);
    let creator = creator.to_bare();
    let about = (config_row, cx.now.wall);
    let mut row = cx
        .tx
        .add_node(owner.number(), name, creator.as_str(), about)?;
    if owner.kind == OwnerKind::Service {
        let related = Related {
            affiliation: Affiliation::Owner,
            ..Related::default()
        };
        cx.tx.set_related(&mut row, creator.as_str(), &related)?;
        cx.tx.set_node(&mut row)?;
    }
    Ok(Node { row, config })
}

/// §8.1.1: by right and by number.
pub fn require_may_create(
    cx: &Cx<'_>,
    owner: &Owner,
    name: &str,
    creator: &Jid,
) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(refusal::NODEID_REQUIRED.into());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(refusal::NAME_TOO_LONG.into());
    }
    let nodes_max = u64::try_from(cx.state.settings.pubsub_nodes_max).unwrap_or(u64::MAX);
    let owned = cx.tx.owned(owner.number())?;
    match owner.kind {
        OwnerKind::Account(_) if !owner.is_self(creator) => {
            return Err(Condition::Forbidden.into());
        }
        OwnerKind::Account(_) if owned.nodes < nodes_max => return Ok(()),
        OwnerKind::Account(_) => return Err(refusal::MAX_NODES_EXCEEDED.into()),
        OwnerKind::Service => {}
    }
    let is_user = cx.account(&creator.to_bare())?.is_some();
    if !is_user || !cx.state.settings.pubsub_create {
        return Err(Condition::Forbidden.into());
    }
    let related = cx.tx.related_nodes(owner.number(), creator.bare_str())?;
    let mut theirs = 0;
    for name in related {
        let node = cx.tx.node(owner.number(), &name)?;
        let is_theirs = node.is_some_and(|node| *node.creator == *creator.bare_str());
        theirs += u64::from(is_theirs);
    }
    match theirs < nodes_max && owned.nodes < SERVICE_NODES_MAX {
        true => Ok(()),
        false => Err(refusal::MAX_NODES_EXCEEDED.into()),
    }
}
