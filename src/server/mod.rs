//! The order of things: one step per input, no waiting.

mod input;

pub use crate::state::Moment;
pub use input::{Command, Input};
