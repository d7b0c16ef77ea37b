//! XEP-0060 §7: items are published and retracted. Everything is checked before anything is written.
use std::collections::HashSet;

use crate::state::{Cx, Fault};
use crate::store::{Affiliation, Item};
use crate::xmpp::{Condition, DataForm, Jid, StanzaError};

use super::room::{keep_to_limit, require_room};
use crate::pubsub::access::{self, Standing, What};
use crate::pubsub::config::{NodeConfig, field};
use crate::pubsub::create;
use crate::pubsub::items;
use crate::pubsub::known;
use crate::pubsub::node::{self, Node};
use crate::pubsub::notify;
use crate::pubsub::owner::{Owner, OwnerKind};
use crate::pubsub::refusal;

/// Items of one request.
pub const ITEMS_MAX: usize = 100;
/// Bytes of an item's id; keys hold it.
pub const ID_BYTES_MAX: usize = 1023;

/// What is to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewItem {
    /// `None`: the server gives it one.
    pub id: Option<Box<str>>,
    /// One element, checked, that declares what it uses; empty: there is none.
    pub payload: Box<str>,
}

/// §7.1: returns the items' ids. `options`: what must be so of the node, or is made so of a new one (§7.1.5).
pub fn publish(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    items: Vec<NewItem>,
    publisher: &Jid,
    options: Option<&DataForm>,
) -> Result<Vec<Box<str>>, Fault> {
    let found = node::node(cx, owner, name)?;
    let config = match &found {
        Some(node) => node.config.clone(),
        None => config_of_new(cx, owner, name, publisher, options)?,
    };
    if let Some(node) = &found {
        access::may(cx, owner, node, publisher, What::Publish)?;
        if options.is_some_and(|form| !config.meets(form, cx.state)) {
            return Err(refusal::PRECONDITION_NOT_MET.into());
        }
    }
    let items = checked(cx, &config, items)?;
    let items = stamped(cx, publisher, items);
    if let Some(node) = &found {
        require_own_ids(cx, owner, node, publisher, &items)?;
    }
    require_room(cx, owner, (found.as_ref(), &config), &items)?;
    cx.require_disk_space()?;
    let mut node = match found {
        Some(node) => node,
        None => create::create(cx, owner, name, publisher, config)?,
    };
    if node.config.persists() {
        for item in &items {
            cx.tx.put_item(&mut node.row, item)?;
        }
        cx.tx.set_node(&mut node.row)?;
    }
    notify::published(cx, owner, &node, &items)?;
    keep_to_limit(cx, owner, &mut node)?;
    Ok(items.into_iter().map(|item| item.id).collect())
}

/// §7.1.4: a node that is not there is made, by whoever may make it.
fn config_of_new(
    cx: &Cx<'_>,
    owner: &Owner,
    name: &str,
    publisher: &Jid,
    options: Option<&DataForm>,
) -> Result<NodeConfig, Fault> {
    if matches!(owner.kind, OwnerKind::Account(_)) && !owner.is_self(publisher) {
        return Err(Condition::ItemNotFound.into());
    }
    create::require_may_create(cx, owner, name, publisher)?;
    let mut config = known::usual(owner.kind, name);
    if let Some(form) = options {
        if !NodeConfig::knows(form) {
            return Err(refusal::PRECONDITION_NOT_MET.into());
        }
        config.apply(form, cx.state)?;
        if known::require_private(owner.kind, name, &config).is_err() {
            return Err(refusal::PRECONDITION_NOT_MET.into());
        }
    }
    Ok(config)
}

/// §7.1.3: what the node is configured for.
fn checked(
    cx: &Cx<'_>,
    config: &NodeConfig,
    items: Vec<NewItem>,
) -> Result<Vec<NewItem>, StanzaError> {
    let takes_items = config.persists() || config.flag(field::DELIVER_PAYLOADS);
    if items.is_empty() && takes_items {
        return Err(refusal::ITEM_REQUIRED);
    }
    if !items.is_empty() && !takes_items {
        return Err(refusal::ITEM_FORBIDDEN);
    }
    if items.len() > ITEMS_MAX {
        return Err(refusal::MAX_ITEMS_EXCEEDED);
    }
    let bytes_max = config.payload_max(cx.state);
    let bytes = |item: &NewItem| u64::try_from(item.payload.len()).unwrap_or(u64::MAX);
    let mut ids = HashSet::new();
    for item in &items {
        if item.payload.is_empty() && config.flag(field::DELIVER_PAYLOADS) {
            return Err(refusal::PAYLOAD_REQUIRED);
        }
        if bytes(item) > bytes_max {
            return Err(refusal::PAYLOAD_TOO_BIG);
        }
        let Some(id) = &item.id else { continue };
        if id.is_empty() || !ids.insert(&**id) {
            return Err(Condition::BadRequest.into());
        }
        if id.len() > ID_BYTES_MAX {
            return Err(refusal::NAME_TOO_LONG);
        }
    }
    Ok(items)
}

fn stamped(cx: &mut Cx<'_>, publisher: &Jid, items: Vec<NewItem>) -> Vec<Item> {
    let mut stamped = Vec::with_capacity(items.len());
    for item in items {
        stamped.push(Item {
            id: item.id.unwrap_or_else(|| cx.new_id().into()),
            publisher: publisher.bare_str().into(),
            at: cx.now.wall,
            born: 0,
            payload: item.payload,
        });
    }
    stamped
}

/// Whoever may publish only because many may does not write over what others wrote.
fn require_own_ids(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    publisher: &Jid,
    items: &[Item],
) -> Result<(), Fault> {
    let standing = access::standing(cx, owner, node, publisher)?;
    if standing.affiliation >= Affiliation::Publisher {
        return Ok(());
    }
    for item in items {
        let before = cx.tx.item(&node.row, &item.id)?;
        if before.is_some_and(|before| !is_by(&before, publisher)) {
            return Err(Condition::Forbidden.into());
        }
    }
    Ok(())
}

fn is_by(item: &Item, who: &Jid) -> bool {
    *item.publisher == *who.bare_str()
}

/// §7.2: `notify`: the publisher wants it told.
pub fn retract(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    ids: &[Box<str>],
    (who, notify): (&Jid, bool),
) -> Result<(), Fault> {
    let mut node = node::known(cx, owner, name)?;
    let standing = require_may_retract(cx, owner, &node, who)?;
    if !node.config.persists() {
        return Err(refusal::unsupported("persistent-items").into());
    }
    for id in ids {
        let item = items::item(cx, &node, id)?.ok_or(Condition::ItemNotFound)?;
        // §4.1: owners take away anything, others what they published.
        if standing.affiliation != Affiliation::Owner && !is_by(&item, who) {
            return Err(Condition::Forbidden.into());
        }
    }
    for id in ids {
        cx.tx.remove_item(&mut node.row, id)?;
    }
    cx.tx.set_node(&mut node.row)?;
    match notify || node.config.flag(field::NOTIFY_RETRACT) {
        true => notify::retracted(cx, owner, &node, ids),
        false => Ok(()),
    }
}

fn require_may_retract(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    who: &Jid,
) -> Result<Standing<'static>, Fault> {
    access::may(cx, owner, node, who, What::Publish)?;
    Ok(access::standing(cx, owner, node, who)?)
}
