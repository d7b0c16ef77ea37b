//! What of a login may come before the end of the TLS handshake (RFC 8446 §2.3), where somebody who caught it could send it
//! again.
use crate::xml::ElementRef;
use crate::xmpp::ns;

use super::Auth;
use super::mechanism::{self, Kind};

impl Auth {
    /// A login begins, or is refused (`is_replayable`); but one that needs to know how the handshake ended waits for that.
    pub(in super::super) fn is_early(&self, root: ElementRef<'_>) -> bool {
        let begins = root.is("authenticate", ns::SASL2) || root.is("auth", ns::SASL);
        let name = root.attribute("mechanism");
        let is_late = |kind| matches!(kind, Kind::Hashed { binding, .. } if !binding.is_early());
        let mut late = mechanism::FAST.iter().filter(|fast| is_late(fast.kind));
        let waits = late.any(|late| Some(late.name) == name.as_deref());
        begins && (is_replayable(root) || !waits)
    }
}

/// Nothing tells this login from a copy of it (XEP-0484 §3.4).
pub(super) fn is_replayable(root: ElementRef<'_>) -> bool {
    let name = root.attribute("mechanism");
    let is_fast = mechanism::FAST
        .iter()
        .any(|fast| Some(fast.name) == name.as_deref());
    let count = root
        .child("fast", ns::FAST)
        .and_then(|fast| fast.attribute("count"));
    !is_fast || count.is_none() || !root.is("authenticate", ns::SASL2)
}
