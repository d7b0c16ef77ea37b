//! What owners do to a node as a whole: configure (XEP-0060 §8.2), delete (§8.4), purge (§8.5).
use crate::state::{Cx, Fault};
use crate::xmpp::{DataForm, Jid};

use super::access::{self, What};
use super::items::room::keep_to_limit;
use super::known;
use super::node;
use super::notify;
use super::owner::Owner;
use super::refusal;

/// §8.2.4: by an owner.
pub fn configure(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    who: &Jid,
    form: &DataForm,
) -> Result<(), Fault> {
    let mut node = node::known(cx, owner, name)?;
    access::may(cx, owner, &node, who, What::Own)?;
    let before = node.config.clone();
    node.config.apply(form, cx.state)?;
    known::require_private(owner.kind, name, &node.config)?;
    if node.config == before {
        return Ok(());
    }
    cx.require_disk_space()?;
    node.row.config = node.config.to_row(owner.kind);
    cx.tx.set_node(&mut node.row)?;
    keep_to_limit(cx, owner, &mut node)?;
    notify::configured(cx, owner, &node)
}

/// §8.4: by an owner. `redirect`: where its subscribers find what takes its place.
pub fn delete(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    who: &Jid,
    redirect: Option<&str>,
) -> Result<(), Fault> {
    let node = node::known(cx, owner, name)?;
    access::may(cx, owner, &node, who, What::Own)?;
    notify::deleted(cx, owner, &node, redirect)?;
    cx.tx.remove_node(&node.row)?;
    Ok(())
}

/// §8.5: by an owner.
pub fn purge(cx: &mut Cx<'_>, owner: &Owner, name: &str, who: &Jid) -> Result<(), Fault> {
    let mut node = node::known(cx, owner, name)?;
    access::may(cx, owner, &node, who, What::Own)?;
    if !node.config.persists() {
        return Err(refusal::unsupported("persistent-items").into());
    }
    cx.tx.purge_node(&mut node.row)?;
    notify::purged(cx, owner, &node)
}
