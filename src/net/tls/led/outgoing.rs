//! What rustls writes, behind what is to be sent: with as much room as it asks for.
use rustls::server::ServerConnectionData;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError};

use super::super::TlsError;

/// Room for whatever the handshake sends in one piece; more is made when rustls asks for it.
const HANDSHAKE_CHUNK: usize = 2048;

pub enum Step {
    GoOn,
    /// Nothing more to do without more bytes.
    Rest,
}

/// The states in which rustls wants something sent, or nothing at all.
pub fn outgoing_step(
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
pub trait TooSmall {
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
pub fn append<E: TooSmall>(
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
