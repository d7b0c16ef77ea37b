//! Presence when an external component comes or goes (XEP-0114), for one account: to it that of the account if contacts are
//! there, or if it may know (XEP-0356 §7), and to the account that nobody is there any more.
use crate::feature;
use crate::state::{ComponentId, Cx, SessionId};
use crate::store::{Contact, StoreError};
use crate::xmpp::{BareJid, Envelope, Jid, PresenceKind};

use super::broadcast::Outgoing;
use super::{probe, to_channels};
use crate::server::route::blocked::blocks;
use crate::server::route::managed;

/// RFC 6121 §4.2.2: what it would have been told had it been there, presence and probes alike.
pub fn came_for(
    cx: &mut Cx<'_>,
    component: ComponentId,
    owner: &BareJid,
) -> Result<(), StoreError> {
    let sessions = available(cx, owner);
    let contacts = contacts_at(cx, owner, component)?;
    for (jid, contact) in &contacts {
        for session in &sessions {
            if contact.subscription.is_from() && !blocks(cx, owner, jid) {
                probe::send_session_presence(cx, *session, jid.as_jid())?;
            }
            let known = cx.state.sessions.get(*session);
            if let Some(from) = known.map(|known| Jid::from(known.jid.clone()))
                && contact.subscription.is_to()
            {
                probe::ask(cx, &from, jid)?;
            }
        }
    }
    to_channels::component_came(cx, component, owner)?;
    let audience = contacts.iter().filter(|(_, c)| c.subscription.is_from());
    let audience: Vec<&BareJid> = audience.map(|(jid, _)| jid).collect();
    let mut listeners = feature::hear_of_presence(cx, owner, &audience);
    listeners.retain(|jid| cx.state.domains.component(jid) == Some(component));
    for listener in listeners {
        for session in &sessions {
            probe::send_session_presence(cx, *session, listener.as_jid())?;
        }
    }
    Ok(())
}

/// Nobody of its domain is there any more.
pub fn went_for(
    cx: &mut Cx<'_>,
    component: ComponentId,
    owner: &BareJid,
) -> Result<(), StoreError> {
    for (jid, contact) in contacts_at(cx, owner, component)? {
        if !contact.subscription.is_to() {
            continue;
        }
        let envelope = Envelope {
            from: Some(Jid::from(jid)),
            ..Envelope::default()
        };
        let mut outgoing = Outgoing::new(cx, PresenceKind::Unavailable, envelope, "");
        outgoing.send(cx, owner.as_jid())?;
        managed::tell_of_contact(cx, &mut outgoing, owner)?;
    }
    Ok(())
}

fn available(cx: &Cx<'_>, owner: &BareJid) -> Vec<SessionId> {
    let sessions = &cx.state.sessions;
    sessions.ids_where(owner, |session| session.presence.is_some())
}

fn contacts_at(
    cx: &Cx<'_>,
    owner: &BareJid,
    component: ComponentId,
) -> Result<Vec<(BareJid, Contact)>, StoreError> {
    let Some(account) = cx.state.sessions.online(owner).map(|online| online.account) else {
        return Ok(Vec::new());
    };
    let mut contacts = match cx.tx.contacts(account) {
        // What is damaged is harm to its owner alone.
        Err(StoreError::Damaged { .. }) => Vec::new(),
        contacts => contacts?,
    };
    contacts.retain(|(jid, _)| cx.state.domains.component(jid) == Some(component));
    Ok(contacts)
}
