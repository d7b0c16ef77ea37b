//! Channels and the publish-subscribe service.
use crate::config::kind::Kind;
use crate::xmpp::domainpart;

use super::{Setting, number, switch};

pub const SETTINGS: &[Setting] = &[
    switch!(
        "channels",
        settings.channels,
        "Channels and rooms for groups (XEP-0369, XEP-0045)."
    ),
    Setting {
        key: "channels_domain",
        kind: Kind::Text {
            default: "`chat.` and the domain",
            limits: "a domain",
            set: |config, text| {
                let domain = domainpart(text).map_err(|_| format!("\"{text}\" is no domain"))?;
                config.settings.channels_domain = Some(domain.into_owned());
                Ok(())
            },
        },
        doc: "Where they are. Whoever moves here from another server may want `conference.` and the domain.",
    },
    Setting {
        key: "channels_create",
        kind: Kind::Text {
            default: "`users`",
            limits: "nobody or users",
            set: |config, text| {
                config.settings.channels_create = match text {
                    "users" => true,
                    "nobody" => false,
                    _ => return Err(format!("\"{text}\" is neither")),
                };
                Ok(())
            },
        },
        doc: "Who may make them.",
    },
    switch!(
        "channels_open",
        settings.channels_open,
        "Whoever wants to may enter a new channel, until its owner says otherwise. Off: only whom its owner invites."
    ),
    number!(
        "channels_per_user_max",
        1..=10_000,
        settings.channels_per_user_max,
        "Channels that one user made."
    ),
    number!(
        "channel_occupants_max",
        2..=100_000,
        settings.channel_occupants_max,
        "Sessions that are in one channel at a time."
    ),
    number!(
        "channel_members_max",
        2..=100_000,
        settings.channel_members_max,
        "People of one channel: with an affiliation, a nick of their own, or as participants."
    ),
    switch!(
        "pubsub",
        settings.pubsub,
        "A publish-subscribe service at `pubsub.` before the domain (XEP-0060). Accounts have nodes of their own in any case (XEP-0163)."
    ),
    Setting {
        key: "pubsub_create",
        kind: Kind::Text {
            default: "`users`",
            limits: "nobody or users",
            set: |config, text| {
                config.settings.pubsub_create = match text {
                    "users" => true,
                    "nobody" => false,
                    _ => return Err(format!("\"{text}\" is neither")),
                };
                Ok(())
            },
        },
        doc: "Who may make nodes at the publish-subscribe service.",
    },
    number!(
        "pubsub_nodes_max",
        1..=100_000,
        settings.pubsub_nodes_max,
        "Publish-subscribe nodes of one account (XEP-0060, XEP-0163)."
    ),
    number!(
        "pubsub_items_max",
        1..=1_000_000,
        settings.pubsub_items_max,
        "Items of one node."
    ),
    number!(
        "pubsub_item_bytes_max",
        1_024..=4 << 20,
        settings.pubsub_item_bytes_max,
        "Size of one item."
    ),
    number!(
        "pubsub_bytes_max",
        65_536..=1 << 40,
        settings.pubsub_bytes_max,
        "Size of all items of one account."
    ),
];
