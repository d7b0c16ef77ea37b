//! The time of a step.
use crate::xmpp::Timestamp;

/// Read once by the shell for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the process started; never goes back.
    pub monotonic_ms: u64,
    pub wall: Timestamp,
}
