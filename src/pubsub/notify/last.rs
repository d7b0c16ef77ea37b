//! The last item of nodes, for whoever comes to want it (XEP-0060 §6.1.7, XEP-0163 §4.3.4): a resource that becomes available,
//! one whose capabilities become known or change, a contact who is newly subscribed to the account's presence. Once for each
//! node and resource: what a resumed session missed is in its queue.
use std::rc::Rc;

use crate::pubsub::access::{self, Standing, What};
use crate::pubsub::config::{SendLast, field};
use crate::pubsub::items;
use crate::pubsub::node::{self, Node};
use crate::pubsub::owner::{Owner, OwnerKind};
use crate::state::{Caps, Cx, SessionId};
use crate::store::{AccountId, Contact, Item, StoreError};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Jid};

use super::{About, deliver, deliver_to_others, head_start, write_end, write_item};

/// Nodes read of one account at a time; of one that has more, those that are wanted are looked up.
const NODES_READ_MAX: usize = 64;
/// Bytes of payloads that one resource is sent at a time; what is beyond that is told without, and can be asked for.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Items that one resource is sent at a time.
const ITEMS_MAX: usize = 8192;

/// A resource, and what it wants.
struct Taker {
    id: SessionId,
    jid: Jid,
    /// In order.
    wanted: Vec<Box<str>>,
    bytes: usize,
    items: usize,
}

/// What an available session wants and was not sent since it became available. `contacts`: of its account, if they are at
/// hand.
pub fn newly_wanted(
    cx: &mut Cx<'_>,
    session: SessionId,
    contacts: Option<&[(BareJid, Contact)]>,
) -> Result<(), StoreError> {
    let Some(mut taker) = taker(cx, session) else {
        return Ok(());
    };
    if let Some(known) = cx.state.sessions.get_mut(session) {
        known.told = known.caps.clone();
    }
    if taker.wanted.is_empty() {
        return Ok(());
    }
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(());
    };
    let (own, account) = (known.jid.to_bare(), known.account);
    send_of(cx, &mut taker, &Owner::account(&own, account), None)?;
    let read;
    let contacts = match contacts {
        Some(contacts) => contacts,
        None => {
            read = cx.tx.contacts(account)?;
            &read
        }
    };
    for (jid, contact) in contacts {
        if contact.subscription.is_to()
            && *jid != own
            && let Some(account) = cx.account(jid)?
        {
            send_of(cx, &mut taker, &Owner::account(jid, account), Some(&own))?;
        }
    }
    Ok(())
}

/// `None`: it is not available, or nobody knows what it wants.
fn taker(cx: &Cx<'_>, session: SessionId) -> Option<Taker> {
    let known = cx.state.sessions.get(session)?;
    let caps = known.caps.as_ref()?;
    if known.presence.is_none() || !caps.is_known() {
        return None;
    }
    let told = known.told.as_ref();
    let is_new = |node: &str| told.is_none_or(|told: &Rc<Caps>| !told.wants(node));
    let wanted = caps.wanted().iter().filter(|node| is_new(node));
    Some(Taker {
        id: session,
        jid: known.jid.clone().into(),
        wanted: wanted.cloned().collect(),
        bytes: 0,
        items: 0,
    })
}

/// A contact is subscribed to the account's presence from now on.
pub fn newly_subscribed(
    cx: &mut Cx<'_>,
    owner: &BareJid,
    contact: &BareJid,
) -> Result<(), StoreError> {
    let sessions = cx.state.sessions.ids_where(contact, |session| {
        session.presence.is_some() && session.caps.as_ref().is_some_and(|caps| caps.is_known())
    });
    let Some(account) = cx.account(owner)?.filter(|_| !sessions.is_empty()) else {
        return Ok(());
    };
    let owner = Owner::account(owner, account);
    for session in sessions {
        let Some(known) = cx.state.sessions.get(session) else {
            continue;
        };
        let wanted = known.caps.as_ref().map(|caps| caps.wanted().to_vec());
        let mut taker = Taker {
            id: session,
            jid: known.jid.clone().into(),
            wanted: wanted.unwrap_or_default(),
            bytes: 0,
            items: 0,
        };
        send_of(cx, &mut taker, &owner, Some(contact))?;
    }
    Ok(())
}

/// The last items of an account's nodes that are wanted. `viewer`: who is no owner of them.
fn send_of(
    cx: &mut Cx<'_>,
    taker: &mut Taker,
    owner: &Owner,
    viewer: Option<&BareJid>,
) -> Result<(), StoreError> {
    let mut nodes = wanted_nodes(cx, owner, &taker.wanted)?;
    nodes.retain(|node| is_sent(node, SendLast::OnSubscriptionAndPresence));
    let OwnerKind::Account(account) = owner.kind else {
        return Ok(());
    };
    if nodes.is_empty() {
        return Ok(());
    }
    let mut contact = None;
    if let Some(viewer) = viewer {
        contact = cx.tx.contact(account, viewer)?;
        let sees = contact
            .as_ref()
            .is_some_and(|contact| contact.subscription.is_from());
        if !sees || is_blocked(cx, owner, account, &taker.jid)? {
            return Ok(());
        }
    }
    for node in nodes {
        let standing = Standing {
            contact: contact.as_ref(),
            ..access::standing(cx, owner, &node, &taker.jid)?
        };
        let refused = access::refused(cx, owner, &node, (&taker.jid, &standing), What::Read)?;
        if refused.is_none() && taker.items < ITEMS_MAX {
            send(cx, taker, owner, &node)?;
        }
    }
    Ok(())
}

fn is_sent(node: &Node, when: SendLast) -> bool {
    let is_due = match node.config.send_last() {
        SendLast::Never => false,
        SendLast::OnSubscription => when == SendLast::OnSubscription,
        SendLast::OnSubscriptionAndPresence => true,
    };
    is_due && node.row.items > 0 && node.config.flag(field::DELIVER_NOTIFICATIONS)
}

/// XEP-0191 §3.2, either way.
fn is_blocked(
    cx: &Cx<'_>,
    owner: &Owner,
    account: AccountId,
    taker: &Jid,
) -> Result<bool, StoreError> {
    let online = cx.state.sessions.online(&taker.to_bare());
    let by_taker = online.is_some_and(|online| online.blocked.matches(owner.jid.as_jid()));
    Ok(by_taker || cx.block_list(&owner.jid, account)?.matches(taker))
}

/// Those of an account that are wanted, in order: few accounts have more than some, and those lie side by side.
fn wanted_nodes(cx: &Cx<'_>, owner: &Owner, wanted: &[Box<str>]) -> Result<Vec<Node>, StoreError> {
    let read = cx.tx.nodes_wanted(owner.number(), wanted, NODES_READ_MAX)?;
    if let Some(rows) = read {
        return Ok(rows.into_iter().map(|row| Node::new(owner, row)).collect());
    }
    let mut nodes = Vec::new();
    for name in wanted {
        nodes.extend(node::node(cx, owner, name)?);
    }
    Ok(nodes)
}

fn send(cx: &mut Cx<'_>, taker: &mut Taker, owner: &Owner, node: &Node) -> Result<(), StoreError> {
    let Some(item) = items::last_item(cx, node)? else {
        return Ok(());
    };
    taker.items += 1;
    taker.bytes += item.payload.len();
    let with_payload = taker.bytes <= PAYLOAD_BYTES_MAX;
    let end = write_end(
        cx,
        &|w| write_last(w, node, &item, with_payload),
        Some(item.at),
    );
    let about = About::items(node, std::iter::once(&*item.id));
    let start = head_start(owner, node);
    deliver(cx, owner, node, (taker.id, about), (&start, &end));
    Ok(())
}

fn write_last(w: &mut Writer<'_>, node: &Node, item: &Item, with_payload: bool) {
    let with_payload = with_payload && node.config.flag(field::DELIVER_PAYLOADS);
    w.open("items").attr("node", node.name());
    write_item(w, node, item, with_payload);
    w.close();
}

/// XEP-0060 §6.1.7: to an address that subscribed now.
pub fn to_subscriber(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    jid: &Jid,
) -> Result<(), StoreError> {
    if !is_sent(node, SendLast::OnSubscription) {
        return Ok(());
    }
    let Some(item) = items::last_item(cx, node)? else {
        return Ok(());
    };
    let end = write_end(cx, &|w| write_last(w, node, &item, true), Some(item.at));
    match cx.state.sessions.find(jid).map(|session| session.id) {
        Some(session) => {
            let about = About::items(node, std::iter::once(&*item.id));
            let start = head_start(owner, node);
            deliver(cx, owner, node, (session, about), (&start, &end));
        }
        None if jid.is_bare() || !cx.state.domains.is_served(jid) => {
            deliver_to_others(cx, owner, node, vec![jid.clone()], &end);
        }
        None => {}
    }
    Ok(())
}
