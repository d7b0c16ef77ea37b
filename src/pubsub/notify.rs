//! Who hears of what happened at a node, and how.
use crate::state::{Cx, Fault, Keep, Kind, Replaces, SessionId, Urgency};
use crate::store::Item;
use crate::xml::Writer;
use crate::xmpp::{Jid, ns};

use super::access::{self, What};
use super::config::field;
use super::node::Node;
use super::owner::Owner;

/// XEP-0060 §7.1.2.1: items were published.
pub fn published(cx: &mut Cx<'_>, owner: &Owner, node: &Node, items: &[Item]) -> Result<(), Fault> {
    let with_payload = node.config.flag(field::DELIVER_PAYLOADS);
    send(cx, owner, node, &|w| {
        w.open("items").attr("node", node.name());
        for item in items {
            write_item(w, node, item, with_payload);
        }
        w.close();
    })
}

/// §7.2.2.1: items were removed.
pub fn retracted(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    ids: &[Box<str>],
) -> Result<(), Fault> {
    send(cx, owner, node, &|w| {
        w.open("items").attr("node", node.name());
        for id in ids {
            w.open("retract").attr("id", id).close();
        }
        w.close();
    })
}

/// §8.5.2: all items were removed.
pub fn purged(cx: &mut Cx<'_>, owner: &Owner, node: &Node) -> Result<(), Fault> {
    if !node.config.flag(field::NOTIFY_RETRACT) {
        return Ok(());
    }
    send(cx, owner, node, &|w| {
        w.open("purge").attr("node", node.name()).close();
    })
}

/// §8.4.2: the node will be gone.
pub fn deleted(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    redirect: Option<&str>,
) -> Result<(), Fault> {
    if !node.config.flag(field::NOTIFY_DELETE) {
        return Ok(());
    }
    send(cx, owner, node, &|w| {
        w.open("delete").attr("node", node.name());
        if let Some(uri) = redirect {
            w.open("redirect").attr("uri", uri).close();
        }
        w.close();
    })
}

/// §8.2.5.3: the node is configured otherwise.
pub fn configured(cx: &mut Cx<'_>, owner: &Owner, node: &Node) -> Result<(), Fault> {
    if !node.config.flag(field::NOTIFY_CONFIG) {
        return Ok(());
    }
    send(cx, owner, node, &|w| {
        w.open("configuration").attr("node", node.name()).close();
    })
}

/// One item of an event, or of an answer.
pub fn write_item(w: &mut Writer<'_>, node: &Node, item: &Item, with_payload: bool) {
    let publisher = node.config.shows_publisher().then_some(&*item.publisher);
    w.open("item")
        .attr("id", &item.id)
        .attr_opt("publisher", publisher);
    if with_payload && !item.payload.is_empty() {
        w.raw(&item.payload);
    }
    w.close();
}

/// To the owner's own sessions.
fn send(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    event: &dyn Fn(&mut Writer<'_>),
) -> Result<(), Fault> {
    if !node.config.flag(field::DELIVER_NOTIFICATIONS) {
        return Ok(());
    }
    let sessions = cx.state.sessions.of(&owner.jid);
    let available = sessions.filter(|session| session.presence.is_some());
    let takers: Vec<(SessionId, Jid)> = available
        .map(|session| (session.id, session.jid.clone().into()))
        .collect();
    for (session, to) in takers {
        if !access::can(cx, owner, node, &to, What::Read)? {
            continue;
        }
        let stanza = cx.write(|w| {
            w.open("message")
                .attr("type", "headline")
                .attr("from", owner.jid.as_str())
                .attr("to", to.as_str())
                .open_ns("event", ns::PUBSUB_EVENT);
            event(w);
            w.close().close();
        });
        let urgency = Urgency::Latest(Replaces {
            kind: Kind::Event,
            sender: owner.jid.as_str(),
            node: node.name(),
            item: "",
        });
        cx.deliver_as(session, stanza, urgency, Keep::WHOLE);
    }
    Ok(())
}
