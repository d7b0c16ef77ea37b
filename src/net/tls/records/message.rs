//! The one handshake message that may come after the handshake: `KeyUpdate` (RFC 8446 §4.6.3), in as many pieces as its
//! sender likes.
use rustls::{Error, InvalidMessage};

use super::{HANDSHAKE, unexpected};

const KIND: u8 = 24;
const BODY_BYTES: u8 = 1;
const BYTES: usize = 5;

/// Whether the peer wants ours as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUpdate {
    NotRequested,
    Requested,
}

/// What has come of a message whose rest is in later records.
#[derive(Default)]
pub struct Partial {
    bytes: [u8; BYTES],
    length: usize,
}

impl KeyUpdate {
    pub fn message(self) -> [u8; BYTES] {
        let request = match self {
            KeyUpdate::NotRequested => 0,
            KeyUpdate::Requested => 1,
        };
        [KIND, 0, 0, BODY_BYTES, request]
    }
}

impl Partial {
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the content of one record. The message is its end: what follows has another key (§5.1).
    pub fn take(&mut self, content: &[u8]) -> Result<Option<KeyUpdate>, Error> {
        // §5.4: a handshake record is never empty.
        let mut rest = match content {
            [] => return Err(unexpected(HANDSHAKE)),
            content => content.iter(),
        };
        for place in self.bytes.iter_mut().skip(self.length) {
            let Some(byte) = rest.next() else { break };
            *place = *byte;
            self.length += 1;
        }
        let come = self.bytes.get(..self.length).unwrap_or_default();
        let request = match come {
            [kind, ..] if *kind != KIND => return Err(unexpected(HANDSHAKE)),
            [_, 0, 0, BODY_BYTES, request] => *request,
            [_, a, b, c, ..] if [*a, *b, *c] != [0, 0, BODY_BYTES] => {
                return Err(InvalidMessage::TrailingData("KeyUpdate").into());
            }
            _ => return Ok(None),
        };
        *self = Partial::default();
        if rest.next().is_some() {
            return Err(unexpected(HANDSHAKE));
        }
        match request {
            0 => Ok(Some(KeyUpdate::NotRequested)),
            1 => Ok(Some(KeyUpdate::Requested)),
            _ => Err(InvalidMessage::InvalidKeyUpdate.into()),
        }
    }
}
