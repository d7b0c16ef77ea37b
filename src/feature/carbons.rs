//! XEP-0280: Message Carbons. Switched per session; which messages are copied. The copies themselves are made on the way
//! of a message (`server/copies.rs`).
use crate::state::{Cx, Fault};
use crate::xmpp::{Condition, Message, MessageKind, ns};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

pub const NS: &str = "urn:xmpp:carbons:2";
const RULES: &str = "urn:xmpp:carbons:rules:0";
const DIRECT_INVITATION: &str = "jabber:x:conference";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0280", "Message Carbons", "1.0.1")],
    disco: &[
        (To::Server, NS),
        (To::OwnAccount, NS),
        (To::Server, RULES),
        (To::OwnAccount, RULES),
    ],
    iq: &[
        IqRoute::set(To::OwnAccount, NS, "enable", enable),
        IqRoute::set(To::OwnAccount, NS, "disable", disable),
        IqRoute::set(To::Account, NS, "enable", not_allowed).refused_by(Condition::NotAllowed),
        IqRoute::set(To::Account, NS, "disable", not_allowed).refused_by(Condition::NotAllowed),
    ],
    ..Feature::new("carbons")
};

/// §4; asking again is no error (§10.1).
fn enable(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    switch(cx, request, true)
}

/// §5
fn disable(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    switch(cx, request, false)
}

/// §4.1, §5.1: nobody switches somebody else's.
fn not_allowed(_cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Err(Condition::NotAllowed.into())
}

fn switch(cx: &mut Cx<'_>, request: &Request<'_>, on: bool) -> Result<Reply, Fault> {
    if let Some(session) = cx.state.sessions.get_mut(request.own_session()?) {
        session.carbons = on;
    }
    Ok(Reply::Empty)
}

/// §6.1: the messages that are copied. `to_us`: on its way to the account's sessions, not from one of them. Of an error this
/// does not tell whether what it answers was copied.
pub fn eligible(message: &Message, to_us: bool) -> bool {
    if message.kind == MessageKind::Groupchat {
        return false;
    }
    if message.kind == MessageKind::Error {
        // XEP-0334 §5: what it repeats of the message that failed counts for nothing.
        return true;
    }
    let has = |name: &str, namespace: &str| message.child(name, namespace).is_some();
    // §9: both marks, and each alone, keep a message to itself. A wrapper is never wrapped again.
    if has("private", NS) || has("no-copy", ns::HINTS) || has("received", NS) || has("sent", NS) {
        return false;
    }
    let room = message.child("x", ns::MUC_USER);
    let invitation = room.is_some_and(|x| x.child("invite", ns::MUC_USER).is_some());
    if invitation || has("x", DIRECT_INVITATION) {
        return true;
    }
    // A private message of a room is sent to every joined session by the room itself.
    if room.is_some() && to_us {
        return false;
    }
    match message.kind {
        MessageKind::Chat => true,
        MessageKind::Normal if message.has_body() => true,
        _ => is_conversation(message),
    }
}

/// Payloads typical of instant messaging: receipts, chat states, markers.
fn is_conversation(message: &Message) -> bool {
    let children = message.element.root().children();
    children
        .map(|child| child.namespace())
        .any(|n| matches!(n, ns::RECEIPTS | ns::MARKERS | ns::CHAT_STATES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;
    use crate::xmpp::Stanza;

    fn message(xml: &str) -> Message {
        match Stanza::from_element(parse_stored(xml, ns::CLIENT).unwrap()) {
            Some(Ok(Stanza::Message(message))) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rules_of_section_six() {
        for (xml, sent, received) in [
            ("<message type='chat'><body/></message>", true, true),
            ("<message type='chat'/>", true, true),
            ("<message><body/></message>", true, true),
            ("<message><subject/></message>", false, false),
            (
                "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>",
                true,
                true,
            ),
            ("<message type='groupchat'><body/></message>", false, false),
            ("<message type='headline'><body/></message>", false, false),
            (
                "<message type='chat'><body/><private xmlns='urn:xmpp:carbons:2'/></message>",
                false,
                false,
            ),
            (
                "<message type='chat'><body/><no-copy xmlns='urn:xmpp:hints'/></message>",
                false,
                false,
            ),
            (
                "<message type='chat'><body/><x xmlns='http://jabber.org/protocol/muc#user'/></message>",
                true,
                false,
            ),
            (
                "<message><x xmlns='http://jabber.org/protocol/muc#user'><invite/></x></message>",
                true,
                true,
            ),
            (
                "<message><x xmlns='jabber:x:conference' jid='a@b'/></message>",
                true,
                true,
            ),
            (
                "<message type='chat'><received xmlns='urn:xmpp:carbons:2'/></message>",
                false,
                false,
            ),
            ("<message type='error'><error/></message>", true, true),
            (
                "<message type='error'><error/><no-copy xmlns='urn:xmpp:hints'/></message>",
                true,
                true,
            ),
            (
                "<message type='headline'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
                true,
                true,
            ),
            (
                "<message type='groupchat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
                false,
                false,
            ),
            (
                "<message type='chat'><sent xmlns='urn:xmpp:carbons:2'/></message>",
                false,
                false,
            ),
        ] {
            assert_eq!(
                (
                    eligible(&message(xml), false),
                    eligible(&message(xml), true)
                ),
                (sent, received),
                "{xml}"
            );
        }
    }
}
