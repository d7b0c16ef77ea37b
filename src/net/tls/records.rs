//! Records of a TLS 1.3 connection after its handshake (RFC 8446 §5, §4.6.3, §7.2), which rustls leads and then hands over:
//! two keys, two counters and the secrets that the next keys come from are all that an idle connection needs, a tenth of
//! what rustls keeps. A key is made ready for as long as a call takes; that costs less than holding it ready does.
mod message;
mod patience;
#[cfg(any(test, fuzzing))]
mod peer;
#[cfg(any(test, fuzzing))]
mod script;
mod side;
#[cfg(test)]
mod tests;

use rustls::{AlertDescription, ContentType, Error, ExtractedSecrets, InvalidMessage};
use zeroize::Zeroizing;

use super::{HEADER_BYTES, RECORD_BYTES_MAX, Received, TlsError};
#[cfg(test)]
pub use peer::Peer;
#[cfg(fuzzing)]
pub use script::play;

use message::{KeyUpdate, Partial};
use patience::Patience;
use side::{Side, Suite};

/// RFC 8446 §5.2: what padding and the cipher may add.
const SEALED_BYTES_MAX: usize = RECORD_BYTES_MAX + 256;
/// Records sealed with one key at most: AES-GCM bears 2^24.5 full ones (RFC 8446 §5.5). Tests reach it.
const KEY_RECORDS_MAX: u64 = if cfg!(test) { 1 << 9 } else { 1 << 22 };

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

pub struct Records {
    suite: Suite,
    read: Side,
    write: Side,
    partial: Partial,
    patience: Patience,
}

/// The first secrets of both directions, as the key log tells them.
#[derive(Default)]
pub struct Secrets {
    pub client: Option<Zeroizing<Box<[u8]>>>,
    pub server: Option<Zeroizing<Box<[u8]>>>,
}

/// What is to be done once all records of a call are read.
#[derive(Default)]
struct Wanted {
    key_update: bool,
}

impl Records {
    /// `None`: rustls speaks a cipher that is not known here, or is at another key than the first.
    pub fn new(extracted: &ExtractedSecrets, secrets: &Secrets) -> Option<Records> {
        let (suite, write) = Side::new(&extracted.tx, secrets.server.as_deref()?)?;
        let (_, read) = Side::new(&extracted.rx, secrets.client.as_deref()?)?;
        Some(Records::with(suite, read, write))
    }

    fn with(suite: Suite, read: Side, write: Side) -> Records {
        Records {
            suite,
            read,
            write,
            partial: Partial::default(),
            patience: Patience::default(),
        }
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
        let mut wanted = Wanted::default();
        let result = self.read_records(bytes, &mut used, plaintext, outcome, &mut wanted);
        let result = result.and_then(|()| match wanted.key_update {
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
        wanted: &mut Wanted,
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
            self.patience.record(content)?;
            // §5.1: nothing comes between the pieces of a handshake message.
            if kind != HANDSHAKE && !self.partial.is_empty() {
                return Err(unexpected(kind).into());
            }
            match kind {
                APPLICATION_DATA if content.is_empty() => {}
                APPLICATION_DATA => {
                    self.patience.data();
                    plaintext.extend_from_slice(content);
                }
                HANDSHAKE => {
                    if let Some(update) = self.partial.take(content)? {
                        self.patience.key_update()?;
                        self.read.update(self.suite)?;
                        key = None;
                        wanted.key_update |= update == KeyUpdate::Requested;
                    }
                }
                ALERT => outcome.peer_closed = self.is_end(content)?,
                kind => return Err(unexpected(kind).into()),
            }
        }
        // Whatever comes after the end is ignored (§6.1).
        *used = bytes.len();
        Ok(())
    }

    /// RFC 8446 §6: whether an alert is the regular end.
    fn is_end(&mut self, alert: &[u8]) -> Result<bool, Error> {
        match *alert {
            // §5.4: never without content.
            [] => Err(unexpected(ALERT)),
            [WARNING | FATAL, CLOSE_NOTIFY] => Ok(true),
            // §6.1: an explanation of the close that follows.
            [WARNING, USER_CANCELED] => self.patience.warning().map(|()| false),
            // §6: other than those two, nothing is a mere warning.
            [WARNING, _] => Err(InvalidMessage::UnexpectedMessage("alert").into()),
            [FATAL, description] => Err(Error::AlertReceived(description.into())),
            // §6: levels are of no use any more, but these are none.
            [_, _] => Err(InvalidMessage::InvalidContentType.into()),
            _ => Err(InvalidMessage::TrailingData("alert").into()),
        }
    }

    /// Tells the peer, and goes on with the next key.
    fn update_write_key(&mut self, outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        let key = self.write.cipher(self.suite)?;
        let message = KeyUpdate::NotRequested.message();
        self.write.seal(&key, HANDSHAKE, &message, outgoing)?;
        self.write.update(self.suite)
    }

    /// RFC 8446 §6.2; an alert is not answered.
    fn alert(&mut self, error: &TlsError, outgoing: &mut Vec<u8>) {
        let Some(description) = description(error) else {
            return;
        };
        if let Ok(key) = self.write.cipher(self.suite) {
            let alert = [FATAL, description.into()];
            // Without it the peer sees a broken connection all the same.
            let _unsaid = self.write.seal(&key, ALERT, &alert, outgoing);
        }
    }
}

/// What the peer hears of an error.
fn description(error: &TlsError) -> Option<AlertDescription> {
    let error = match error {
        TlsError::Protocol(error) => error,
        TlsError::NotReady => return Some(AlertDescription::InternalError),
    };
    Some(match error {
        Error::AlertReceived(_) => return None,
        Error::DecryptError => AlertDescription::BadRecordMac,
        Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
        // §4.6.3, §6.
        Error::InvalidMessage(
            InvalidMessage::InvalidKeyUpdate | InvalidMessage::InvalidContentType,
        ) => AlertDescription::IllegalParameter,
        Error::InvalidMessage(_) => AlertDescription::DecodeError,
        _ => AlertDescription::UnexpectedMessage,
    })
}

/// The first record of `bytes`; `None`: it is not all there yet.
fn whole_record(bytes: &mut [u8]) -> Result<Option<&mut [u8]>, TlsError> {
    let Some([kind, _, _, high, low]) = bytes.first_chunk::<HEADER_BYTES>().copied() else {
        return Ok(None);
    };
    // §5.1, §D.4: nothing else may come any more, and none of it in the clear.
    if kind != APPLICATION_DATA {
        return Err(unexpected(kind).into());
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > SEALED_BYTES_MAX {
        return Err(Error::PeerSentOversizedRecord.into());
    }
    Ok(bytes.get_mut(..HEADER_BYTES + length))
}

fn unexpected(kind: u8) -> Error {
    let got_type = ContentType::from(kind);
    Error::InappropriateMessage {
        expect_types: vec![ContentType::ApplicationData],
        got_type,
    }
}
