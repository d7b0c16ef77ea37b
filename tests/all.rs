//! All tests in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic
)]

mod crash;
mod fuzz;
mod readme;
mod storage;
mod transcript;
mod transcripts;
