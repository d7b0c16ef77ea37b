//! What groups cost: `muc` for rooms (XEP-0045), `mix` for channels (XEP-0369).

mod crowd;
mod history;
mod mix;
mod muc;
mod room;

pub use mix::mix;
pub use muc::muc;
