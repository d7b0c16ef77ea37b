//! XEP-0191: Blocking Command. The list, its pushes, and what the other side sees of it; `server` enforces it on every way
//! of a stanza.
use std::ops::Range;

use crate::state::{BlockList, Cx, Fault, Keep, Kind, PresenceDetails, SessionId, Urgency};
use crate::store::{Contact, StoreError};
use crate::xml::{Writer, escaped_len};
use crate::xmpp::{
    BareJid, Condition, Envelope, ErrorType, FullJid, Jid, StanzaError, ns, write_open,
};

use super::{Feature, IqRoute, Reply, Request, Spec, To, privilege};

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0191", "Blocking Command", "1.3")],
    disco: &[(To::Server, ns::BLOCKING)],
    iq: &[
        IqRoute::get(To::OwnAccount, ns::BLOCKING, "blocklist", get),
        IqRoute::set(To::OwnAccount, ns::BLOCKING, "block", block),
        IqRoute::set(To::OwnAccount, ns::BLOCKING, "unblock", unblock),
    ],
    ..Feature::new("blocking")
};

/// §3.3: what the account's owner hears who writes to somebody blocked.
pub fn blocked_error() -> StanzaError {
    StanzaError::new(Condition::NotAcceptable)
        .kind(ErrorType::Cancel)
        .application("blocked", "urn:xmpp:blocking:errors")
}

/// §3.2; who asked hears of changes from now on.
fn get(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let list = cx.block_list(request.account_jid(), request.account_id())?;
    if let Some(session) = cx.state.sessions.get_mut(request.own_session()?) {
        session.wants_blocking = true;
    }
    Ok(Reply::payload(|w| write_items(w, "blocklist", list.jids())))
}

/// §3.3
fn block(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let items = items(request)?;
    if items.is_empty() {
        return Err(Condition::BadRequest.into());
    }
    let account = request.account_id();
    let before = cx.block_list(request.account_jid(), account)?;
    let added = items.iter().filter(|item| !before.contains(&[item]));
    let added: Vec<String> = added.cloned().collect();
    let jids = [before.jids(), &added].concat();
    let bytes: usize = jids.iter().map(|jid| item_bytes(jid)).sum();
    let settings = &cx.state.settings;
    if jids.len() > settings.blocked_jids_max || bytes > settings.blocked_bytes_max {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("The block list is full.")
            .into());
    }
    cx.require_disk_space()?;
    for jid in &added {
        cx.tx.block(account, jid)?;
    }
    changed(cx, request, &before, BlockList::new(jids))?;
    push(cx, request, "block", &items);
    Ok(Reply::Empty)
}

/// §3.4, and without items §3.5: everybody.
fn unblock(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let items = items(request)?;
    let account = request.account_id();
    let before = cx.block_list(request.account_jid(), account)?;
    let ends = |jid: &&String| items.is_empty() || items.binary_search(jid).is_ok();
    for jid in before.jids().iter().filter(ends) {
        cx.tx.unblock(account, jid)?;
    }
    let stays = before.jids().iter().filter(|jid| !ends(jid)).cloned();
    changed(cx, request, &before, BlockList::new(stays.collect()))?;
    push(cx, request, "unblock", &items);
    Ok(Reply::Empty)
}

/// What an item of the list takes where it is written.
fn item_bytes(jid: &str) -> usize {
    "<item jid=''/>".len() + escaped_len(jid)
}

/// The JIDs of a request, prepared, in order, each once.
fn items(request: &Request<'_>) -> Result<Vec<String>, Fault> {
    let mut items: Vec<String> = Vec::new();
    let children = request.payload.children();
    for item in children.filter(|child| child.is("item", ns::BLOCKING)) {
        let jid = item.attribute("jid").ok_or(Condition::BadRequest)?;
        let jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
        items.push(jid.as_str().to_string());
    }
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

/// §3.3, §3.4: every session that asked for the list hears of the change.
fn push(cx: &mut Cx<'_>, request: &Request<'_>, name: &'static str, items: &[String]) {
    let wants = cx
        .state
        .sessions
        .ids_where(request.account_jid(), |session| session.wants_blocking);
    for id in wants {
        let Some(to) = cx.state.sessions.get(id).map(|session| session.jid.clone()) else {
            continue;
        };
        let stanza_id = cx.new_id();
        cx.send(id, |w| {
            w.open("iq")
                .attr("type", "set")
                .attr("id", &stanza_id)
                .attr("to", to.as_str());
            write_items(w, name, items);
            w.close();
        });
    }
}

fn write_items(w: &mut Writer<'_>, name: &'static str, jids: &[String]) {
    w.open_ns(name, ns::BLOCKING);
    for jid in jids {
        w.open("item").attr("jid", jid).close();
    }
    w.close();
}

/// Puts the new list into force. §3.3, §3.4: whom the change concerns sees the account leave or come back, if entitled
/// to see its presence.
fn changed(
    cx: &mut Cx<'_>,
    request: &Request<'_>,
    before: &BlockList,
    after: BlockList,
) -> Result<(), StoreError> {
    let own = request.account_jid();
    if let Some(online) = cx.state.sessions.online_mut(own) {
        online.blocked = after.clone();
    }
    let contacts = cx.tx.contacts(request.account_id())?;
    let waited = |jid: &BareJid| before.matches(jid) && !after.matches(jid);
    for (_, contact) in contacts.iter().filter(|(jid, _)| waited(jid)) {
        if let Some(asked) = &contact.request {
            send_request(cx, own, asked);
        }
    }
    let is_from = |contact: &Contact| contact.subscription.is_from();
    let subscribed = contacts.iter().filter(|(_, contact)| is_from(contact));
    let subscribed = subscribed.map(|(jid, _)| jid.as_jid());
    let of_components = subscribed.clone();
    let of_components = of_components.filter(|jid| cx.state.domains.component(jid).is_some());
    let may_know = privilege::may_know_presence(cx).map(|jid| jid.as_jid());
    let mut of_components: Vec<Jid> = of_components.chain(may_know).cloned().collect();
    of_components.sort_unstable();
    of_components.dedup();
    let change = Change {
        own,
        before,
        after: &after,
        subscribed: subscribed.flat_map(|jid| available(cx, jid)).collect(),
        of_components,
    };
    for id in cx.state.sessions.ids_where(own, |_| true) {
        // Whom it told of itself may be in the store only.
        cx.wake(id)?;
        change.tell(cx, id)?;
    }
    Ok(())
}

/// A block list that is another now, and who hears of the account's presence.
struct Change<'c> {
    own: &'c BareJid,
    before: &'c BlockList,
    after: &'c BlockList,
    /// Sessions of its subscribers.
    subscribed: Vec<SessionId>,
    /// XEP-0114, XEP-0356 §7: those that are told by their addresses.
    of_components: Vec<Jid>,
}

impl Change<'_> {
    fn concerns(&self, jid: &Jid) -> bool {
        self.before.matches(jid) != self.after.matches(jid) && jid.bare_str() != self.own.as_str()
    }

    /// What one session of the account is to those whom the change concerns.
    fn tell(&self, cx: &mut Cx<'_>, id: SessionId) -> Result<(), StoreError> {
        let (own, after) = (self.own, self.after);
        let Some(session) = cx.state.sessions.get_mut(id) else {
            return Ok(());
        };
        let from = session.jid.clone();
        let directed = session.directed.clone();
        session
            .directed
            .retain(|jid| jid.bare_str() == own.as_str() || !after.matches(jid));
        let presence = cx.presence_details(id)?;
        let mut hearers: Vec<SessionId> =
            directed.iter().flat_map(|jid| available(cx, jid)).collect();
        if presence.is_some() {
            hearers.extend(&self.subscribed);
        }
        hearers.sort_unstable();
        hearers.dedup();
        let there = directed
            .iter()
            .filter(|jid| !self.of_components.contains(*jid));
        let there = there.chain(self.of_components.iter().filter(|_| presence.is_some()));
        for to in there.filter(|to| self.concerns(to)) {
            let Some(component) = cx.state.domains.component(to) else {
                continue;
            };
            let shown = presence.as_deref().filter(|_| !after.matches(to));
            if shown.is_some() || after.matches(to) {
                let stanza = write_presence(cx, &from, to, shown);
                cx.pass(component, &stanza.into());
            }
        }
        for hearer in hearers {
            let Some(to) = cx.state.sessions.get(hearer).map(|s| s.jid.clone()) else {
                continue;
            };
            match (&presence, after.matches(&to)) {
                _ if !self.concerns(&to) => {}
                (_, true) => send_presence(cx, &from, (hearer, &to), None),
                (Some(presence), false) => {
                    send_presence(cx, &from, (hearer, &to), Some(presence.as_ref()));
                }
                (None, false) => {}
            }
        }
        Ok(())
    }
}

/// RFC 6121 §3.1.3: a subscription request that waited while its sender was blocked.
fn send_request(cx: &mut Cx<'_>, own: &BareJid, request: &str) {
    for id in available(cx, own.as_jid()) {
        cx.send(id, |w| {
            w.raw(request);
        });
    }
}

/// The sessions that presence to this address reaches.
fn available(cx: &Cx<'_>, jid: &Jid) -> Vec<SessionId> {
    match jid.resource() {
        Some(_) => cx
            .state
            .sessions
            .find(jid)
            .map(|s| s.id)
            .into_iter()
            .collect(),
        None => cx
            .state
            .sessions
            .ids_where(&jid.to_bare(), |session| session.presence.is_some()),
    }
}

/// The session's presence to one of another account, `None`: that it is unavailable. Nothing if that account blocks it.
fn send_presence(
    cx: &mut Cx<'_>,
    from: &FullJid,
    (hearer, to): (SessionId, &FullJid),
    presence: Option<&PresenceDetails>,
) {
    let online = cx.state.sessions.online(&to.to_bare());
    if online.is_none_or(|online| online.blocked.matches(from)) {
        return;
    }
    let stanza = write_presence(cx, from, to.as_jid(), presence);
    let urgency = Urgency::latest(Kind::Presence, from.as_str());
    cx.deliver_as(hearer, &stanza.into(), urgency, Keep::WHOLE);
}

fn write_presence(
    cx: &mut Cx<'_>,
    from: &FullJid,
    to: &Jid,
    presence: Option<&PresenceDetails>,
) -> Range<usize> {
    let envelope = Envelope {
        from: Some(from.clone().into()),
        to: Some(to.clone()),
        id: presence.and_then(|presence| presence.id.clone()),
        lang: presence.and_then(|presence| presence.lang.clone()),
    };
    let kind = if presence.is_some() {
        ""
    } else {
        "unavailable"
    };
    let payload = presence.map_or("", |presence| &*presence.payload);
    let out = &mut cx.out.bytes;
    let start = out.len();
    write_open(out, "presence", kind, &envelope);
    if payload.is_empty() {
        out.extend_from_slice(b"/>");
    } else {
        out.push(b'>');
        out.extend_from_slice(payload.as_bytes());
        out.extend_from_slice(b"</presence>");
    }
    start..out.len()
}
