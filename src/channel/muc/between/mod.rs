//! What goes from one person to another through a room: invitations, private messages, requests.
pub mod mediated;
pub mod private;
pub mod relay;
pub mod tokens;
