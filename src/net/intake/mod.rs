//! Who is let in, what they brought, and who is heard next.

pub mod census;
pub mod inbox;
pub mod line;
pub mod listen;
pub mod pace;
pub mod proxied;
pub mod rounds;
