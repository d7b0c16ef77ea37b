//! What owners decide on others: requests that wait (XEP-0060 §8.6), subscriptions (§8.8) and affiliations (§8.9).
use crate::pubsub::access::{self, What};
use crate::pubsub::node::{self, Node};
use crate::pubsub::notify::last;
use crate::pubsub::owner::{Owner, OwnerKind};
use crate::state::{Cx, Fault};
use crate::store::{Affiliation, NodeSubscription, Related, StoreError, SubscriptionState};
use crate::xmpp::{BareJid, Condition, Jid};

use super::{ADDRESSES_MAX, PENDING_MAX, RELATED_MAX, told};

/// Rows read at a time.
const ROWS_MAX: usize = 200;

/// One change an owner wants; `None`: nothing.
#[derive(Clone, Debug)]
pub struct Change<T> {
    pub jid: Jid,
    pub to: Option<T>,
}

/// A node, for its owners.
pub fn owned(cx: &Cx<'_>, owner: &Owner, name: &str, who: &Jid) -> Result<Node, Fault> {
    let node = node::known(cx, owner, name)?;
    access::may(cx, owner, &node, who, What::Own)?;
    Ok(node)
}

/// §8.6: whether a subscription that waits is let in. One that waits no more was decided by another owner.
pub fn answer(
    cx: &mut Cx<'_>,
    owner: &Owner,
    (name, who): (&str, &Jid),
    (jid, subid): (&Jid, Option<&str>),
    allowed: bool,
) -> Result<(), Fault> {
    let mut node = owned(cx, owner, name, who)?;
    let related = cx.tx.related(&node.row, jid.bare_str())?;
    let is_it = |known: &NodeSubscription| {
        *known.jid == *jid.as_str()
            && known.state == SubscriptionState::Pending
            && subid.is_none_or(|subid| *subid == *known.subid)
    };
    let Some(at) = related.subscriptions.iter().position(is_it) else {
        return Err(Condition::ItemNotFound.into());
    };
    let mut after = related.clone();
    match (allowed, after.subscriptions.get_mut(at)) {
        (true, Some(known)) => known.state = SubscriptionState::Subscribed,
        _ => drop(after.subscriptions.remove(at)),
    }
    change(cx, owner, &mut node, &jid.to_bare(), &related, after)
}

/// §8.6.2: owners are asked again about all that wait at a node.
pub fn ask_again(cx: &mut Cx<'_>, owner: &Owner, name: &str, who: &Jid) -> Result<(), Fault> {
    let node = owned(cx, owner, name, who)?;
    for subscription in pending(cx, &node)? {
        told::ask(cx, owner, &node, &subscription, &who.to_bare());
    }
    Ok(())
}

fn pending(cx: &Cx<'_>, node: &Node) -> Result<Vec<NodeSubscription>, StoreError> {
    let mut pending = Vec::new();
    let mut last = Box::<str>::default();
    while u64::try_from(pending.len()).is_ok_and(|count| count < node.row.pending.min(PENDING_MAX))
    {
        let rows = cx.tx.related_behind(&node.row, &last, ROWS_MAX)?;
        let Some((jid, _)) = rows.last() else { break };
        last = jid.clone();
        let all = rows
            .into_iter()
            .flat_map(|(_, related)| related.subscriptions);
        pending.extend(all.filter(|one| one.state == SubscriptionState::Pending));
    }
    Ok(pending)
}

/// All that is related to a node, in order.
pub fn all(cx: &Cx<'_>, node: &Node) -> Result<Vec<(Box<str>, Related)>, StoreError> {
    let most = usize::try_from(RELATED_MAX).unwrap_or(usize::MAX);
    cx.tx.related_behind(&node.row, "", most)
}

/// §8.9.2: all or nothing; the error names what was asked for, as it is.
pub fn set_affiliations(
    cx: &mut Cx<'_>,
    owner: &Owner,
    (name, who): (&str, &Jid),
    changes: &[Change<Affiliation>],
) -> Result<(), Fault> {
    let mut node = owned(cx, owner, name, who)?;
    if changes.iter().any(|change| owner.is_self(&change.jid)) {
        return Err(Condition::NotAcceptable.into());
    }
    require_owner(cx, owner, &node, changes)?;
    require_room(&node, changes.len())?;
    cx.require_disk_space()?;
    for wanted in changes {
        let Some(affiliation) = wanted.to else {
            continue;
        };
        let jid = wanted.jid.to_bare();
        let before = cx.tx.related(&node.row, jid.as_str())?;
        let mut after = Related {
            affiliation,
            ..before.clone()
        };
        let pending = |one: &NodeSubscription| one.state == SubscriptionState::Pending;
        match affiliation {
            // §8.6.2: whoever is let in waits no more, and whoever is shut out neither.
            Affiliation::Outcast => after.subscriptions.clear(),
            Affiliation::PublishOnly => after.subscriptions.retain(|one| !pending(one)),
            Affiliation::Member | Affiliation::Publisher | Affiliation::Owner => {
                let waiting = after.subscriptions.iter_mut().filter(|one| pending(one));
                waiting.for_each(|one| one.state = SubscriptionState::Subscribed);
            }
            Affiliation::None => {}
        }
        change(cx, owner, &mut node, &jid, &before, after)?;
    }
    Ok(())
}

/// §8.9.2.4: somebody must own it.
fn require_owner(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    changes: &[Change<Affiliation>],
) -> Result<(), Fault> {
    if let OwnerKind::Account(_) = owner.kind {
        return Ok(());
    }
    let stays_or_comes = |change: &Change<Affiliation>| change.to == Some(Affiliation::Owner);
    let goes = changes
        .iter()
        .any(|change| change.to.is_some() && !stays_or_comes(change));
    if !goes || changes.iter().any(stays_or_comes) {
        return Ok(());
    }
    let is_left = |jid: &str| {
        let mut changed = changes.iter().filter(|change| change.to.is_some());
        !changed.any(|change| change.jid.bare_str() == jid)
    };
    let all = all(cx, node)?;
    let mut owners = all
        .iter()
        .filter(|(_, related)| related.affiliation == Affiliation::Owner);
    match owners.any(|(jid, _)| is_left(jid)) {
        true => Ok(()),
        false => Err(Condition::NotAcceptable.into()),
    }
}

fn require_room(node: &Node, more: usize) -> Result<(), Fault> {
    let row = &node.row;
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    let all = row.subscribed + row.pending + row.affiliated;
    match all.saturating_add(more) > RELATED_MAX {
        true => Err(Condition::ResourceConstraint.into()),
        false => Ok(()),
    }
}

/// §8.8.2: the same for subscriptions; `false` ends one.
pub fn set_subscriptions(
    cx: &mut Cx<'_>,
    owner: &Owner,
    (name, who): (&str, &Jid),
    changes: &[Change<bool>],
) -> Result<(), Fault> {
    let mut node = owned(cx, owner, name, who)?;
    require_room(&node, changes.len())?;
    for change in changes {
        let related = cx.tx.related(&node.row, change.jid.bare_str())?;
        let is_shut_out = related.affiliation == Affiliation::Outcast;
        let is_full = related.subscriptions.len() >= ADDRESSES_MAX;
        if change.to == Some(true) && (is_shut_out || is_full) {
            return Err(Condition::NotAcceptable.into());
        }
    }
    cx.require_disk_space()?;
    for wanted in changes {
        let jid = wanted.jid.to_bare();
        let before = cx.tx.related(&node.row, jid.as_str())?;
        let mut after = before.clone();
        let mut all = after.subscriptions.iter_mut();
        let known = all.find(|one| *one.jid == *wanted.jid.as_str());
        match (wanted.to, known) {
            (Some(true), Some(known)) => known.state = SubscriptionState::Subscribed,
            (Some(true), None) => after.subscriptions.push(NodeSubscription {
                jid: wanted.jid.as_str().into(),
                state: SubscriptionState::Subscribed,
                subid: cx.new_id().into(),
                options: Vec::new(),
            }),
            (Some(false), _) => {
                let others = |one: &NodeSubscription| *one.jid != *wanted.jid.as_str();
                after.subscriptions.retain(others);
            }
            (None, _) => {}
        }
        change(cx, owner, &mut node, &jid, &before, after)?;
    }
    Ok(())
}

/// Writes down what became of somebody, and tells whose subscription is another now (§8.8.4).
fn change(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &mut Node,
    jid: &BareJid,
    before: &Related,
    after: Related,
) -> Result<(), Fault> {
    cx.tx.set_related(&mut node.row, jid.as_str(), &after)?;
    cx.tx.set_node(&mut node.row)?;
    let in_after = |was: &NodeSubscription| after.subscriptions.iter().find(|is| is.jid == was.jid);
    for was in &before.subscriptions {
        if in_after(was).is_none() {
            told::subscriber(cx, owner, node, was, false);
        }
    }
    for is in &after.subscriptions {
        let was = before.subscriptions.iter().find(|was| was.jid == is.jid);
        let is_new = was.is_none_or(|was| was.state != is.state);
        if is_new && is.state == SubscriptionState::Subscribed {
            told::subscriber(cx, owner, node, is, true);
            if let Ok(jid) = Jid::parse(&is.jid) {
                last::to_subscriber(cx, owner, node, &jid)?;
            }
        }
    }
    Ok(())
}
