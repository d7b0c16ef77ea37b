//! XEP-0092: Software Version. Name and version; the operating system stays private (§5).
use crate::state::{Cx, Fault};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = "jabber:iq:version";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0092", "Software Version", "1.1")],
    disco: &[(To::Server, NS)],
    iq: &[IqRoute::get(To::Server, NS, "query", version)],
    ..Feature::new("software_version")
};

/// §2.
fn version(_cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Ok(Reply::payload(|w| {
        w.open_ns("query", NS)
            .leaf("name", "Stonechat")
            .leaf("version", env!("CARGO_PKG_VERSION"))
            .close();
    }))
}
