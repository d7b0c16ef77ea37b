//! What happened at a node, told to who may know it (XEP-0060 §7.1.2, §7.2.2, §8, XEP-0163 §4.3).

mod audience;
pub mod last;

use std::io::Write;

use crate::state::{Cx, Fault, Keep, Kind, OwnMessage, Replaces, SessionId, Shared, Urgency};
use crate::store::Item;
use crate::xml::{Escaped, Writer, parse_stored};
use crate::xmpp::{FormKind, Jid, MessageKind, Timestamp, ns};

use super::config::field;
use super::node::Node;
use super::owner::Owner;
use audience::Audience;

/// Bytes of payloads that one event may cost, all hearers together: beyond that they are told without, and can ask for it.
const FAN_OUT_BYTES_MAX: usize = 16 << 20;

/// XEP-0060 §7.1.2.1: items were published.
pub fn published(cx: &mut Cx<'_>, owner: &Owner, node: &Node, items: &[Item]) -> Result<(), Fault> {
    let ids = items.iter().map(|item| &*item.id);
    let about = About::items(node, ids);
    let bytes: usize = items.iter().map(|item| item.payload.len()).sum();
    let is_wanted = node.config.flag(field::DELIVER_PAYLOADS);
    send(cx, owner, node, about, &|w, hearers| {
        let with_payload = is_wanted && bytes.saturating_mul(hearers) <= FAN_OUT_BYTES_MAX;
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
    let about = About::items(node, ids.iter().map(|id| &**id));
    send(cx, owner, node, about, &|w, _| {
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
    send(cx, owner, node, About::All, &|w, _| {
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
    send(cx, owner, node, About::All, &|w, _| {
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
    send(cx, owner, node, About::All, &|w, _| {
        w.open("configuration").attr("node", node.name());
        if node.config.flag(field::DELIVER_PAYLOADS) {
            node.config.write(w, FormKind::Result, &[]);
        }
        w.close();
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

/// What an event replaces for those who were not told the one before yet (XEP-0352).
#[derive(Clone, Copy)]
enum About<'a> {
    /// Another item with this id; empty: whatever was published before.
    Item(&'a str),
    /// Nothing; all of them count.
    All,
}

impl<'a> About<'a> {
    fn items(node: &Node, mut ids: impl Iterator<Item = &'a str>) -> About<'a> {
        match (ids.next(), ids.next()) {
            _ if node.config.number(field::MAX_ITEMS) == 1 => About::Item(""),
            (Some(id), None) => About::Item(id),
            _ => About::All,
        }
    }

    fn urgency(self, owner: &'a Owner, node: &'a Node) -> Urgency<'a> {
        match self {
            About::Item(item) => Urgency::Latest(Replaces {
                kind: Kind::Event,
                sender: owner.jid.as_str(),
                node: node.name(),
                item,
            }),
            About::All => Urgency::Later,
        }
    }
}

/// To all who are to know: the event is written once, for so many hearers, with a head for each.
fn send(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    about: About<'_>,
    event: &dyn Fn(&mut Writer<'_>, usize),
) -> Result<(), Fault> {
    if !node.config.flag(field::DELIVER_NOTIFICATIONS) {
        return Ok(());
    }
    let audience = audience::of(cx, owner, node)?;
    if audience.is_empty() {
        return Ok(());
    }
    let Audience { sessions, others } = audience;
    let hearers = sessions.len() + others.len();
    let end = write_end(cx, &|w| event(w, hearers), None);
    let start = head_start(owner, node);
    for session in sessions {
        deliver(cx, owner, node, (session, about), (&start, &end));
    }
    deliver_to_others(cx, owner, node, others, &end);
    Ok(())
}

/// What follows the head. `at`: when it happened, if that was before (XEP-0203).
fn write_end(cx: &mut Cx<'_>, event: &dyn Fn(&mut Writer<'_>), at: Option<Timestamp>) -> Shared {
    cx.share(|bytes| {
        bytes.push(b'>');
        let mut w = Writer::new(bytes);
        w.open_ns("event", ns::PUBSUB_EVENT);
        event(&mut w);
        w.close();
        if let Some(at) = at {
            w.open_ns("delay", ns::DELAY)
                .attr("stamp", &at.to_string())
                .close();
        }
        bytes.extend_from_slice(b"</message>");
    })
}

fn kind(node: &Node) -> MessageKind {
    match node.config.number(field::NOTIFICATION_TYPE) {
        0 => MessageKind::Normal,
        _ => MessageKind::Headline,
    }
}

/// A message up to whom it is to.
fn head_start(owner: &Owner, node: &Node) -> Vec<u8> {
    let (from, kind) = (Escaped(owner.jid.as_str()), kind(node).as_str());
    format!("<message type='{kind}' from='{from}' to='").into_bytes()
}

fn deliver(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &Node,
    (session, about): (SessionId, About<'_>),
    (start, end): (&[u8], &Shared),
) {
    let Some(known) = cx.state.sessions.get(session) else {
        return;
    };
    let to = Escaped(known.jid.as_str());
    let stanza = cx.out.with_head(end, &mut |bytes| {
        bytes.extend_from_slice(start);
        write!(bytes, "{to}'").expect("memory takes all that is written");
    });
    cx.deliver_as(session, &stanza, about.urgency(owner, node), Keep::WHOLE);
}

/// To addresses that are no session of ours it goes the way of a message.
fn deliver_to_others(cx: &mut Cx<'_>, owner: &Owner, node: &Node, others: Vec<Jid>, end: &Shared) {
    if others.is_empty() {
        return;
    }
    let end = cx.out.bytes.get(end.place()).unwrap_or_default();
    let text = format!("<message{}", String::from_utf8_lossy(end));
    let Ok(element) = parse_stored(&text, ns::CLIENT) else {
        return;
    };
    for to in others {
        cx.state.effects.own_messages.push(OwnMessage {
            from: owner.jid.clone().into(),
            to,
            kind: kind(node),
            element: element.clone(),
        });
    }
}
