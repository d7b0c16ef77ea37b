//! RFC 6120 §4.3.2: what may be negotiated next, at each of the three stages of a client's stream.
use crate::xml::Writer;
use crate::xmpp::ns;

use super::sasl::mechanism;
use super::{StreamSettings, TlsFacts};

/// XEP-0478 §3.1
const LIMITS: &str = "urn:xmpp:stream-limits:0";
/// XEP-0440 §2
const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
/// RFC 6121 §2.6.1
const ROSTER_VERSIONS: &str = "urn:xmpp:features:rosterver";
/// RFC 6121 §3.4
const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";

/// RFC 6120 §5.4.1: on a plain connection TLS is all there is.
pub(super) fn write_plain(out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("stream:features");
    w.open_ns("starttls", ns::TLS)
        .open("required")
        .close()
        .close();
    w.close();
}

/// RFC 6120 §6.4.1, XEP-0440, XEP-0478.
pub(super) fn write_mechanisms(facts: &TlsFacts, settings: &StreamSettings, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("stream:features");
    w.open_ns("mechanisms", ns::SASL);
    for mechanism in mechanism::offered(facts) {
        w.leaf("mechanism", mechanism.name);
    }
    w.close();
    if mechanism::can_bind(facts) {
        w.open_ns("sasl-channel-binding", CHANNEL_BINDING);
        for (kind, _) in mechanism::channel_bindings(facts) {
            w.open("channel-binding").attr("type", kind).close();
        }
        w.close();
    }
    write_limits(&mut w, settings.limits_before_authentication.bytes, None);
    w.close();
}

/// RFC 6120 §7.4 and what an account may use. Sessions of RFC 3921 are offered to those who still ask, as optional.
pub(super) fn write_authenticated(settings: &StreamSettings, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("stream:features");
    w.open_ns("bind", ns::BIND).close();
    w.open_ns("session", ns::SESSION)
        .open("optional")
        .close()
        .close();
    w.open_ns("ver", ROSTER_VERSIONS).close();
    w.open_ns("sub", PRE_APPROVAL).close();
    w.open_ns("sm", ns::MANAGEMENT).close();
    w.open_ns("csi", ns::CLIENT_STATE).close();
    write_limits(
        &mut w,
        settings.limits.bytes,
        Some(settings.idle_seconds_max),
    );
    w.raw(&settings.caps);
    w.close();
}

fn write_limits(w: &mut Writer<'_>, bytes_max: usize, idle_seconds_max: Option<u32>) {
    w.open_ns("limits", LIMITS);
    w.leaf("max-bytes", &bytes_max.to_string());
    if let Some(seconds) = idle_seconds_max {
        w.leaf("idle-seconds", &seconds.to_string());
    }
    w.close();
}
