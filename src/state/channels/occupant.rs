//! An occupant of a room (XEP-0045): one session of somebody, by the nick they chose.
use std::rc::Rc;

use crate::state::{ComponentId, SessionId};
use crate::store::ChannelAffiliation;
use crate::xmpp::Jid;

use super::ParticipantId;

/// XEP-0045 §5.1, in order of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    None,
    Visitor,
    Participant,
    Moderator,
}

/// How an occupant is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Session(SessionId),
    /// Somebody at a component.
    Component(ComponentId),
    /// A participant of XEP-0369, who hears of all this as such.
    Participant,
}

#[derive(Clone, Debug)]
pub struct Occupant {
    /// A full JID; of a participant the bare one.
    pub jid: Jid,
    pub way: Way,
    pub nick: Rc<str>,
    /// The nick as it is compared.
    pub key: Rc<str>,
    /// XEP-0421, and the stable participant id.
    pub id: ParticipantId,
    pub affiliation: ChannelAffiliation,
    pub role: Role,
    /// The children of what it last said of itself, without what only a room says.
    pub presence: Rc<str>,
}

impl Role {
    pub const ALL: [Role; 4] = [
        Role::None,
        Role::Visitor,
        Role::Participant,
        Role::Moderator,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::None => "none",
            Role::Visitor => "visitor",
            Role::Participant => "participant",
            Role::Moderator => "moderator",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    pub fn number(self) -> u8 {
        match self {
            Role::None => 0,
            Role::Visitor => 1,
            Role::Participant => 2,
            Role::Moderator => 3,
        }
    }

    pub fn numbered(number: u8) -> Role {
        Role::ALL
            .into_iter()
            .find(|role| role.number() == number)
            .unwrap_or(Role::Visitor)
    }
}
