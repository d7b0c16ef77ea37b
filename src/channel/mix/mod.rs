//! XEP-0369: a channel as clients of MIX know it. What is said and who belongs to it is the channel's; here are participants,
//! nodes and how they ask.
mod fan_out;
pub mod told;

pub use fan_out::fan_out;
