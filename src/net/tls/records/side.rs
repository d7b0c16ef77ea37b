//! One direction of a TLS 1.3 connection: its secret, the key that comes from it, its counter (RFC 8446 §5.2, §5.3, §7.2, §7.3).
//! rustls has encrypters of its own, but takes a key of 16 bytes from nobody but itself; these are ring's, as its are.
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use rustls::{ConnectionTrafficSecrets, Error, PeerMisbehaved};
use zeroize::Zeroize;

use super::super::binding::expand_label;
use super::super::{HEADER_BYTES, RECORD_BYTES_MAX, TlsError};
use super::APPLICATION_DATA;

pub const TAG_BYTES: usize = 16;
const KEY_BYTES_MAX: usize = 32;
const SECRET_BYTES_MAX: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

pub struct Side {
    /// `…_application_traffic_secret_N`.
    secret: [u8; SECRET_BYTES_MAX],
    key: [u8; KEY_BYTES_MAX],
    iv: [u8; aead::NONCE_LEN],
    pub sequence: u64,
}

impl Suite {
    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Suite::Aes128Gcm => &aead::AES_128_GCM,
            Suite::Aes256Gcm => &aead::AES_256_GCM,
            Suite::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    /// RFC 8446 §B.4: with its length.
    fn hash(self) -> (hkdf::Algorithm, usize) {
        match self {
            Suite::Aes256Gcm => (hkdf::HKDF_SHA384, 48),
            Suite::Aes128Gcm | Suite::ChaCha20Poly1305 => (hkdf::HKDF_SHA256, 32),
        }
    }
}

impl Side {
    /// With the first secret of its direction. `None`: what rustls used is not made from that, or unknown here; going
    /// on with it would mix two keys' counters, and could use a nonce twice.
    pub fn new(
        (sequence, extracted): &(u64, ConnectionTrafficSecrets),
        secret: &[u8],
    ) -> Option<(Suite, Side)> {
        let (suite, key, iv) = match extracted {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Suite::Aes128Gcm, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Suite::Aes256Gcm, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (Suite::ChaCha20Poly1305, key, iv)
            }
            _ => return None,
        };
        let side = Side::of_secret(suite, secret, *sequence)?;
        let is_same = side.key_of(suite) == key.as_ref() && side.iv == iv.as_ref();
        is_same.then_some((suite, side))
    }

    pub fn of_secret(suite: Suite, secret: &[u8], sequence: u64) -> Option<Side> {
        let mut side = Side {
            secret: [0; SECRET_BYTES_MAX],
            key: [0; KEY_BYTES_MAX],
            iv: [0; aead::NONCE_LEN],
            sequence,
        };
        if secret.len() != suite.hash().1 {
            return None;
        }
        side.secret.get_mut(..secret.len())?.copy_from_slice(secret);
        side.derive_key(suite)?;
        Some(side)
    }

    fn key_of(&self, suite: Suite) -> &[u8] {
        let length = suite.algorithm().key_len();
        self.key.get(..length).unwrap_or_default()
    }

    pub fn cipher(&self, suite: Suite) -> Result<LessSafeKey, TlsError> {
        UnboundKey::new(suite.algorithm(), self.key_of(suite))
            .map(LessSafeKey::new)
            .map_err(|_| TlsError::NotReady)
    }

    /// RFC 8446 §5.3.
    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        let counted = self.sequence.to_be_bytes();
        for (octet, count) in nonce.iter_mut().rev().zip(counted.iter().rev()) {
            *octet ^= count;
        }
        // A key sees 2^22 records of ours, and no peer sends 2^64.
        self.sequence = self.sequence.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 8446 §5.2: content, its kind, tag; no padding.
    pub fn seal(
        &mut self,
        key: &LessSafeKey,
        kind: u8,
        content: &[u8],
        outgoing: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        let length =
            u16::try_from(content.len() + 1 + TAG_BYTES).map_err(|_| TlsError::NotReady)?;
        let [high, low] = length.to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, high, low];
        outgoing.reserve(HEADER_BYTES + content.len() + 1 + TAG_BYTES);
        outgoing.extend_from_slice(&header);
        let start = outgoing.len();
        outgoing.extend_from_slice(content);
        outgoing.push(kind);
        let inner = outgoing.get_mut(start..).unwrap_or_default();
        let tag = key
            .seal_in_place_separate_tag(self.nonce(), Aad::from(header), inner)
            .map_err(|_| TlsError::NotReady)?;
        outgoing.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// RFC 8446 §5.2, §5.4: what is in a record, and of which kind it is.
    pub fn open<'r>(
        &mut self,
        key: &LessSafeKey,
        record: &'r mut [u8],
    ) -> Result<(u8, &'r [u8]), TlsError> {
        let (header, sealed) = record
            .split_first_chunk_mut::<HEADER_BYTES>()
            .ok_or(TlsError::NotReady)?;
        let inner = key
            .open_in_place(self.nonce(), Aad::from(*header), sealed)
            .map_err(|_| Error::DecryptError)?;
        // §5.4: with its padding, too.
        if inner.len() > RECORD_BYTES_MAX + 1 {
            return Err(Error::PeerSentOversizedRecord.into());
        }
        let padding = inner.iter().rev().take_while(|octet| **octet == 0).count();
        let inner = inner.get(..inner.len() - padding).unwrap_or_default();
        // All zeros: §5.4.
        let nothing = Error::PeerMisbehaved(PeerMisbehaved::IllegalTlsInnerPlaintext);
        let (kind, content) = inner.split_last().ok_or(nothing)?;
        Ok((*kind, content))
    }

    /// RFC 8446 §7.2: the next secret, and its key.
    pub fn update(&mut self, suite: Suite) -> Result<(), TlsError> {
        let (algorithm, length) = suite.hash();
        let secret = self.secret.get_mut(..length).ok_or(TlsError::NotReady)?;
        let current = hkdf::Prk::new_less_safe(algorithm, secret);
        expand_label(&current, b"traffic upd", &[], secret).ok_or(TlsError::NotReady)?;
        self.derive_key(suite).ok_or(TlsError::NotReady)?;
        self.sequence = 0;
        Ok(())
    }

    /// RFC 8446 §7.3.
    fn derive_key(&mut self, suite: Suite) -> Option<()> {
        let (algorithm, length) = suite.hash();
        let current = hkdf::Prk::new_less_safe(algorithm, self.secret.get(..length)?);
        let key = self.key.get_mut(..suite.algorithm().key_len())?;
        expand_label(&current, b"key", &[], key)?;
        expand_label(&current, b"iv", &[], &mut self.iv)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.key.zeroize();
        self.iv.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_secret_is_refused() {
        let secret = [5; 32];
        let side = Side::of_secret(Suite::ChaCha20Poly1305, &secret, 0).unwrap();
        let extracted = |side: &Side| {
            let iv = rustls::crypto::cipher::Iv::new(side.iv);
            let key = side.key.into();
            (7, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv })
        };
        let (suite, same) = Side::new(&extracted(&side), &secret).unwrap();
        assert_eq!((suite, same.sequence), (Suite::ChaCha20Poly1305, 7));
        // As after an update that nobody noticed.
        let mut later = Side::of_secret(suite, &secret, 0).unwrap();
        later.update(suite).unwrap();
        assert!(Side::new(&extracted(&later), &secret).is_none());
        assert!(Side::new(&extracted(&side), &[6; 32]).is_none());
        assert!(Side::new(&extracted(&side), &secret[..31]).is_none());
        assert!(Side::of_secret(Suite::Aes256Gcm, &secret, 0).is_none());
    }

    #[test]
    fn updates_change_secret_key_and_counter() {
        for (suite, length) in [(Suite::Aes128Gcm, 32), (Suite::Aes256Gcm, 48)] {
            let mut side = Side::of_secret(suite, &[9; 48][..length], 4).unwrap();
            let before = (side.secret, side.key, side.iv);
            side.update(suite).unwrap();
            assert_ne!(before.0, side.secret);
            assert_ne!(before.1, side.key);
            assert_ne!(before.2, side.iv);
            assert_eq!(side.sequence, 0);
        }
    }
}
