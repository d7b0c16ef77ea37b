//! XEP-0060 §5.6, §5.7: what the one who asks has to do with an owner's nodes.
use crate::pubsub::related::NODES_OF_ONE_MAX;
use crate::pubsub::{self, Node};
use crate::state::{Cx, Fault};
use crate::store::{Affiliation, Related, SubscriptionState};
use crate::xml::Writer;
use crate::xmpp::ns;

use super::{Asked, Reply};

pub fn affiliation_text(affiliation: Affiliation) -> &'static str {
    match affiliation {
        Affiliation::Outcast => "outcast",
        Affiliation::None => "none",
        Affiliation::Member => "member",
        Affiliation::PublishOnly => "publish-only",
        Affiliation::Publisher => "publisher",
        Affiliation::Owner => "owner",
    }
}

pub fn state_text(state: SubscriptionState) -> &'static str {
    match state {
        SubscriptionState::Pending => "pending",
        SubscriptionState::Subscribed => "subscribed",
    }
}

/// §5.6
pub fn subscriptions(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    list(cx, asked, "subscriptions", &|w, node, related| {
        for one in &related.subscriptions {
            w.open("subscription")
                .attr("node", node.name())
                .attr("jid", &one.jid)
                .attr("subscription", state_text(one.state))
                .attr("subid", &one.subid)
                .close();
        }
    })
}

/// §5.7
pub fn affiliations(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    list(cx, asked, "affiliations", &|w, node, related| {
        if related.affiliation != Affiliation::None {
            w.open("affiliation")
                .attr("node", node.name())
                .attr("affiliation", affiliation_text(related.affiliation))
                .close();
        }
    })
}

type WriteOne<'w> = &'w dyn Fn(&mut Writer<'_>, &Node, &Related);

/// Of one node, or of all that the sender has to do with. A node that is not there is one with which nobody has.
fn list(
    cx: &mut Cx<'_>,
    asked: &Asked<'_>,
    name: &'static str,
    write: WriteOne<'_>,
) -> Result<Reply, Fault> {
    let owner = &asked.owner;
    let from = asked.request.from;
    let only = asked.child.attribute("node");
    let names: Vec<Box<str>> = match &only {
        Some(node) => vec![(**node).into()],
        None if owner.is_self(from) => {
            let nodes = pubsub::node::behind(cx, owner, "", NODES_OF_ONE_MAX)?;
            nodes.iter().map(|node| node.name().into()).collect()
        }
        None => cx.tx.related_nodes(owner.number(), from.bare_str())?,
    };
    let mut theirs = Vec::new();
    for name in names.iter().take(NODES_OF_ONE_MAX) {
        let Some(node) = pubsub::node(cx, owner, name)? else {
            continue;
        };
        let mut related = cx.tx.related(&node.row, from.bare_str())?;
        if owner.is_self(from) {
            related.affiliation = Affiliation::Owner;
        }
        theirs.push((node, related));
    }
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open(name).attr_opt("node", only.as_deref());
        for (node, related) in &theirs {
            write(w, node, related);
        }
        w.close().close();
    }))
}
