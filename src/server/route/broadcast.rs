//! Presence on its way out: to contacts, and to one address.
use std::ops::Range;

use super::blocked::blocks;
use crate::feature;
use crate::server::outlet::write_stanza;
use crate::state::{Cx, Keep, Session};
use crate::store::{Contact, StoreError};
use crate::xmpp::{BareJid, Envelope, Jid, Presence, write_open};

/// Contacts that hear of the account's presence (§4.4.2): subscribed, and not blocked (XEP-0191 §3.2).
pub fn audience<'c>(
    cx: &Cx<'_>,
    own: &BareJid,
    contacts: &'c [(BareJid, Contact)],
) -> impl Iterator<Item = &'c BareJid> + use<'c> {
    let blocked = cx
        .state
        .sessions
        .online(own)
        .map(|online| online.blocked.clone())
        .unwrap_or_default();
    let subscribed = contacts
        .iter()
        .filter(|(_, contact)| contact.subscription.is_from());
    subscribed
        .map(|(jid, _)| jid)
        .filter(move |jid| !blocked.matches(jid))
}

/// §4.2.2, §4.4.2: to all who are subscribed, and to the account's own sessions.
pub fn broadcast(
    cx: &mut Cx<'_>,
    own: &BareJid,
    contacts: &[(BareJid, Contact)],
    presence: &Presence,
) -> Result<(), StoreError> {
    let audience: Vec<&BareJid> = audience(cx, own, contacts).collect();
    for contact in audience.into_iter().chain([own]) {
        send_to(cx, presence, contact.as_jid())?;
    }
    Ok(())
}

/// Sends a presence stanza with another `to`.
pub fn send_to(cx: &mut Cx<'_>, presence: &Presence, to: &Jid) -> Result<(), StoreError> {
    if is_nobody_there(cx, to) {
        return Ok(());
    }
    let envelope = Envelope {
        to: Some(to.clone()),
        ..presence.envelope.clone()
    };
    let start = cx.out.bytes.len();
    write_stanza(
        &mut cx.out.bytes,
        "presence",
        presence.kind.as_str(),
        &envelope,
        &presence.element,
        &[],
    );
    let stanza = start..cx.out.bytes.len();
    let from = envelope.from.expect("presence of sessions is stamped");
    deliver(cx, &from, to, stanza)
}

/// Says that a session is unavailable; `element`: in its own words.
pub fn send_unavailable(
    cx: &mut Cx<'_>,
    to: &Jid,
    envelope: &Envelope,
    element: Option<&crate::xml::Element>,
) -> Result<(), StoreError> {
    if is_nobody_there(cx, to) {
        return Ok(());
    }
    let envelope = Envelope {
        to: Some(to.clone()),
        ..envelope.clone()
    };
    let start = cx.out.bytes.len();
    match element {
        Some(element) => write_stanza(
            &mut cx.out.bytes,
            "presence",
            "unavailable",
            &envelope,
            element,
            &[],
        ),
        None => {
            write_open(&mut cx.out.bytes, "presence", "unavailable", &envelope);
            cx.out.bytes.extend_from_slice(b"/>");
        }
    }
    let stanza = start..cx.out.bytes.len();
    let from = envelope.from.expect("presence of sessions is stamped");
    deliver(cx, &from, to, stanza)
}

/// Unavailable from all available sessions of an account, to one address (§3.2.1, §3.3.3).
pub fn send_unavailable_of(cx: &mut Cx<'_>, account: &BareJid, to: &Jid) -> Result<(), StoreError> {
    for id in cx
        .state
        .sessions
        .ids_where(account, |session| session.presence.is_some())
    {
        let Some(session) = cx.state.sessions.get(id) else {
            continue;
        };
        let envelope = Envelope {
            from: Some(session.jid.clone().into()),
            ..Envelope::default()
        };
        send_unavailable(cx, to, &envelope, None)?;
    }
    Ok(())
}

/// Nothing need be written for an account that has no session, or a component that is not connected.
fn is_nobody_there(cx: &Cx<'_>, to: &Jid) -> bool {
    match cx.state.domains.component(to) {
        Some(component) => cx.state.domains.components.connection(component).is_none(),
        None => cx.state.sessions.online(&to.to_bare()).is_none(),
    }
}

/// §8.5.2.1.2, §8.5.3.1: to all available sessions of an account or to exactly one, or to a component; silently to nobody
/// else.
pub fn deliver(
    cx: &mut Cx<'_>,
    from: &Jid,
    to: &Jid,
    stanza: Range<usize>,
) -> Result<(), StoreError> {
    if let Some(component) = cx.state.domains.component(to) {
        cx.pass(component, stanza);
        return Ok(());
    }
    let account_jid = to.to_bare();
    if cx.state.sessions.online(&account_jid).is_none() {
        return Ok(());
    }
    // XEP-0191 §3.2: presence of a blocked contact is dropped without a word.
    if blocks(cx, &account_jid, from) {
        return Ok(());
    }
    let takes = |session: &Session| match to.resource() {
        Some(resource) => session.jid.resource() == resource,
        None => session.presence.is_some(),
    };
    // XEP-0191: an item may name one resource of somebody else.
    let sender = from.to_bare();
    let hidden = |session: &Session| blocks(cx, &sender, session.jid.as_jid());
    let takers = cx
        .state
        .sessions
        .ids_where(&account_jid, |session| takes(session) && !hidden(session));
    let urgency = feature::presence_urgency(
        from.as_str(),
        cx.out.bytes.get(stanza.clone()).unwrap_or_default(),
    );
    for session in takers {
        cx.deliver_as(session, stanza.clone(), urgency, Keep::WHOLE);
    }
    Ok(())
}
