//! XEP-0405 §2.9: what channels that an account takes part in hear of its presence. Only clients that announce that they know
//! channels are told to them, so whoever is being asked what it announced is told to them when that is known.
use crate::state::{ComponentId, Cx, SessionId, ToChannels};
use crate::store::{AccountId, Contact, StoreError};
use crate::xmpp::{BareJid, Envelope, PresenceKind, quoted_error};

use super::broadcast::{Outgoing, audience};
use super::probe;

/// A session says what it is: channels that are not to hear it are no contacts. Returns those that are to be asked for the
/// presence of others.
pub fn before_broadcast(
    cx: &mut Cx<'_>,
    (id, account): (SessionId, AccountId),
    contacts: &mut Vec<(BareJid, Contact)>,
) -> Result<Vec<BareJid>, StoreError> {
    let Some(session) = cx.state.sessions.get_mut(id) else {
        return Ok(Vec::new());
    };
    let was_shown = session.shown_to_channels;
    let is_open = session.caps.as_ref().is_some_and(|caps| !caps.is_known());
    let is_shown = session.knows_mix();
    session.shown_to_channels = is_shown || (was_shown && is_open);
    let channels = channels(cx, account)?;
    if is_shown {
        return Ok(if was_shown { Vec::new() } else { channels });
    }
    if was_shown && !is_open {
        send(
            cx,
            id,
            PresenceKind::Unavailable,
            &hearing(cx, id, account)?,
        )?;
    }
    drop_channels(contacts, &channels);
    Ok(Vec::new())
}

/// §2.9.3: a service of channels was not there and has told nothing meanwhile.
pub fn component_came(
    cx: &mut Cx<'_>,
    component: ComponentId,
    own: &BareJid,
) -> Result<(), StoreError> {
    let shown = cx.state.sessions.of(own).find(|it| it.shown_to_channels);
    let Some(account) = shown.map(|it| it.account) else {
        return Ok(());
    };
    let mut channels = channels(cx, account)?;
    channels.retain(|jid| cx.state.domains.component(jid) == Some(component));
    ask_for_presence(cx, own, &channels)
}

/// §2.9.4: a session goes: channels that never heard of it are no contacts.
pub fn before_leaving(
    cx: &mut Cx<'_>,
    (id, account): (SessionId, AccountId),
    contacts: &mut Vec<(BareJid, Contact)>,
) -> Result<(), StoreError> {
    let Some(session) = cx.state.sessions.get_mut(id) else {
        return Ok(());
    };
    if !std::mem::take(&mut session.shown_to_channels) {
        let channels = channels(cx, account)?;
        drop_channels(contacts, &channels);
    }
    Ok(())
}

/// Both are in order.
fn drop_channels(contacts: &mut Vec<(BareJid, Contact)>, channels: &[BareJid]) {
    if !channels.is_empty() {
        contacts.retain(|(jid, _)| channels.binary_search(jid).is_err());
    }
}

fn channels(cx: &Cx<'_>, account: AccountId) -> Result<Vec<BareJid>, StoreError> {
    let joined = cx.tx.joined_channels(account)?;
    Ok(joined.into_iter().map(|(jid, _)| jid).collect())
}

/// Channels that the presence of a session is shared with.
fn hearing(cx: &Cx<'_>, id: SessionId, account: AccountId) -> Result<Vec<BareJid>, StoreError> {
    let channels = channels(cx, account)?;
    let Some(session) = cx.state.sessions.get(id).filter(|_| !channels.is_empty()) else {
        return Ok(Vec::new());
    };
    let own = session.jid.to_bare();
    let mut contacts = cx.tx.contacts(account)?;
    contacts.retain(|(jid, _)| channels.binary_search(jid).is_ok());
    Ok(audience(cx, &own, &contacts).cloned().collect())
}

/// §2.9.3: presence from the bare JID asks for that of all others.
pub fn ask_for_presence(
    cx: &mut Cx<'_>,
    own: &BareJid,
    channels: &[BareJid],
) -> Result<(), StoreError> {
    if channels.is_empty() {
        return Ok(());
    }
    let blocked = cx.state.sessions.online(own);
    let blocked = blocked
        .map(|online| online.blocked.clone())
        .unwrap_or_default();
    let envelope = Envelope {
        from: Some(own.clone().into()),
        ..Envelope::default()
    };
    let mut outgoing = Outgoing::new(cx, PresenceKind::Available, envelope, "");
    for channel in channels.iter().filter(|jid| !blocked.matches(jid)) {
        outgoing.send(cx, channel.as_jid())?;
    }
    Ok(())
}

/// What handlers want channels to hear.
pub fn send_queued(cx: &mut Cx<'_>) {
    for queued in std::mem::take(&mut cx.state.effects.to_channels) {
        if let Err(error) = tell(cx, &queued) {
            log::error!("presence.failed error={}", quoted_error(&error));
        }
    }
}

fn tell(cx: &mut Cx<'_>, queued: &ToChannels) -> Result<(), StoreError> {
    let id = queued.session;
    let Some(session) = cx
        .state
        .sessions
        .get_mut(id)
        .filter(|it| it.presence.is_some())
    else {
        return Ok(());
    };
    let (own, account, was_shown) = (
        session.jid.to_bare(),
        session.account,
        session.shown_to_channels,
    );
    let kind = match queued.is_hidden {
        true => PresenceKind::Unavailable,
        false => PresenceKind::Available,
    };
    if let Some(channel) = &queued.channel {
        return match was_shown {
            true => send(cx, id, kind, std::slice::from_ref(channel)),
            false => Ok(()),
        };
    }
    // It is known now what the client announced.
    let is_shown = session.knows_mix();
    session.shown_to_channels = is_shown;
    let kind = match (was_shown, is_shown) {
        (_, true) => PresenceKind::Available,
        (true, false) => PresenceKind::Unavailable,
        (false, false) => return Ok(()),
    };
    let hearing = hearing(cx, id, account)?;
    send(cx, id, kind, &hearing)?;
    if is_shown && !was_shown {
        let channels = channels(cx, account)?;
        ask_for_presence(cx, &own, &channels)?;
    }
    Ok(())
}

/// What a session last said of itself, or that it is there no more.
fn send(
    cx: &mut Cx<'_>,
    id: SessionId,
    kind: PresenceKind,
    channels: &[BareJid],
) -> Result<(), StoreError> {
    if kind == PresenceKind::Available {
        return channels
            .iter()
            .try_for_each(|channel| probe::send_session_presence(cx, id, channel.as_jid()));
    }
    let Some(session) = cx.state.sessions.get(id).filter(|_| !channels.is_empty()) else {
        return Ok(());
    };
    let envelope = Envelope {
        from: Some(session.jid.clone().into()),
        ..Envelope::default()
    };
    let mut outgoing = Outgoing::new(cx, kind, envelope, "");
    for channel in channels {
        outgoing.send(cx, channel.as_jid())?;
    }
    Ok(())
}
