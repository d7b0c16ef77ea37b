//! XEP-0199: XMPP Ping. Answers pings to the server and to one's own account.
use crate::state::{Cx, Fault};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = "urn:xmpp:ping";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0199", "XMPP Ping", "2.0.1")],
    disco: &[(To::Server, NS), (To::OwnAccount, NS)],
    iq: &[
        IqRoute::get(To::Server, NS, "ping", pong),
        IqRoute::get(To::OwnAccount, NS, "ping", pong),
    ],
    ..Feature::new("ping")
};

/// §4.2: an empty result.
fn pong(_cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Ok(Reply::Empty)
}
