//! XEP-0153, XEP-0398: avatars in the presence of our sessions.
use std::rc::Rc;

use crate::feature;
use crate::state::{Cx, Fault, PresenceDetails, SessionId};
use crate::store::StoreError;
use crate::xmpp::{BareJid, Envelope, Presence, PresenceKind, quoted, quoted_error};

use super::broadcast::broadcast;

/// XEP-0398 §4: available presence tells of the avatar, to all and to one alike.
pub fn told(cx: &mut Cx<'_>, session: SessionId, presence: Presence) -> Result<Presence, Fault> {
    let known = cx.state.sessions.get(session);
    let Some(known) = known.filter(|_| presence.kind == PresenceKind::Available) else {
        return Ok(presence);
    };
    let account = known.account;
    if known.presence.is_none() && presence.envelope.to.is_none() {
        let own = known.jid.to_bare();
        feature::adopt_vcard(cx, &own, account)?;
    }
    let told = feature::photo_in_presence(cx, account, &presence)?;
    Ok(told.unwrap_or(presence))
}

/// XEP-0398 §4: the avatars of accounts changed, and their sessions' presence tells so.
pub fn announce(cx: &mut Cx<'_>) {
    for account in std::mem::take(&mut cx.state.effects.new_photos) {
        if let Err(error) = announce_of(cx, &account) {
            log::error!(
                "presence.failed from={} error={}",
                quoted(account.as_str()),
                quoted_error(&error)
            );
        }
    }
}

fn announce_of(cx: &mut Cx<'_>, own: &BareJid) -> Result<(), StoreError> {
    let Some(account) = cx.account(own)? else {
        return Ok(());
    };
    let photo = cx.tx.photo_told(account)?.unwrap_or_default();
    let sessions = cx
        .state
        .sessions
        .ids_where(own, |session| session.presence.is_some());
    let contacts = match sessions.is_empty() {
        true => return Ok(()),
        false => cx.tx.contacts(account)?,
    };
    for id in sessions {
        let Some(details) = cx.presence_details(id)? else {
            continue;
        };
        let Some(told) = feature::photo_changed(&details.payload, &photo) else {
            continue;
        };
        let details = PresenceDetails {
            payload: told.root().inner_source().into(),
            id: details.id.clone(),
            lang: details.lang.clone(),
        };
        let presence = Presence {
            envelope: Envelope {
                from: cx
                    .state
                    .sessions
                    .get(id)
                    .map(|known| known.jid.clone().into()),
                id: details.id.clone(),
                lang: details.lang.clone(),
                ..Envelope::default()
            },
            kind: PresenceKind::Available,
            element: told,
        };
        keep_details(cx, id, details)?;
        broadcast(cx, own, &contacts, &presence)?;
    }
    Ok(())
}

/// What a session says of itself is this now, in memory or where it sleeps.
fn keep_details(
    cx: &mut Cx<'_>,
    id: SessionId,
    details: PresenceDetails,
) -> Result<(), StoreError> {
    let known = cx.state.sessions.get(id);
    let was_asleep = known.is_some_and(|known| known.is_asleep());
    cx.wake(id)?;
    let Some(known) = cx.state.sessions.get_mut(id) else {
        return Ok(());
    };
    if let Some(presence) = &mut known.presence {
        presence.details = Some(Rc::new(details));
    }
    let remaining_ms = known.expires_ms.saturating_sub(cx.now.monotonic_ms);
    match was_asleep {
        true => cx.put_to_sleep(id, remaining_ms),
        false => Ok(()),
    }
}
