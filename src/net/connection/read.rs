//! Reading: a chunk at a time, strangers when their turn comes, and nobody whose last chunk was not stepped.
use std::io::{self, Read};
use std::rc::Rc;

use super::{Connection, Holds, Phase};
use crate::net::intake::inbox::Arrival;
use crate::net::shell::Shell;
use crate::net::tls::{Received, TlsError};
use crate::xmpp::quoted_error;

/// A read of so much that brings less than a quarter of it is hard work.
const WASTEFUL_BYTES_MIN: usize = 4 << 10;
/// Reads in a row that brought nothing to step; then others have their turn.
const EMPTY_READS_MAX: usize = 4;

enum Reading {
    /// The socket has nothing.
    Nothing,
    /// Only the handshake went on.
    Progress,
    Chunk,
    End,
}

impl Connection {
    /// Reads what there is: at once, a stranger when its turn comes.
    pub fn read_on(self: &Rc<Connection>, shell: &Rc<Shell>) {
        let is_at_once = self.is_member() && !self.is_wasteful.get();
        match is_at_once || !self.is_open() {
            true => self.read_now(shell),
            false if self.may_read() => self.stand_in_line(shell),
            false => {}
        }
    }

    fn may_read(&self) -> bool {
        self.readable.get() && self.chunks_wait.get() == 0 && self.rests_until_ms.get() == 0
    }

    fn stand_in_line(self: &Rc<Connection>, shell: &Shell) {
        if !self.is_in_line.replace(true) {
            shell.line.push(Rc::clone(self));
        }
    }

    /// Its turn has come.
    pub fn take_turn(self: &Rc<Connection>, shell: &Rc<Shell>) {
        self.is_in_line.set(false);
        self.read_now(shell);
    }

    /// Reads until a chunk waits to be stepped, there is no room for one, or the socket is empty.
    fn read_now(self: &Rc<Connection>, shell: &Rc<Shell>) {
        let mut empty_reads = 0;
        while self.may_read() {
            match self.phase.get() {
                Phase::Open if !shell.inbox.has_room(self) => {
                    if !self.is_hungry.replace(true) {
                        shell.inbox.wait_for_room(Rc::clone(self));
                    }
                    return;
                }
                Phase::Open if empty_reads >= EMPTY_READS_MAX => {
                    return self.stand_in_line(shell);
                }
                Phase::Open => match self.read_once(shell) {
                    Reading::Nothing | Reading::Chunk => return,
                    Reading::Progress => empty_reads += 1,
                    Reading::End => return self.end(shell),
                },
                Phase::Lingering(discarded) => return self.discard(shell, discarded),
                Phase::Over | Phase::Flushing | Phase::Gone => return,
            }
        }
    }

    /// Its first bytes are here already.
    pub fn begin(self: &Rc<Connection>, shell: &Rc<Shell>) {
        self.readable.set(true);
        self.read_on(shell);
    }

    /// There is room for its chunk.
    pub fn fed(self: &Rc<Connection>, shell: &Rc<Shell>) {
        self.is_hungry.set(false);
        self.read_on(shell);
    }

    /// One read, of as much as fits. Edges tell of what comes later, so that a read that left room need not be repeated.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.socket).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) => {
                    let is_empty = count < buffer.len() && !self.ending.get();
                    self.readable.set(!is_empty);
                    return Ok(count);
                }
                Err(error) => {
                    self.readable.set(false);
                    return Err(error);
                }
            }
        }
    }

    fn read_once(&self, shell: &Shell) -> Reading {
        let mut incoming = shell.incoming.borrow_mut();
        let count = match self.read(&mut incoming) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Reading::Nothing,
            Ok(_) | Err(_) => {
                self.is_cut.set(true);
                return Reading::End;
            }
        };
        let received = incoming.get_mut(..count).unwrap_or_default();
        if self.is_plain() {
            return self.push_chunk(shell, received);
        }
        self.read_tls(shell, received)
    }

    fn read_tls(&self, shell: &Shell, received: &mut [u8]) -> Reading {
        let mut outgoing = shell.outgoing.borrow_mut();
        let mut plaintext = shell.plaintext.borrow_mut();
        outgoing.clear();
        plaintext.clear();
        let received_bytes = received.len();
        let result = match self.tls.borrow_mut().as_mut() {
            Some(session) => {
                let before = Holds::of(session);
                let result = session.receive(received, &mut outgoing, &mut plaintext);
                shell.holds(before, Holds::of(session));
                result
            }
            None => return Reading::End,
        };
        // Small records come when little is said; many of them come to make work.
        let is_wasteful =
            received_bytes >= WASTEFUL_BYTES_MIN && plaintext.len() < received_bytes / 4;
        self.is_wasteful.set(is_wasteful);
        if result
            .as_ref()
            .is_ok_and(|outcome| answer_follows(outcome, &plaintext))
        {
            self.with_unsent(shell, |unsent| unsent.flight.append(&mut outgoing));
        }
        if !outgoing.is_empty() && self.transmit_behind_flight(shell, &mut outgoing).is_err() {
            return Reading::End;
        }
        match result {
            Ok(outcome) => self.push_received(shell, outcome, &plaintext),
            Err(error) => {
                self.log_failure(&error);
                // What came before the damage was sent by the peer and is read.
                if !plaintext.is_empty() {
                    self.push_chunk(shell, &plaintext);
                }
                Reading::End
            }
        }
    }

    fn push_received(&self, shell: &Shell, outcome: Received, plaintext: &[u8]) -> Reading {
        let connection = self.id;
        if let Some(facts) = outcome.secured {
            let facts = Box::new(facts);
            self.arrived(shell, Arrival::Secured { connection, facts });
        }
        let (early, rest) = plaintext
            .split_at_checked(outcome.early_bytes)
            .unwrap_or((plaintext, &[]));
        let mut chunk = Reading::Progress;
        if !early.is_empty() {
            chunk = self.push_chunk(shell, early);
        }
        if outcome.handshake_done {
            self.arrived(shell, Arrival::HandshakeDone { connection });
        }
        if !rest.is_empty() {
            chunk = self.push_chunk(shell, rest);
        }
        match outcome.peer_closed {
            true => Reading::End,
            false => chunk,
        }
    }

    fn log_failure(&self, error: &TlsError) {
        let address = self.address();
        log::info!(
            "tls.failed connection={} address={address} error={}",
            self.id.0,
            quoted_error(error)
        );
    }

    fn push_chunk(&self, shell: &Shell, bytes: &[u8]) -> Reading {
        self.chunk_waits();
        let bytes = Arrival::Bytes {
            connection: self.id,
            bytes: bytes.into(),
        };
        self.arrived(shell, bytes);
        Reading::Chunk
    }

    pub(super) fn arrived(&self, shell: &Shell, arrival: Arrival) {
        if !self.is_among_strangers() {
            return shell.inbox.push(arrival);
        }
        let waiting = self.arrivals_of_stranger.get();
        self.arrivals_of_stranger.set(waiting.saturating_add(1));
        shell.inbox.push_of_stranger(arrival);
    }
}

/// The driver sends the flight behind the answers of its batch, so that both leave as one.
fn answer_follows(outcome: &Received, plaintext: &[u8]) -> bool {
    let early = outcome.secured.as_ref().is_some_and(|facts| facts.early);
    let is_end = outcome.secured.is_some() || outcome.handshake_done;
    early || is_end && !plaintext.is_empty()
}
