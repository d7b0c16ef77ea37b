//! How far a login is, and what a step of it leads to.
use crate::xml::Element;
use crate::xmpp::BareJid;

use super::SaslFailure;
use super::login::{Challenged, Deriving, Lookup, Success, Waiting};
use super::mechanism::Mechanism;
use super::mechanism::bearer::TokenLookup;
use super::mechanism::fast::FastLookup;
use super::upgrade::Upgrading;

/// How far the current login is.
pub enum Exchange {
    Idle,
    /// The mechanism's first message was asked for by an empty challenge.
    Asked(Mechanism),
    /// `Event::Attempt` is out.
    Waiting(Waiting),
    /// `Event::Credentials` is out.
    Lookup(Lookup),
    /// `Event::Token` is out.
    TokenLookup(TokenLookup),
    /// `Event::Fast` is out.
    FastLookup(FastLookup),
    /// The client's final message is awaited.
    Challenged(Challenged),
    /// `Event::Derive` is out.
    Deriving(Deriving),
    /// RFC 7628 §3.2.3: the error is told, the client's empty answer is awaited.
    Told(Refusal),
    /// XEP-0480.
    Upgrading(Upgrading),
    /// The same with the next element, and `Event::Standing` is out.
    Rechecking(Upgrading, Element),
    /// `Event::Authenticated` is out, and `Stream::complete` is awaited. Whose it is, and additional data (§6.4.6, XEP-0388
    /// §2.6.1).
    Completing(BareJid, Option<Vec<u8>>),
    /// `Event::Failed` is out.
    Refused(SaslFailure),
}

/// What a step of a login leads to.
pub enum Progress {
    To(Exchange),
    Success(Success),
}

/// A failed login and whose it was, as far as known.
pub struct Refusal {
    pub account: Option<BareJid>,
    pub failure: SaslFailure,
}

impl<F: Into<SaslFailure>> From<F> for Refusal {
    fn from(failure: F) -> Refusal {
        Refusal {
            account: None,
            failure: failure.into(),
        }
    }
}
