//! The settings the core reads; `config.rs` fills them from defaults, file and command line.
use crate::xml::Limits;

use super::{ComponentSettings, Privileges};

#[derive(Clone, Debug)]
pub struct Settings {
    /// The one domain served, prepared (RFC 7622 §3.2).
    pub domain: String,
    pub limits_before_authentication: Limits,
    pub limits: Limits,
    /// Bytes that sessions, queues, buffers and caches may take together.
    pub memory_bytes_max: usize,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub sessions_per_account_max: usize,
    /// Seconds from connect to authenticated.
    pub negotiation_seconds_max: u32,
    /// Seconds without a byte before authenticated.
    pub negotiation_idle_seconds_max: u32,
    /// Seconds without a byte after which a bound stream is probed, then closed.
    pub idle_seconds_max: u32,
    /// What is not urgent waits for clients that are inactive (XEP-0352).
    pub client_state: bool,
    pub authentication_failures_max: u8,
    pub scram_iterations: u32,
    /// Days a token of XEP-0484 is good for without being used.
    pub fast_days_max: u32,
    /// Days a client that was not seen is remembered (XEP-0494 §6), with its tokens; `None`: for ever.
    pub clients_days_max: Option<u32>,
    /// What clients call themselves is remembered.
    pub client_names: bool,
    /// Tokens are taken in TLS early data.
    pub early_data: bool,
    /// X-OAUTH is offered.
    pub x_oauth: bool,
    pub roster_contacts_max: usize,
    pub roster_groups_max: usize,
    /// Bytes of a roster as it is sent.
    pub roster_bytes_max: usize,
    pub blocked_jids_max: usize,
    /// Bytes of a block list as it is sent.
    pub blocked_bytes_max: usize,
    /// Bytes of one item of private XML storage or a vCard.
    pub private_bytes_max: usize,
    /// Private XML items of one account.
    pub private_items_max: usize,
    /// Bytes of all of them.
    pub private_total_bytes_max: usize,
    /// The publish-subscribe service is there (XEP-0060).
    pub pubsub: bool,
    /// Nodes of one account, and nodes of the service that one account made (XEP-0060).
    pub pubsub_nodes_max: usize,
    /// Items of one node.
    pub pubsub_items_max: usize,
    /// Bytes of one item's payload.
    pub pubsub_item_bytes_max: usize,
    /// Bytes of all items of an account, or of one node of the service.
    pub pubsub_bytes_max: usize,
    /// Users may make nodes at the service.
    pub pubsub_create: bool,
    /// Channels are there (XEP-0369, XEP-0045).
    pub channels: bool,
    /// Their domain; `None`: `chat.` before the server's.
    pub channels_domain: Option<String>,
    /// Users may make channels.
    pub channels_create: bool,
    /// Whoever wants to may enter a new channel, unless its owner says otherwise.
    pub channels_open: bool,
    /// Channels that one user made.
    pub channels_per_user_max: usize,
    /// Occupants of one channel, and people it knows by affiliation or participation.
    pub channel_occupants_max: usize,
    pub channel_members_max: usize,
    /// Bytes and stanzas of one connection that are read in a second.
    pub read_bytes_per_second_max: u32,
    pub read_stanzas_per_second_max: u32,
    /// Bytes of undelivered output one connection may have waiting.
    pub send_queue_bytes_max: usize,
    /// External components that may connect (XEP-0114).
    pub components: Vec<ComponentSettings>,
    /// What they may do for accounts (XEP-0356), by their names.
    pub component_privileges: Vec<(String, Privileges)>,
    /// XEP-0157 addresses: field (`admin-addresses` …) and URIs.
    pub contact_addresses: Vec<(String, Vec<String>)>,
    /// XEP-0313: messages on one page at most.
    pub archive_page_max: usize,
    /// XEP-0431: words are indexed and looked for.
    pub archive_search: bool,
    /// Days kept; `None`: for ever.
    pub archive_days_max: Option<u32>,
    /// Bytes of messages at which old ones of whoever has most are pruned; `None`: only the free space of the disk counts.
    pub archive_bytes_max: Option<u64>,
    /// Percent of the disk that must stay free before new archive work is refused and pruning starts.
    pub disk_free_percent_min: u8,
}

impl Settings {
    /// The defaults for a domain.
    pub fn new(domain: &str) -> Settings {
        Settings {
            domain: domain.to_string(),
            limits_before_authentication: Limits {
                bytes: 16 << 10,
                depth: 8,
                attributes: 32,
                elements: 64,
            },
            limits: Limits {
                bytes: 512 << 10,
                depth: 64,
                attributes: 64,
                elements: 8192,
            },
            memory_bytes_max: 256 << 20,
            connections_max: 10_000,
            connections_per_address_max: 10_000,
            sessions_per_account_max: 16,
            negotiation_seconds_max: 300,
            negotiation_idle_seconds_max: 120,
            idle_seconds_max: 900,
            client_state: true,
            authentication_failures_max: 5,
            scram_iterations: 10_000,
            fast_days_max: 60,
            clients_days_max: Some(180),
            client_names: true,
            early_data: true,
            x_oauth: false,
            roster_contacts_max: 2_000,
            roster_groups_max: 50,
            roster_bytes_max: 512 << 10,
            blocked_jids_max: 2_000,
            blocked_bytes_max: 512 << 10,
            private_bytes_max: 128 << 10,
            private_items_max: 100,
            private_total_bytes_max: 1 << 20,
            pubsub: true,
            pubsub_nodes_max: 500,
            pubsub_items_max: 10_000,
            pubsub_item_bytes_max: 256 << 10,
            pubsub_bytes_max: 16 << 20,
            pubsub_create: true,
            channels: true,
            channels_domain: None,
            channels_create: true,
            channels_open: false,
            channels_per_user_max: 100,
            channel_occupants_max: 2_000,
            channel_members_max: 10_000,
            read_bytes_per_second_max: 8 << 20,
            read_stanzas_per_second_max: 20_000,
            send_queue_bytes_max: 4 << 20,
            components: Vec::new(),
            component_privileges: Vec::new(),
            contact_addresses: Vec::new(),
            archive_page_max: 250,
            archive_search: true,
            archive_days_max: None,
            archive_bytes_max: None,
            disk_free_percent_min: 10,
        }
    }
}
