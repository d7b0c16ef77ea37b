//! The shell around the core: sockets, TLS, clock, randomness, threads, signals. The only place that waits.

mod certificate;
mod connection;
pub mod control;
mod driver;
mod hash_thread;
mod intake;
mod machine;
mod reactor;
mod serve;
mod shell;
mod tls;
mod token_key;
mod watch;

pub use certificate::remake as remake_certificate;
pub use hash_thread::hash;
pub use machine::clock::{Clock, clock_warning};
pub use machine::entropy::SystemEntropy;
pub use serve::{STORE_FILE, hostname, serve};
#[cfg(fuzzing)]
pub use tls::fuzz_records;
pub use token_key::load as load_token_key;
