#![allow(dead_code)]
//! Runs transcripts: a script of what clients send and what they must receive, against the pure core or the real
//! binary over TLS. The format is told in `tests/transcripts/README.md`.

pub mod client;
pub mod computed;
pub mod core;
pub mod matcher;
#[cfg(test)]
pub mod phone;
pub mod prng;
pub mod quick;
pub mod run;
pub mod script;
#[cfg(test)]
pub mod simple;
#[cfg(test)]
pub mod tls;
