//! What a message does to an earlier one, as its outer elements say it: of what is encrypted a server sees no more than these.
use std::borrow::Cow;

use crate::xml::{ElementRef, parse_stored};

use super::ns;

pub const CORRECT: &str = "urn:xmpp:message-correct:0";
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
/// Before version 0.4 of XEP-0424, within `FASTEN`.
pub const RETRACT_OLD: &str = "urn:xmpp:message-retract:0";
pub const FASTEN: &str = "urn:xmpp:fasten:0";
pub const MODERATE: &str = "urn:xmpp:message-moderate:1";
/// Before version 0.3 of XEP-0425.
pub const MODERATE_OLD: &str = "urn:xmpp:message-moderate:0";
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
pub const REPLY: &str = "urn:xmpp:reply:0";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// XEP-0308.
    Corrects,
    /// XEP-0424.
    Retracts,
    /// XEP-0425: a channel tells that one who moderates retracted it.
    Moderates,
    /// XEP-0444: all reactions of its sender from now on.
    Reacts,
    /// XEP-0461.
    Replies,
    /// XEP-0333.
    Displays,
    /// XEP-0333; and XEP-0184 in what was kept before there was `Delivers`.
    Receives,
    /// XEP-0333.
    Acknowledges,
    /// XEP-0422: something else is fastened to it.
    Fastens,
    /// XEP-0184.
    Delivers,
}

/// What a message is to whoever reads the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody says something: an instant message (XEP-0427 §1).
    Said,
    /// It does something to another one, or says nothing by itself.
    Ancillary,
    /// It was said, and retracted; its place is left.
    Gone,
}

impl Act {
    const ALL: [Act; 10] = [
        Act::Corrects,
        Act::Retracts,
        Act::Moderates,
        Act::Reacts,
        Act::Replies,
        Act::Displays,
        Act::Receives,
        Act::Acknowledges,
        Act::Fastens,
        Act::Delivers,
    ];

    pub fn number(self) -> u8 {
        let at = Act::ALL.iter().position(|act| *act == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    }

    /// A mark or a receipt.
    pub fn is_mark(self) -> bool {
        matches!(
            self,
            Act::Displays | Act::Receives | Act::Acknowledges | Act::Delivers
        )
    }

    /// Whoever does it has read that, and all before it (XEP-0333).
    pub fn is_reading(self) -> bool {
        matches!(self, Act::Displays | Act::Acknowledges)
    }

    pub fn numbered(number: u8) -> Option<Act> {
        Act::ALL.get(usize::from(number)).copied()
    }
}

/// The elements and what they do; the first that a message has counts.
const ELEMENTS: &[(&str, &str, Act)] = &[
    ("retract", RETRACT, Act::Retracts),
    ("retract", ns::MIX_MISC, Act::Retracts),
    ("replace", CORRECT, Act::Corrects),
    ("reactions", REACTIONS, Act::Reacts),
    ("displayed", ns::MARKERS, Act::Displays),
    ("acknowledged", ns::MARKERS, Act::Acknowledges),
    ("received", ns::MARKERS, Act::Receives),
    ("received", ns::RECEIPTS, Act::Delivers),
    ("apply-to", FASTEN, Act::Fastens),
    ("reply", REPLY, Act::Replies),
];

/// Children that say something which a server cannot read.
const ENCRYPTED: &[(&str, &str)] = &[
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:1"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
];

pub fn is_encrypted(message: ElementRef<'_>) -> bool {
    let mut children = message.children();
    children.any(|child| ENCRYPTED.contains(&(child.name(), child.namespace())))
}

/// What a message does, and the id by which it names the other one.
pub fn act_of(message: ElementRef<'_>) -> Option<(Act, Cow<'_, str>)> {
    let mut found: Option<(usize, ElementRef<'_>)> = None;
    for child in message.children() {
        let known = |(name, namespace, _): &(&str, &str, Act)| child.is(name, namespace);
        let place = match child.is("apply-to", FASTEN) && fastened(child).is_some() {
            true => Some(0),
            false => ELEMENTS.iter().position(known),
        };
        if let Some(place) = place
            && found.is_none_or(|(best, _)| place < best)
        {
            found = Some((place, child));
        }
    }
    let (place, child) = found?;
    let id = child.attribute("id").filter(|id| !id.is_empty())?;
    let (_, _, act) = ELEMENTS.get(place)?;
    let is_moderated = child.child("moderated", MODERATE).is_some()
        || (child.is("apply-to", FASTEN) && fastened(child) == Some(Act::Moderates));
    Some((if is_moderated { Act::Moderates } else { *act }, id))
}

/// XEP-0422, as XEP-0424 and XEP-0425 once used it.
fn fastened(apply_to: ElementRef<'_>) -> Option<Act> {
    let moderated = apply_to.child("moderated", MODERATE_OLD);
    let is_retraction = |inside: ElementRef<'_>| inside.child("retract", RETRACT_OLD).is_some();
    match moderated {
        Some(moderated) => is_retraction(moderated).then_some(Act::Moderates),
        None => is_retraction(apply_to).then_some(Act::Retracts),
    }
}

/// Whether it may do something to another one, seen at a glance.
pub fn says_an_act(xml: &str) -> bool {
    [
        ":message-",
        ":reactions:",
        ":chat-markers:",
        ":receipts",
        ":reply:",
        ":fasten:",
    ]
    .iter()
    .any(|part| xml.contains(part))
}

/// What a stored message is. `done`: what it does to one that is there. A correction of what is not there is a message like any
/// other (XEP-0308 §5); nobody reads a reaction to it, nor a mark of it, as one.
pub fn kind_of(xml: &str, done: Option<Act>) -> Kind {
    let has_body = xml.contains("<body");
    let is_seen = match done {
        None => has_body && !xml.contains(ns::PUBSUB_EVENT) && !says_an_act(xml),
        Some(Act::Replies) => false,
        Some(act) if act.is_mark() && has_body => false,
        Some(_) => return Kind::Ancillary,
    };
    if is_seen {
        return Kind::Said;
    }
    let Ok(element) = parse_stored(xml, ns::CLIENT) else {
        return Kind::Ancillary;
    };
    let message = element.root();
    let has_body = message.child("body", message.namespace()).is_some();
    let says =
        || has_body || message.child("forwarded", ns::FORWARD).is_some() || is_encrypted(message);
    let named = act_of(message).map(|(act, _)| act);
    let is_said = match done.or(named) {
        None | Some(Act::Replies | Act::Corrects) => says(),
        Some(act) => act.is_mark() && has_body,
    };
    match message.child("retracted", RETRACT) {
        Some(_) => Kind::Gone,
        None if is_said => Kind::Said,
        None => Kind::Ancillary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(children: &str) -> Option<(Act, String)> {
        let xml = format!("<message xmlns='jabber:client'>{children}</message>");
        let element = parse_stored(&xml, ns::CLIENT).unwrap();
        act_of(element.root()).map(|(act, id)| (act, id.into_owned()))
    }

    #[test]
    fn what_each_element_does() {
        for (children, expected) in [
            (
                "<body>b</body><replace xmlns='urn:xmpp:message-correct:0' id='a'/>",
                Act::Corrects,
            ),
            (
                "<retract xmlns='urn:xmpp:message-retract:1' id='a'/><body>b</body>",
                Act::Retracts,
            ),
            (
                "<apply-to xmlns='urn:xmpp:fasten:0' id='a'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>",
                Act::Retracts,
            ),
            (
                "<retract xmlns='urn:xmpp:message-retract:1' id='a'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract>",
                Act::Moderates,
            ),
            (
                "<apply-to xmlns='urn:xmpp:fasten:0' id='a'><moderated xmlns='urn:xmpp:message-moderate:0'><retract xmlns='urn:xmpp:message-retract:0'/></moderated></apply-to>",
                Act::Moderates,
            ),
            (
                "<reactions xmlns='urn:xmpp:reactions:0' id='a'/>",
                Act::Reacts,
            ),
            (
                "<displayed xmlns='urn:xmpp:chat-markers:0' id='a'/>",
                Act::Displays,
            ),
            (
                "<received xmlns='urn:xmpp:receipts' id='a'/>",
                Act::Delivers,
            ),
            (
                "<reply xmlns='urn:xmpp:reply:0' id='a' to='x@y'/>",
                Act::Replies,
            ),
            (
                "<apply-to xmlns='urn:xmpp:fasten:0' id='a'><other xmlns='urn:other'/></apply-to>",
                Act::Fastens,
            ),
            // Corrected is the reply, not what it answers.
            (
                "<reply xmlns='urn:xmpp:reply:0' id='b'/><replace xmlns='urn:xmpp:message-correct:0' id='a'/>",
                Act::Corrects,
            ),
        ] {
            assert_eq!(
                act(children),
                Some((expected, "a".to_string())),
                "{children}"
            );
        }
    }

    #[test]
    fn what_does_nothing_to_another() {
        for children in [
            "<body>b</body>",
            "<replace xmlns='urn:xmpp:message-correct:0'/>",
            "<replace xmlns='urn:xmpp:message-correct:0' id=''/>",
            "<reactions xmlns='urn:other' id='a'/>",
            "<apply-to xmlns='urn:xmpp:fasten:0'><other xmlns='urn:other'/></apply-to>",
            "<retracted xmlns='urn:xmpp:message-retract:1' id='a'/>",
        ] {
            assert_eq!(act(children), None, "{children}");
        }
    }

    #[test]
    fn what_is_said_and_what_is_not() {
        const CORRECTION: &str =
            "<body>b</body><replace xmlns='urn:xmpp:message-correct:0' id='a'/>";
        const REACTION: &str = "<body>b</body><reactions xmlns='urn:xmpp:reactions:0' id='a'><reaction>b</reaction></reactions>";
        const MARKED: &str = "<body>b</body><displayed xmlns='urn:xmpp:chat-markers:0' id='a'/>";
        for (children, done, expected) in [
            ("<body>b</body>", None, Kind::Said),
            ("<encrypted xmlns='urn:xmpp:omemo:2'/>", None, Kind::Said),
            ("<store xmlns='urn:xmpp:hints'/>", None, Kind::Ancillary),
            (
                "<event xmlns='http://jabber.org/protocol/pubsub#event'><body>b</body></event>",
                None,
                Kind::Ancillary,
            ),
            (CORRECTION, Some(Act::Corrects), Kind::Ancillary),
            (CORRECTION, None, Kind::Said),
            (REACTION, Some(Act::Reacts), Kind::Ancillary),
            (REACTION, None, Kind::Ancillary),
            (MARKED, Some(Act::Displays), Kind::Said),
            (MARKED, None, Kind::Said),
            (
                "<displayed xmlns='urn:xmpp:chat-markers:0' id='a'/>",
                Some(Act::Displays),
                Kind::Ancillary,
            ),
            (
                "<received xmlns='urn:xmpp:receipts' id='a'/>",
                None,
                Kind::Ancillary,
            ),
            (
                "<body>b</body><reply xmlns='urn:xmpp:reply:0' id='a'/>",
                Some(Act::Replies),
                Kind::Said,
            ),
            (
                "<retracted xmlns='urn:xmpp:message-retract:1'/>",
                None,
                Kind::Gone,
            ),
            (
                "<retracted xmlns='urn:xmpp:message-retract:1'/>",
                Some(Act::Replies),
                Kind::Gone,
            ),
            (
                "<retracted xmlns='urn:xmpp:message-retract:1'/>",
                Some(Act::Corrects),
                Kind::Ancillary,
            ),
        ] {
            let xml = format!("<message xmlns='jabber:client'>{children}</message>");
            assert_eq!(kind_of(&xml, done), expected, "{children} {done:?}");
        }
    }

    #[test]
    fn numbers_lead_back() {
        for act in Act::ALL {
            assert_eq!(Act::numbered(act.number()), Some(act));
        }
        assert_eq!(Act::numbered(200), None);
    }
}
