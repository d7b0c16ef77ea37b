//! XEP-0369 §4.6, XEP-0403 §3.5, XEP-0404 §3.4, XEP-0406 §2, XEP-0407 §2: the nodes of a channel, and who may have to do with which.
use crate::channel::Channel;
use crate::channel::config::{Config, field, whois};
use crate::store::{ChannelAffiliation, MemberRow};

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
            // XEP-0406 §2.2: without it everybody may join.
            Node::Allowed => channel.row.flag(field::MEMBERS_ONLY),
            // XEP-0404 §3.4: where all JIDs are visible, the participants have them.
            Node::JidMap => channel.row.number(field::WHOIS) != whois::ANYONE,
            _ => true,
        }
    }

    /// Whether a participant may subscribe to it, and read it.
    pub fn is_for(self, member: &MemberRow) -> bool {
        match self {
            Node::Config => member.affiliation == ChannelAffiliation::Owner,
            Node::Allowed | Node::Banned | Node::JidMap => {
                member.affiliation >= ChannelAffiliation::Admin
            }
            _ => member.affiliation > ChannelAffiliation::Outcast,
        }
    }
}
