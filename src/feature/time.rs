//! XEP-0202: Entity Time. A server's time is UTC: nobody's place is given away (§6).
use crate::state::{Cx, Fault};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = "urn:xmpp:time";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0202", "Entity Time", "2.0")],
    disco: &[(To::Server, NS)],
    iq: &[IqRoute::get(To::Server, NS, "time", time)],
    ..Feature::new("time")
};

/// §2.
fn time(cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    let now = cx.now.wall.to_string();
    Ok(Reply::payload(|w| {
        w.open_ns("time", NS)
            .leaf("tzo", "+00:00")
            .leaf("utc", &now)
            .close();
    }))
}
