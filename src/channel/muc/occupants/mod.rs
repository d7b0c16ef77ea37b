//! Who is in a room: how they come and go, and what they are told of each other.
pub mod enter;
pub mod history;
pub mod leave;
pub mod participant;
pub mod probe;
pub mod tell;
