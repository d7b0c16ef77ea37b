//! Records of a TLS 1.3 connection after its handshake (RFC 8446 §5, §4.6.3, §7.2), which rustls leads and then hands over:
//! two keys, two counters and the secrets that the next keys come from are all that an idle connection needs, a tenth of
//! what rustls keeps. A key is made ready for as long as a call takes; that costs less than holding it ready does.
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use rustls::{AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ExtractedSecrets};

use super::binding::expand_label;
use super::tempering::Tempering;
use super::{RECORD_BYTES_MAX, Received, TlsError};

const HEADER_BYTES: usize = 5;
const TAG_BYTES: usize = 16;
const KEY_BYTES_MAX: usize = 32;
const SECRET_BYTES_MAX: usize = 48;
/// RFC 8446 §5.2: what padding and the cipher may add.
const SEALED_BYTES_MAX: usize = RECORD_BYTES_MAX + 256;
/// Records sealed with one key at most: AES-GCM bears 2^24.5 full ones (RFC 8446 §5.5). Tests reach it.
const KEY_RECORDS_MAX: u64 = if cfg!(test) { 1 << 9 } else { 1 << 22 };

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
/// `KeyUpdate` (RFC 8446 §4.6.3): type, length, and whether ours is wanted as well.
const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

pub struct Records {
    suite: Suite,
    read: Side,
    write: Side,
    tempering: Tempering,
}

#[derive(Clone, Copy)]
enum Suite {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

/// One direction.
struct Side {
    /// `…_application_traffic_secret_N` (RFC 8446 §7.2).
    secret: [u8; SECRET_BYTES_MAX],
    key: [u8; KEY_BYTES_MAX],
    iv: [u8; aead::NONCE_LEN],
    sequence: u64,
}

/// The first secrets of both directions, as the key log tells them.
#[derive(Default)]
pub struct Secrets {
    pub client: Option<Box<[u8]>>,
    pub server: Option<Box<[u8]>>,
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

impl Records {
    /// `None`: rustls speaks a cipher that is not known here.
    pub fn new(extracted: &ExtractedSecrets, secrets: &Secrets) -> Option<Records> {
        let (suite, write) = Side::new(&extracted.tx, secrets.server.as_deref()?)?;
        let (_, read) = Side::new(&extracted.rx, secrets.client.as_deref()?)?;
        Some(Records {
            suite,
            read,
            write,
            tempering: Tempering::default(),
        })
    }

    /// Encrypts `plaintext` onto `outgoing`.
    pub fn seal(&mut self, plaintext: &[u8], outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        if self.write.sequence >= KEY_RECORDS_MAX {
            self.update_write_key(outgoing)?;
        }
        let key = self.write.cipher(self.suite)?;
        for part in plaintext.chunks(RECORD_BYTES_MAX) {
            self.write.seal(&key, APPLICATION_DATA, part, outgoing)?;
        }
        Ok(())
    }

    /// RFC 8446 §6.1.
    pub fn close(&mut self, outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        const WARNING: u8 = 1;
        let key = self.write.cipher(self.suite)?;
        let alert = [WARNING, CLOSE_NOTIFY];
        self.write.seal(&key, ALERT, &alert, outgoing)
    }

    /// Reads the whole records in `bytes`. Tells how many bytes were used, also when it failed; then an alert was written.
    pub fn process(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
    ) -> (usize, Result<(), TlsError>) {
        let mut used = 0;
        let mut update_wanted = false;
        let result = self.read_records(bytes, &mut used, plaintext, outcome, &mut update_wanted);
        let result = result.and_then(|()| match update_wanted {
            // However often it was asked for.
            true => self.update_write_key(outgoing),
            false => Ok(()),
        });
        if let Err(error) = &result {
            self.alert(error, outgoing);
        }
        (used, result)
    }

    fn read_records(
        &mut self,
        bytes: &mut [u8],
        used: &mut usize,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
        update_wanted: &mut bool,
    ) -> Result<(), TlsError> {
        let mut key = None;
        while !outcome.peer_closed {
            let Some(record) = whole_record(bytes.get_mut(*used..).unwrap_or_default())? else {
                return Ok(());
            };
            *used += record.len();
            let cipher = match key.take() {
                Some(cipher) => cipher,
                None => self.read.cipher(self.suite)?,
            };
            let (kind, content) = self.read.open(&cipher, record)?;
            key = Some(cipher);
            match (kind, content) {
                (APPLICATION_DATA, content) => {
                    self.tempering.data(content)?;
                    plaintext.extend_from_slice(content);
                }
                (ALERT, [_, CLOSE_NOTIFY]) => outcome.peer_closed = true,
                // §6.1: an explanation of the close that follows.
                (ALERT, [_, USER_CANCELED]) => self.tempering.warning()?,
                (ALERT, [_, description]) => {
                    let description = AlertDescription::from(*description);
                    return Err(Error::AlertReceived(description).into());
                }
                // §5.1: alone in its record, for what follows has another key.
                (HANDSHAKE, [update @ .., wanted @ (0 | 1)]) if *update == KEY_UPDATE => {
                    self.tempering.key_update()?;
                    self.read.update(self.suite)?;
                    key = None;
                    *update_wanted |= *wanted == 1;
                }
                _ => return Err(unexpected(kind)),
            }
        }
        // Whatever comes after the end is ignored (§6.1).
        *used = bytes.len();
        Ok(())
    }

    /// Tells the peer, and goes on with the next key.
    fn update_write_key(&mut self, outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        let key = self.write.cipher(self.suite)?;
        let [kind, length @ ..] = KEY_UPDATE;
        let [a, b, c] = length;
        let message = [kind, a, b, c, 0];
        self.write.seal(&key, HANDSHAKE, &message, outgoing)?;
        self.write.update(self.suite)
    }

    /// RFC 8446 §6.2; an alert is not answered.
    fn alert(&mut self, error: &TlsError, outgoing: &mut Vec<u8>) {
        const FATAL: u8 = 2;
        let description = match error {
            TlsError::Protocol(Error::AlertReceived(_)) => return,
            TlsError::Protocol(Error::DecryptError) => AlertDescription::BadRecordMac,
            TlsError::Protocol(Error::PeerSentOversizedRecord) => AlertDescription::RecordOverflow,
            TlsError::Protocol(_) => AlertDescription::UnexpectedMessage,
            TlsError::NotReady => AlertDescription::InternalError,
        };
        if let Ok(key) = self.write.cipher(self.suite) {
            let alert = [FATAL, description.into()];
            // Without it the peer sees a broken connection all the same.
            let _unsaid = self.write.seal(&key, ALERT, &alert, outgoing);
        }
    }
}

impl Side {
    fn new(
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
        let mut side = Side {
            secret: [0; SECRET_BYTES_MAX],
            key: [0; KEY_BYTES_MAX],
            iv: iv.as_ref().try_into().ok()?,
            sequence: *sequence,
        };
        side.secret.get_mut(..secret.len())?.copy_from_slice(secret);
        let key = key.as_ref();
        side.key.get_mut(..key.len())?.copy_from_slice(key);
        (secret.len() == suite.hash().1).then_some((suite, side))
    }

    fn cipher(&self, suite: Suite) -> Result<LessSafeKey, TlsError> {
        let algorithm = suite.algorithm();
        let key = self.key.get(..algorithm.key_len()).unwrap_or_default();
        UnboundKey::new(algorithm, key)
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
    fn seal(
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
    fn open<'r>(
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
        let padding = inner.iter().rev().take_while(|octet| **octet == 0).count();
        let inner = inner.get(..inner.len() - padding).unwrap_or_default();
        // All zeros: §5.4.
        let (kind, content) = inner.split_last().ok_or_else(|| unexpected(0))?;
        if content.len() > RECORD_BYTES_MAX {
            return Err(Error::PeerSentOversizedRecord.into());
        }
        Ok((*kind, content))
    }

    /// RFC 8446 §7.2, §7.3: the next secret, and its key.
    fn update(&mut self, suite: Suite) -> Result<(), TlsError> {
        let (algorithm, length) = suite.hash();
        let secret = self.secret.get_mut(..length).ok_or(TlsError::NotReady)?;
        let key = self.key.get_mut(..suite.algorithm().key_len());
        let key = key.ok_or(TlsError::NotReady)?;
        let mut next = || -> Option<()> {
            let current = hkdf::Prk::new_less_safe(algorithm, secret);
            expand_label(&current, b"traffic upd", &[], secret)?;
            let current = hkdf::Prk::new_less_safe(algorithm, secret);
            expand_label(&current, b"key", &[], key)?;
            expand_label(&current, b"iv", &[], &mut self.iv)
        };
        next().ok_or(TlsError::NotReady)?;
        self.sequence = 0;
        Ok(())
    }
}

/// The first record of `bytes`; `None`: it is not all there yet.
fn whole_record(bytes: &mut [u8]) -> Result<Option<&mut [u8]>, TlsError> {
    let Some([kind, _, _, high, low]) = bytes.first_chunk::<HEADER_BYTES>().copied() else {
        return Ok(None);
    };
    // §5.1, §D.4: nothing else may come any more, and none of it in the clear.
    if kind != APPLICATION_DATA {
        return Err(unexpected(kind));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > SEALED_BYTES_MAX {
        return Err(Error::PeerSentOversizedRecord.into());
    }
    Ok(bytes.get_mut(..HEADER_BYTES + length))
}

fn unexpected(kind: u8) -> TlsError {
    let got_type = ContentType::from(kind);
    Error::InappropriateMessage {
        expect_types: vec![ContentType::ApplicationData],
        got_type,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: [Suite; 3] = [Suite::Aes128Gcm, Suite::Aes256Gcm, Suite::ChaCha20Poly1305];

    fn side(n: u8) -> Side {
        Side {
            secret: [n; SECRET_BYTES_MAX],
            key: [n; KEY_BYTES_MAX],
            iv: [n; aead::NONCE_LEN],
            sequence: 0,
        }
    }

    /// Two ends of one connection.
    fn pair(suite: Suite) -> (Records, Records) {
        let end = |read, write| Records {
            suite,
            read: side(read),
            write: side(write),
            tempering: Tempering::default(),
        };
        (end(1, 2), end(2, 1))
    }

    /// A record with any content, padded with zeros.
    fn record(peer: &mut Records, kind: u8, content: &[u8]) -> Vec<u8> {
        let key = peer.write.cipher(peer.suite).unwrap();
        let mut wire = Vec::new();
        peer.write.seal(&key, kind, content, &mut wire).unwrap();
        wire
    }

    /// What came of bytes: what was read, what is answered.
    fn take(records: &mut Records, mut wire: Vec<u8>) -> (Result<Vec<u8>, TlsError>, Vec<u8>) {
        let (mut outgoing, mut plaintext) = (Vec::new(), Vec::new());
        let outcome = &mut Received::default();
        let (_, result) = records.process(&mut wire, &mut outgoing, &mut plaintext, outcome);
        (result.map(|()| plaintext), outgoing)
    }

    /// The alert that `wire` holds, as `peer` sees it.
    fn alert(peer: &mut Records, mut wire: Vec<u8>) -> Option<AlertDescription> {
        let record = whole_record(&mut wire).unwrap()?;
        let key = peer.read.cipher(peer.suite).unwrap();
        match peer.read.open(&key, record).unwrap() {
            (ALERT, [2, description]) => Some((*description).into()),
            other => panic!("{other:?} is no fatal alert"),
        }
    }

    #[test]
    fn a_key_is_replaced_in_time_and_when_asked() {
        for suite in SUITES {
            let (mut ours, mut theirs) = pair(suite);
            let first = theirs.read.key;
            for n in 0..3 * KEY_RECORDS_MAX {
                let sent = n.to_be_bytes();
                let mut wire = Vec::new();
                ours.seal(&sent, &mut wire).unwrap();
                assert_eq!(take(&mut theirs, wire).0.unwrap(), sent);
                assert!(ours.write.sequence <= KEY_RECORDS_MAX);
            }
            assert_ne!(theirs.read.key, first);
            // Asked for many times at once: one answer.
            let mut wire = Vec::new();
            for _ in 0..5 {
                wire.extend(record(&mut theirs, HANDSHAKE, &[24, 0, 0, 1, 1]));
                theirs.write.update(suite).unwrap();
            }
            wire.extend(record(&mut theirs, APPLICATION_DATA, b"behind"));
            let (read, mut answer) = take(&mut ours, wire);
            assert_eq!(read.unwrap(), b"behind");
            assert_eq!(
                whole_record(&mut answer).unwrap().unwrap().len(),
                5 + 6 + 16
            );
            assert_eq!(take(&mut theirs, answer).0.unwrap(), b"");
            assert_eq!(ours.write.key, theirs.read.key);
        }
    }

    #[test]
    fn what_must_not_come_is_told_by_an_alert() {
        let unexpected = AlertDescription::UnexpectedMessage;
        let long = vec![7; RECORD_BYTES_MAX + 1];
        let cases: [(u8, &[u8], AlertDescription); 8] = [
            (HANDSHAKE, &[24, 0, 0, 1, 2], unexpected),
            (HANDSHAKE, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0], unexpected),
            (HANDSHAKE, &[24, 0, 0], unexpected),
            (HANDSHAKE, &[1, 0, 0, 1, 0], unexpected),
            (ALERT, &[1], unexpected),
            (20, &[1], unexpected),
            (0, &[0; 40], unexpected),
            (APPLICATION_DATA, &long, AlertDescription::RecordOverflow),
        ];
        for (kind, content, expected) in cases {
            let (mut ours, mut theirs) = pair(Suite::Aes256Gcm);
            let wire = record(&mut theirs, kind, content);
            let (read, answer) = take(&mut ours, wire);
            assert!(read.is_err(), "{kind} {content:?}");
            assert_eq!(alert(&mut theirs, answer), Some(expected));
        }
    }

    #[test]
    fn headers_are_judged_before_their_record_is_there() {
        let cases = [
            ([23, 3, 3, 0x41, 0x01], AlertDescription::RecordOverflow),
            ([21, 3, 3, 0, 2], AlertDescription::UnexpectedMessage),
            ([20, 3, 3, 0, 1], AlertDescription::UnexpectedMessage),
        ];
        for (header, expected) in cases {
            let (mut ours, mut theirs) = pair(Suite::ChaCha20Poly1305);
            let (read, answer) = take(&mut ours, header.to_vec());
            assert!(read.is_err());
            assert_eq!(alert(&mut theirs, answer), Some(expected));
        }
    }

    #[test]
    fn order_and_integrity_are_kept() {
        let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
        let one = record(&mut theirs, APPLICATION_DATA, b"one");
        let two = record(&mut theirs, APPLICATION_DATA, b"two");
        for wrong in [two.clone(), [&one[..], &one[..]].concat()] {
            let mut ours = pair(Suite::Aes128Gcm).0;
            assert!(matches!(
                take(&mut ours, wrong).0,
                Err(TlsError::Protocol(Error::DecryptError))
            ));
        }
        let mut short = one.clone();
        short[4] -= 1;
        short.pop();
        assert!(take(&mut pair(Suite::Aes128Gcm).0, short).0.is_err());
        let (read, _) = take(&mut ours, [one, two].concat());
        assert_eq!(read.unwrap(), b"onetwo");
    }

    #[test]
    fn so_many_records_without_data_as_rustls_takes() {
        let update = |theirs: &mut Records| {
            let wire = record(theirs, HANDSHAKE, &[24, 0, 0, 1, 0]);
            theirs.write.update(theirs.suite).unwrap();
            wire
        };
        let empty = |theirs: &mut Records| record(theirs, APPLICATION_DATA, b"");
        let warning = |theirs: &mut Records| record(theirs, ALERT, &[1, USER_CANCELED]);
        let data = |theirs: &mut Records| record(theirs, APPLICATION_DATA, b"x");
        type Make<'m> = &'m dyn Fn(&mut Records) -> Vec<u8>;
        let kinds: [(Make<'_>, usize, bool); 3] = [
            (&update, 32, true),
            (&empty, 32, true),
            (&warning, 4, false),
        ];
        for (make, most, begins_anew) in kinds {
            let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
            for _ in 0..most {
                assert!(take(&mut ours, make(&mut theirs)).0.is_ok());
            }
            if begins_anew {
                assert!(take(&mut ours, data(&mut theirs)).0.is_ok());
                for _ in 0..most {
                    assert!(take(&mut ours, make(&mut theirs)).0.is_ok());
                }
            }
            let (read, answer) = take(&mut ours, make(&mut theirs));
            assert!(read.is_err(), "one more than {most}");
            let told = alert(&mut theirs, answer);
            assert_eq!(told, Some(AlertDescription::UnexpectedMessage));
        }
        // Neither makes up for the other.
        let (mut ours, mut theirs) = pair(Suite::Aes128Gcm);
        let taken = (0..100)
            .take_while(|_| {
                let wire = [update(&mut theirs), empty(&mut theirs)].concat();
                take(&mut ours, wire).0.is_ok()
            })
            .count();
        assert_eq!(taken, 32);
    }

    #[test]
    fn padding_and_explanations_are_taken_off() {
        let (mut ours, mut theirs) = pair(Suite::Aes256Gcm);
        let padded = record(&mut theirs, 0, b"text\x17\0\0\0");
        let canceled = record(&mut theirs, ALERT, &[1, USER_CANCELED]);
        let end = record(&mut theirs, ALERT, &[1, CLOSE_NOTIFY]);
        let late = record(&mut theirs, APPLICATION_DATA, b"late");
        let wire = [padded, canceled, end, late].concat();
        assert_eq!(take(&mut ours, wire).0.unwrap(), b"text");
        let (mut ours, mut theirs) = pair(Suite::Aes256Gcm);
        let fatal = record(&mut theirs, ALERT, &[2, 80]);
        let (read, answer) = take(&mut ours, fatal);
        assert!(read.is_err() && answer.is_empty(), "no alert to an alert");
    }
}
