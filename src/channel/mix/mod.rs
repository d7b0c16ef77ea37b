//! XEP-0369: a channel as clients of MIX know it. What is said and who belongs to it is the channel's; here are participants,
//! nodes and how they ask.
pub mod between;
mod create;
pub mod describe;
pub mod nodes;
pub mod participants;
pub mod sent;

use crate::xmpp::{IqKind, ns};

use super::asked::Row;
use super::service::asked as service;
use nodes::{publish, read};
use participants::{invitations, join, leave, nick, preferences, registered};

pub use between::probes::{component_came, component_went};

/// Of versions before 0.14.
const OLD: &str = "urn:xmpp:mix:core:0";

/// What is answered at the address of a channel.
pub const ROWS: &[Row] = &[
    (IqKind::Set, ns::MIX, "join", join::join),
    (IqKind::Set, OLD, "join", join::join),
    (IqKind::Set, ns::MIX_ANON, "join", join::join),
    (IqKind::Set, ns::MIX_MISC, "join", join::join),
    (IqKind::Set, ns::MIX, "leave", leave::leave),
    (IqKind::Set, OLD, "leave", leave::leave),
    (IqKind::Set, ns::MIX, "update-subscription", join::update),
    (IqKind::Set, OLD, "update-subscription", join::update),
    (IqKind::Set, ns::MIX, "setnick", nick::set),
    (IqKind::Set, OLD, "setnick", nick::set),
    (IqKind::Set, ns::MIX_MISC, "register", nick::register),
    (IqKind::Get, ns::MIX_MISC, "invite", invitations::invite),
    (IqKind::Set, ns::MIX_MISC, "invite", invitations::invite),
    (
        IqKind::Get,
        ns::MIX_ANON,
        "user-preference",
        preferences::get,
    ),
    (
        IqKind::Set,
        ns::MIX_ANON,
        "user-preference",
        preferences::set,
    ),
    (IqKind::Get, ns::PUBSUB, "pubsub", read::get),
    (IqKind::Set, ns::PUBSUB, "pubsub", publish::set),
];

/// And at that of the service.
pub const SERVICE_ROWS: &[service::Row] = &[
    (IqKind::Set, ns::MIX, "create", create::create),
    (IqKind::Set, OLD, "create", create::create),
    (IqKind::Set, ns::MIX, "destroy", create::destroy),
    (IqKind::Set, OLD, "destroy", create::destroy),
    (IqKind::Set, ns::MIX_MISC, "register", registered::register),
];
