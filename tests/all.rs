//! All tests in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic
)]

mod cli;
mod crash;
mod fuzz;
mod layers;
mod readme;
mod reconnect;
mod sessions;
mod storage;
#[path = "survival/main.rs"]
mod survival;
mod transcript;
mod transcripts;
