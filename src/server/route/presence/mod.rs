//! The way of presence (RFC 6121 §4): initial, broadcast, directed, probes, unavailable.
pub mod broadcast;
pub mod component_presence;
pub mod photo;
pub mod probe;
pub mod subscription;
pub mod to_channels;

use std::rc::Rc;

use crate::pubsub::notify::last;
use crate::state::{
    Address, AvailablePresence, Cx, Fault, Origin, PresenceDetails, Session, SessionId,
};
use crate::store::{AccountId, Contact, LastActivity, StoreError};
use crate::xml::parse_stored;
use crate::xmpp::{
    BareJid, Condition, Envelope, Jid, Presence, PresenceKind, StanzaError, ns, quoted,
    quoted_error,
};
use crate::{channel, feature};

use super::blocked::require_not_blocked_by_sender;
use super::managed;
use super::message::unseen;
use crate::server::outlet;
use broadcast::{Outgoing, audience, broadcast, send_to};

/// Entities one session can have sent directed presence to at a time.
pub const DIRECTED_MAX: usize = 512;

/// Bytes of a presence stanza: it may go to thousands at once, and is kept for those who come later. RFC 6120 §13.12 has
/// servers take 10,000.
const PRESENCE_BYTES_MAX: usize = 10 << 10;

/// Characters kept of the status text an account left with.
const STATUS_CHARS_MAX: usize = 1024;

/// A presence of one of our sessions, `from` stamped.
pub fn from_session(cx: &mut Cx<'_>, session: SessionId, presence: Presence) -> Result<(), Fault> {
    require_size(&presence)?;
    let presence = photo::told(cx, session, presence)?;
    match (&presence.envelope.to, presence.kind) {
        (None, PresenceKind::Available) => available(cx, session, &presence),
        (None, PresenceKind::Unavailable) => Ok(unavailable(cx, session, Some(&presence))?),
        // §3, §4.3: these need an addressee; an error without one is dropped.
        (None, PresenceKind::Error) => Ok(()),
        (None, _) => Err(StanzaError::new(Condition::BadRequest)
            .text("This presence needs an addressee.")
            .into()),
        (Some(to), kind) => {
            let to = to.clone();
            match kind {
                PresenceKind::Subscribe
                | PresenceKind::Subscribed
                | PresenceKind::Unsubscribe
                | PresenceKind::Unsubscribed => {
                    subscription::outbound(cx, session, &presence, &to.to_bare())
                }
                PresenceKind::Probe => Ok(probe::from(cx, Origin::Session(session), &presence)?),
                PresenceKind::Available | PresenceKind::Unavailable | PresenceKind::Error => {
                    directed(cx, session, &presence, &to)
                }
            }
        }
    }
}

/// A presence of an external component, with a `from` and a `to` that were checked.
pub fn from_component(cx: &mut Cx<'_>, origin: Origin, presence: Presence) -> Result<(), Fault> {
    require_size(&presence)?;
    let (Some(from), Some(to)) = (&presence.envelope.from, &presence.envelope.to) else {
        return Ok(());
    };
    match Address::resolve(cx, to)? {
        Address::Remote => return Err(Condition::RemoteServerNotFound.into()),
        Address::Channel(channel) => return channel::presence(cx, origin, &presence, &channel),
        _ => {}
    }
    match presence.kind {
        PresenceKind::Subscribe
        | PresenceKind::Subscribed
        | PresenceKind::Unsubscribe
        | PresenceKind::Unsubscribed => {
            cx.require_disk_space()?;
            // §3.1.2: subscription stanzas carry bare JIDs.
            let (from, to) = (from.to_bare(), to.to_bare());
            let envelope = Envelope {
                from: Some(from.clone().into()),
                to: Some(to.clone().into()),
                ..presence.envelope.clone()
            };
            let bare = Presence {
                envelope,
                ..presence
            };
            Ok(subscription::inbound(cx, &bare, &from, &to)?)
        }
        PresenceKind::Probe => Ok(probe::from(cx, origin, &presence)?),
        PresenceKind::Available | PresenceKind::Unavailable | PresenceKind::Error => {
            Ok(managed::pass_on(cx, &presence, to)?)
        }
    }
}

fn require_size(presence: &Presence) -> Result<(), StanzaError> {
    match presence.element.source().len() > PRESENCE_BYTES_MAX {
        true => {
            Err(StanzaError::new(Condition::PolicyViolation).text("The presence is too large."))
        }
        false => Ok(()),
    }
}

/// §4.2, §4.4: to all who are subscribed, and to the account's own sessions; the first one also brings what waits.
fn available(cx: &mut Cx<'_>, id: SessionId, presence: &Presence) -> Result<(), Fault> {
    // §4.7.2.3: a priority that is no number from -128 to 127.
    let priority = presence.priority().ok_or(Condition::BadRequest)?;
    let announced = feature::announced_caps(presence.element.root());
    let id_announced = announced
        .as_ref()
        .map(|announced| announced.hash.id.clone());
    let caps = id_announced.map(|id_announced| cx.state.capabilities.of(id_announced));
    let Some(session) = cx.state.sessions.get_mut(id) else {
        return Ok(());
    };
    let (jid, account) = (session.jid.to_bare(), session.account);
    let is_initial = session.presence.is_none();
    let took_messages = session.takes_messages();
    session.presence = Some(AvailablePresence {
        priority,
        details: Some(Rc::new(PresenceDetails {
            payload: presence.element.root().inner_source().into(),
            id: presence.envelope.id.clone(),
            lang: presence.envelope.lang.clone(),
        })),
    });
    session.caps = caps;
    if is_initial {
        session.told = None;
    }
    let takes_messages = session.takes_messages();
    let mut contacts = cx.tx.contacts(account)?;
    let channels = to_channels::before_broadcast(cx, (id, account), &mut contacts)?;
    broadcast(cx, &jid, &contacts, presence)?;
    to_channels::ask_for_presence(cx, &jid, &channels)?;
    if is_initial {
        probe::receive_presence_of_contacts(cx, id, &contacts)?;
        deliver_requests(cx, id, &contacts);
    }
    if let Some(announced) = announced {
        feature::ask_caps(cx, id, announced);
    }
    last::newly_wanted(cx, id, Some(&contacts))?;
    if takes_messages && !took_messages {
        unseen::begin(cx, id)?;
    }
    Ok(())
}

/// §4.5.2: to all who heard that the session was available. `None`: the session ended without a word.
fn unavailable(
    cx: &mut Cx<'_>,
    id: SessionId,
    presence: Option<&Presence>,
) -> Result<(), StoreError> {
    let Some(session) = cx.state.sessions.get(id) else {
        return Ok(());
    };
    let (full, account) = (session.jid.clone(), session.account);
    let was_available = session.presence.is_some();
    let own = full.to_bare();
    let envelope = match presence {
        Some(presence) => presence.envelope.clone(),
        None => Envelope {
            from: Some(full.into()),
            ..Envelope::default()
        },
    };
    let payload = presence.map_or("", |said| said.element.root().inner_source());
    let mut contacts = match was_available {
        true => cx.tx.contacts(account)?,
        false => Vec::new(),
    };
    to_channels::before_leaving(cx, (id, account), &mut contacts)?;
    let mut heard: Vec<&BareJid> = audience(cx, &own, &contacts).collect();
    let listeners = match was_available {
        true => feature::hear_of_presence(cx, &own, &heard),
        false => Vec::new(),
    };
    heard.extend(&listeners);
    let mut outgoing = Outgoing::new(cx, PresenceKind::Unavailable, envelope, payload);
    if was_available {
        for target in &heard {
            outgoing.send(cx, target.as_jid())?;
        }
        remember_activity(cx, &own, account, presence)?;
        // §4.5.2: the session itself hears it too, if it said it.
        outgoing.send(cx, own.as_jid())?;
        heard.push(&own);
        heard.sort_unstable();
    }
    let mut directed = match cx.state.sessions.get_mut(id) {
        Some(session) => {
            session.presence = None;
            std::mem::take(&mut session.directed)
        }
        None => Vec::new(),
    };
    // §4.6.3: and those who only got it directed.
    directed.retain(|target| !reaches(cx, &heard, target));
    for target in directed {
        match Address::resolve(cx, &target)? {
            Address::Channel(channel) => leave_channel(cx, id, outgoing.envelope(), &channel),
            _ => outgoing.send(cx, &target)?,
        }
    }
    cx.state.watchers.end(id);
    Ok(())
}

/// XEP-0045 §7.14: whoever is not available is in no room.
fn leave_channel(cx: &mut Cx<'_>, id: SessionId, envelope: &Envelope, channel: &BareJid) {
    let Ok(element) = parse_stored("<presence/>", ns::CLIENT) else {
        return;
    };
    let presence = Presence {
        envelope: envelope.clone(),
        kind: PresenceKind::Unavailable,
        element,
    };
    let left = channel::presence(cx, Origin::Session(id), &presence, channel);
    if let Err(Fault::Store(error)) = left {
        log::error!("presence.failed error={}", quoted_error(&error));
    }
}

/// True if what is sent to these addresses, in order, has reached this one.
fn reaches(cx: &Cx<'_>, broadcast: &[&BareJid], target: &Jid) -> bool {
    let is_available = |session: &Session| session.presence.is_some();
    broadcast.binary_search(&&target.to_bare()).is_ok()
        && (target.is_bare() || cx.state.sessions.find(target).is_some_and(is_available))
}

/// XEP-0012 §3: when the account was last available, and what it said when it left.
fn remember_activity(
    cx: &mut Cx<'_>,
    own: &BareJid,
    account: AccountId,
    presence: Option<&Presence>,
) -> Result<(), StoreError> {
    let available = cx
        .state
        .sessions
        .of(own)
        .filter(|session| session.presence.is_some())
        .count();
    let exists = own
        .local()
        .map_or(Ok(None), |local| cx.tx.account(local))?
        .is_some();
    if available > 1 || !exists || cx.state.disk_low {
        return Ok(());
    }
    let said = presence.and_then(|presence| presence.element.root().child("status", ns::CLIENT));
    let status: String = said
        .map(|status| status.text().chars().take(STATUS_CHARS_MAX).collect())
        .unwrap_or_default();
    cx.tx.set_last_activity(
        account,
        &LastActivity {
            at: cx.now.wall,
            status,
        },
    )
}

/// The session's end says unavailable in its name.
pub fn end_of_session(cx: &mut Cx<'_>, id: SessionId) -> Result<(), StoreError> {
    unavailable(cx, id, None)
}

/// §3.1.3: requests that nobody answered yet come with every initial presence, but for those of who is blocked meanwhile.
fn deliver_requests(cx: &mut Cx<'_>, id: SessionId, contacts: &[(BareJid, Contact)]) {
    let Some(session) = cx.state.sessions.get(id) else {
        return;
    };
    let online = cx.state.sessions.online(&session.jid.to_bare());
    let blocked = online
        .map(|online| online.blocked.clone())
        .unwrap_or_default();
    let requests = contacts
        .iter()
        .filter(|(jid, _)| !blocked.matches(jid))
        .filter_map(|(_, contact)| contact.request.as_deref());
    for request in requests {
        cx.send(id, |w| {
            w.raw(request);
        });
    }
}

/// §4.6: directed presence, remembered so that its end is told.
fn directed(cx: &mut Cx<'_>, id: SessionId, presence: &Presence, to: &Jid) -> Result<(), Fault> {
    let from = presence
        .envelope
        .from
        .clone()
        .expect("presence of sessions is stamped");
    require_not_blocked_by_sender(cx, &from.to_bare(), to)?;
    let address = Address::resolve(cx, to)?;
    match &address {
        Address::Remote => return Err(Condition::RemoteServerNotFound.into()),
        Address::Component(component)
            if presence.kind == PresenceKind::Available
                && cx.state.domains.components.connection(*component).is_none() =>
        {
            return Err(outlet::COMPONENT_AWAY.into());
        }
        _ => {}
    }
    note_directed(cx, id, presence.kind, to)?;
    match address {
        Address::Channel(jid) => channel::presence(cx, Origin::Session(id), presence, &jid),
        Address::Service(service) if service.is_channels() && to.is_bare() => {
            channel::presence_at_service(cx, Origin::Session(id), presence)
        }
        _ => Ok(send_to(cx, presence, to)?),
    }
}

/// Whoever is told of a session this way is told when it ends (§4.6.3).
fn note_directed(
    cx: &mut Cx<'_>,
    id: SessionId,
    kind: PresenceKind,
    to: &Jid,
) -> Result<(), Fault> {
    if let Some(session) = cx.state.sessions.get_mut(id) {
        match kind {
            PresenceKind::Available if !session.directed.contains(to) => {
                if session.directed.len() >= DIRECTED_MAX {
                    return Err(Condition::ResourceConstraint.into());
                }
                // To one room most often.
                session.directed.reserve_exact(1);
                session.directed.push(to.clone());
            }
            PresenceKind::Unavailable => session.directed.retain(|known| known != to),
            _ => {}
        }
    }
    Ok(())
}

/// Sends what handlers queued on behalf of accounts (roster removal, account deletion).
pub fn send_queued(cx: &mut Cx<'_>) {
    to_channels::send_queued(cx);
    for queued in std::mem::take(&mut cx.state.effects.queued_presence) {
        if let Err(error) = subscription::send_on_behalf(cx, &queued) {
            log::error!(
                "presence.failed from={} error={}",
                quoted(queued.from.as_str()),
                quoted_error(&error)
            );
        }
    }
}
