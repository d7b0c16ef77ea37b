//! XEP-0313: Message Archive Management of accounts: what is stored, ids, metadata. `query` pages through it as `asked`,
//! `completion` says what became of its messages, `preferences` (XEP-0441) lets the owner choose. An archive is its owner's alone.

mod asked;
mod becoming;
mod channel_form;
mod collation;
mod completion;
mod form;
mod inbox;
mod page;
mod preferences;
mod query;
mod related;
mod result;
mod search;

pub use becoming::{bury, related, related_late, retracted};
pub use channel_form::{as_member, correcting, naming, readdressed};
pub use form::write_fields;
pub use inbox::InboxRooms;
pub use preferences::wanted;
pub use query::{Asking, Source, page_of};
pub use search::{FEATURE as SEARCH, NS as SEARCH_NS};

use crate::state::{ArchiveIds, Cx, Fault};
use crate::store::ArchiveId;
use crate::xml::{ElementRef, Writer};
use crate::xmpp::relation;
use crate::xmpp::{Condition, Message, MessageKind, Timestamp, ns};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

const EXTENDED: &str = "urn:xmpp:mam:2#extended";
const GROUPCHAT_FIELD: &str = "urn:xmpp:mam:2#groupchat-field";

/// §7: what the archive of a channel can do.
pub const OF_CHANNELS: &[&str] = &[
    ns::MAM,
    EXTENDED,
    GROUPCHAT_FIELD,
    completion::NS,
    collation::NS,
];

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::complete("XEP-0059", "Result Set Management", "1.0"),
        Spec::complete("XEP-0297", "Stanza Forwarding", "1.0"),
        Spec::complete("XEP-0313", "Message Archive Management", "1.1.3"),
        Spec::complete("XEP-0427", "MAM Fastening Collation", "0.1.0"),
        Spec::complete("XEP-0430", "Inbox", "0.2.0"),
        Spec::complete("XEP-0424", "Message Retraction", "0.4.2"),
        Spec::complete(
            "XEP-0441",
            "Message Archive Management Preferences",
            "0.2.0",
        ),
    ],
    disco: &[
        (To::OwnAccount, ns::MAM),
        (To::OwnAccount, EXTENDED),
        (To::OwnAccount, GROUPCHAT_FIELD),
        // What is said in the channels that one is in.
        (To::OwnAccount, "urn:xmpp:mam:2#groupchat-available"),
        (To::OwnAccount, completion::NS),
        (To::OwnAccount, collation::NS),
        (To::OwnAccount, inbox::NS),
        (To::Server, relation::RETRACT),
        (To::OwnAccount, relation::RETRACT),
        (To::OwnAccount, "urn:xmpp:message-retract:1#tombstone"),
        (To::OwnAccount, ns::RSM),
        (To::OwnAccount, ns::FORWARD),
    ],
    iq: &[
        IqRoute::set(To::OwnAccount, ns::MAM, "query", query::run),
        IqRoute::get(To::OwnAccount, ns::MAM, "query", form::fields),
        IqRoute::get(To::OwnAccount, ns::MAM, "metadata", metadata),
        IqRoute::get(To::OwnAccount, inbox::NS, "inbox", inbox::get),
        IqRoute::get(To::OwnAccount, ns::MAM, "prefs", preferences::get),
        IqRoute::set(To::OwnAccount, ns::MAM, "prefs", preferences::set),
        IqRoute::set(To::Account, ns::MAM, "query", forbidden).refused_by(Condition::Forbidden),
        IqRoute::get(To::Account, ns::MAM, "query", forbidden).refused_by(Condition::Forbidden),
        IqRoute::get(To::Account, ns::MAM, "metadata", forbidden).refused_by(Condition::Forbidden),
        IqRoute::get(To::Account, ns::MAM, "prefs", forbidden).refused_by(Condition::Forbidden),
        IqRoute::set(To::Account, ns::MAM, "prefs", forbidden).refused_by(Condition::Forbidden),
    ],
    ..Feature::new("archive")
};

/// Children that make a message worth keeping, beside a body: encrypted payloads, and what changes or answers an earlier
/// message.
const CONTENT: &[(&str, &str)] = &[
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:1"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("encryption", "urn:xmpp:eme:0"),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
    ("received", "urn:xmpp:receipts"),
    ("received", "urn:xmpp:chat-markers:0"),
    ("displayed", "urn:xmpp:chat-markers:0"),
    ("acknowledged", "urn:xmpp:chat-markers:0"),
    ("reactions", "urn:xmpp:reactions:0"),
    ("replace", "urn:xmpp:message-correct:0"),
    ("retract", "urn:xmpp:message-retract:1"),
    ("retract", ns::MIX_MISC),
    ("forwarded", ns::FORWARD),
    ("apply-to", "urn:xmpp:fasten:0"),
];

/// Whether a child makes its message worth keeping.
pub fn is_content(child: ElementRef<'_>) -> bool {
    CONTENT.contains(&(child.name(), child.namespace()))
}

/// Children that say nothing by themselves: how the conversation goes, how the message is to be treated, its ids.
const TRANSIENT: &[&str] = &[
    ns::CHAT_STATES,
    ns::HINTS,
    ns::STANZA_ID,
    ns::DELAY,
    ns::CARBONS,
    "urn:xmpp:rtt:0",
];

/// Whether a message's content is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storable {
    No,
    /// Until its addressee has it (XEP-0160 §3), and in no archive: an invitation, a call, no part of a conversation; or what its
    /// sender wants no lasting copy of.
    Waiting,
    /// In the archives of both sides; an absent account gets it from there (XEP-0160).
    Archive,
}

/// §6.1.1 and the hints of XEP-0334, which count for nothing in errors (its §5).
pub fn storable(message: &Message) -> Storable {
    let has_hint = |name| message.child(name, ns::HINTS).is_some();
    let is_content = || {
        let mut children = message.element.root().children();
        message.has_body() || children.any(is_content)
    };
    match message.kind {
        MessageKind::Error | MessageKind::Groupchat => Storable::No,
        _ if has_hint("no-store") => Storable::No,
        MessageKind::Headline if has_hint("no-permanent-store") => Storable::No,
        _ if has_hint("no-permanent-store") => match says_something(message) {
            true => Storable::Waiting,
            false => Storable::No,
        },
        _ if has_hint("store") => Storable::Archive,
        MessageKind::Normal | MessageKind::Chat if is_content() => Storable::Archive,
        MessageKind::Normal | MessageKind::Chat if says_something(message) => Storable::Waiting,
        MessageKind::Normal | MessageKind::Chat | MessageKind::Headline => Storable::No,
    }
}

/// XEP-0160 §3: more than chat states.
pub fn says_something(message: &Message) -> bool {
    let root = message.element.root();
    root.children().any(|child| {
        let is_thread = child.is("thread", root.namespace());
        !is_thread && !TRANSIENT.contains(&child.namespace())
    })
}

/// §5: the ends of the archive.
fn metadata(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let ends = cx.tx.archive_ends(request.account_id())?;
    Ok(Reply::payload(|w| {
        write_metadata(&cx.state.archive_ids, ends, w);
    }))
}

/// §5, also for XEP-0386: nothing stands in it while the archive is empty.
pub fn write_metadata(
    ids: &ArchiveIds,
    ends: Option<[(ArchiveId, Timestamp); 2]>,
    w: &mut Writer<'_>,
) {
    w.open_ns("metadata", ns::MAM);
    for (name, (id, at)) in ["start", "end"].into_iter().zip(ends.into_iter().flatten()) {
        w.open(name)
            .attr("id", &ids.text(id))
            .attr("timestamp", &at.to_string())
            .close();
    }
    w.close();
}

/// §8.1
fn forbidden(_cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Err(Condition::Forbidden.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;
    use crate::xmpp::Stanza;

    fn is_storable(xml: &str) -> bool {
        let element = parse_stored(xml, ns::CLIENT).unwrap();
        match Stanza::from_element(element) {
            Some(Ok(Stanza::Message(message))) => storable(&message) == Storable::Archive,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn content_is_stored() {
        for child in [
            "<body>hi</body>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
            "<x xmlns='jabber:x:encrypted'>…</x>",
            "<openpgp xmlns='urn:xmpp:openpgp:0'>…</openpgp>",
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
            "<store xmlns='urn:xmpp:hints'/>",
        ] {
            assert!(
                is_storable(&format!("<message type='chat'>{child}</message>")),
                "{child}"
            );
            assert!(
                is_storable(&format!("<message>{child}</message>")),
                "{child}"
            );
            for kind in ["groupchat", "error"] {
                let message = format!("<message type='{kind}'>{child}</message>");
                assert!(!is_storable(&message), "{message}");
            }
        }
    }

    #[test]
    fn states_and_what_must_not_be_stored_are_not() {
        for message in [
            "<message/>",
            "<message type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "<message><subject>s</subject></message>",
            "<message><body xmlns='urn:other'>hi</body></message>",
            "<message><request xmlns='urn:xmpp:receipts'/></message>",
            "<message><markable xmlns='urn:xmpp:chat-markers:0'/></message>",
            "<message type='headline'><body>hi</body></message>",
            "<message><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>",
            "<message><body>hi</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>",
            "<message><no-store xmlns='urn:xmpp:hints'/><store xmlns='urn:xmpp:hints'/></message>",
        ] {
            assert!(!is_storable(message), "{message}");
        }
    }
}
