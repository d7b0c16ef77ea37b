//! XEP-0060 §6.1 to §6.4: subscriptions as their subscribers have them. There is one of each address, so its id need never be
//! said; where it is, it must be right.
use crate::pubsub::access::{self, What};
use crate::pubsub::config::{AccessModel, field};
use crate::pubsub::node::{self, Node};
use crate::pubsub::notify::last;
use crate::pubsub::owner::Owner;
use crate::pubsub::refusal;
use crate::state::{Cx, Fault};
use crate::store::{Affiliation, NodeSubscription, Related, SubscriptionState};
use crate::xmpp::Jid;

use super::{ADDRESSES_MAX, NODES_OF_ONE_MAX, PENDING_MAX, RELATED_MAX, told};

/// §6.1: `who` asks that `jid` be subscribed. Where owners decide, it waits for them.
pub fn subscribe(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    (who, jid): (&Jid, &Jid),
    options: Vec<(u8, u64)>,
) -> Result<NodeSubscription, Fault> {
    let mut node = node::known(cx, owner, name)?;
    if jid.bare_str() != who.bare_str() {
        return Err(refusal::INVALID_JID.into());
    }
    access::may(cx, owner, &node, who, What::Subscribe)?;
    if !node.config.flag(field::SUBSCRIBE) {
        return Err(refusal::unsupported("subscribe").into());
    }
    let mut related = cx.tx.related(&node.row, who.bare_str())?;
    let known = related.subscriptions.iter();
    match known.into_iter().find(|known| *known.jid == *jid.as_str()) {
        Some(known) if known.state == SubscriptionState::Pending => {
            return Err(refusal::PENDING_SUBSCRIPTION.into());
        }
        // §6.1.6: as if it was approved now.
        Some(known) => return Ok(known.clone()),
        None => {}
    }
    require_room(&node, &related)?;
    let theirs = cx.tx.related_nodes(owner.number(), who.bare_str())?;
    if theirs.len() >= NODES_OF_ONE_MAX {
        return Err(refusal::TOO_MANY_SUBSCRIPTIONS.into());
    }
    cx.require_disk_space()?;
    let waits = node.config.access() == AccessModel::Authorize
        && !owner.is_self(who)
        && related.affiliation <= Affiliation::None
        && !related.is_subscribed();
    if waits && node.row.pending >= PENDING_MAX {
        return Err(refusal::TOO_MANY_SUBSCRIPTIONS.into());
    }
    let subscription = NodeSubscription {
        jid: jid.as_str().into(),
        state: match waits {
            true => SubscriptionState::Pending,
            false => SubscriptionState::Subscribed,
        },
        subid: cx.new_id().into(),
        options,
    };
    related.subscriptions.push(subscription.clone());
    cx.tx.set_related(&mut node.row, who.bare_str(), &related)?;
    cx.tx.set_node(&mut node.row)?;
    match waits {
        true => told::ask_owners(cx, owner, &node, &subscription)?,
        false => {
            told::owners_of_subscriber(cx, owner, &node, (&subscription, true))?;
            if subscription.delivers() {
                last::to_subscriber(cx, owner, &node, jid)?;
            }
        }
    }
    Ok(subscription)
}

/// §6.1.3.9
fn require_room(node: &Node, related: &Related) -> Result<(), Fault> {
    let row = &node.row;
    let all = row.subscribed + row.pending + row.affiliated;
    match all >= RELATED_MAX || related.subscriptions.len() >= ADDRESSES_MAX {
        true => Err(refusal::TOO_MANY_SUBSCRIPTIONS.into()),
        false => Ok(()),
    }
}

/// A subscription of `jid`, for whoever may change it, with what else there is of the bare JID and its place there.
fn own(
    cx: &Cx<'_>,
    (owner, node): (&Owner, &Node),
    (who, jid): (&Jid, &Jid),
    subid: Option<&str>,
) -> Result<(Related, usize), Fault> {
    access::require_shown(cx, owner, node, who)?;
    if jid.bare_str() != who.bare_str() {
        return Err(crate::xmpp::Condition::Forbidden.into());
    }
    let related = cx.tx.related(&node.row, who.bare_str())?;
    let mut all = related.subscriptions.iter();
    let at = all.position(|known| *known.jid == *jid.as_str());
    let Some((at, known)) = at.and_then(|at| Some((at, related.subscriptions.get(at)?))) else {
        return Err(refusal::NO_SUBSCRIPTION.into());
    };
    if subid.is_some_and(|subid| *subid != *known.subid) {
        return Err(refusal::INVALID_SUBID.into());
    }
    Ok((related, at))
}

/// §6.2
pub fn unsubscribe(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    (who, jid): (&Jid, &Jid),
    subid: Option<&str>,
) -> Result<NodeSubscription, Fault> {
    let mut node = node::known(cx, owner, name)?;
    let (mut related, at) = own(cx, (owner, &node), (who, jid), subid)?;
    let subscription = related.subscriptions.remove(at);
    cx.tx.set_related(&mut node.row, who.bare_str(), &related)?;
    cx.tx.set_node(&mut node.row)?;
    if subscription.state == SubscriptionState::Subscribed {
        told::owners_of_subscriber(cx, owner, &node, (&subscription, false))?;
    }
    Ok(subscription)
}

/// §6.3.2
pub fn options(
    cx: &Cx<'_>,
    owner: &Owner,
    name: &str,
    who_and_jid: (&Jid, &Jid),
    subid: Option<&str>,
) -> Result<NodeSubscription, Fault> {
    let node = node::known(cx, owner, name)?;
    let (mut related, at) = own(cx, (owner, &node), who_and_jid, subid)?;
    Ok(related.subscriptions.swap_remove(at))
}

/// §6.3.5
pub fn set_options(
    cx: &mut Cx<'_>,
    owner: &Owner,
    name: &str,
    (who, jid): (&Jid, &Jid),
    (subid, options): (Option<&str>, Vec<(u8, u64)>),
) -> Result<(), Fault> {
    let mut node = node::known(cx, owner, name)?;
    let (mut related, at) = own(cx, (owner, &node), (who, jid), subid)?;
    if let Some(known) = related.subscriptions.get_mut(at) {
        known.options = options;
    }
    cx.tx.set_related(&mut node.row, who.bare_str(), &related)?;
    cx.tx.set_node(&mut node.row)?;
    Ok(())
}
