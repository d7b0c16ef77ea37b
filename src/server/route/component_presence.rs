//! Presence when an external component comes or goes (XEP-0114): to it that of the accounts whose contacts are there, and
//! to them that nobody is there any more.
use std::collections::BTreeMap;

use crate::state::{ComponentId, Cx, SessionId};
use crate::store::{AccountId, Contact, StoreError};
use crate::xmpp::{BareJid, Envelope, Jid, PresenceKind};

use super::blocked::blocks;
use super::broadcast::Outgoing;
use super::probe;

/// RFC 6121 §4.2.2: what it would have been told had it been there, presence and probes alike.
pub fn component_came(cx: &mut Cx<'_>, component: ComponentId) -> Result<(), StoreError> {
    for (account, sessions) in available(cx) {
        let Some(owner) = owner_of(cx, &sessions) else {
            continue;
        };
        for (jid, contact) in contacts_at(cx, account, component)? {
            for session in &sessions {
                if contact.subscription.is_from() && !blocks(cx, &owner, &jid) {
                    probe::send_session_presence(cx, *session, jid.as_jid())?;
                }
                let known = cx.state.sessions.get(*session);
                if let Some(from) = known.map(|known| Jid::from(known.jid.clone()))
                    && contact.subscription.is_to()
                {
                    probe::ask(cx, &from, &jid)?;
                }
            }
        }
    }
    Ok(())
}

/// Nobody of its domain is there any more.
pub fn component_went(cx: &mut Cx<'_>, component: ComponentId) -> Result<(), StoreError> {
    for (account, sessions) in available(cx) {
        let Some(owner) = owner_of(cx, &sessions).map(Jid::from) else {
            continue;
        };
        for (jid, contact) in contacts_at(cx, account, component)? {
            if !contact.subscription.is_to() {
                continue;
            }
            let envelope = Envelope {
                from: Some(Jid::from(jid)),
                ..Envelope::default()
            };
            Outgoing::new(cx, PresenceKind::Unavailable, envelope, "").send(cx, &owner)?;
        }
    }
    Ok(())
}

/// Accounts with available sessions.
fn available(cx: &Cx<'_>) -> BTreeMap<AccountId, Vec<SessionId>> {
    let mut accounts = BTreeMap::<AccountId, Vec<SessionId>>::new();
    let sessions = cx.state.sessions.all();
    for session in sessions.filter(|session| session.presence.is_some()) {
        accounts
            .entry(session.account)
            .or_default()
            .push(session.id);
    }
    accounts
}

fn contacts_at(
    cx: &Cx<'_>,
    account: AccountId,
    component: ComponentId,
) -> Result<Vec<(BareJid, Contact)>, StoreError> {
    let mut contacts = match cx.tx.contacts(account) {
        // What is damaged is harm to its owner alone.
        Err(StoreError::Damaged { .. }) => Vec::new(),
        contacts => contacts?,
    };
    contacts.retain(|(jid, _)| cx.state.domains.component(jid) == Some(component));
    Ok(contacts)
}

fn owner_of(cx: &Cx<'_>, sessions: &[SessionId]) -> Option<BareJid> {
    let session = cx.state.sessions.get(*sessions.first()?)?;
    Some(session.jid.to_bare())
}
