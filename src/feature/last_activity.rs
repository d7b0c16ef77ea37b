//! XEP-0012: Last Activity. How long the server runs, and since when an account is away, told to those who may see its
//! presence (§8).
use crate::state::{Cx, Fault};
use crate::store::AccountId;
use crate::xmpp::{BareJid, Condition, Iq, IqKind, Jid};

use super::{Feature, IqRoute, Reply, Request, Spec, To, sees_presence};

const NS: &str = "jabber:iq:last";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0012", "Last Activity", "2.0")],
    disco: &[(To::Server, NS), (To::Account, NS)],
    iq: &[
        IqRoute::get(To::Account, NS, "query", account).refused_by(Condition::Forbidden),
        IqRoute::get(To::Server, NS, "query", server),
    ],
    ..Feature::new("last_activity")
};

/// §3: seconds since the account was last available, with the status it left; 0 while it is available.
fn account(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    if !sees_presence(cx, request)? {
        return Err(Condition::Forbidden.into());
    }
    let mut sessions = cx.state.sessions.of(request.account_jid());
    if sessions.any(|session| session.presence.is_some()) {
        return Ok(answer(0, ""));
    }
    let last = cx
        .tx
        .last_activity(request.account_id())?
        .ok_or(Condition::ItemNotFound)?;
    let seconds = cx.now.wall.seconds() - last.at.seconds();
    Ok(answer(u64::try_from(seconds).unwrap_or(0), &last.status))
}

/// §5: seconds since the start.
fn server(cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    let running_ms = cx
        .now
        .monotonic_ms
        .saturating_sub(cx.state.started.monotonic_ms);
    Ok(answer(running_ms / 1000, ""))
}

fn answer(seconds: u64, status: &str) -> Reply {
    Reply::payload(|w| {
        w.open_ns("query", NS).attr("seconds", &seconds.to_string());
        if !status.is_empty() {
            w.text(status);
        }
        w.close();
    })
}

pub fn is_asked(iq: &Iq) -> bool {
    iq.kind == IqKind::Get && iq.payload().is("query", NS)
}

/// §4: a question to a session itself is passed on only for those who may see the account's presence.
pub fn require_may_ask(
    cx: &Cx<'_>,
    iq: &Iq,
    from: &Jid,
    owner: (&BareJid, AccountId),
) -> Result<(), Fault> {
    if is_asked(iq) {
        let may = super::may_see_presence(cx, from, owner)?;
        return may.then_some(()).ok_or(Condition::Forbidden.into());
    }
    Ok(())
}
