//! Who hears of what happens at a node. Each resource hears it once, whatever the reasons are.
//!
//! An account's own resources and those of contacts who see its presence hear of what they asked for by verified
//! capabilities (XEP-0163 §4.3, `#filtered-notifications`); whoever subscribed hears it at the address that was subscribed.
//! Contacts at components are known by no presence or capabilities here: they hear of what they subscribed to.
use std::collections::HashSet;

use crate::pubsub::access::{self, Standing, What};
use crate::pubsub::config::{AccessModel, field};
use crate::pubsub::node::Node;
use crate::pubsub::owner::{Owner, OwnerKind};
use crate::state::{BlockList, Cx, Online, Session, SessionId};
use crate::store::{AccountId, Related, StoreError};
use crate::xmpp::Jid;

/// Rows of subscribers read at a time.
const ROWS_MAX: usize = 200;

#[derive(Default)]
pub struct Audience {
    pub sessions: Vec<SessionId>,
    /// Addresses that a message finds its own way to.
    pub others: Vec<Jid>,
}

impl Audience {
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.others.is_empty()
    }
}

pub fn of(cx: &Cx<'_>, owner: &Owner, node: &Node) -> Result<Audience, StoreError> {
    let mut audience = Audience::default();
    let mut blocked = BlockList::default();
    if let OwnerKind::Account(account) = owner.kind {
        blocked = cx.block_list(&owner.jid, account)?;
        let own = cx.state.sessions.of(&owner.jid);
        let takers = own.filter(|session| wants(session, node));
        audience.sessions.extend(takers.map(|session| session.id));
        add_contacts(cx, owner, node, (account, &blocked), &mut audience)?;
    }
    if node.row.subscribed > 0 {
        add_subscribers(cx, owner, node, &blocked, &mut audience)?;
    }
    Ok(audience)
}

/// Whether a session is available and asked for this node.
fn wants(session: &Session, node: &Node) -> bool {
    let caps = session.caps.as_ref().filter(|_| session.presence.is_some());
    caps.is_some_and(|caps| caps.wants(node.name()))
}

/// XEP-0163 §4.3: contacts who are subscribed to the account's presence.
fn add_contacts(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    (account, blocked): (AccountId, &BlockList),
    audience: &mut Audience,
) -> Result<(), StoreError> {
    if node.config.access() == AccessModel::Whitelist && node.row.affiliated == 0 {
        return Ok(());
    }
    for (jid, contact) in cx.tx.contacts(account)? {
        if !contact.subscription.is_from() || jid == owner.jid {
            continue;
        }
        let Some(online) = cx.state.sessions.online(&jid) else {
            continue;
        };
        let of_contact = online.sessions.iter();
        let sessions = of_contact.filter_map(|id| cx.state.sessions.get(*id));
        let mut takers = sessions.filter(|session| wants(session, node)).peekable();
        if takers.peek().is_none() || is_blocked(blocked, online, owner, &jid) {
            continue;
        }
        let standing = Standing {
            contact: Some(&contact),
            ..access::standing(cx, owner, node, &jid)?
        };
        if access::refused(cx, owner, node, (&jid, &standing), What::Read)?.is_none() {
            let takers = takers.filter(|session| !blocked.matches(session.jid.as_jid()));
            audience.sessions.extend(takers.map(|session| session.id));
        }
    }
    Ok(())
}

/// XEP-0191 §3.2: whoever blocks, of the two, nothing is sent.
pub fn is_blocked(blocked: &BlockList, online: &Online, owner: &Owner, jid: &Jid) -> bool {
    blocked.matches(jid) || online.blocked.matches(owner.jid.as_jid())
}

/// XEP-0060 §6.1, XEP-0163 §4.3: who subscribed.
fn add_subscribers(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    blocked: &BlockList,
    audience: &mut Audience,
) -> Result<(), StoreError> {
    let mut hear: HashSet<SessionId> = audience.sessions.iter().copied().collect();
    let mut last = Box::<str>::default();
    loop {
        let rows = cx.tx.related_behind(&node.row, &last, ROWS_MAX)?;
        let Some((jid, _)) = rows.last() else {
            return Ok(());
        };
        last = jid.clone();
        for (_, related) in &rows {
            for jid in addresses(related) {
                add_address(
                    cx,
                    (owner, node, blocked),
                    (&jid, related),
                    &mut hear,
                    audience,
                )?;
            }
        }
    }
}

fn addresses(related: &Related) -> impl Iterator<Item = Jid> {
    let subscriptions = related.subscriptions.iter();
    subscriptions
        .filter(|one| one.delivers())
        .filter_map(|one| Jid::parse(&one.jid).ok())
}

fn add_address(
    cx: &Cx<'_>,
    (owner, node, blocked): (&Owner, &Node, &BlockList),
    (jid, related): (&Jid, &Related),
    hear: &mut HashSet<SessionId>,
    audience: &mut Audience,
) -> Result<(), StoreError> {
    let standing = Standing {
        affiliation: match owner.is_self(jid) {
            true => crate::store::Affiliation::Owner,
            false => related.affiliation,
        },
        subscribed: true,
        contact: None,
    };
    if blocked.matches(jid)
        || access::refused(cx, owner, node, (jid, &standing), What::Read)?.is_some()
    {
        return Ok(());
    }
    let needs_presence = node.config.flag(field::PRESENCE_BASED_DELIVERY);
    let bare = jid.to_bare();
    let online = cx.state.sessions.online(&bare);
    if !cx.state.domains.is_served(jid) || (jid.is_bare() && online.is_none() && !needs_presence) {
        audience.others.push(jid.clone());
        return Ok(());
    }
    let Some(online) = online.filter(|online| !is_blocked(blocked, online, owner, jid)) else {
        return Ok(());
    };
    let of_account = online.sessions.iter();
    let takers = of_account.filter_map(|id| cx.state.sessions.get(*id));
    let takers: Vec<SessionId> = match jid.resource() {
        // One address, one notification.
        Some(resource) => takers
            .filter(|one| one.jid.resource() == resource)
            .filter(|one| !needs_presence || one.presence.is_some())
            .map(|one| one.id)
            .collect(),
        None => takers
            .filter(|one| one.takes_messages())
            .map(|one| one.id)
            .collect(),
    };
    let is_new = !takers.iter().any(|session| hear.contains(session));
    let new = takers.into_iter().filter(|session| hear.insert(*session));
    match jid.is_bare() && is_new {
        // To the address that subscribed, which stands for all of them.
        true => {
            new.for_each(drop);
            audience.others.push(jid.clone());
        }
        false => audience.sessions.extend(new),
    }
    Ok(())
}
