//! XEP-0045: a channel as a room, for every client there is. What is said and who belongs to it is the channel's; here are
//! occupants, their presence and how they ask.
pub mod between;
mod describe;
pub mod occupants;
pub mod register;
pub mod rulers;
pub mod subject;
pub mod watch;

use crate::xmpp::{IqKind, ns};

use super::asked::Row;
use rulers::{admin, hat_commands, lists, owner};

/// What is answered at the address of a room.
pub const ROWS: &[Row] = &[
    (IqKind::Get, ns::DISCO_INFO, "query", describe::info),
    (IqKind::Get, ns::DISCO_ITEMS, "query", describe::items),
    (IqKind::Get, ns::MUC_ADMIN, "query", lists::get),
    (IqKind::Set, ns::MUC_ADMIN, "query", admin::set),
    (IqKind::Get, ns::MUC_OWNER, "query", owner::get),
    (IqKind::Set, ns::MUC_OWNER, "query", owner::set),
    (IqKind::Get, ns::REGISTER, "query", register::get),
    (IqKind::Set, ns::REGISTER, "query", register::set),
    (IqKind::Set, ns::COMMANDS, "command", hat_commands::set),
    (IqKind::Get, "urn:xmpp:ping", "ping", describe::ping),
];
