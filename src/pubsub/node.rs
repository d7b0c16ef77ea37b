//! A node as it is found.
use crate::state::{Cx, Fault};
use crate::store::{NodeRow, StoreError};
use crate::xmpp::Condition;

use super::config::NodeConfig;
use super::owner::Owner;

/// A node, its configuration read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub row: NodeRow,
    pub config: NodeConfig,
}

impl Node {
    pub fn new(owner: &Owner, row: NodeRow) -> Node {
        let config = NodeConfig::stored(owner.kind, &row.config);
        Node { row, config }
    }

    pub fn name(&self) -> &str {
        &self.row.name
    }
}

pub fn node(cx: &Cx<'_>, owner: &Owner, name: &str) -> Result<Option<Node>, StoreError> {
    let row = cx.tx.node(owner.number(), name)?;
    Ok(row.map(|row| Node::new(owner, row)))
}

/// A node that must be there.
pub fn known(cx: &Cx<'_>, owner: &Owner, name: &str) -> Result<Node, Fault> {
    let node = node(cx, owner, name)?;
    Ok(node.ok_or(Condition::ItemNotFound)?)
}

/// Up to so many nodes in order of name, from behind one on.
pub fn behind(
    cx: &Cx<'_>,
    owner: &Owner,
    name: &str,
    count_max: usize,
) -> Result<Vec<Node>, StoreError> {
    let rows = cx.tx.nodes_behind(owner.number(), name, count_max)?;
    Ok(rows.into_iter().map(|row| Node::new(owner, row)).collect())
}
