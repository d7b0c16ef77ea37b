//! Random bytes for TLS: a handshake asks for a few at a time, so they are fetched for many.
use std::sync::{LazyLock, Mutex};

use rustls::crypto::{GetRandomFailed, SecureRandom};

use crate::net::machine::entropy::SystemEntropy;
use crate::stream::Entropy;

#[derive(Debug)]
pub struct Fetched;

static SOURCE: LazyLock<Mutex<SystemEntropy>> = LazyLock::new(Mutex::default);

impl SecureRandom for Fetched {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        let mut source = SOURCE.lock().map_err(|_| GetRandomFailed)?;
        source.fill(bytes);
        Ok(())
    }
}
