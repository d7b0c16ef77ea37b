//! Records that carry no data cost their reader as much as others do: a peer may send so many of them as rustls lets it
//! while it leads the connection, then it is cut off.
use rustls::{Error, PeerMisbehaved};

/// Key updates (RFC 8446 §4.6.3) with no data between them.
const KEY_UPDATES_MAX: u8 = 32;
/// Empty records with no data between them.
const EMPTY_MAX: u8 = 32;
/// Alerts that end nothing (§6.1), ever.
const WARNINGS_MAX: u8 = 4;

/// What came of these.
#[derive(Default)]
pub struct Tempering {
    key_updates: u8,
    empty: u8,
    warnings: u8,
}

impl Tempering {
    /// Application data. Empty records do not make up for key updates.
    pub fn data(&mut self, content: &[u8]) -> Result<(), Error> {
        if !content.is_empty() {
            (self.key_updates, self.empty) = (0, 0);
            return Ok(());
        }
        count(
            &mut self.empty,
            EMPTY_MAX,
            PeerMisbehaved::TooManyEmptyFragments,
        )
    }

    pub fn key_update(&mut self) -> Result<(), Error> {
        let misbehaved = PeerMisbehaved::TooManyKeyUpdateRequests;
        count(&mut self.key_updates, KEY_UPDATES_MAX, misbehaved)
    }

    pub fn warning(&mut self) -> Result<(), Error> {
        let misbehaved = PeerMisbehaved::TooManyWarningAlertsReceived;
        count(&mut self.warnings, WARNINGS_MAX, misbehaved)
    }
}

fn count(counter: &mut u8, max: u8, misbehaved: PeerMisbehaved) -> Result<(), Error> {
    if *counter >= max {
        return Err(misbehaved.into());
    }
    *counter += 1;
    Ok(())
}
