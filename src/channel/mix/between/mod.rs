//! What goes from one participant to others through the channel: presence, private messages, requests.
pub mod presence;
pub mod private;
pub mod probes;
pub mod relay;
