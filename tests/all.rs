//! All tests in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic
)]

mod fuzz;
mod storage;
mod transcript;
mod transcripts;
