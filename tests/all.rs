//! All tests in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic
)]

mod archive_command;
mod archive_model;
mod archive_model_collated;
mod backup;
mod bounds;
mod budget;
mod channel_faces_model;
mod channel_limits;
mod channel_model;
mod channel_versions;
mod channels_joined;
mod circles;
mod cli;
mod client_state;
mod collation_limits;
mod components;
mod crash;
mod failing_writes;
mod fan_out;
mod files;
mod flights;
mod flow;
mod fuzz;
mod guessing;
mod inbox_limits;
mod inbox_model;
mod layers;
mod mix_limits;
mod operator;
mod order;
mod pep;
mod proxied;
mod pubsub_limits;
mod pubsub_model;
mod query_limits;
mod readme;
mod reconnect;
mod rename;
mod restart;
mod rights;
mod sessions;
mod slow_disk;
mod storage;
#[path = "survival/main.rs"]
mod survival;
mod transcript;
mod transcripts;
mod week_away;
