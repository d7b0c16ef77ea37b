//! What lies between the rows and the disk: redb, its file, its thread, and what is done about damage.

pub mod behind;
pub mod codec;
pub mod damage;
pub mod error;
pub mod file;
pub mod fresh;
pub mod journal;
pub mod reader;
pub mod reserve;
pub mod table;
pub mod thread;
