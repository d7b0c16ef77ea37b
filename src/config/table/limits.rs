//! What connections, sessions and stanzas may be, and how somebody logs in.
use super::{Setting, limit, number, switch};

pub const SETTINGS: &[Setting] = &[
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
];
