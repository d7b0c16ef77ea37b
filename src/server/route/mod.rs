//! The ways of stanzas: each is a function of its own file that reads from top to bottom.

pub mod again;
pub mod copies;
pub mod forged;
pub mod iq;
pub mod message;
pub mod presence;
pub mod probe;
pub mod subscription;
pub mod unseen;
