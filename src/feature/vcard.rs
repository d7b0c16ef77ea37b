//! XEP-0054: vcard-temp. Everyone may read an account's vCard; only its owner sets it.
use crate::pubsub::Owner;
use crate::state::{Cx, Fault};
use crate::xmpp::{Condition, StanzaError};

use super::pep::vcards;
use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = "vcard-temp";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0054", "vcard-temp", "1.3.0")],
    disco: &[(To::Server, NS), (To::Account, NS)],
    iq: &[
        IqRoute::get(To::OwnAccount, NS, "vCard", own),
        IqRoute::set(To::OwnAccount, NS, "vCard", set),
        IqRoute::set(To::Account, NS, "vCard", set_of_another).refused_by(Condition::Forbidden),
        IqRoute::get(To::Account, NS, "vCard", of_another),
    ],
    ..Feature::new("vcard")
};

/// §3.1
fn own(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let vcard = shown(cx, request)?;
    // Either that or an error is right; several clients take the error for a failure and never let anybody set one.
    let empty = || format!("<vCard xmlns='{NS}'/>");
    Ok(reply(vcard.unwrap_or_else(empty)))
}

/// §3.2: the whole of it, every time.
fn set(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let xml = request.payload.to_xml();
    if xml.len() > cx.state.settings.private_bytes_max {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("The vCard is too large.")
            .into());
    }
    cx.require_disk_space()?;
    let account = request.account_id();
    let owner = Owner::account(request.account_jid(), account);
    vcards::set_temp(cx, &owner, account, &xml)?;
    Ok(Reply::Empty)
}

/// §3.2
fn set_of_another(_cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Err(Condition::Forbidden.into())
}

/// §3.3: no vCard looks like no such user.
fn of_another(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let vcard = shown(cx, request)?;
    Ok(reply(vcard.ok_or(Condition::ServiceUnavailable)?))
}

fn shown(cx: &Cx<'_>, request: &Request<'_>) -> Result<Option<String>, Fault> {
    let account = request.account_id();
    let owner = Owner::account(request.account_jid(), account);
    vcards::temp(cx, &owner, account, request.from)
}

fn reply(vcard: String) -> Reply {
    Reply::Payload(vcard.into_bytes())
}
