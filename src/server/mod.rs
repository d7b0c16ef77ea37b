//! The order of things: one step per input, no waiting.

mod input;

pub use input::{Command, Input, Moment};
