//! The shell around the core: sockets, TLS, clock, randomness, threads, signals. The only place that waits.

mod answers;
mod ask;
pub mod backup;
mod batch;
mod budget;
mod census;
mod certificate;
mod clock;
mod connection;
pub mod control;
mod driver;
mod ebb;
mod entropy;
mod hash_thread;
mod inbox;
mod line;
mod listen;
mod memory;
mod notify;
mod pace;
mod poll;
mod reactor;
mod rounds;
mod serve;
mod shell;
mod system;
mod tls;
mod token_key;
mod turns;
mod watch;

pub use certificate::remake as remake_certificate;
pub use clock::{Clock, clock_warning};
pub use entropy::SystemEntropy;
pub use hash_thread::hash;
pub use serve::{STORE_FILE, hostname, serve};
#[cfg(fuzzing)]
pub use tls::fuzz_records;
pub use token_key::load as load_token_key;
