//! What `stream` and `server` implement beside the features here: their specifications, and what they add to disco.
use crate::xmpp::ns;

use super::{Feature, Spec, To};

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::complete(
            "RFC 4616",
            "The PLAIN Simple Authentication and Security Layer Mechanism",
            "",
        ),
        Spec::complete(
            "RFC 5802",
            "Salted Challenge Response Authentication Mechanism (SCRAM)",
            "",
        ),
        Spec::partial(
            "RFC 5929",
            "Channel Bindings for TLS",
            "",
            "tls-server-end-point; tls-unique in TLS 1.2, but not of resumed sessions",
        ),
        Spec::partial("RFC 6120", "XMPP: Core", "", "streams between servers"),
        Spec::partial(
            "RFC 6121",
            "XMPP: Instant Messaging and Presence",
            "",
            "contacts on other servers",
        ),
        Spec::partial(
            "RFC 7590",
            "Use of Transport Layer Security in XMPP",
            "",
            "streams between servers",
        ),
        Spec::partial(
            "RFC 7628",
            "SASL Mechanisms for OAuth",
            "",
            "OAUTHBEARER with the server's own tokens only",
        ),
        Spec::complete("RFC 7622", "XMPP: Address Format", ""),
        Spec::complete("RFC 7677", "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", ""),
        Spec::complete("RFC 9266", "Channel Bindings for TLS 1.3", ""),
        Spec::complete("XEP-0082", "XMPP Date and Time Profiles", "1.1.1"),
        Spec::complete(
            "XEP-0160",
            "Best Practices for Handling Offline Messages",
            "1.0.1",
        ),
        Spec::complete("XEP-0198", "Stream Management", "1.6.3"),
        Spec::complete("XEP-0203", "Delayed Delivery", "2.0"),
        Spec::complete("XEP-0334", "Message Processing Hints", "1.0.0"),
        Spec::complete("XEP-0359", "Unique and Stable Stanza IDs", "0.7.0"),
        Spec::partial(
            "XEP-0368",
            "SRV records for XMPP over TLS",
            "1.1.0",
            "streams between servers",
        ),
        Spec::complete("XEP-0386", "Bind 2", "1.1.0"),
        Spec::complete("XEP-0388", "Extensible SASL Profile", "1.0.4"),
        Spec::complete("XEP-0440", "SASL Channel-Binding Type Capability", "1.0.0"),
        Spec::complete("XEP-0474", "SASL SCRAM Downgrade Protection", "0.5.0"),
        Spec::complete("XEP-0478", "Stream Limits Advertisement", "0.2.0"),
        Spec::complete("XEP-0480", "SASL Upgrade Tasks", "0.2.0"),
        Spec::complete(
            "XEP-0484",
            "Fast Authentication Streamlining Tokens",
            "0.2.0",
        ),
        Spec::complete("XEP-0509", "Initial Authentication Pipelining", "0.2.0"),
    ],
    disco: &[(To::Server, "msgoffline"), (To::Account, ns::STANZA_ID)],
    ..Feature::new("core")
};
