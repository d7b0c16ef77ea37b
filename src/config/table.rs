//! The table of settings: key, default, limit, doc line. The README's table is made from it.
use log::LevelFilter;

use super::Config;
use super::components::{components, privileges};
use super::kind::Kind;
use crate::state::AddressRange;
use crate::xmpp::domainpart;

pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
}

/// A number setting that lives at one place of `Config`.
macro_rules! number {
    ($key:literal, $range:expr, $($place:ident).+, $doc:literal) => {
        Setting {
            key: $key,
            kind: Kind::Number {
                range: $range,
                get: |config| u64::try_from(config.$($place).+).unwrap_or(u64::MAX),
                set: |config, number| {
                    config.$($place).+ = number.try_into().ok()?;
                    Some(())
                },
            },
            doc: $doc,
        }
    };
}

/// The same where `None` means no limit.
macro_rules! limit {
    ($key:literal, $range:expr, $($place:ident).+, $doc:literal) => {
        Setting {
            key: $key,
            kind: Kind::Limit {
                range: $range,
                get: |config| config.$($place).+.map(u64::from),
                set: |config, number| {
                    config.$($place).+ = match number {
                        Some(number) => Some(number.try_into().ok()?),
                        None => None,
                    };
                    Some(())
                },
            },
            doc: $doc,
        }
    };
}

macro_rules! switch {
    ($key:literal, $($place:ident).+, $doc:literal) => {
        Setting {
            key: $key,
            kind: Kind::Switch {
                get: |config| config.$($place).+,
                set: |config, on| config.$($place).+ = on,
            },
            doc: $doc,
        }
    };
}

macro_rules! contact {
    ($key:literal, $field:literal, $doc:literal) => {
        Setting {
            key: $key,
            kind: Kind::Contact($field),
            doc: $doc,
        }
    };
}

pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "domain",
        kind: Kind::Text {
            default: "`<hostname>.local`, remembered",
            limits: "a domain name or IP address",
            set: |config, text| {
                let domain = domainpart(text).map_err(|_| format!("\"{text}\" is no domain"))?;
                config.domain = Some(domain.into_owned());
                Ok(())
            },
        },
        doc: "The domain served: what stands behind the @ of every address.",
    },
    Setting {
        key: "c2s",
        kind: Kind::Addresses {
            get: |config| &config.c2s,
            get_mut: |config| &mut config.c2s,
        },
        doc: "Where clients connect with STARTTLS. `[::]` takes IPv4 too.",
    },
    Setting {
        key: "c2s_tls",
        kind: Kind::Addresses {
            get: |config| &config.c2s_tls,
            get_mut: |config| &mut config.c2s_tls,
        },
        doc: "Where clients connect with TLS from the first byte (XEP-0368).",
    },
    Setting {
        key: "proxy_addresses",
        kind: Kind::List {
            limits: "a list of addresses or ranges such as \"127.0.0.1\" or \"10.0.0.0/8\"",
            set: |config, texts| {
                let parse = |text: String| {
                    let wrong = || format!("\"{text}\" is no address or range");
                    AddressRange::parse(&text).ok_or_else(wrong)
                };
                config.proxy_addresses = texts.into_iter().map(parse).collect::<Result<_, _>>()?;
                Ok(())
            },
        },
        doc: "Proxies in front of the clients' ports: whoever connects from there has to say whose connection it is (PROXY protocol, 1 or 2), and is believed.",
    },
    Setting {
        key: "cert",
        kind: Kind::Text {
            default: "`cert.pem` in the data directory, made at first start",
            limits: "a PEM file",
            set: |config, text| {
                config.cert = Some(text.into());
                Ok(())
            },
        },
        doc: "Certificate chain. Read again on SIGHUP and when the file changes.",
    },
    Setting {
        key: "key",
        kind: Kind::Text {
            default: "`key.pem` in the data directory, made at first start",
            limits: "a PEM file",
            set: |config, text| {
                config.key = Some(text.into());
                Ok(())
            },
        },
        doc: "Private key of the certificate.",
    },
    Setting {
        key: "log",
        kind: Kind::Text {
            default: "`info`",
            limits: "error, warn, info, debug or trace",
            set: |config, text| {
                config.log = match text {
                    "error" => LevelFilter::Error,
                    "warn" => LevelFilter::Warn,
                    "info" => LevelFilter::Info,
                    "debug" => LevelFilter::Debug,
                    "trace" => LevelFilter::Trace,
                    _ => return Err(format!("\"{text}\" is no level")),
                };
                Ok(())
            },
        },
        doc: "How much is logged to standard error.",
    },
    number!(
        "cache_bytes",
        65_536..=1 << 32,
        cache_bytes,
        "Memory for pages of the database."
    ),
    number!(
        "memory_bytes_max",
        0..=1 << 40,
        memory_bytes_max,
        "Memory that sessions, queues, buffers and caches share; 0: a quarter of the machine's, 16 to 256 MiB. When it is used up, what can wait goes to the disk, then new connections are refused."
    ),
    number!(
        "connections_max",
        1..=1_000_000,
        settings.connections_max,
        "Connections at once. When there are as many, the oldest that has not logged in, of the network with most of them, makes room."
    ),
    number!(
        "connections_per_address_max",
        1..=1_000_000,
        settings.connections_per_address_max,
        "Connections at once from one IP address, or from the 64 bits of an IPv6 address that a network is given."
    ),
    number!(
        "sessions_per_account_max",
        1..=1_000,
        settings.sessions_per_account_max,
        "Clients of one account online at once."
    ),
    number!(
        "negotiation_seconds_max",
        5..=3_600,
        settings.negotiation_seconds_max,
        "Time from connecting to being logged in."
    ),
    number!(
        "negotiation_idle_seconds_max",
        5..=3_600,
        settings.negotiation_idle_seconds_max,
        "Time without a byte before being logged in."
    ),
    number!(
        "idle_seconds_max",
        60..=86_400,
        settings.idle_seconds_max,
        "Time without a byte after which a client is asked for a sign of life."
    ),
    // RFC 6120 §13.12: at least 10000 bytes.
    number!(
        "stanza_bytes_max",
        // libxml2 reads texts of 10 MB at most; copies and archives put theirs around it.
        10_000..=8 << 20,
        settings.limits.bytes,
        "Size of one stanza."
    ),
    number!(
        "stanza_bytes_max_before_login",
        10_000..=1 << 20,
        settings.limits_before_authentication.bytes,
        "Size of one element before login."
    ),
    number!(
        "stanza_depth_max",
        // libxml2 reads 255, Java's strict parsers 100.
        16..=90,
        settings.limits.depth,
        "Elements within each other in a stanza."
    ),
    number!(
        "stanza_elements_max",
        256..=1_000_000,
        settings.limits.elements,
        "Elements in a stanza."
    ),
    number!(
        "attributes_max",
        // Java's strict parsers read 200; declarations carried in come on top.
        16..=128,
        settings.limits.attributes,
        "Attributes of one element."
    ),
    number!(
        "authentication_failures_max",
        1..=100,
        settings.authentication_failures_max,
        "Failed logins on one connection before it is closed."
    ),
    // RFC 7677 §4: at least 4096.
    number!(
        "scram_iterations",
        10_000..=10_000_000,
        settings.scram_iterations,
        "Work of checking a password. Older passwords are brought up to it when clients that can (XEP-0480) log in."
    ),
    number!(
        "fast_days_max",
        1..=3_650,
        settings.fast_days_max,
        "Days after which a client that did not come back must log in with its password again (XEP-0484)."
    ),
    limit!(
        "clients_days_max",
        1..=36_500,
        settings.clients_days_max,
        "Days a client that was not seen is remembered (XEP-0494); its tokens end with it."
    ),
    switch!(
        "client_names",
        settings.client_names,
        "What clients call themselves (software and device) is remembered, so that their owner can tell them apart."
    ),
    switch!(
        "client_state",
        settings.client_state,
        "What is not urgent waits for clients that say nobody looks at them (XEP-0352)."
    ),
    switch!(
        "early_data",
        settings.early_data,
        "Clients with a token may log in within TLS 1.3 early data: one round trip less."
    ),
    switch!(
        "x_oauth",
        settings.x_oauth,
        "Access and refresh tokens as MongooseIM has them (X-OAUTH)."
    ),
    number!(
        "roster_contacts_max",
        1..=100_000,
        settings.roster_contacts_max,
        "Contacts of one account."
    ),
    number!(
        "roster_groups_max",
        1..=1_000,
        settings.roster_groups_max,
        "Groups one contact may be in."
    ),
    number!(
        "roster_bytes_max",
        65_536..=16 << 20,
        settings.roster_bytes_max,
        "Size of a roster as it is sent: names, groups and all."
    ),
    number!(
        "blocked_jids_max",
        1..=100_000,
        settings.blocked_jids_max,
        "Addresses one account may block."
    ),
    number!(
        "blocked_bytes_max",
        65_536..=16 << 20,
        settings.blocked_bytes_max,
        "Size of a block list as it is sent."
    ),
    number!(
        "private_bytes_max",
        1..=16 << 20,
        settings.private_bytes_max,
        "Size of a vCard or one item of private storage."
    ),
    number!(
        "private_items_max",
        1..=10_000,
        settings.private_items_max,
        "Items of private storage of one account."
    ),
    number!(
        "private_total_bytes_max",
        1..=64 << 20,
        settings.private_total_bytes_max,
        "Size of all private storage of one account."
    ),
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
    number!(
        "read_bytes_per_second_max",
        10_000..=1 << 30,
        settings.read_bytes_per_second_max,
        "Bytes a client may send in a second, twice as many at once; who sends more is read more slowly."
    ),
    number!(
        "read_stanzas_per_second_max",
        10..=1_000_000,
        settings.read_stanzas_per_second_max,
        "The same for stanzas."
    ),
    number!(
        "send_queue_bytes_max",
        65_536..=1 << 30,
        settings.send_queue_bytes_max,
        "Bytes that may wait for a slow client before it is disconnected, beside one answer of its own. From a quarter on, those who send to it are read more slowly."
    ),
    number!(
        "archive_page_max",
        1..=10_000,
        settings.archive_page_max,
        "Messages on one page of history."
    ),
    limit!(
        "archive_days_max",
        1..=36_500,
        settings.archive_days_max,
        "Days messages are kept. What nobody has received yet is kept until somebody has."
    ),
    limit!(
        "archive_bytes_max",
        1 << 20..=1 << 50,
        settings.archive_bytes_max,
        "Bytes of messages at which old ones are removed: of the account that has most, what was received before what nobody has received yet."
    ),
    number!(
        "disk_free_percent_min",
        0..=90,
        settings.disk_free_percent_min,
        "Percent of the disk kept free: below it old messages of the accounts that have most are removed and no new ones stored. What nobody has received yet stays."
    ),
    Setting {
        key: "component",
        kind: Kind::List {
            limits: "a list of \"NAME SECRET\"",
            set: |config, texts| {
                config.settings.components = components(&texts)?;
                Ok(())
            },
        },
        doc: "External components that may connect (XEP-0114): for each its address and the secret that it proves itself by.",
    },
    Setting {
        key: "component_addresses",
        kind: Kind::Addresses {
            get: |config| &config.component_addresses,
            get_mut: |config| &mut config.component_addresses,
        },
        doc: "Where components connect, if there are any. Nothing is encrypted there.",
    },
    Setting {
        key: "component_privileges",
        kind: Kind::List {
            limits: "a list of \"NAME PRIVILEGE...\": roster=get, roster=set, roster=both, message=outgoing, presence=managed_entity, presence=roster, iq=NAMESPACE",
            set: |config, texts| {
                config.settings.component_privileges = privileges(&texts)?;
                Ok(())
            },
        },
        doc: "What a component may do for every account (XEP-0356): read and change rosters, send messages and ask in its name, hear of its presence and that of its contacts.",
    },
    contact!(
        "admin_addresses",
        "admin-addresses",
        "Who runs this server (XEP-0157)."
    ),
    contact!(
        "abuse_addresses",
        "abuse-addresses",
        "Where to report abuse."
    ),
    contact!(
        "feedback_addresses",
        "feedback-addresses",
        "Where to say what one thinks of it."
    ),
    contact!("sales_addresses", "sales-addresses", "Where to buy."),
    contact!(
        "security_addresses",
        "security-addresses",
        "Where to report a security problem."
    ),
    contact!(
        "status_addresses",
        "status-addresses",
        "Where its state is shown."
    ),
    contact!(
        "support_addresses",
        "support-addresses",
        "Where to get help."
    ),
];

/// The README's table.
pub fn settings_table() -> String {
    let config = Config::new("DATA".into());
    let mut table = String::from("| Setting | Default | Takes | |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            setting.key,
            setting.kind.default_text(&config),
            setting.kind.limits(),
            setting.doc
        ));
    }
    table
}
