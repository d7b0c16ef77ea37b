//! Who may log in: tokens and what they grant, rights that were proved, and who has to wait.

pub mod grants;
pub mod network;
pub mod redirects;
pub mod rights;
pub mod throttle;
pub mod tokens;
