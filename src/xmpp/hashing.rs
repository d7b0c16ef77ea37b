//! What hashes and signs, but for TLS: one library, named here.
pub use ring::{digest, hmac, pbkdf2};
