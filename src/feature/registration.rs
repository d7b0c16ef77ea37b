//! XEP-0077: In-Band Registration for those who have an account: its password is changed, or it is removed. New accounts
//! are made by the operator.
use crate::state::{Cx, Fault, PasswordChange, SessionId};
use crate::stream::sasl::{PasswordError, prepare_password};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, Condition, StanzaError, localpart, ns};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = ns::REGISTER;

pub const FEATURE: Feature = Feature {
    specs: &[Spec::partial(
        "XEP-0077",
        "In-Band Registration",
        "2.4",
        "no registration of new accounts",
    )],
    disco: &[(To::Server, NS), (To::OwnAccount, NS)],
    iq: &[
        IqRoute::get(To::Server, NS, "query", get),
        IqRoute::get(To::OwnAccount, NS, "query", get),
        IqRoute::set(To::Server, NS, "query", set).unrestricted(),
        IqRoute::set(To::OwnAccount, NS, "query", set).unrestricted(),
    ],
    ..Feature::new("registration")
};

/// §3.1: the entity is registered.
fn get(_cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    require_user(request)?;
    let own = request.from.to_bare();
    Ok(Reply::payload(|w| {
        w.open_ns("query", NS);
        w.open("registered").close();
        w.leaf("username", own.local().unwrap_or_default());
        w.open("password").close();
        w.close();
    }))
}

/// §3.2, §3.3
fn set(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let session = require_user(request)?;
    let own = request.from.to_bare();
    if request.payload.child("remove", NS).is_some() {
        // §3.2: alone, or nobody knows what is meant.
        if request.payload.children().count() != 1 {
            return Err(Condition::BadRequest.into());
        }
        cx.state.effects.removals.push(own);
        return Ok(Reply::Empty);
    }
    let password = text(request.payload, "password").ok_or(Condition::BadRequest)?;
    if let Some(name) = text(request.payload, "username") {
        require_own(&own, &name)?;
    }
    let refused =
        |error: PasswordError| StanzaError::new(Condition::NotAcceptable).text(error.rule());
    let prepared = prepare_password(&password).map_err(refused)?;
    cx.require_disk_space()?;
    cx.state.effects.password_changes.push(PasswordChange {
        session,
        envelope: request.iq.envelope.clone(),
        account: own,
        password: prepared.as_ref().into(),
    });
    Ok(Reply::Later)
}

/// What is asked of the server may come from a component, whose addresses are no accounts here.
fn require_user(request: &Request<'_>) -> Result<SessionId, Condition> {
    let session = request.origin.session();
    session.ok_or(Condition::ServiceUnavailable)
}

/// §3.3: nobody changes the password of another.
fn require_own(own: &BareJid, name: &str) -> Result<(), Fault> {
    match localpart(name) {
        Ok(name) if own.local() == Some(&*name) => Ok(()),
        _ => Err(Condition::NotAllowed.into()),
    }
}

fn text(payload: ElementRef<'_>, name: &str) -> Option<String> {
    let text = payload.child(name, NS)?.text().into_owned();
    Some(text).filter(|text| !text.is_empty())
}
