//! Subscriptions (RFC 6121 §3): the state machine of appendix A, on both sides.
use std::ops::Range;

use crate::feature;
use crate::pubsub::notify::last;
use crate::pubsub::related::lost;
use crate::state::{Address, Cx, Fault, Local, QueuedPresence, SessionId};
use crate::store::{AccountId, Contact, StoreError};
use crate::xmpp::{BareJid, Condition, Envelope, Presence, PresenceKind, write_open};

use super::broadcast::{deliver, send_unavailable_of};
use super::probe::send_presence_of;
use crate::server::outlet::{self, write_stanza};
use crate::server::route::blocked::{is_blocked_by, require_not_blocked_by_sender};

/// Bytes of a stored subscription request, and of all that one account has: they come with every initial presence.
const REQUEST_BYTES_MAX: usize = 8 << 10;
const REQUESTS_BYTES_MAX: usize = 512 << 10;

/// A subscription stanza of one of our sessions (§3.1.2, §3.2.2, §3.3.2, §3.4.2).
pub fn outbound(
    cx: &mut Cx<'_>,
    session: SessionId,
    presence: &Presence,
    contact_jid: &BareJid,
) -> Result<(), Fault> {
    let Some((own, account)) = cx
        .state
        .sessions
        .get(session)
        .map(|s| (s.jid.to_bare(), s.account))
    else {
        return Ok(());
    };
    if *contact_jid == own {
        // One is always subscribed to oneself; nothing to change.
        return Ok(());
    }
    require_not_blocked_by_sender(cx, &own, contact_jid)?;
    cx.require_disk_space()?;
    let address = Address::resolve(cx, contact_jid)?;
    let before = cx.tx.contact(account, contact_jid)?;
    if before.is_none() && cx.tx.contacts(account)?.len() >= cx.state.settings.roster_contacts_max {
        return Err(Condition::ResourceConstraint.into());
    }
    let was_from = before
        .as_ref()
        .is_some_and(|row| row.subscription.is_from());
    let (after, routed) = leave(before.clone().unwrap_or_default(), presence.kind);
    match address {
        Address::Remote if routed => return Err(Condition::RemoteServerNotFound.into()),
        // What takes something away holds here, whether the other side hears of it or not.
        Address::Component(component)
            if presence.kind == PresenceKind::Subscribe
                && cx.state.domains.components.connection(component).is_none() =>
        {
            return Err(outlet::COMPONENT_AWAY.into());
        }
        _ => {}
    }
    feature::require_roster_room(cx, account, contact_jid, before.as_ref(), &after)?;
    keep(cx, &own, account, contact_jid, before, &after)?;
    if !routed {
        return Ok(());
    }
    // §3.1.2: subscription stanzas carry bare JIDs.
    let envelope = Envelope {
        from: Some(own.clone().into()),
        to: Some(contact_jid.clone().into()),
        ..presence.envelope.clone()
    };
    let routed = Presence {
        envelope,
        kind: presence.kind,
        element: presence.element.clone(),
    };
    match presence.kind {
        // §3.1.5: approval is followed by the user's presence, §3.2.2: its end preceded by unavailable.
        PresenceKind::Subscribed => {
            inbound(cx, &routed, &own, contact_jid)?;
            send_presence_of(cx, &own, contact_jid.as_jid())?;
            last::newly_subscribed(cx, &own, contact_jid)?;
        }
        PresenceKind::Unsubscribed if was_from => {
            send_unavailable_of(cx, &own, contact_jid.as_jid())?;
            inbound(cx, &routed, &own, contact_jid)?;
        }
        _ => inbound(cx, &routed, &own, contact_jid)?,
    }
    Ok(())
}

/// Appendix A.2: the user's row after sending, and whether the stanza is routed.
fn leave(mut row: Contact, kind: PresenceKind) -> (Contact, bool) {
    let routed = match kind {
        PresenceKind::Subscribe => {
            row.ask |= !row.subscription.is_to();
            row.listed = true;
            true
        }
        PresenceKind::Unsubscribe => {
            row.ask = false;
            row.subscription = row.subscription.without_to();
            true
        }
        PresenceKind::Subscribed if row.request.take().is_some() => {
            row.subscription = row.subscription.with_from();
            row.listed = true;
            true
        }
        PresenceKind::Subscribed => {
            // §3.4.2: an approval before the request.
            if !row.subscription.is_from() {
                row.approved = true;
                row.listed = true;
            }
            false
        }
        PresenceKind::Unsubscribed => {
            row.approved = false;
            let had_from = row.subscription.is_from() || row.request.take().is_some();
            row.subscription = row.subscription.without_from();
            had_from
        }
        _ => false,
    };
    (row, routed)
}

/// A subscription stanza at its addressee (§3.1.3, §3.1.6, §3.2.3, §3.3.3), both bare JIDs.
pub fn inbound(
    cx: &mut Cx<'_>,
    presence: &Presence,
    from: &BareJid,
    to: &BareJid,
) -> Result<(), StoreError> {
    if cx.state.domains.component(to).is_some() {
        let stanza = write(cx, presence);
        return deliver(cx, from, to, stanza);
    }
    // §8.5.1: to an unknown user it is ignored, so that nobody learns from an answer who there is.
    let Some(account) = cx.account(to)? else {
        return Ok(());
    };
    // XEP-0191 §3.2: of somebody blocked nobody hears; what both sides have to agree on changes all the same, or they would
    // disagree for ever.
    let local = Local {
        jid: to.clone(),
        account,
    };
    let is_blocked = is_blocked_by(cx, &local, from)?;
    let before = cx.tx.contact(account, from)?;
    let row = before.clone().unwrap_or_default();
    match presence.kind {
        PresenceKind::Subscribe if is_blocked => Ok(()),
        PresenceKind::Subscribe => arrive_subscribe(cx, presence, account, from, to, before, row),
        PresenceKind::Subscribed if row.ask => {
            let after = Contact {
                ask: false,
                subscription: row.subscription.with_to(),
                ..row
            };
            tell_unless(is_blocked, cx, presence, to);
            keep(cx, to, account, from, before, &after)
        }
        PresenceKind::Unsubscribe if row.subscription.is_from() || row.request.is_some() => {
            let after = Contact {
                request: None,
                subscription: row.subscription.without_from(),
                ..row
            };
            let was_from = before
                .as_ref()
                .is_some_and(|row| row.subscription.is_from());
            tell_unless(is_blocked, cx, presence, to);
            keep(cx, to, account, from, before, &after)?;
            if was_from && !is_blocked {
                // §3.3.3
                send_unavailable_of(cx, to, from.as_jid())?;
            }
            Ok(())
        }
        PresenceKind::Unsubscribed if row.subscription.is_to() || row.ask => {
            let after = Contact {
                ask: false,
                subscription: row.subscription.without_to(),
                ..row
            };
            tell_unless(is_blocked, cx, presence, to);
            keep(cx, to, account, from, before, &after)
        }
        _ => Ok(()),
    }
}

/// §3.1.3: already approved, pre-approved (§3.4.2), or kept until the user answers.
fn arrive_subscribe(
    cx: &mut Cx<'_>,
    presence: &Presence,
    account: AccountId,
    from: &BareJid,
    to: &BareJid,
    before: Option<Contact>,
    row: Contact,
) -> Result<(), StoreError> {
    if row.subscription.is_from() {
        return reply(cx, to, from, PresenceKind::Subscribed);
    }
    if row.approved {
        let after = Contact {
            subscription: row.subscription.with_from(),
            ..row
        };
        keep(cx, to, account, from, before, &after)?;
        reply(cx, to, from, PresenceKind::Subscribed)?;
        send_presence_of(cx, to, from.as_jid())?;
        last::newly_subscribed(cx, to, from)?;
        return Ok(());
    }
    if row.request.is_some() {
        // §A.3.1: it has been delivered, or is with the next initial presence.
        return Ok(());
    }
    let stanza = tell(cx, presence, to, false);
    let full = before.is_none() && {
        let contacts = cx.tx.contacts(account)?;
        let requests = contacts.iter().filter_map(|(_, row)| row.request.as_ref());
        contacts.len() >= 2 * cx.state.settings.roster_contacts_max
            || requests.map(String::len).sum::<usize>() >= REQUESTS_BYTES_MAX
    };
    if stanza.len() > REQUEST_BYTES_MAX || full || cx.state.disk_low {
        return Ok(());
    }
    let after = Contact {
        request: Some(stanza),
        ..row
    };
    keep(cx, to, account, from, before, &after)
}

fn tell_unless(is_blocked: bool, cx: &mut Cx<'_>, presence: &Presence, to: &BareJid) {
    if !is_blocked {
        tell(cx, presence, to, true);
    }
}

/// Delivers a subscription stanza to the account's sessions: the ones with a roster (state changes), or all available
/// ones (requests). Returns its text.
fn tell(cx: &mut Cx<'_>, presence: &Presence, to: &BareJid, interested: bool) -> String {
    let stanza = write(cx, presence);
    let takes = |session: &crate::state::Session| {
        if interested {
            session.wants_roster
        } else {
            session.presence.is_some()
        }
    };
    for session in cx.state.sessions.ids_where(to, takes) {
        cx.deliver(session, stanza.clone());
    }
    let text = cx.out.bytes.get(stanza).unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn write(cx: &mut Cx<'_>, presence: &Presence) -> Range<usize> {
    let start = cx.out.bytes.len();
    let kind = presence.kind.as_str();
    write_stanza(
        &mut cx.out.bytes,
        "presence",
        kind,
        &presence.envelope,
        &presence.element,
    );
    start..cx.out.bytes.len()
}

/// The server answers a request in its user's name.
fn reply(
    cx: &mut Cx<'_>,
    from: &BareJid,
    to: &BareJid,
    kind: PresenceKind,
) -> Result<(), StoreError> {
    let answer = synthetic(cx, from, to, kind);
    inbound(cx, &answer, from, to)
}

/// What a roster removal or an account's end says to a contact; the sender's own row is gone already.
pub fn send_on_behalf(cx: &mut Cx<'_>, queued: &QueuedPresence) -> Result<(), StoreError> {
    if queued.kind == PresenceKind::Unsubscribed && queued.to_subscriber {
        send_unavailable_of(cx, &queued.from, queued.to.as_jid())?;
    }
    let presence = synthetic(cx, &queued.from, &queued.to, queued.kind);
    inbound(cx, &presence, &queued.from, &queued.to)
}

fn synthetic(cx: &mut Cx<'_>, from: &BareJid, to: &BareJid, kind: PresenceKind) -> Presence {
    let id = cx.new_id();
    let envelope = Envelope {
        from: Some(from.clone().into()),
        to: Some(to.clone().into()),
        id: Some(id.into()),
        lang: None,
    };
    let mut xml = Vec::with_capacity(128);
    write_open(&mut xml, "presence", kind.as_str(), &envelope);
    xml.extend_from_slice(b"/>");
    let text = String::from_utf8(xml).expect("the writer writes UTF-8");
    let element = crate::xml::parse_stored(&text, crate::xmpp::ns::CLIENT)
        .expect("the writer writes well-formed XML");
    Presence {
        envelope,
        kind,
        element,
    }
}

/// Stores a row that changed, or removes one that says nothing any more, and pushes what shows in the roster.
fn keep(
    cx: &mut Cx<'_>,
    owner: &BareJid,
    account: AccountId,
    jid: &BareJid,
    before: Option<Contact>,
    after: &Contact,
) -> Result<(), StoreError> {
    if before.as_ref() == Some(after) || (before.is_none() && *after == Contact::default()) {
        return Ok(());
    }
    let shown_before = before.as_ref().is_some_and(|row| row.listed);
    let was_from = before
        .as_ref()
        .is_some_and(|row| row.subscription.is_from());
    if !after.listed && after.request.is_none() && !after.approved {
        cx.tx.remove_contact(account, jid)?;
        return lost::recheck(cx, (owner, account), jid);
    }
    let version = cx.tx.set_contact(account, jid, after)?;
    let shown = |row: &Contact| (row.subscription, row.ask, row.approved, row.listed);
    let changed = before.as_ref().map(shown) != Some(shown(after));
    if (after.listed || shown_before) && changed {
        feature::push_roster(cx, owner, jid, Some(after), version);
    }
    match was_from && !after.subscription.is_from() {
        true => lost::recheck(cx, (owner, account), jid),
        false => Ok(()),
    }
}
