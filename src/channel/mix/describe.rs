//! XEP-0369 §6.4, §6.5: the nodes of a channel (XEP-0030).
use crate::channel::asked::Asked;
use crate::channel::people::{self, access};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, ns};

use super::nodes::Node;

/// §6.5: asked for with this node, a channel is one of MIX.
const VIEW: &str = "mix";

/// What a channel says it can do, beside what it says as a room.
pub const FEATURES: &[&str] = &[ns::MIX];

/// Whether a question of service discovery is about channels of MIX.
pub fn is_asked(payload: ElementRef<'_>) -> bool {
    let node = payload.attribute("node");
    node.is_some_and(|node| node == VIEW || Node::parse(&node).is_some())
}

/// §6.5: nodes that whoever asks may subscribe to, if they join.
pub fn items(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_seen(cx, asked)?;
    let node = asked.payload.attribute("node").unwrap_or_default();
    let channel = &asked.channel;
    let member = people::with_domain(cx, &channel.row, asked.who.as_str())?;
    let may_join = access::require_entry(channel, &member).is_ok();
    let is_shown = |at: &Node| may_join && at.is_there(channel) && at.is_for(channel, &member);
    let shown = Node::ALL.into_iter().filter(|at| is_shown(at));
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS).attr("node", &node);
        for at in shown.filter(|_| node == VIEW) {
            w.open("item")
                .attr("jid", channel.jid.as_str())
                .attr("node", at.as_str())
                .close();
        }
        w.close();
    }))
}

/// A node is one of XEP-0060; the channel as such is described with both of its faces.
pub fn info(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_seen(cx, asked)?;
    let node = asked.payload.attribute("node").unwrap_or_default();
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    let at = Node::parse(&node).ok_or(Condition::ItemNotFound)?;
    if !at.is_there(&asked.channel) || !at.is_for(&asked.channel, &member) {
        return Err(Condition::ItemNotFound.into());
    }
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_INFO).attr("node", &node);
        w.open("identity")
            .attr("category", "pubsub")
            .attr("type", "leaf")
            .close();
        w.open("feature").attr("var", ns::PUBSUB).close();
        w.close();
    }))
}

/// Only the view of the whole is asked for.
pub fn is_whole(payload: ElementRef<'_>) -> bool {
    payload.attribute("node").as_deref() == Some(VIEW)
}

/// Whoever is not to know of the channel, and may not join it either, hears what those hear who ask for one that is not there.
pub fn require_seen(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(), Fault> {
    let member = people::with_domain(cx, &asked.channel.row, asked.who.as_str())?;
    let may_join = access::require_entry(&asked.channel, &member).is_ok();
    match may_join || access::may_see(cx, &asked.channel, &asked.who)? {
        true => Ok(()),
        false => Err(Condition::ItemNotFound.into()),
    }
}
