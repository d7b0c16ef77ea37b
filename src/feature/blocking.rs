//! Being written.
use super::Feature;
pub const FEATURE: Feature = Feature::new("blocking");
pub fn blocked_error() -> crate::xmpp::StanzaError {
    crate::xmpp::StanzaError::new(crate::xmpp::Condition::NotAcceptable)
        .application("blocked", "urn:xmpp:blocking:errors")
}
