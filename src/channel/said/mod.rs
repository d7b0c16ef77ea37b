//! What is said in a channel: how it is sent to all, kept, read again, and taken back.
pub mod archive;
pub mod fan_out;
pub mod history_query;
pub mod message;
pub mod own;
pub mod private;
pub mod retraction;
pub mod say;
pub mod speaker;
