//! Stable participant ids (XEP-0369 §4.2), which are occupant ids (XEP-0421) as well: a keyed hash of who it is and where, so
//! that nobody learns from one who is behind it, or that two in two channels are the same.
use std::ops::Deref;

use crate::store::ChannelId;
use crate::xmpp::hashing::hmac;

/// Bytes of the hash that are kept, and the letters they make.
const ID_BYTES: usize = 12;
const ID_LETTERS: usize = 19;
/// They stand in the local part of a JID, which knows no capitals (XEP-0403 §3.2, RFC 7622 §3.3).
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Bits of one letter.
const LETTER_BITS: u32 = 5;

pub struct ParticipantIds(hmac::Key);

impl ParticipantIds {
    pub fn new(secret: &[u8; 32]) -> ParticipantIds {
        ParticipantIds(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Of a bare JID.
    pub fn of(&self, channel: ChannelId, jid: &str) -> ParticipantId {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&channel.0.to_be_bytes());
        context.update(jid.as_bytes());
        let tag = context.sign();
        let bytes = tag.as_ref().get(..ID_BYTES).unwrap_or_default();
        letters(bytes)
    }
}

/// One of them, or none, as of the channel itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParticipantId {
    letters: [u8; ID_LETTERS],
    is_some: bool,
}

impl Deref for ParticipantId {
    type Target = str;

    fn deref(&self) -> &str {
        match self.is_some {
            true => std::str::from_utf8(&self.letters).unwrap_or_default(),
            false => "",
        }
    }
}

fn letters(bytes: &[u8]) -> ParticipantId {
    let mut id = ParticipantId {
        is_some: true,
        ..ParticipantId::default()
    };
    let mut places = id.letters.iter_mut();
    let (mut held, mut bits) = (0_usize, 0);
    for byte in bytes {
        held = (held << 8 | usize::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= LETTER_BITS {
            bits -= LETTER_BITS;
            let letter = LETTERS.get((held >> bits) % LETTERS.len());
            if let (Some(place), Some(letter)) = (places.next(), letter) {
                *place = *letter;
            }
        }
    }
    id
}
