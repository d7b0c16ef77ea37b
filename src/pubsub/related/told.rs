//! What is told about subscriptions, in messages that go the way of all messages: to owners who are to decide (XEP-0060
//! §8.6), to those who want to know of subscribers, and to subscribers whose state changed (§8.8.4).
use crate::pubsub::config::field;
use crate::pubsub::node::Node;
use crate::pubsub::owner::{Owner, OwnerKind};
use crate::state::{Cx, OwnMessage};
use crate::store::{Affiliation, NodeSubscription, StoreError, SubscriptionState};
use crate::xml::{Writer, parse_stored};
use crate::xmpp::{BareJid, Jid, MessageKind, ns};

/// The form by which owners decide.
pub const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";
/// Owners that are told.
const OWNERS_MAX: usize = 50;

fn send(
    cx: &mut Cx<'_>,
    owner: &Owner,
    (to, id): (&Jid, &str),
    kind: MessageKind,
    inside: &dyn Fn(&mut Writer<'_>),
) {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open("message").attr("id", id);
    inside(&mut w);
    w.close();
    let text = String::from_utf8(xml).unwrap_or_default();
    if let Ok(element) = parse_stored(&text, ns::CLIENT) {
        cx.state.effects.own_messages.push(OwnMessage {
            from: owner.jid.clone().into(),
            to: to.clone(),
            kind,
            element,
        });
    }
}

fn owners(cx: &Cx<'_>, owner: &Owner, node: &Node) -> Result<Vec<BareJid>, StoreError> {
    let mut owners = Vec::new();
    if let OwnerKind::Account(_) = owner.kind {
        owners.push(owner.jid.clone());
    }
    let mut last = Box::<str>::default();
    loop {
        let rows = cx.tx.related_behind(&node.row, &last, OWNERS_MAX)?;
        let Some((jid, _)) = rows.last() else {
            return Ok(owners);
        };
        last = jid.clone();
        let found = rows
            .iter()
            .filter(|(_, related)| related.affiliation == Affiliation::Owner);
        owners.extend(found.filter_map(|(jid, _)| BareJid::stored(jid)));
        if owners.len() >= OWNERS_MAX {
            return Ok(owners);
        }
    }
}

/// §8.6.1: every owner is asked.
pub fn ask_owners(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    subscription: &NodeSubscription,
) -> Result<(), StoreError> {
    for to in owners(cx, owner, node)? {
        ask(cx, owner, node, subscription, &to);
    }
    Ok(())
}

/// The text lets it wait for owners who are away, and be read by those whose clients know nothing of forms.
pub fn ask(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    subscription: &NodeSubscription,
    to: &BareJid,
) {
    let NodeSubscription { jid, subid, .. } = subscription;
    let name = node.name();
    let body = format!("{jid} wants to subscribe to the node {name}.");
    let id = cx.new_id();
    send(cx, owner, (to, &id), MessageKind::Normal, &|w| {
        w.leaf("body", &body);
        w.open_ns("x", ns::DATA_FORM).attr("type", "form");
        for (var, kind, label, value) in [
            ("FORM_TYPE", "hidden", None, FORM_TYPE),
            ("pubsub#subid", "hidden", None, subid),
            ("pubsub#node", "text-single", Some("Node"), name),
            (
                "pubsub#subscriber_jid",
                "jid-single",
                Some("Subscriber"),
                jid,
            ),
            ("pubsub#allow", "boolean", Some("Allow it"), "false"),
        ] {
            w.open("field")
                .attr("var", var)
                .attr("type", kind)
                .attr_opt("label", label)
                .leaf("value", value)
                .close();
        }
        w.close();
    });
}

fn write_subscription(
    w: &mut Writer<'_>,
    node: &Node,
    subscription: &NodeSubscription,
    is_subscribed: bool,
) {
    let state = match (is_subscribed, subscription.state) {
        (false, _) => "none",
        (true, SubscriptionState::Pending) => "pending",
        (true, SubscriptionState::Subscribed) => "subscribed",
    };
    w.open_ns("event", ns::PUBSUB_EVENT);
    w.open("subscription")
        .attr("node", node.name())
        .attr("jid", &subscription.jid)
        .attr("subscription", state)
        .attr_opt("subid", is_subscribed.then_some(&*subscription.subid))
        .close()
        .close();
}

/// §8.8.4: whose subscription an owner changed.
pub fn subscriber(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    subscription: &NodeSubscription,
    is_subscribed: bool,
) {
    if let Ok(to) = Jid::parse(&subscription.jid) {
        let id = cx.new_id();
        send(cx, owner, (&to, &id), MessageKind::Headline, &|w| {
            write_subscription(w, node, subscription, is_subscribed);
        });
    }
}

/// `notify_sub`: owners hear who comes and goes.
pub fn owners_of_subscriber(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    (subscription, is_subscribed): (&NodeSubscription, bool),
) -> Result<(), StoreError> {
    if !node.config.flag(field::NOTIFY_SUB) {
        return Ok(());
    }
    for to in owners(cx, owner, node)? {
        let id = cx.new_id();
        send(cx, owner, (&to, &id), MessageKind::Headline, &|w| {
            write_subscription(w, node, subscription, is_subscribed);
        });
    }
    Ok(())
}
