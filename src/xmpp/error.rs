//! Errors by who is at fault and who hears of it: stream errors (RFC 6120 §4.9), SASL failures (§6.5), stanza errors (§8.3).
use crate::xml::Writer;

use super::ns;

macro_rules! conditions {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }
        impl $name {
            /// The element's name.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
            pub fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

conditions! {
    /// Stanza error conditions, RFC 6120 §8.3.3.
    Condition {
        BadRequest = "bad-request", Conflict = "conflict", FeatureNotImplemented = "feature-not-implemented",
        Forbidden = "forbidden", Gone = "gone", InternalServerError = "internal-server-error",
        ItemNotFound = "item-not-found", JidMalformed = "jid-malformed", NotAcceptable = "not-acceptable",
        NotAllowed = "not-allowed", NotAuthorized = "not-authorized", PolicyViolation = "policy-violation",
        RecipientUnavailable = "recipient-unavailable", Redirect = "redirect",
        RegistrationRequired = "registration-required", RemoteServerNotFound = "remote-server-not-found",
        RemoteServerTimeout = "remote-server-timeout", ResourceConstraint = "resource-constraint",
        ServiceUnavailable = "service-unavailable", SubscriptionRequired = "subscription-required",
        UndefinedCondition = "undefined-condition", UnexpectedRequest = "unexpected-request",
    }
}

conditions! {
    /// Stream error conditions, RFC 6120 §4.9.3.
    StreamCondition {
        BadFormat = "bad-format", BadNamespacePrefix = "bad-namespace-prefix", Conflict = "conflict",
        ConnectionTimeout = "connection-timeout", HostGone = "host-gone", HostUnknown = "host-unknown",
        ImproperAddressing = "improper-addressing", InternalServerError = "internal-server-error",
        InvalidFrom = "invalid-from", InvalidNamespace = "invalid-namespace", InvalidXml = "invalid-xml",
        NotAuthorized = "not-authorized", NotWellFormed = "not-well-formed", PolicyViolation = "policy-violation",
        RemoteConnectionFailed = "remote-connection-failed", Reset = "reset", ResourceConstraint = "resource-constraint",
        RestrictedXml = "restricted-xml", SeeOtherHost = "see-other-host", SystemShutdown = "system-shutdown",
        UndefinedCondition = "undefined-condition", UnsupportedEncoding = "unsupported-encoding",
        UnsupportedFeature = "unsupported-feature", UnsupportedStanzaType = "unsupported-stanza-type",
        UnsupportedVersion = "unsupported-version",
    }
}

conditions! {
    /// SASL failure conditions, RFC 6120 §6.5.
    SaslCondition {
        Aborted = "aborted", AccountDisabled = "account-disabled", CredentialsExpired = "credentials-expired",
        EncryptionRequired = "encryption-required", IncorrectEncoding = "incorrect-encoding",
        InvalidAuthzid = "invalid-authzid", InvalidMechanism = "invalid-mechanism",
        MalformedRequest = "malformed-request", MechanismTooWeak = "mechanism-too-weak",
        NotAuthorized = "not-authorized", TemporaryAuthFailure = "temporary-auth-failure",
    }
}

/// What the sender should do about it, RFC 6120 §8.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    Auth,
    Cancel,
    Continue,
    Modify,
    Wait,
}

impl ErrorType {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        }
    }
}

/// One stanza error; the sender of the stanza is at fault and hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    pub condition: Condition,
    pub kind: ErrorType,
    /// Human-readable, English.
    pub text: Option<&'static str>,
    /// Application-specific condition: element name and namespace.
    pub application: Option<(&'static str, &'static str)>,
    /// XEP-0060 §15.2: the feature that an `unsupported` of that kind names.
    pub feature: Option<&'static str>,
    /// XEP-0086 §3: what the condition's number was.
    pub code: Option<&'static str>,
    /// RFC 6120 §8.3.1: whoever was addressed did not generate it, but its bare JID did.
    pub is_by_bare: bool,
}

impl StanzaError {
    pub const fn new(condition: Condition) -> StanzaError {
        StanzaError {
            condition,
            kind: default_type(condition),
            text: None,
            application: None,
            feature: None,
            code: None,
            is_by_bare: false,
        }
    }

    pub const fn text(self, text: &'static str) -> StanzaError {
        StanzaError {
            text: Some(text),
            ..self
        }
    }

    pub const fn kind(self, kind: ErrorType) -> StanzaError {
        StanzaError { kind, ..self }
    }

    pub const fn application(self, name: &'static str, namespace: &'static str) -> StanzaError {
        StanzaError {
            application: Some((name, namespace)),
            ..self
        }
    }

    pub const fn feature(self, feature: &'static str) -> StanzaError {
        StanzaError {
            feature: Some(feature),
            ..self
        }
    }

    pub const fn code(self, code: &'static str) -> StanzaError {
        StanzaError {
            code: Some(code),
            ..self
        }
    }

    /// Writes the `<error/>` child.
    pub fn write(&self, w: &mut Writer<'_>) {
        self.write_by(w, None);
    }

    /// The same with who generated it.
    pub fn write_by(&self, w: &mut Writer<'_>, by: Option<&str>) {
        w.open("error")
            .attr("type", self.kind.as_str())
            .attr_opt("by", by)
            .attr_opt("code", self.code);
        w.open_ns(self.condition.as_str(), ns::STANZAS).close();
        if let Some(text) = self.text {
            w.open_ns("text", ns::STANZAS)
                .attr("xml:lang", "en")
                .text(text)
                .close();
        }
        if let Some((name, namespace)) = self.application {
            w.open_ns(name, namespace)
                .attr_opt("feature", self.feature)
                .close();
        }
        w.close();
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> StanzaError {
        StanzaError::new(condition)
    }
}

/// The type that RFC 6120 §8.3.3 associates with each condition.
const fn default_type(condition: Condition) -> ErrorType {
    match condition {
        Condition::BadRequest
        | Condition::JidMalformed
        | Condition::NotAcceptable
        | Condition::PolicyViolation
        | Condition::Redirect => ErrorType::Modify,
        Condition::Forbidden
        | Condition::NotAuthorized
        | Condition::RegistrationRequired
        | Condition::SubscriptionRequired => ErrorType::Auth,
        Condition::RecipientUnavailable
        | Condition::RemoteServerTimeout
        | Condition::ResourceConstraint
        | Condition::UnexpectedRequest => ErrorType::Wait,
        _ => ErrorType::Cancel,
    }
}

/// A stream error; the stream ends after it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    pub condition: StreamCondition,
    /// RFC 6120 §4.9.3.19: where to go instead.
    pub host: Option<Box<str>>,
    pub text: Option<&'static str>,
    /// Application-specific condition, as checked XML.
    pub application: Option<Box<str>>,
}

impl StreamError {
    pub const fn new(condition: StreamCondition) -> StreamError {
        StreamError {
            condition,
            host: None,
            text: None,
            application: None,
        }
    }

    /// RFC 6120 §4.9.3.19.
    pub fn see_other_host(host: &str) -> StreamError {
        StreamError {
            host: Some(host.into()),
            ..StreamError::new(StreamCondition::SeeOtherHost)
        }
    }

    pub fn text(self, text: &'static str) -> StreamError {
        StreamError {
            text: Some(text),
            ..self
        }
    }

    /// Writes `<stream:error/>`.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.open("stream:error");
        w.open_ns(self.condition.as_str(), ns::STREAMS_ERROR);
        if let Some(host) = &self.host {
            w.text(host);
        }
        w.close();
        if let Some(text) = self.text {
            w.open_ns("text", ns::STREAMS_ERROR)
                .attr("xml:lang", "en")
                .text(text)
                .close();
        }
        if let Some(xml) = &self.application {
            w.raw(xml);
        }
        w.close();
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> StreamError {
        StreamError::new(condition)
    }
}
