//! XEP-0369 §4.7, XEP-0403 §3.5, XEP-0404 §2.5, XEP-0406 §2, XEP-0407 §2: the nodes of a channel, and who may have to do with which.
pub mod avatar;
pub mod events;
pub mod history;
pub mod kept;
pub mod publish;
pub mod read;
pub mod rules;

use crate::channel::Channel;
use crate::channel::config::{Config, field, node_access, whois};
use crate::channel::people::access;
use crate::store::{ChannelAffiliation, MemberRow};
use crate::xml::Writer;

/// Which of several forms somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub is_old: bool,
    /// They may know who it is.
    pub shows_jid: bool,
}

/// What stands in an event.
pub type Event<'a> = &'a dyn Fn(&mut Writer<'_>, Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Messages,
    Participants,
    Info,
    Presence,
    Config,
    Allowed,
    Banned,
    JidMap,
    AvatarData,
    AvatarMetadata,
}

impl Node {
    pub const ALL: [Node; 10] = [
        Node::Messages,
        Node::Participants,
        Node::Info,
        Node::Presence,
        Node::Config,
        Node::Allowed,
        Node::Banned,
        Node::JidMap,
        Node::AvatarData,
        Node::AvatarMetadata,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Node::Messages => "urn:xmpp:mix:nodes:messages",
            Node::Participants => "urn:xmpp:mix:nodes:participants",
            Node::Info => "urn:xmpp:mix:nodes:info",
            Node::Presence => "urn:xmpp:mix:nodes:presence",
            Node::Config => "urn:xmpp:mix:nodes:config",
            Node::Allowed => "urn:xmpp:mix:nodes:allowed",
            Node::Banned => "urn:xmpp:mix:nodes:banned",
            Node::JidMap => "urn:xmpp:mix:nodes:jidmap",
            Node::AvatarData => "urn:xmpp:avatar:data",
            Node::AvatarMetadata => "urn:xmpp:avatar:metadata",
        }
    }

    pub fn parse(text: &str) -> Option<Node> {
        Node::ALL.into_iter().find(|node| node.as_str() == text)
    }

    /// As subscriptions are stored (`Participation::nodes`).
    pub fn bit(self) -> u16 {
        match self {
            Node::Messages => 1,
            Node::Participants => 1 << 1,
            Node::Info => 1 << 2,
            Node::Presence => 1 << 3,
            Node::Config => 1 << 4,
            Node::Allowed => 1 << 5,
            Node::Banned => 1 << 6,
            Node::JidMap => 1 << 7,
            Node::AvatarData => 1 << 8,
            Node::AvatarMetadata => 1 << 9,
        }
    }

    pub fn is_in(self, nodes: u16) -> bool {
        nodes & self.bit() != 0
    }

    /// Whether the channel has it.
    pub fn is_there(self, channel: &Channel) -> bool {
        match self {
            Node::Presence => channel.row.flag(field::PRESENCE),
            Node::AvatarData | Node::AvatarMetadata => channel.row.flag(field::AVATAR_NODES),
            // XEP-0406 §2.2: without it everybody may join.
            Node::Allowed => channel.row.flag(field::MEMBERS_ONLY),
            // XEP-0404 §2.5: where all JIDs are visible, the participants have them.
            Node::JidMap => channel.row.number(field::WHOIS) != whois::ANYONE,
            _ => true,
        }
    }

    /// Whether somebody may subscribe to it, and read it. What names JIDs that a channel hides is for those who rule it.
    pub fn is_for(self, channel: &Channel, member: &MemberRow) -> bool {
        let is = member.affiliation;
        let field = match self {
            Node::Participants => field::PARTICIPANTS_ACCESS,
            Node::Config => field::CONFIG_ACCESS,
            Node::Allowed => field::ALLOWED_ACCESS,
            Node::Banned => field::BANNED_ACCESS,
            Node::JidMap => return is >= ChannelAffiliation::Admin,
            _ => return is > ChannelAffiliation::Outcast,
        };
        let names_jids = self != Node::Participants;
        let least = match channel.row.number(field) {
            node_access::PARTICIPANTS if names_jids && !access::shows_to_all(channel, None) => {
                ChannelAffiliation::Admin
            }
            node_access::PARTICIPANTS => ChannelAffiliation::None,
            node_access::ADMINS => ChannelAffiliation::Admin,
            node_access::OWNERS => ChannelAffiliation::Owner,
            // Whoever configures a channel finds out how.
            _ if self == Node::Config => ChannelAffiliation::Owner,
            _ => return false,
        };
        is >= least
    }
}
