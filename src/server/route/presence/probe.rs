//! Who is there, told to one address: probes (RFC 6121 §4.3), what answers them, and what saves a local session from
//! sending any.
use crate::state::{Address, Cx, Fault, Origin, SessionId};
use crate::store::{AccountId, Contact, StoreError};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Envelope, Jid, Presence, PresenceKind};
use crate::{channel, feature};

use super::broadcast::{Outgoing, deliver, send_to};
use crate::server::outlet;
use crate::server::route::blocked::{blocks, is_blocked_by};

/// The current presence of all available sessions of an account, to one address. True if there was any.
pub fn send_presence_of(cx: &mut Cx<'_>, account: &BareJid, to: &Jid) -> Result<bool, StoreError> {
    if blocks(cx, account, to) {
        return Ok(false);
    }
    let sessions = cx
        .state
        .sessions
        .ids_where(account, |session| session.presence.is_some());
    for session in &sessions {
        send_session_presence(cx, *session, to)?;
    }
    Ok(!sessions.is_empty())
}

pub fn send_session_presence(cx: &mut Cx<'_>, id: SessionId, to: &Jid) -> Result<(), StoreError> {
    let Some(presence) = cx.presence_details(id)? else {
        return Ok(());
    };
    let Some(session) = cx.state.sessions.get(id) else {
        return Ok(());
    };
    if !feature::channel_may_see(cx, session, to)? {
        return Ok(());
    }
    let envelope = Envelope {
        from: Some(Jid::from(session.jid.clone())),
        to: None,
        id: presence.id.clone(),
        lang: presence.lang.clone(),
    };
    Outgoing::new(cx, PresenceKind::Available, envelope, &presence.payload).send(cx, to)
}

/// §4.2.2, §4.3: the session hears who of its contacts is there, without a probe for local ones.
pub fn receive_presence_of_contacts(
    cx: &mut Cx<'_>,
    id: SessionId,
    contacts: &[(BareJid, Contact)],
) -> Result<(), StoreError> {
    let Some(session) = cx.state.sessions.get(id) else {
        return Ok(());
    };
    let (own, to) = (session.jid.to_bare(), Jid::from(session.jid.clone()));
    let subscribed = contacts
        .iter()
        .filter(|(_, contact)| contact.subscription.is_to())
        .map(|(jid, _)| jid);
    for contact in subscribed {
        if cx.state.domains.component(contact).is_some() {
            ask(cx, &to, contact)?;
        } else if let Some(online) = cx.state.sessions.online(contact) {
            let entitled = cx
                .tx
                .contact(online.account, &own)?
                .is_some_and(|row| row.subscription.is_from());
            if entitled {
                send_presence_of(cx, contact, &to)?;
            }
        }
    }
    // The account's other sessions.
    let others = cx.state.sessions.ids_where(&own, |session| {
        session.id != id && session.presence.is_some()
    });
    for other in others {
        send_session_presence(cx, other, &to)?;
    }
    Ok(())
}

/// §4.3: a client's own probe is answered for its own session; one from a component, to whom it is from.
pub fn from(cx: &mut Cx<'_>, origin: Origin, probe: &Presence) -> Result<(), StoreError> {
    let (Some(from), Some(to)) = (&probe.envelope.from, &probe.envelope.to) else {
        return Ok(());
    };
    let (prober, contact) = (from.to_bare(), to.to_bare());
    let local = match Address::resolve(cx, &contact)? {
        Address::Account(local) => Some(local),
        Address::Nobody => None,
        Address::Component(_) => return send_to(cx, probe, to),
        Address::Channel(jid) => {
            return match channel::presence(cx, origin, probe, &jid) {
                Err(Fault::Store(error)) => Err(error),
                _ => Ok(()),
            };
        }
        _ => return Ok(()),
    };
    if let Some(local) = &local
        && is_blocked_by(cx, local, from)?
    {
        // XEP-0191 §3.2: not a word to whom the contact blocks.
        return Ok(());
    }
    let account = local.map(|local| local.account);
    if !may_see(cx, account, &contact, &prober)? {
        // §4.3.2: no subscription, or no such user, which looks the same.
        answer_probe(cx, origin, &contact, &prober, "unsubscribed");
        return Ok(());
    }
    if !send_presence_of(cx, &contact, from)? {
        answer_probe(cx, origin, &contact, &prober, "unavailable");
    }
    Ok(())
}

fn answer_probe(cx: &mut Cx<'_>, origin: Origin, contact: &BareJid, prober: &BareJid, kind: &str) {
    outlet::answer(cx, origin, |w: &mut Writer<'_>| {
        w.open("presence")
            .attr("from", contact.as_str())
            .attr("to", prober.as_str())
            .attr("type", kind)
            .close();
    });
}

/// §4.2.2, §4.3.1: asks on behalf of a session whether a contact is there that others know of.
pub fn ask(cx: &mut Cx<'_>, session: &Jid, contact: &BareJid) -> Result<(), StoreError> {
    let stanza = cx.write(|w| {
        w.open("presence")
            .attr("from", session.as_str())
            .attr("to", contact.as_str())
            .attr("type", "probe")
            .close();
    });
    deliver(cx, session, contact, stanza)
}

/// True if `viewer` is subscribed to the presence of the account, or is the account itself.
fn may_see(
    cx: &Cx<'_>,
    account: Option<AccountId>,
    jid: &BareJid,
    viewer: &BareJid,
) -> Result<bool, StoreError> {
    match account {
        _ if jid == viewer => Ok(true),
        Some(account) => Ok(cx
            .tx
            .contact(account, viewer)?
            .is_some_and(|row| row.subscription.is_from())),
        None => Ok(false),
    }
}
