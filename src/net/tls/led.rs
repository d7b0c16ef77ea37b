//! A connection while rustls leads it: the handshake, early data, and all of TLS 1.2.
mod outgoing;

use std::rc::Rc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus, WriteTraffic};

use super::finished::{self, Finished, UNIQUE_BYTES};
use super::records::{Records, Secrets};
use super::{HEADER_BYTES, Identity, RECORD_BYTES_MAX, Received, State, TlsError, binding};
use crate::stream::TlsFacts;
use crate::xmpp::quoted_error;
use outgoing::{Step, append, outgoing_step};

/// Ciphertext that `seal` adds to a record at most: header, explicit nonce, tag, content type, with room to spare.
const RECORD_OVERHEAD: usize = 64;
/// The longest Finished of TLS 1.3 (RFC 8446 §4.4.4): SHA-384.
const FINISHED_MAX: usize = 4 + 48;
/// What a sealed record adds: header, content type, tag.
const RECORD_AROUND: usize = HEADER_BYTES + 1 + 16;

pub struct Led {
    connection: UnbufferedServerConnection,
    identity: Rc<Identity>,
    /// The facts are told and application data may be sent; `Early`: before the handshake is complete.
    told: Told,
    exporter: Option<[u8; 32]>,
    /// RFC 7627: what this handshake makes is of no other.
    extended: bool,
    first_finished: Option<[u8; UNIQUE_BYTES]>,
    last_finished: Option<Finished>,
    secrets: Secrets,
    server_name: Option<Box<str>>,
    /// How much of what was left over are whole records that rustls has seen.
    shown: usize,
    failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Early,
    All,
}

impl Led {
    pub fn new(identity: Rc<Identity>, direct: bool) -> Result<Led, TlsError> {
        Ok(Led {
            connection: UnbufferedServerConnection::new(identity.server_config(direct))?,
            identity,
            told: Told::Nothing,
            exporter: None,
            extended: false,
            first_finished: None,
            last_finished: None,
            secrets: Secrets::default(),
            server_name: None,
            shown: 0,
            failed: false,
        })
    }

    /// The handshake is complete, and so is everything that had to be said about it.
    pub fn is_done(&self) -> bool {
        self.told == Told::All
    }

    /// TLS 1.2 stays as it is.
    pub fn into_records(self: Box<Led>) -> State {
        if self.connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return State::Led(self);
        }
        let Led {
            connection,
            secrets,
            ..
        } = *self;
        match connection.dangerous_into_kernel_connection() {
            Ok((extracted, _)) => match Records::new(&extracted, &secrets) {
                Some(records) => State::Records(records),
                None => {
                    log::error!("tls.kept keys=other");
                    State::Failed
                }
            },
            Err(error) => {
                log::error!("tls.kept error={}", quoted_error(&error));
                State::Failed
            }
        }
    }

    pub fn seal(
        &mut self,
        plaintext: &[u8],
        leftover: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        let records = plaintext.len() / RECORD_BYTES_MAX + 2;
        let room = plaintext.len() + records * RECORD_OVERHEAD;
        self.write(leftover, outgoing, |traffic, outgoing| {
            append(outgoing, room, |buffer| traffic.encrypt(plaintext, buffer))
        })
    }

    pub fn close(
        &mut self,
        leftover: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        self.write(leftover, outgoing, |traffic, outgoing| {
            append(outgoing, RECORD_OVERHEAD, |buffer| {
                traffic.queue_close_notify(buffer)
            })
        })
    }

    /// Lets rustls work on `bytes` until it wants more: after our part of the handshake record by record, for what comes behind
    /// the end of a TLS 1.3 handshake is not for it. Tells how many bytes were used, also when it failed.
    pub fn process(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
    ) -> (usize, Result<(), TlsError>) {
        let mut used = 0;
        let mut shown = self.shown;
        // Before our part the peer's last word cannot be there.
        let is_first = self.connection.protocol_version().is_none();
        let mut records = if is_first { usize::MAX } else { 1 };
        let mut unmoved = 0;
        let result = loop {
            let next = records_end(bytes, shown, records);
            // Of a record that is not all there, the header can be judged.
            let until = next.unwrap_or(bytes.len());
            let (before, seen) = (used, shown);
            let result = self.go_on(bytes, until, &mut used, outgoing, plaintext, outcome);
            match (result, next) {
                (Ok(()), Some(next)) => shown = next,
                (result, _) => break result,
            }
            if self.is_complete() {
                break Ok(());
            }
            // Early data that was refused stays where it is, and is counted anew with every look at it. So does a piece of the
            // peer's last word, and what comes behind the rest of that must not be shown.
            unmoved = match used == before {
                true => unmoved + (shown - seen).saturating_sub(RECORD_AROUND),
                false => 0,
            };
            records = match unmoved < FINISHED_MAX {
                true => 1,
                false => records.saturating_mul(2),
            };
        };
        if outcome.peer_closed {
            // Whatever comes after the end is ignored (RFC 5246 §7.2.1).
            (used, shown) = (bytes.len(), bytes.len());
        }
        self.shown = shown.saturating_sub(used);
        match result {
            Ok(()) => self.note_end(outcome),
            Err(_) => self.take_alert(outgoing),
        }
        (used, result)
    }

    /// Lets rustls work on what lies between what is used and `until`.
    fn go_on(
        &mut self,
        bytes: &mut [u8],
        until: usize,
        used: &mut usize,
        outgoing: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        outcome: &mut Received,
    ) -> Result<(), TlsError> {
        loop {
            let rest = bytes.get_mut(*used..until).unwrap_or_default();
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
                // It had looked at everything before it asked for that.
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    Ok(match self.connection.is_handshaking() {
                        true => Step::Rest,
                        false => Step::GoOn,
                    })
                }
                Ok(state) => outgoing_step(state, outgoing),
                Err(error) => Err(error.into()),
            };
            *used += discard;
            self.note_handshake();
            if outcome.early_bytes > 0 {
                outcome.secured = self.early_facts().or(outcome.secured.take());
            }
            if let Step::Rest = step? {
                return Ok(());
            }
        }
    }

    /// Nothing of TLS 1.3 is left to be done but records.
    fn is_complete(&self) -> bool {
        let version = self.connection.protocol_version();
        version == Some(rustls::ProtocolVersion::TLSv1_3) && !self.connection.is_handshaking()
    }

    /// Goes on until rustls takes application data, then lets `write` hand it some.
    fn write(
        &mut self,
        leftover: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
        write: impl FnOnce(
            &mut WriteTraffic<'_, ServerConnectionData>,
            &mut Vec<u8>,
        ) -> Result<(), TlsError>,
    ) -> Result<(), TlsError> {
        if self.failed || self.told == Told::Nothing {
            return Err(TlsError::NotReady);
        }
        loop {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(leftover);
            let step = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return write(&mut traffic, outgoing);
                }
                Ok(state) => outgoing_step(state, outgoing),
                Err(error) => Err(error.into()),
            };
            leftover.drain(..discard.min(leftover.len()));
            self.shown = self.shown.saturating_sub(discard);
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
        if self.told == Told::All {
            return;
        }
        let seen = self.identity.observed.take();
        let finished = finished::take();
        self.extended |= finished.extended;
        self.first_finished = self.first_finished.or(finished.first);
        self.last_finished = finished.last.or(self.last_finished);
        self.server_name = seen.server_name.or(self.server_name.take());
        self.secrets.client = seen.client_secret.or(self.secrets.client.take());
        self.secrets.server = seen.server_secret.or(self.secrets.server.take());
        if let (Some(secret), Some(suite)) = (
            seen.exporter_secret,
            self.connection.negotiated_cipher_suite(),
        ) {
            self.exporter = binding::exporter(&secret, suite);
        }
    }

    /// Once, when early data was taken.
    fn early_facts(&mut self) -> Option<TlsFacts> {
        if self.told != Told::Nothing {
            return None;
        }
        self.told = Told::Early;
        Some(self.facts())
    }

    /// Once, when the handshake is complete.
    fn note_end(&mut self, outcome: &mut Received) {
        if self.connection.is_handshaking() {
            return;
        }
        match std::mem::replace(&mut self.told, Told::All) {
            Told::Nothing => outcome.secured = Some(self.facts()),
            Told::Early => outcome.handshake_done = true,
            Told::All => {}
        }
    }

    fn facts(&self) -> TlsFacts {
        let version_1_3 =
            self.connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        TlsFacts {
            // RFC 9266 §4.2: in TLS 1.2 only with the extended master secret and no renegotiation; not offered.
            exporter: self.exporter.filter(|_| version_1_3),
            // Of a resumed session nobody tells whether it is extended.
            unique: self.first_finished.filter(|_| self.extended),
            finished: self
                .last_finished
                .filter(|_| version_1_3 && self.told == Told::All)
                .map(|finished| finished.octets().into()),
            end_point: self.identity.end_point.clone(),
            server_name: self.server_name.clone(),
            version_1_3,
            early: self.told == Told::Early,
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

/// Where so many records at most end, the first of which begins at `start`; `None`: not even that is all there yet.
fn records_end(bytes: &[u8], start: usize, most: usize) -> Option<usize> {
    let mut end = None;
    for _ in 0..most {
        match record_end(bytes, end.unwrap_or(start)) {
            Some(next) => end = Some(next),
            None => break,
        }
    }
    end
}

/// Where the record that begins at `start` ends; `None`: it is not all there yet.
fn record_end(bytes: &[u8], start: usize) -> Option<usize> {
    let [_, _, _, high, low] = *bytes.get(start..)?.first_chunk()?;
    let end = start + HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
    (end <= bytes.len()).then_some(end)
}
