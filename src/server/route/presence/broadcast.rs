//! Presence on its way out: to contacts, and to one address.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use crate::server::outlet::write_end;
use crate::server::route::blocked::blocks;
use crate::state::{Cx, Fault, Keep, Kind, Origin, Session, Shared, Urgency, Written};
use crate::store::{Contact, StoreError};
use crate::xml::parse_stored;
use crate::xmpp::{BareJid, Envelope, Jid, Presence, PresenceKind, ns, write_open};
use crate::{channel, feature};

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
    let mut outgoing = Outgoing::of(cx, presence);
    let audience: Vec<&BareJid> = audience(cx, own, contacts).collect();
    let listeners = feature::hear_of_presence(cx, own, &audience);
    for hearer in audience.into_iter().chain(&listeners).chain([own]) {
        outgoing.send(cx, hearer.as_jid())?;
    }
    Ok(())
}

/// Sends a presence stanza with another `to`.
pub fn send_to(cx: &mut Cx<'_>, presence: &Presence, to: &Jid) -> Result<(), StoreError> {
    match is_nobody_there(cx, to) {
        true => Ok(()),
        false => Outgoing::of(cx, presence).send(cx, to),
    }
}

/// Presence on its way to many, a head for each: all else of it lies in the buffer once.
pub struct Outgoing {
    kind: PresenceKind,
    envelope: Envelope,
    rest: Shared,
    wakes: bool,
}

impl Outgoing {
    pub fn of(cx: &mut Cx<'_>, presence: &Presence) -> Outgoing {
        let payload = presence.element.root().inner_source();
        Outgoing::new(cx, presence.kind, presence.envelope.clone(), payload)
    }

    /// `envelope`: with its sender.
    pub fn new(cx: &mut Cx<'_>, kind: PresenceKind, envelope: Envelope, payload: &str) -> Outgoing {
        Outgoing {
            kind,
            envelope,
            rest: cx.share(|bytes| write_end(bytes, "presence", payload)),
            wakes: feature::presence_wakes(kind, payload),
        }
    }

    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub fn sender(&self) -> Option<&Jid> {
        self.envelope.from.as_ref()
    }

    /// The same for what says the same.
    pub fn digest(&self, cx: &Cx<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        let rest = cx.out.bytes.get(self.rest.place());
        (self.kind.as_str(), rest).hash(&mut hasher);
        hasher.finish()
    }

    /// To one address; its sender is in its envelope.
    pub fn send(&mut self, cx: &mut Cx<'_>, to: &Jid) -> Result<(), StoreError> {
        if cx.state.domains.channels() == Some(to.domain()) {
            return self.send_to_channel(cx, to);
        }
        if is_nobody_there(cx, to) {
            return Ok(());
        }
        self.envelope.to = Some(to.clone());
        let head = &mut |bytes: &mut Vec<u8>| {
            write_open(bytes, "presence", self.kind.as_str(), &self.envelope);
        };
        let stanza = cx.out.with_head(&self.rest, head);
        let from = self.envelope.from.as_ref();
        let from = from.expect("presence of sessions is stamped");
        deliver_as(cx, from, to, (&stanza, self.wakes))
    }
}

impl Outgoing {
    /// XEP-0403 §3.7: one of our own channels.
    fn send_to_channel(&mut self, cx: &mut Cx<'_>, to: &Jid) -> Result<(), StoreError> {
        let rest = cx.out.bytes.get(self.rest.place()).unwrap_or_default();
        let text = format!("<presence{}", String::from_utf8_lossy(rest));
        let Ok(element) = parse_stored(&text, ns::CLIENT) else {
            return Ok(());
        };
        let envelope = Envelope {
            to: Some(to.clone()),
            ..self.envelope.clone()
        };
        let session = self.sender().and_then(|from| cx.state.sessions.find(from));
        let origin = session.map_or(Origin::Own, |session| Origin::Session(session.id));
        let presence = Presence {
            envelope,
            kind: self.kind,
            element,
        };
        match channel::presence(cx, origin, &presence, &to.to_bare()) {
            Err(Fault::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }
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
        Outgoing::new(cx, PresenceKind::Unavailable, envelope, "").send(cx, to)?;
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

/// Delivers presence that is in the buffer, and none that wakes a client.
pub fn deliver(
    cx: &mut Cx<'_>,
    from: &Jid,
    to: &Jid,
    stanza: Range<usize>,
) -> Result<(), StoreError> {
    deliver_as(cx, from, to, (&stanza.into(), false))
}

/// §8.5.2.1.2, §8.5.3.1: to all available sessions of an account or to exactly one, or to a component; silently to nobody
/// else.
fn deliver_as(
    cx: &mut Cx<'_>,
    from: &Jid,
    to: &Jid,
    (stanza, wakes): (&Written<'_>, bool),
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
    let urgency = match wakes {
        true => Urgency::Now,
        false => Urgency::latest(Kind::Presence, from.as_str()),
    };
    for session in takers {
        cx.deliver_as(session, stanza, urgency, Keep::WHOLE);
    }
    Ok(())
}
