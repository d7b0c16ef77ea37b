//! Stonechat: a home's own XMPP server. The binary is `main.rs`; everything else lives here so that tests reach it.
//! Folders know only those to their right: `net, cli > server > feature > pubsub > state > stream, store > xmpp > xml`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::panic
    )
)]

pub mod channel;
pub mod cli;
pub mod config;
pub mod feature;
pub mod net;
pub mod pubsub;
pub mod server;
pub mod state;
pub mod store;
pub mod stream;
pub mod xml;
pub mod xmpp;
