//! TLS of one connection, server side: bytes in, bytes out, no socket. rustls leads the handshake over its unbuffered API;
//! of a TLS 1.3 connection only keys and counters are kept from then on (`records`). Buffers belong to the caller and are
//! shared by all connections; a session keeps only what is left of an unfinished record or handshake message.

mod binding;
mod finished;
mod identity;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod key_exchange;
mod led;
mod pem;
mod random;
mod records;
pub mod self_signed;
mod sessions;
#[cfg(test)]
mod tests;

pub use identity::Identity;
#[cfg(fuzzing)]
pub use records::play as fuzz_records;

use crate::stream::TlsFacts;
use led::Led;
use records::Records;

/// RFC 8446 §5.1.
const HEADER_BYTES: usize = 5;
const RECORD_BYTES_MAX: usize = 1 << 14;

/// One connection's TLS, server side.
pub struct TlsSession {
    state: State,
    /// Ciphertext that is not a whole record or handshake message yet.
    leftover: Vec<u8>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all that live long are of the large kind"
)]
enum State {
    /// The handshake runs, or it is TLS 1.2.
    Led(Box<Led>),
    Records(Records),
    Failed,
}

/// What came of received bytes, beside plaintext.
#[derive(Debug, Default)]
pub struct Received {
    /// The handshake was completed by these bytes, or (`early`) came so far that early data was taken.
    pub secured: Option<TlsFacts>,
    /// How much of the plaintext is early data; it comes first.
    pub early_bytes: usize,
    /// The handshake was completed whose early data was taken.
    pub handshake_done: bool,
    /// The peer will send no more (close_notify).
    pub peer_closed: bool,
}

/// Why a session cannot go on.
#[derive(Debug)]
pub enum TlsError {
    Protocol(rustls::Error),
    /// Application data before the handshake is complete, or after the end.
    NotReady,
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> TlsError {
        TlsError::Protocol(error)
    }
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TlsError::Protocol(error) => error.fmt(f),
            TlsError::NotReady => f.write_str("no handshake yet, or closed"),
        }
    }
}

impl TlsSession {
    /// `direct`: TLS was there before the first byte, so ALPN is asked for (XEP-0368 §4).
    pub fn new(identity: std::rc::Rc<Identity>, direct: bool) -> Result<TlsSession, TlsError> {
        Ok(TlsSession {
            state: State::Led(Box::new(Led::new(identity, direct)?)),
            leftover: Vec::new(),
        })
    }

    /// Takes bytes from the socket; appends what is to be sent to `outgoing` and what was read to `plaintext`.
    /// After an error `outgoing` holds the alert; nothing more can be read or sent.
    pub fn receive(
        &mut self,
        received: &mut [u8],
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
    ) -> Result<Received, TlsError> {
        let mut outcome = Received::default();
        let mut joined = std::mem::take(&mut self.leftover);
        let result = if joined.is_empty() {
            let (used, result) = self.process_all(received, outgoing, plaintext, &mut outcome);
            self.leftover = received.get(used..).unwrap_or_default().to_vec();
            result
        } else {
            joined.extend_from_slice(received);
            let (used, result) = self.process_all(&mut joined, outgoing, plaintext, &mut outcome);
            joined.drain(..used.min(joined.len()));
            joined.shrink_to_fit();
            self.leftover = joined;
            result
        };
        if let Err(error) = result {
            self.state = State::Failed;
            self.leftover = Vec::new();
            return Err(error);
        }
        Ok(outcome)
    }

    /// What waits for the rest of its record.
    pub fn leftover_bytes(&self) -> usize {
        self.leftover.capacity()
    }

    /// rustls leads it: the handshake is not over, or it is TLS 1.2.
    pub fn is_led(&self) -> bool {
        matches!(self.state, State::Led(_))
    }

    /// Encrypts `plaintext` onto `outgoing`.
    pub fn seal(&mut self, plaintext: &[u8], outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        match &mut self.state {
            State::Led(led) => led.seal(plaintext, &mut self.leftover, outgoing),
            State::Records(records) => records.seal(plaintext, outgoing),
            State::Failed => Err(TlsError::NotReady),
        }
    }

    /// Appends the close_notify alert (RFC 8446 §6.1).
    pub fn close(&mut self, outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        match &mut self.state {
            State::Led(led) => led.close(&mut self.leftover, outgoing),
            State::Records(records) => records.close(outgoing),
            State::Failed => Err(TlsError::NotReady),
        }
    }

    /// What follows the end of the handshake in the same bytes is read, too. Tells how many bytes were used.
    fn process_all(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
    ) -> (usize, Result<(), TlsError>) {
        let (used, result) = self.process(bytes, outgoing, plaintext, outcome);
        if result.is_err() || !self.let_go() {
            return (used, result);
        }
        let rest = bytes.get_mut(used..).unwrap_or_default();
        let (more, result) = self.process(rest, outgoing, plaintext, outcome);
        (used + more, result)
    }

    /// Tells how many bytes were used, also when it failed.
    fn process(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
    ) -> (usize, Result<(), TlsError>) {
        match &mut self.state {
            State::Led(led) => led.process(bytes, outgoing, plaintext, outcome),
            State::Records(records) => records.process(bytes, outgoing, plaintext, outcome),
            State::Failed => (0, Err(TlsError::NotReady)),
        }
    }

    /// The handshake is over: rustls has done its part, just now.
    fn let_go(&mut self) -> bool {
        let is_led = matches!(self.state, State::Led(_));
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Led(led) if led.is_done() => led.into_records(),
            state => state,
        };
        is_led && matches!(self.state, State::Records(_))
    }
}
