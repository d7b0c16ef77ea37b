//! What those do who rule a room: who is what, what it is like, who may speak, and what they wear.
pub mod admin;
pub mod hat_commands;
pub mod hats;
pub mod lists;
pub mod owner;
pub mod versions;
pub mod voice;
