//! RFC 6120 §4.3.2: what may be negotiated next, at each of the three stages of a client's stream.
use std::cell::RefCell;
use std::rc::Rc;

use crate::xml::Writer;
use crate::xmpp::hashing::digest;
use crate::xmpp::{base64, ns};

use super::sasl::mechanism;
use super::{Offer, StreamSettings, TlsFacts};

const FEATURES_START: &[u8] = b"<stream:features>";
const FEATURES_END: &[u8] = b"</stream:features>";
/// Bytes of a digest that tell one set of features from another.
const VERSION_BYTES: usize = 15;

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

/// RFC 6120 §6.4.1, XEP-0388 §2.1, XEP-0440, XEP-0478, XEP-0509.
pub(super) fn write_mechanisms(
    facts: &TlsFacts,
    offer: Offer,
    settings: &StreamSettings,
    out: &mut Vec<u8>,
) {
    let features = mechanisms(facts, offer, settings);
    out.extend_from_slice(&features.text);
    Writer::new(out)
        .open_ns("config-version", ns::PIPELINING)
        .attr("scheme", "opaque")
        .attr("value", &features.version)
        .close();
    out.extend_from_slice(FEATURES_END);
}

/// XEP-0509 §2.3: another one whenever anything else of the features is another.
pub(super) fn is_config_version(
    version: &str,
    facts: &TlsFacts,
    offer: Offer,
    settings: &StreamSettings,
) -> bool {
    *mechanisms(facts, offer, settings).version == *version
}

/// The features that were written last: most peers are offered the same.
#[derive(Default)]
pub struct LastWritten(RefCell<Option<Rc<Mechanisms>>>);

/// Features without their version and their end.
struct Mechanisms {
    for_whom: ForWhom,
    text: Vec<u8>,
    version: String,
}

/// All that they depend on, beside the settings.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ForWhom {
    exporter: bool,
    unique: bool,
    end_point: bool,
    version_1_3: bool,
    offer: Offer,
}

fn mechanisms(facts: &TlsFacts, offer: Offer, settings: &StreamSettings) -> Rc<Mechanisms> {
    let for_whom = ForWhom {
        exporter: facts.exporter.is_some(),
        unique: facts.unique.is_some(),
        end_point: facts.end_point.is_some(),
        version_1_3: facts.version_1_3,
        offer,
    };
    let mut last = settings.last_written.0.borrow_mut();
    match &*last {
        Some(last) if last.for_whom == for_whom => Rc::clone(last),
        _ => {
            let mut text = Vec::new();
            write_unversioned(facts, offer, settings, &mut text);
            let version = version_of(&text);
            Rc::clone(last.insert(Rc::new(Mechanisms {
                for_whom,
                text,
                version,
            })))
        }
    }
}

fn version_of(features: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, features);
    let short = digest.as_ref().get(..VERSION_BYTES).unwrap_or_default();
    base64(short)
}

fn write_unversioned(facts: &TlsFacts, offer: Offer, settings: &StreamSettings, out: &mut Vec<u8>) {
    out.extend_from_slice(FEATURES_START);
    let mut w = Writer::new(out);
    w.open_ns("mechanisms", ns::SASL);
    for mechanism in mechanism::offered(facts, offer) {
        w.leaf("mechanism", mechanism.name);
    }
    w.close();
    w.open_ns("authentication", ns::SASL2);
    for mechanism in mechanism::offered(facts, offer) {
        w.leaf("mechanism", mechanism.name);
    }
    write_inline(facts, settings, &mut w);
    for hash in offer.upgrades.iter() {
        w.open_ns("upgrade", ns::SASL_UPGRADE)
            .text(hash.upgrade_name())
            .close();
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
}

/// What a login of XEP-0388 may do beside: XEP-0198 §8, XEP-0386 §3.1, XEP-0484 §3.1.
fn write_inline(facts: &TlsFacts, settings: &StreamSettings, w: &mut Writer<'_>) {
    // Early data is there from TLS 1.3 on (RFC 8446 §2.3).
    let is_early = settings.early_data && facts.version_1_3;
    w.open("inline");
    w.open_ns("sm", ns::MANAGEMENT).close();
    w.open_ns("bind", ns::BIND2).open("inline");
    for feature in [ns::CARBONS, ns::CLIENT_STATE, ns::MANAGEMENT] {
        if feature != ns::CLIENT_STATE || settings.client_state {
            w.open("feature").attr("var", feature).close();
        }
    }
    w.close().close();
    w.open_ns("fast", ns::FAST)
        .attr_opt("tls-0rtt", is_early.then_some("true"));
    for mechanism in mechanism::fast(facts) {
        w.leaf("mechanism", mechanism.name);
    }
    w.close().close();
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
    write_for_session(settings, false, &mut w);
    w.close();
}

/// XEP-0386 §3.2: a resource is bound already; what was turned on with it is not offered again.
pub(super) fn write_bound(settings: &StreamSettings, managed: bool, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("stream:features");
    write_for_session(settings, managed, &mut w);
    w.close();
}

fn write_for_session(settings: &StreamSettings, managed: bool, w: &mut Writer<'_>) {
    w.open_ns("ver", ROSTER_VERSIONS).close();
    w.open_ns("sub", PRE_APPROVAL).close();
    if !managed {
        w.open_ns("sm", ns::MANAGEMENT).close();
    }
    if settings.client_state {
        w.open_ns("csi", ns::CLIENT_STATE).close();
    }
    write_limits(w, settings.limits.bytes, Some(settings.idle_seconds_max));
    w.raw(&settings.caps);
}

fn write_limits(w: &mut Writer<'_>, bytes_max: usize, idle_seconds_max: Option<u32>) {
    w.open_ns("limits", LIMITS);
    w.leaf("max-bytes", &bytes_max.to_string());
    if let Some(seconds) = idle_seconds_max {
        w.leaf("idle-seconds", &seconds.to_string());
    }
    w.close();
}
