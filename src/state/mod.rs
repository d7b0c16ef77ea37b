//! What the running server knows, and what handlers are handed: settings, the outbox, later sessions and `Cx`.

mod outbox;
mod settings;

pub use outbox::{ConnectionId, HashJob, Hashed, JobId, Outbox, Output};
pub use settings::Settings;
