//! The ways of stanzas: each is a function of its own file that reads from top to bottom.

pub mod again;
pub mod blocked;
pub mod broadcast;
mod channels;
pub mod component_presence;
pub mod copies;
pub mod entrance;
pub mod forged;
pub mod iq;
pub mod keeping;
pub mod managed;
pub mod message;
mod photo;
pub mod presence;
pub mod probe;
pub mod subscription;
mod to_channels;
pub mod turn;
pub mod unanswered;
pub mod unseen;
