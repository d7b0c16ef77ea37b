//! TLS of one connection, over rustls' unbuffered API: bytes in, bytes out, no socket. Buffers belong to the caller and
//! are shared by all connections; a session keeps only what is left of an unfinished record or handshake message.

mod binding;
mod identity;
mod sessions;
#[cfg(test)]
mod tests;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};

pub use identity::Identity;

use crate::stream::TlsFacts;

/// Ciphertext that `seal` adds to a record at most: header, explicit nonce, tag, content type, with room to spare.
const RECORD_OVERHEAD: usize = 64;
/// RFC 8446 §5.1.
const RECORD_BYTES_MAX: usize = 1 << 14;
/// Room for whatever the handshake sends in one piece; more is made when rustls asks for it.
const HANDSHAKE_CHUNK: usize = 2048;

/// One connection's TLS, server side.
pub struct TlsSession {
    connection: UnbufferedServerConnection,
    /// Ciphertext that is not a whole record or handshake message yet.
    leftover: Vec<u8>,
    /// Until the handshake is complete.
    handshake: Option<Box<Handshake>>,
    failed: bool,
}

/// What is gathered while the handshake runs.
struct Handshake {
    identity: std::rc::Rc<Identity>,
    /// Early data was taken: the facts are told, and answers may be sent.
    early: bool,
    exporter: Option<[u8; 32]>,
    server_name: Option<Box<str>>,
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
            connection: UnbufferedServerConnection::new(identity.server_config(direct))?,
            leftover: Vec::new(),
            handshake: Some(Box::new(Handshake {
                identity,
                early: false,
                exporter: None,
                server_name: None,
            })),
            failed: false,
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
        if self.failed {
            return Err(TlsError::NotReady);
        }
        let mut outcome = Received::default();
        let mut joined = std::mem::take(&mut self.leftover);
        let result = if joined.is_empty() {
            let (used, result) = self.process(received, outgoing, plaintext, &mut outcome);
            self.leftover = received.get(used..).unwrap_or_default().to_vec();
            result
        } else {
            joined.extend_from_slice(received);
            let (used, result) = self.process(&mut joined, outgoing, plaintext, &mut outcome);
            joined.drain(..used.min(joined.len()));
            joined.shrink_to_fit();
            self.leftover = joined;
            result
        };
        if let Err(error) = result {
            self.failed = true;
            self.leftover = Vec::new();
            return Err(error);
        }
        if !self.connection.is_handshaking()
            && let Some(handshake) = self.handshake.take()
        {
            match handshake.early {
                true => outcome.handshake_done = true,
                false => outcome.secured = Some(self.facts(&handshake)),
            }
        }
        Ok(outcome)
    }

    /// Encrypts `plaintext` onto `outgoing`.
    pub fn seal(&mut self, plaintext: &[u8], outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        let records = plaintext.len() / RECORD_BYTES_MAX + 2;
        let room = plaintext.len() + records * RECORD_OVERHEAD;
        self.write(outgoing, |traffic, outgoing| {
            append(outgoing, room, |buffer| traffic.encrypt(plaintext, buffer))
        })
    }

    /// Appends the close_notify alert (RFC 8446 §6.1).
    pub fn close(&mut self, outgoing: &mut Vec<u8>) -> Result<(), TlsError> {
        self.write(outgoing, |traffic, outgoing| {
            append(outgoing, RECORD_OVERHEAD, |buffer| {
                traffic.queue_close_notify(buffer)
            })
        })
    }

    /// Lets rustls work on `bytes` until it wants more. Tells how many were used, also when it failed.
    fn process(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
    ) -> (usize, Result<(), TlsError>) {
        let mut used = 0;
        loop {
            let rest = bytes.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let step = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    let mut step = Ok(Step::GoOn);
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                plaintext.extend_from_slice(record.payload);
                            }
                            Err(error) => step = Err(error.into()),
                        }
                    }
                    step
                }
                Ok(ConnectionState::ReadEarlyData(mut early)) => {
                    let mut step = Ok(Step::GoOn);
                    while let Some(record) = early.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                plaintext.extend_from_slice(record.payload);
                                outcome.early_bytes += record.payload.len();
                            }
                            Err(error) => step = Err(error.into()),
                        }
                    }
                    step
                }
                Ok(ConnectionState::PeerClosed) => {
                    outcome.peer_closed = true;
                    Ok(Step::GoOn)
                }
                Ok(state) => outgoing_step(state, outgoing),
                Err(error) => Err(error.into()),
            };
            used += discard;
            self.note_handshake();
            if outcome.early_bytes > 0 {
                outcome.secured = self.early_facts().or(outcome.secured.take());
            }
            match step {
                Ok(Step::GoOn) => {}
                Ok(Step::Rest) => return (used, Ok(())),
                Err(error) => {
                    self.take_alert(outgoing);
                    return (used, Err(error));
                }
            }
        }
    }

    /// Goes on until rustls takes application data, then lets `write` hand it some.
    fn write(
        &mut self,
        outgoing: &mut Vec<u8>,
        write: impl FnOnce(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut Vec<u8>,
        ) -> Result<(), TlsError>,
    ) -> Result<(), TlsError> {
        if self.failed
            || self
                .handshake
                .as_ref()
                .is_some_and(|running| !running.early)
        {
            return Err(TlsError::NotReady);
        }
        loop {
            let UnbufferedStatus { discard, state } =
                self.connection.process_tls_records(&mut self.leftover);
            let step = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return write(&mut traffic, outgoing);
                }
                Ok(state) => outgoing_step(state, outgoing),
                Err(error) => Err(error.into()),
            };
            self.leftover.drain(..discard.min(self.leftover.len()));
            match step {
                Ok(Step::GoOn) => {}
                Ok(Step::Rest) => return Err(TlsError::NotReady),
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
    }

    /// Takes what the configuration's observers saw; they were called within `process_tls_records`, on this thread.
    fn note_handshake(&mut self) {
        let Some(handshake) = &mut self.handshake else {
            return;
        };
        if let Some(name) = handshake.identity.observed.take_server_name() {
            handshake.server_name = Some(name);
        }
        if let (Some(secret), Some(suite)) = (
            handshake.identity.observed.take_exporter_secret(),
            self.connection.negotiated_cipher_suite(),
        ) {
            handshake.exporter = binding::exporter(&secret, suite);
        }
    }

    /// Once, when early data was taken.
    fn early_facts(&mut self) -> Option<TlsFacts> {
        let handshake = self.handshake.as_mut().filter(|running| !running.early)?;
        handshake.early = true;
        let handshake = self.handshake.as_ref()?;
        Some(self.facts(handshake))
    }

    fn facts(&self, handshake: &Handshake) -> TlsFacts {
        let version_1_3 =
            self.connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        TlsFacts {
            // RFC 9266 §4.2: in TLS 1.2 only with the extended master secret and no renegotiation; not offered.
            exporter: handshake.exporter.filter(|_| version_1_3),
            end_point: handshake.identity.end_point.clone(),
            server_name: handshake.server_name.clone(),
            version_1_3,
            early: handshake.early,
        }
    }

    /// The alert that tells the peer what was wrong. Only while there is something to take, and without input: rustls
    /// panics when it comes upon a second error.
    fn take_alert(&mut self, outgoing: &mut Vec<u8>) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(state @ ConnectionState::EncodeTlsData(_)) => {
                    if outgoing_step(state, outgoing).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}

enum Step {
    GoOn,
    /// Nothing more to do without more bytes.
    Rest,
}

/// The states in which rustls wants something sent, or nothing at all.
fn outgoing_step(
    state: ConnectionState<'_, '_, ServerConnectionData>,
    outgoing: &mut Vec<u8>,
) -> Result<Step, TlsError> {
    match state {
        ConnectionState::EncodeTlsData(mut chunk) => {
            append(outgoing, HANDSHAKE_CHUNK, |buffer| chunk.encode(buffer))?;
            Ok(Step::GoOn)
        }
        ConnectionState::TransmitTlsData(sent) => {
            sent.done();
            Ok(Step::GoOn)
        }
        ConnectionState::PeerClosed => Ok(Step::GoOn),
        ConnectionState::BlockedHandshake
        | ConnectionState::WriteTraffic(_)
        | ConnectionState::Closed => Ok(Step::Rest),
        // Data is read in `process` only.
        _ => Err(TlsError::NotReady),
    }
}

/// What rustls says when a buffer is too small, and what else may be wrong.
trait TooSmall {
    fn required(&self) -> Option<usize>;
}

impl TooSmall for EncodeError {
    fn required(&self) -> Option<usize> {
        match self {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Some(*required_size)
            }
            EncodeError::AlreadyEncoded => None,
        }
    }
}

impl TooSmall for EncryptError {
    fn required(&self) -> Option<usize> {
        match self {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Some(*required_size)
            }
            EncryptError::EncryptExhausted => None,
        }
    }
}

/// Lets `encode` write behind what `outgoing` holds, with as much room as it asks for.
fn append<E: TooSmall>(
    outgoing: &mut Vec<u8>,
    room: usize,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), TlsError> {
    let start = outgoing.len();
    let mut room = room;
    loop {
        outgoing.resize(start + room, 0);
        match encode(outgoing.get_mut(start..).unwrap_or_default()) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(error) => match error.required() {
                Some(required) if required > room => room = required,
                _ => {
                    outgoing.truncate(start);
                    return Err(TlsError::NotReady);
                }
            },
        }
    }
}
