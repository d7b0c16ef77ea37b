//! The ways of stanzas: each is a function of its own file that reads from top to bottom.

pub mod again;
pub mod blocked;
mod channels;
pub mod entrance;
pub mod iq;
pub mod managed;
pub mod message;
pub mod presence;
pub mod turn;
pub mod unanswered;
