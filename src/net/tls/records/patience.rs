//! How much a peer may send that carries nothing. rustls bounds the same, by the same numbers: a record costs its peer
//! twenty bytes, and us an opened seal or three new keys.
use rustls::{Error, PeerMisbehaved};

/// Records without content, one after the other.
const EMPTY_MAX: u8 = 32;
/// Changes of the peer's key between one piece of data and the next.
const KEY_UPDATES_MAX: u8 = 32;
/// Alerts that end nothing, in a connection's whole life.
const WARNINGS_MAX: u8 = 4;

#[derive(Default)]
pub struct Patience {
    empty: u8,
    key_updates: u8,
    warnings: u8,
}

impl Patience {
    /// A record of any kind.
    pub fn record(&mut self, content: &[u8]) -> Result<(), Error> {
        match content {
            [] => count(
                &mut self.empty,
                EMPTY_MAX,
                PeerMisbehaved::TooManyEmptyFragments,
            ),
            _ => {
                self.empty = 0;
                Ok(())
            }
        }
    }

    /// Data, and not nothing.
    pub fn data(&mut self) {
        self.key_updates = 0;
    }

    pub fn key_update(&mut self) -> Result<(), Error> {
        let too_many = PeerMisbehaved::TooManyKeyUpdateRequests;
        count(&mut self.key_updates, KEY_UPDATES_MAX, too_many)
    }

    pub fn warning(&mut self) -> Result<(), Error> {
        let too_many = PeerMisbehaved::TooManyWarningAlertsReceived;
        count(&mut self.warnings, WARNINGS_MAX, too_many)
    }
}

fn count(counted: &mut u8, max: u8, too_many: PeerMisbehaved) -> Result<(), Error> {
    if *counted >= max {
        return Err(too_many.into());
    }
    *counted += 1;
    Ok(())
}
