//! RFC 3921 §3: the session request that clients of before 2011 send after binding. It asks for nothing any more.
use crate::state::{Cx, Fault};
use crate::xmpp::ns;

use super::{Feature, IqRoute, Reply, Request, Spec, To};

pub const FEATURE: Feature = Feature {
    specs: &[Spec::partial(
        "RFC 3921",
        "XMPP: Instant Messaging and Presence (2004)",
        "",
        "session establishment for old clients, nothing else",
    )],
    iq: &[
        IqRoute::set(To::Server, ns::SESSION, "session", establish),
        IqRoute::set(To::OwnAccount, ns::SESSION, "session", establish),
    ],
    ..Feature::new("session")
};

/// §3: a bound resource is a session already.
fn establish(_cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    request.own_session()?;
    Ok(Reply::Empty)
}
