//! RFC 6120 §6.5: why a login failed.
use crate::xml::Writer;
use crate::xmpp::{SaslCondition, ns};

/// One failure; the peer hears of it and may try again a few times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslFailure {
    pub condition: SaslCondition,
    /// Human-readable, English.
    text: &'static str,
    /// Application-specific condition: name and namespace.
    application: Option<(&'static str, &'static str)>,
}

impl SaslFailure {
    pub const fn new(condition: SaslCondition) -> SaslFailure {
        SaslFailure {
            condition,
            text: default_text(condition),
            application: None,
        }
    }

    pub const fn application(self, name: &'static str, namespace: &'static str) -> SaslFailure {
        SaslFailure {
            application: Some((name, namespace)),
            ..self
        }
    }

    pub const fn text(self, text: &'static str) -> SaslFailure {
        SaslFailure { text, ..self }
    }

    /// RFC 6120 §6.4.5, XEP-0388 §2.6.2.
    pub(in super::super) fn write(self, profile: Profile, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        w.open_ns("failure", profile.namespace());
        match profile {
            Profile::Sasl => w.open(self.condition.as_str()),
            Profile::Sasl2 => w.open_ns(self.condition.as_str(), ns::SASL),
        };
        w.close();
        if let Some((name, namespace)) = self.application {
            w.open_ns(name, namespace).close();
        }
        w.open("text")
            .attr("xml:lang", "en")
            .text(self.text)
            .close();
        w.close();
    }
}

/// In which words a login is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Profile {
    /// RFC 6120 §6.
    Sasl,
    /// XEP-0388.
    Sasl2,
}

impl Profile {
    pub fn namespace(self) -> &'static str {
        match self {
            Profile::Sasl => ns::SASL,
            Profile::Sasl2 => ns::SASL2,
        }
    }
}

impl From<SaslCondition> for SaslFailure {
    fn from(condition: SaslCondition) -> SaslFailure {
        SaslFailure::new(condition)
    }
}

/// The same words for an unknown account and a wrong password (§6.5.10).
const fn default_text(condition: SaslCondition) -> &'static str {
    match condition {
        SaslCondition::Aborted => "The login was given up.",
        SaslCondition::AccountDisabled => "This account is disabled.",
        SaslCondition::CredentialsExpired => "The password has expired.",
        SaslCondition::EncryptionRequired => "Encryption is required.",
        SaslCondition::IncorrectEncoding => "The data is not base64.",
        SaslCondition::InvalidAuthzid => "This login does not give that address.",
        SaslCondition::InvalidMechanism => "This mechanism is not offered.",
        SaslCondition::MalformedRequest => "The request is malformed.",
        SaslCondition::MechanismTooWeak => "This mechanism is too weak.",
        SaslCondition::NotAuthorized => "Wrong user name or password.",
        SaslCondition::TemporaryAuthFailure => "Logging in is not possible now.",
    }
}
