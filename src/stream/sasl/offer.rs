//! What a stream may offer, and what came of it.
use crate::xmpp::BareJid;

use super::{Hashes, Request, Slot, Upgrade};

/// What may be offered to the peer, by what its header says of it (XEP-0388 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// SCRAM is possible with these.
    pub hashes: Hashes,
    /// What is stored for these is missing or of too few iterations (XEP-0480).
    pub upgrades: Hashes,
    /// X-OAUTH is enabled.
    pub x_oauth: bool,
}

/// For a peer that does not say who it is, or whom nobody knows.
impl Default for Offer {
    fn default() -> Offer {
        Offer {
            hashes: Hashes::ALL,
            upgrades: Hashes::default(),
            x_oauth: false,
        }
    }
}

/// Whose rights a login asks for, as the server told when it was asked first: the number of the account, and of its
/// credentials. It comes back with the login, since both may have changed by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub account: u32,
    pub generation: u32,
}

/// A login that succeeded.
#[derive(Debug)]
pub struct Login {
    pub account: BareJid,
    pub right: Right,
    pub mechanism: &'static str,
    pub proof: Proof,
    /// To be stored in place of what there is.
    pub upgrades: Vec<Upgrade>,
    /// What XEP-0388 does in the same breath; `None`: the login was RFC 6120's.
    pub request: Option<Box<Request>>,
}

/// By what a login succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Password,
    /// `tag` tells the token from all others of the client.
    Fast {
        slot: Slot,
        tag: u32,
    },
    Token(Grant),
}

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// As `TokenAnswer::Valid` named it.
    pub id: Box<str>,
    pub restricted: bool,
    /// Tells it from one that had the same id before.
    pub tag: u32,
}

/// What the server answers to `Event::Token`.
#[derive(Debug)]
pub enum TokenAnswer {
    Valid {
        account: BareJid,
        right: Right,
        grant: Grant,
        /// For the client, with its success.
        data: Option<String>,
    },
    Invalid,
    Expired,
    /// The account is.
    Disabled,
}
