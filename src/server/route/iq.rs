//! The way of an iq (RFC 6120 §8.2.3, RFC 6121 §8.5): to the server, to an account, to a session; every request gets
//! exactly one answer.
use crate::channel;
use crate::feature::{self, Reply, Request, To};
use crate::server::outlet::{self, send_error, send_result, write_stanza};
use crate::state::{Address, Cx, Fault, Origin, Question, Then, UnderWay};
use crate::store::StoreError;
use crate::xml::parse_stored;
use crate::xmpp::{
    BareJid, Condition, Iq, IqKind, Jid, Stanza, StanzaError, ns, quoted, quoted_error,
};

use super::blocked::{is_blocked_by, require_not_blocked_by_sender};

/// An iq with a `from` that its sender may use.
pub fn from(cx: &mut Cx<'_>, origin: Origin, iq: &Iq) {
    take(cx, origin, iq);
    send_own(cx);
}

/// What handlers ask on behalf of accounts, and what is answered at once.
pub fn send_own(cx: &mut Cx<'_>) {
    for own in std::mem::take(&mut cx.state.effects.own_requests) {
        take(cx, Origin::Own, &own);
    }
    for stanza in std::mem::take(&mut cx.state.effects.own_answers) {
        let bytes = cx.out.bytes.get(stanza).unwrap_or_default();
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let element = parse_stored(text, ns::CLIENT);
        if let Ok(Some(Ok(Stanza::Iq(iq)))) = element.map(Stanza::from_element) {
            answer(cx, &iq);
        }
    }
}

fn take(cx: &mut Cx<'_>, origin: Origin, iq: &Iq) {
    match iq.kind {
        IqKind::Result | IqKind::Error => {
            if let Origin::Component(component) = origin {
                cx.state.under_way.answered(component, iq);
            }
            answer(cx, iq);
        }
        IqKind::Get | IqKind::Set => {
            if let Err(fault) = request(cx, origin, iq) {
                let error = fault.into_stanza_error();
                send_error(cx, origin, "iq", &iq.envelope, &error);
            }
            for (session, stanza) in std::mem::take(&mut cx.state.effects.after_reply) {
                cx.deliver(session, stanza);
            }
        }
    }
}

/// A get or set. What is not answered here was passed on to a session, which answers.
fn request(cx: &mut Cx<'_>, origin: Origin, iq: &Iq) -> Result<(), Fault> {
    let from = iq.envelope.from.as_ref().expect("who sent it was checked");
    let own = from.to_bare();
    let to = iq.envelope.to.as_ref().unwrap_or(&own);
    let address = Address::resolve(cx, to)?;
    let at_domain = to.local().is_none() && to.is_bare();
    match &address {
        Address::Server if at_domain => return handle(cx, origin, iq, To::Server, None),
        Address::Service(service) if at_domain && service.is_channels() => {
            let reply = channel::iq_of_service(cx, iq)?;
            send_result(cx, origin, &iq.envelope, &reply);
            return Ok(());
        }
        Address::Service(service) if at_domain => {
            return handle(cx, origin, iq, To::Service(service.label), None);
        }
        Address::Server | Address::Service(_) => return Err(Condition::ServiceUnavailable.into()),
        Address::Remote => return Err(Condition::RemoteServerNotFound.into()),
        Address::Channel(jid) => {
            require_not_blocked_by_sender(cx, &own, to)?;
            let reply = channel::iq(cx, origin, iq, jid)?;
            if !matches!(reply, Reply::Later) {
                send_result(cx, origin, &iq.envelope, &reply);
            }
            return Ok(());
        }
        Address::Account(_) | Address::Session(..) | Address::Component(_) | Address::Nobody => {}
    }
    require_not_blocked_by_sender(cx, &own, to)?;
    if origin.session().is_some() {
        feature::preference_set(cx, iq)?;
    }
    let (local, exactly) = match address {
        Address::Account(local) => (local, None),
        Address::Session(local, session) => (local, Some(session)),
        Address::Component(component) => {
            if !relay(cx, Origin::Component(component), iq) {
                return Err(outlet::COMPONENT_AWAY.into());
            }
            // What was asked in somebody's name is among the questions.
            if origin != Origin::Own {
                let (asker, asked) = (from.clone(), to.clone());
                let id = iq.envelope.id.clone();
                let request = UnderWay { asker, asked, id };
                cx.state.under_way.add(component, request);
            }
            return Ok(());
        }
        _ => return unknown_account(cx, origin, iq, to),
    };
    let is_own = local.jid == own;
    if is_blocked_by(cx, &local, from)? {
        // XEP-0191 §3.2: an error, such as there is for nobody.
        return Err(refusal(cx, iq, to).into());
    }
    let Some(exactly) = exactly else {
        let whom = if is_own { To::OwnAccount } else { To::Account };
        return handle(cx, origin, iq, whom, Some((&local.jid, local.account)));
    };
    // XEP-0012 §4, of resources that are not there too.
    feature::require_may_ask_last_activity(cx, iq, from, (&local.jid, local.account))?;
    // §8.5.3.2.3: no such resource.
    let target = exactly.ok_or(Condition::ServiceUnavailable)?;
    relay(cx, Origin::Session(target), iq);
    Ok(())
}

/// RFC 6121 §8.5.1: nobody of this name. XEP-0030 §8: its items look like those of an account that shows none.
fn unknown_account(cx: &mut Cx<'_>, origin: Origin, iq: &Iq, to: &Jid) -> Result<(), Fault> {
    let payload = iq.payload();
    if iq.kind != IqKind::Get || !payload.is("query", ns::DISCO_ITEMS) || !to.is_bare() {
        return Err(refusal(cx, iq, to).into());
    }
    let reply = Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS)
            .attr_opt("node", payload.attribute("node").as_deref())
            .close();
    });
    send_result(cx, origin, &iq.envelope, &reply);
    Ok(())
}

/// What an account answers to strangers, and so do one that blocks and one that is not there: nobody hears which.
fn refusal(cx: &Cx<'_>, iq: &Iq, to: &Jid) -> Condition {
    let route = feature::route(&cx.state.settings, To::Account, iq.kind, iq.payload());
    let is_of_account = to.is_bare() || feature::asks_last_activity(iq);
    route
        .filter(|_| is_of_account)
        .map_or(Condition::ServiceUnavailable, |route| route.refusal)
}

fn handle(
    cx: &mut Cx<'_>,
    origin: Origin,
    iq: &Iq,
    to: To,
    account: Option<(&BareJid, crate::store::AccountId)>,
) -> Result<(), Fault> {
    let payload = iq.payload();
    let route = feature::route(&cx.state.settings, to, iq.kind, payload)
        .ok_or(Condition::ServiceUnavailable)?;
    let session = origin.session();
    let asker = session.and_then(|session| cx.state.sessions.get(session));
    if route.unrestricted && asker.is_some_and(|asker| asker.client.is_restricted()) {
        return Err(StanzaError::new(Condition::Forbidden)
            .text("This token may not do that.")
            .into());
    }
    let from = iq.envelope.from.as_ref().expect("who sent it was checked");
    let request = Request {
        iq,
        payload,
        from,
        origin,
        account,
        inbox_rooms: channel::inbox_rooms,
    };
    let reply = (route.handler)(cx, &request)?;
    if !matches!(reply, Reply::Later) {
        send_result(cx, origin, &iq.envelope, &reply);
    }
    Ok(())
}

/// A result or error: to us, if we asked, or to the session or component that did; nobody else waits for one.
fn answer(cx: &mut Cx<'_>, iq: &Iq) {
    let from = iq.envelope.from.as_ref().expect("who sent it was checked");
    let Some(to) = &iq.envelope.to else { return };
    if let Some(then) = cx.state.questions.answered(iq, cx.now.monotonic_ms) {
        if let Err(error) = answered(cx, then, iq) {
            log::error!(
                "answer.failed from={} error={}",
                quoted(from.as_str()),
                quoted_error(&error)
            );
        }
        return;
    }
    match Address::resolve(cx, to) {
        Ok(Address::Session(local, Some(target)))
            if !is_blocked_by(cx, &local, from).unwrap_or_default() =>
        {
            relay(cx, Origin::Session(target), iq);
        }
        Ok(Address::Component(component)) => {
            relay(cx, Origin::Component(component), iq);
        }
        Ok(Address::Channel(jid)) => {
            if let Err(Fault::Store(error)) = channel::answer(cx, iq, &jid) {
                log::error!("answer.failed error={}", quoted_error(&error));
            }
        }
        _ => {}
    }
}

/// Goes on with what was asked, in the name of whoever asked it.
pub fn answered(cx: &mut Cx<'_>, question: Question, iq: &Iq) -> Result<(), StoreError> {
    if let Then::Relayed(relayed) = &question.then {
        channel::relayed(cx, relayed, iq);
        return Ok(());
    }
    feature::answered(cx, question, iq)
}

/// Passes an iq on as it is, with its stamped envelope; false: nobody is there.
fn relay(cx: &mut Cx<'_>, target: Origin, iq: &Iq) -> bool {
    let start = cx.out.bytes.len();
    let kind = iq.kind.as_str();
    write_stanza(&mut cx.out.bytes, "iq", kind, &iq.envelope, &iq.element);
    outlet::send(cx, target, start..cx.out.bytes.len())
}

/// Asks whoever is silent for a sign of life (XEP-0199 §4.1).
pub fn ping(cx: &mut Cx<'_>, peer: Origin) {
    let to = match peer {
        Origin::Session(session) => cx.state.sessions.get(session).map(|s| s.jid.to_string()),
        Origin::Component(id) => {
            let component = cx.state.domains.components.get(id);
            component.map(|component| component.jid.to_string())
        }
        Origin::Own => None,
    };
    let Some(to) = to else { return };
    let from = cx.state.domains.served().clone();
    outlet::answer(cx, peer, |w| {
        w.open("iq")
            .attr("type", "get")
            .attr("id", "alive")
            .attr("from", from.as_str())
            .attr("to", &to);
        w.open_ns("ping", "urn:xmpp:ping").close().close();
    });
}
