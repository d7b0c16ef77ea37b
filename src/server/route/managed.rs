//! XEP-0356 §7: components that the operator lets know who is there, whether or not they are in anybody's roster.
use crate::feature;
use crate::state::{Cx, PresenceAccess};
use crate::store::StoreError;
use crate::xmpp::{BareJid, Jid, Presence, PresenceKind};

use super::channels;
use super::presence::broadcast::{Outgoing, send_to};

/// Presence of somebody of another domain, to whom it is for.
pub fn pass_on(cx: &mut Cx<'_>, presence: &Presence, to: &Jid) -> Result<(), StoreError> {
    if channels::presence(cx, presence, to)? {
        return Ok(());
    }
    send_to(cx, presence, to)?;
    let is_news = matches!(
        presence.kind,
        PresenceKind::Available | PresenceKind::Unavailable
    );
    if !is_news || !cx.state.domains.is_served(to) {
        return Ok(());
    }
    let mut outgoing = Outgoing::of(cx, presence);
    tell_of_contact(cx, &mut outgoing, &to.to_bare())
}

/// §7.4: a contact of another domain tells an account of its presence, or it is known to be gone. Those of this domain are
/// told of as accounts.
pub fn tell_of_contact(
    cx: &mut Cx<'_>,
    outgoing: &mut Outgoing,
    owner: &BareJid,
) -> Result<(), StoreError> {
    let Some(from) = outgoing.sender().cloned() else {
        return Ok(());
    };
    let hears = |known: &crate::state::Component| {
        known.privileges.presence == PresenceAccess::Roster && known.jid.domain() != from.domain()
    };
    let connected = cx.state.domains.components.connected();
    let hearing = connected.filter(|(_, known)| hears(known));
    let hearing: Vec<BareJid> = hearing.map(|(_, known)| known.jid.clone()).collect();
    if hearing.is_empty() || !is_subscribed(cx, owner, &from)? {
        return Ok(());
    }
    // §8: the same presence is told once, however many accounts have the contact.
    if !cx.state.told_presence.is_new(&from, outgoing.digest(cx)) {
        return Ok(());
    }
    for listener in hearing {
        feature::privilege_used(&listener, "roster presence", owner.as_str());
        outgoing.send(cx, listener.as_jid())?;
    }
    Ok(())
}

/// The account hears of the presence of this contact.
fn is_subscribed(cx: &Cx<'_>, owner: &BareJid, contact: &Jid) -> Result<bool, StoreError> {
    let Some(account) = cx.account(owner)? else {
        return Ok(false);
    };
    let contact = contact.to_bare();
    let row = cx.tx.contact(account, &contact)?;
    let hears = row.is_some_and(|row| row.subscription.is_to());
    Ok(hears && !cx.block_list(owner, account)?.matches(&contact))
}
