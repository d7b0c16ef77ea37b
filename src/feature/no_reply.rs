//! XEP-0506: No-reply JIDs. Nobody reads what is written to the server's own address, and it says so.
use super::{Feature, Spec, To};

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0506", "No-reply JIDs", "0.1.0")],
    disco: &[(To::Server, "urn:xmpp:noreply:0")],
    ..Feature::new("no_reply")
};
