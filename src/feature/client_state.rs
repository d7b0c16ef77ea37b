//! XEP-0352: Client State Indication. What wakes an inactive client and what waits until it is active. The state itself is
//! told by elements of the stream (`server/management.rs`), what waits is kept by `state/client_state.rs`.
use std::borrow::Cow;

use memchr::memmem;

use crate::state::{Kind, Replaces, Urgency};
use crate::xml::ElementRef;
use crate::xmpp::{Message, MessageKind, PresenceKind, ns};

use super::{Feature, Spec};

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete(
        "XEP-0352",
        "Client State Indication",
        "1.0.0",
    )],
    is_on: |settings| settings.client_state,
    ..Feature::new("client_state")
};

/// Nodes whose items stand side by side, so that one is no successor of another: bookmarks (XEP-0402), what was read where
/// (XEP-0490), posts (XEP-0472, XEP-0277), devices' bundles (XEP-0384).
const NODES_OF_MANY: &[&str] = &[
    "urn:xmpp:bookmarks:1",
    "urn:xmpp:mds:displayed:0",
    "urn:xmpp:pubsub-social-feed:1",
    "urn:xmpp:microblog:0",
    "urn:xmpp:omemo:2:bundles",
];

/// What a child says about how soon the message must be heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It only goes along with others.
    None,
    ChatState,
    Receipt,
    Event,
    Content,
}

/// Chat states alone wait, the latest of each sender; so do events, the latest of each sender and node; receipts and
/// markers alone wait, all of them. Everything else wakes the client: bodies, encrypted payloads, calls, errors, and
/// whatever is not known here.
pub fn message_urgency<'a>(message: &'a Message, sender: &'a str) -> Urgency<'a> {
    if message.kind == MessageKind::Error {
        return Urgency::Now;
    }
    let root = message.element.root();
    let mut heaviest = Weight::None;
    for child in root.children() {
        let weight = weight(child);
        if weight == Weight::Content || (heaviest != Weight::None && weight == Weight::Event) {
            return Urgency::Now;
        }
        if heaviest != Weight::Receipt && weight != Weight::None {
            heaviest = weight;
        }
    }
    match heaviest {
        Weight::None | Weight::Content => Urgency::Now,
        Weight::ChatState => Urgency::latest(Kind::ChatState, sender),
        Weight::Receipt => Urgency::Later,
        Weight::Event => root
            .child("event", ns::PUBSUB_EVENT)
            .map_or(Urgency::Now, |event| event_urgency(event, sender)),
    }
}

fn weight(child: ElementRef<'_>) -> Weight {
    match (child.name(), child.namespace()) {
        (_, ns::CHAT_STATES) => Weight::ChatState,
        ("received", ns::RECEIPTS) => Weight::Receipt,
        ("received" | "displayed" | "acknowledged", ns::MARKERS) => Weight::Receipt,
        ("event", ns::PUBSUB_EVENT) => Weight::Event,
        ("request", ns::RECEIPTS) | ("markable", ns::MARKERS) => Weight::None,
        (_, ns::HINTS | ns::STANZA_ID | ns::DELAY | ns::OCCUPANT_ID) => Weight::None,
        ("thread", ns::CLIENT) => Weight::None,
        // Who speaks in a channel.
        ("mix", ns::MIX) => Weight::None,
        // A private message of a room; an invitation is one as well, and says something.
        ("x", ns::MUC_USER) if child.children().all(|child| child.name() == "item") => Weight::None,
        _ => Weight::Content,
    }
}

/// XEP-0060 §7.1.2.1: what happened to a node.
fn event_urgency<'a>(event: ElementRef<'a>, sender: &'a str) -> Urgency<'a> {
    let Some(what) = event.children().next() else {
        return Urgency::Later;
    };
    let Some(Cow::Borrowed(node)) = what.attribute("node") else {
        return Urgency::Later;
    };
    let mut item = "";
    if NODES_OF_MANY.contains(&node) {
        let mut items = what.children();
        match (
            items.next().and_then(|item| item.attribute("id")),
            items.next(),
        ) {
            (Some(Cow::Borrowed(id)), None) => item = id,
            // All of a node, or several at once: nothing follows that says the same.
            _ => return Urgency::Later,
        }
    }
    Urgency::Latest(Replaces {
        kind: Kind::Event,
        sender,
        node,
        item,
    })
}

/// Presence: an inactive client needs only the latest of each sender. Errors wake it, and so does what a room or channel says
/// of the client itself (XEP-0045 §7.2.2: status 110), for it waits for that.
pub fn presence_wakes(kind: PresenceKind, payload: &str) -> bool {
    let has = |needle: &str| memmem::find(payload.as_bytes(), needle.as_bytes()).is_some();
    let is_own = || has(ns::MUC_USER) && (has("code='110'") || has("code=\"110\""));
    kind == PresenceKind::Error || is_own()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;
    use crate::xmpp::Stanza;

    fn message(kind: &str, children: &str) -> Message {
        let xml = format!("<message type='{kind}'>{children}</message>");
        match Stanza::from_element(parse_stored(&xml, ns::CLIENT).unwrap()) {
            Some(Ok(Stanza::Message(message))) => message,
            other => panic!("{other:?}"),
        }
    }

    const STATE: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    const RECEIPT: &str = "<received xmlns='urn:xmpp:receipts' id='1'/>";
    const MARKER: &str = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>";
    const HINT: &str = "<no-store xmlns='urn:xmpp:hints'/>";

    #[test]
    fn content_wakes() {
        for child in [
            "",
            "<body>hi</body>",
            "<subject>s</subject>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
            "<openpgp xmlns='urn:xmpp:openpgp:0'>…</openpgp>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='call'/>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
            "<x xmlns='jabber:x:conference' jid='a@b'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>",
            "<anything xmlns='urn:example:new'/>",
        ] {
            for with in ["", STATE, RECEIPT, HINT] {
                if child.is_empty() && !with.is_empty() && with != HINT {
                    continue;
                }
                for kind in ["chat", "normal", "groupchat", "headline"] {
                    let message = message(kind, &format!("{with}{child}"));
                    assert_eq!(message_urgency(&message, "a@b/c"), Urgency::Now, "{child}");
                }
            }
        }
        for child in [STATE, RECEIPT] {
            let error = message("error", child);
            assert_eq!(message_urgency(&error, "a@b/c"), Urgency::Now);
        }
    }

    #[test]
    fn states_and_receipts_wait() {
        for kind in ["chat", "normal", "groupchat"] {
            let state = message(kind, &format!("{STATE}{HINT}<thread>t</thread>"));
            let latest = Urgency::latest(Kind::ChatState, "a@b/c");
            assert_eq!(message_urgency(&state, "a@b/c"), latest);
            for receipt in [RECEIPT, MARKER] {
                for with in ["", STATE, HINT] {
                    let message = message(kind, &format!("{with}{receipt}{with}"));
                    assert_eq!(message_urgency(&message, "a@b/c"), Urgency::Later);
                }
            }
        }
    }

    #[test]
    fn events_wait_by_sender_and_node() {
        let event = |inner: &str| {
            let event = format!("<event xmlns='{}'>{inner}</event>", ns::PUBSUB_EVENT);
            message("headline", &event)
        };
        let latest = |node, item| {
            Urgency::Latest(Replaces {
                kind: Kind::Event,
                sender: "a@b",
                node,
                item,
            })
        };
        for (inner, urgency) in [
            (
                "<items node='mood'><item id='1'/></items>",
                latest("mood", ""),
            ),
            (
                "<items node='mood'><retract id='1'/></items>",
                latest("mood", ""),
            ),
            (
                "<items node='urn:xmpp:bookmarks:1'><item id='room'/></items>",
                latest("urn:xmpp:bookmarks:1", "room"),
            ),
            ("<purge node='urn:xmpp:bookmarks:1'/>", Urgency::Later),
            ("<items/>", Urgency::Later),
            ("", Urgency::Later),
        ] {
            assert_eq!(message_urgency(&event(inner), "a@b"), urgency, "{inner}");
        }
    }

    #[test]
    fn presence_waits_but_errors_and_ones_own_do_not() {
        let own = "<x xmlns='http://jabber.org/protocol/muc#user'><item/><status code='110'/></x>";
        for (kind, payload, wakes) in [
            (PresenceKind::Available, "", false),
            (PresenceKind::Unavailable, "", false),
            (
                PresenceKind::Available,
                "<status> type='error'</status>",
                false,
            ),
            (PresenceKind::Error, "<error/>", true),
            (PresenceKind::Available, own, true),
        ] {
            assert_eq!(presence_wakes(kind, payload), wakes, "{payload}");
        }
    }
}
