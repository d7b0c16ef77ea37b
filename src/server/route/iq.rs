//! The way of an iq (RFC 6120 §8.2.3, RFC 6121 §8.5): to the server, to an account, to a session; every request gets
//! exactly one answer.
use crate::feature::{self, Reply, Request, To};
use crate::state::{Address, Cx, Fault, SessionId};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, Envelope, Iq, IqKind, Jid, StanzaError, ns};

use crate::server::session::send_error;

/// An iq of one of our sessions, `from` stamped.
pub fn from_session(cx: &mut Cx<'_>, session: SessionId, iq: &Iq) {
    match iq.kind {
        IqKind::Result | IqKind::Error => answer(cx, session, iq),
        IqKind::Get | IqKind::Set => {
            if let Err(fault) = request(cx, session, iq) {
                let error = fault.into_stanza_error();
                send_error(cx, session, "iq", &iq.envelope, &error);
            }
            for (session, stanza) in std::mem::take(&mut cx.state.after_reply) {
                cx.deliver(session, stanza);
            }
        }
    }
}

/// A get or set. What is not answered here was passed on to a session, which answers.
fn request(cx: &mut Cx<'_>, session: SessionId, iq: &Iq) -> Result<(), Fault> {
    let from = iq
        .envelope
        .from
        .as_ref()
        .expect("requests of sessions are stamped");
    let own = from.to_bare();
    let to = iq.envelope.to.as_ref().unwrap_or(&own);
    let address = Address::resolve(cx, to)?;
    let at_domain = to.local().is_none() && to.is_bare();
    match &address {
        Address::Server if at_domain => return handle(cx, session, iq, To::Server, None),
        Address::Service(service) if at_domain => {
            return handle(cx, session, iq, To::Service(service.label), None);
        }
        Address::Server | Address::Service(_) => return Err(Condition::ServiceUnavailable.into()),
        Address::Remote => return Err(Condition::RemoteServerNotFound.into()),
        Address::Account(_) | Address::Session(..) | Address::Nobody => {}
    }
    require_not_blocked_by_sender(cx, &own, to)?;
    let (local, exactly) = match address {
        Address::Account(local) => (local, None),
        Address::Session(local, session) => (local, Some(session)),
        _ => return unknown_account(cx, session, iq, to),
    };
    let is_own = local.jid == own;
    if !is_own && cx.block_list(&local.jid, local.account)?.matches(from) {
        // XEP-0191 §3.2: an error, such as there is for nobody.
        return Err(refusal(iq, to).into());
    }
    let Some(exactly) = exactly else {
        let whom = if is_own { To::OwnAccount } else { To::Account };
        return handle(cx, session, iq, whom, Some((&local.jid, local.account)));
    };
    // XEP-0012 §4, of resources that are not there too.
    feature::require_may_ask_last_activity(cx, iq, from, (&local.jid, local.account))?;
    // §8.5.3.2.3: no such resource.
    let target = exactly.ok_or(Condition::ServiceUnavailable)?;
    relay(cx, target, iq);
    Ok(())
}

/// RFC 6121 §8.5.1: nobody of this name. XEP-0030 §8: its items look like those of an account that shows none.
fn unknown_account(cx: &mut Cx<'_>, session: SessionId, iq: &Iq, to: &Jid) -> Result<(), Fault> {
    let payload = iq.payload();
    if iq.kind != IqKind::Get || !payload.is("query", ns::DISCO_ITEMS) || !to.is_bare() {
        return Err(refusal(iq, to).into());
    }
    let reply = Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS)
            .attr_opt("node", payload.attribute("node").as_deref())
            .close();
    });
    cx.send(session, |w| write_result(w, &iq.envelope, &reply));
    Ok(())
}

/// What an account answers to strangers, and so do one that blocks and one that is not there: nobody hears which.
fn refusal(iq: &Iq, to: &Jid) -> Condition {
    let route = feature::route(To::Account, iq.kind, iq.payload());
    let is_of_account = to.is_bare() || feature::asks_last_activity(iq);
    route
        .filter(|_| is_of_account)
        .map_or(Condition::ServiceUnavailable, |route| route.refusal)
}

/// XEP-0191 §3.2: whom I block I cannot write to either.
pub fn require_not_blocked_by_sender(cx: &Cx<'_>, own: &BareJid, to: &Jid) -> Result<(), Fault> {
    let blocked = cx
        .state
        .sessions
        .online(own)
        .is_some_and(|online| online.blocked.matches(to));
    if blocked && to.bare_str() != own.as_str() {
        return Err(feature::blocked_error().into());
    }
    Ok(())
}

fn handle(
    cx: &mut Cx<'_>,
    session: SessionId,
    iq: &Iq,
    to: To,
    account: Option<(&BareJid, crate::store::AccountId)>,
) -> Result<(), Fault> {
    let payload = iq.payload();
    let route = feature::route(to, iq.kind, payload).ok_or(Condition::ServiceUnavailable)?;
    let asker = cx.state.sessions.get(session);
    if route.unrestricted && asker.is_some_and(|asker| asker.client.is_restricted()) {
        return Err(StanzaError::new(Condition::Forbidden)
            .text("This token may not do that.")
            .into());
    }
    let from = iq
        .envelope
        .from
        .as_ref()
        .expect("requests of sessions are stamped");
    let request = Request {
        iq,
        payload,
        from,
        session: Some(session),
        account,
    };
    let reply = (route.handler)(cx, &request)?;
    if !matches!(reply, Reply::Later) {
        cx.send(session, |w| write_result(w, &iq.envelope, &reply));
    }
    Ok(())
}

pub fn write_result(w: &mut Writer<'_>, request: &Envelope, reply: &Reply) {
    w.open("iq").attr("type", "result");
    w.attr_opt("id", request.id.as_deref());
    w.attr_opt("from", request.to.as_ref().map(Jid::as_str));
    w.attr_opt("to", request.from.as_ref().map(Jid::as_str));
    if let Reply::Payload(xml) = reply {
        w.raw(std::str::from_utf8(xml).expect("the writer writes UTF-8"));
    }
    w.close();
}

/// A result or error: to the session that asked, or to us, who asked for capabilities.
fn answer(cx: &mut Cx<'_>, session: SessionId, iq: &Iq) {
    let from = iq
        .envelope
        .from
        .as_ref()
        .expect("stanzas of sessions are stamped");
    let Some(to) = &iq.envelope.to else { return };
    match Address::resolve(cx, to) {
        Ok(Address::Server) if to.is_bare() => feature::capabilities_answered(cx, session, iq),
        Ok(Address::Session(local, Some(target))) => {
            let blocked = cx
                .block_list(&local.jid, local.account)
                .is_ok_and(|list| list.matches(from));
            if !blocked || local.jid.as_str() == from.bare_str() {
                relay(cx, target, iq);
            }
        }
        _ => {}
    }
}

/// Passes an iq on as it is, with its stamped envelope.
fn relay(cx: &mut Cx<'_>, target: SessionId, iq: &Iq) {
    let start = cx.out.bytes.len();
    super::message::write_stanza(
        &mut cx.out.bytes,
        "iq",
        iq.kind.as_str(),
        &iq.envelope,
        &iq.element,
        &[],
    );
    let range = start..cx.out.bytes.len();
    cx.deliver(target, range);
}

/// Asks a silent client for a sign of life (XEP-0199 §4.1).
pub fn ping(cx: &mut Cx<'_>, session: SessionId) {
    let Some(to) = cx
        .state
        .sessions
        .get(session)
        .map(|session| session.jid.clone())
    else {
        return;
    };
    let from = cx.state.domains.served().clone();
    cx.send(session, |w| {
        w.open("iq")
            .attr("type", "get")
            .attr("id", "alive")
            .attr("from", from.as_str());
        w.attr("to", to.as_str());
        w.open_ns("ping", "urn:xmpp:ping").close().close();
    });
}
