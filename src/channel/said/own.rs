//! What of a message is its sender's, and what it is.
use crate::xml::ElementRef;
use crate::xmpp::relation::{FASTEN, MODERATE, MODERATE_OLD, RETRACT};
use crate::xmpp::{Message, ns};

/// XEP-0045 §8.1: a subject alone; one beside a body or a thread is an ordinary message.
pub fn is_subject(message: &Message) -> bool {
    let namespace = message.element.root().namespace();
    message.child("subject", namespace).is_some()
        && message.child("body", namespace).is_none()
        && message.child("thread", namespace).is_none()
}

/// The children of a message, without what only a channel says.
pub fn said(message: &Message) -> String {
    let root = message.element.root();
    let children = root.children().filter(|child| !is_channels_own(*child));
    children.map(|child| child.source()).collect()
}

/// XEP-0045 §15.6, XEP-0421 §3, XEP-0425 §4, XEP-0317: elements by which a channel speaks of whoever said something.
pub fn is_channels_own(child: ElementRef<'_>) -> bool {
    let namespace = child.namespace();
    matches!(
        namespace,
        ns::MUC_USER | ns::MUC | ns::OCCUPANT_ID | ns::HATS | MODERATE
    ) || namespace.starts_with("urn:xmpp:mix:")
        || namespace == MODERATE_OLD
        // A retraction that says it is a moderator's.
        || (child.is("retract", RETRACT)
            && child.child("moderated", MODERATE).is_some())
        || (child.is("apply-to", FASTEN)
            && child.child("moderated", MODERATE_OLD).is_some())
}
