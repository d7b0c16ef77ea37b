//! What the machine offers: time, random bytes, memory and disk, a supervisor, and what no crate wraps.

pub mod clock;
pub mod entropy;
pub mod memory;
pub mod notify;
pub mod system;
