//! One socket with or without TLS. An idle connection holds no buffers: it waits for readiness and then reads into a
//! buffer that all share; what cannot be sent at once is kept, encrypted, until the socket takes it.
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use smol::future::FutureExt;

use super::census::Admission;
use super::inbox::{Arrival, Waiters};
use super::reactor::Source;
use super::shell::Shell;
use super::tls::{Identity, Received, TlsSession};
use crate::state::ConnectionId;

/// Bytes taken from a socket at once.
pub const READ_BYTES_MAX: usize = 16 << 10;
/// Time for the last bytes to leave after the stream is over.
const FLUSH_SECONDS_MAX: u64 = 5;
/// Time for the peer to close its side then. Closing with unread bytes resets the connection, and a reset may take from
/// the peer what it has not read yet.
const LINGER_SECONDS_MAX: u64 = 2;
const LINGER_BYTES_MAX: usize = 1 << 20;

pub struct Connection {
    pub id: ConnectionId,
    socket: Source<TcpStream>,
    /// `None`: plain text so far.
    tls: RefCell<Option<Box<TlsSession>>>,
    unsent: RefCell<Unsent>,
    /// Our part of the handshake of a client that sent early data: it leaves together with the answer.
    flight: RefCell<Vec<u8>>,
    /// A task waits for the socket to take more.
    sender_runs: Cell<bool>,
    sent_all: Waiters,
    /// A chunk of this connection has not been stepped yet.
    chunk_waits: Cell<bool>,
    stepped: Waiters,
    drained_wanted: Cell<bool>,
    /// `Arrival::Closed` was pushed, or the server closed the connection.
    over: Cell<bool>,
    admission: Admission,
}

/// Bytes for the socket, as they go over the wire.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    start: usize,
}

impl Unsent {
    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }
}

/// The send queue is over its limit.
#[derive(Debug)]
pub struct Overflow;

enum Reading {
    Nothing,
    Chunk,
    End,
}

impl Connection {
    pub fn new(
        id: ConnectionId,
        socket: Source<TcpStream>,
        tls: Option<Box<TlsSession>>,
        admission: Admission,
    ) -> Connection {
        Connection {
            id,
            socket,
            tls: RefCell::new(tls),
            unsent: RefCell::default(),
            flight: RefCell::default(),
            sender_runs: Cell::new(false),
            sent_all: Waiters::default(),
            chunk_waits: Cell::new(false),
            stepped: Waiters::default(),
            drained_wanted: Cell::new(false),
            over: Cell::new(false),
            admission,
        }
    }

    pub fn address(&self) -> IpAddr {
        self.admission.address()
    }

    pub fn unsent_bytes(&self) -> usize {
        self.unsent.borrow().len()
    }

    pub fn is_plain(&self) -> bool {
        self.tls.borrow().is_none()
    }

    /// The chunk that waited was stepped: read on.
    pub fn chunk_done(&self) {
        self.chunk_waits.set(false);
        self.stepped.wake();
    }

    /// Everything from now on is TLS.
    pub fn start_tls(&self, shell: &Shell, identity: Rc<Identity>) {
        match TlsSession::new(identity, false) {
            Ok(session) => *self.tls.borrow_mut() = Some(Box::new(session)),
            Err(error) => {
                log::error!("tls.failed connection={} error=\"{error}\"", self.id.0);
                self.end(shell);
            }
        }
    }

    /// Sends plaintext; all that the socket does not take at once is kept.
    pub fn send(
        self: &Rc<Connection>,
        shell: &Rc<Shell>,
        plaintext: &[u8],
    ) -> Result<(), Overflow> {
        let mut scratch = shell.outgoing.borrow_mut();
        scratch.clear();
        scratch.append(&mut self.flight.take());
        match self.tls.borrow_mut().as_mut() {
            None => return self.transmit(shell, plaintext),
            Some(session) => {
                if let Err(error) = session.seal(plaintext, &mut scratch) {
                    // What a stream says before its TLS is up, or after it failed, cannot be told.
                    log::debug!("tls.unsent connection={} error=\"{error}\"", self.id.0);
                    return Ok(());
                }
            }
        }
        self.transmit(shell, &scratch)
    }

    /// Sends what waited for an answer to early data that did not come at once.
    pub fn send_flight(self: &Rc<Connection>, shell: &Rc<Shell>) {
        let flight = self.flight.take();
        if !flight.is_empty() && self.transmit(shell, &flight).is_err() {
            self.end(shell);
        }
    }

    /// Reports `Arrival::Drained` once nothing is unsent.
    pub fn report_drained(&self, shell: &Shell) {
        if self.unsent_bytes() == 0 {
            shell.inbox.push(Arrival::Drained {
                connection: self.id,
            });
        } else {
            self.drained_wanted.set(true);
        }
    }

    /// Reads until the end; one chunk at a time goes to the inbox.
    pub async fn read(self: Rc<Connection>, shell: Rc<Shell>) {
        loop {
            self.socket.readable().await;
            shell.inbox.room().await;
            match self.read_once(&shell) {
                Reading::Nothing => {}
                Reading::Chunk => self.stepped.until(|| !self.chunk_waits.get()).await,
                Reading::End => return self.end(&shell),
            }
        }
    }

    /// Sends what is unsent (for a bounded time), then closes. Holds the connection's place until then.
    pub async fn close(self: Rc<Connection>, shell: Rc<Shell>) {
        self.over.set(true);
        {
            let mut scratch = shell.outgoing.borrow_mut();
            scratch.clear();
            let notified = match self.tls.borrow_mut().as_mut() {
                Some(session) => session.close(&mut scratch).is_ok(),
                None => false,
            };
            if notified && self.transmit(&shell, &scratch).is_err() {
                return;
            }
        }
        let sent = async {
            self.sent_all.until(|| self.unsent_bytes() == 0).await;
            true
        };
        let late = async {
            shell
                .reactor
                .sleep(Duration::from_secs(FLUSH_SECONDS_MAX))
                .await;
            false
        };
        if sent.or(late).await && self.socket.get_ref().shutdown(Shutdown::Write).is_ok() {
            let late = async {
                shell
                    .reactor
                    .sleep(Duration::from_secs(LINGER_SECONDS_MAX))
                    .await;
            };
            self.discard_rest(&shell).or(late).await;
        }
        // A sender task that still waits must not keep the socket.
        self.abandon();
    }

    /// Nothing more can be sent: whatever waits is given up.
    pub fn abandon(&self) {
        self.over.set(true);
        *self.unsent.borrow_mut() = Unsent::default();
        let _already_gone = self.socket.get_ref().shutdown(Shutdown::Both);
        self.sent_all.wake();
    }

    async fn discard_rest(&self, shell: &Shell) {
        let mut discarded = 0;
        while discarded < LINGER_BYTES_MAX {
            self.socket.readable().await;
            let mut scratch = shell.incoming.borrow_mut();
            match self.socket.read(&mut scratch) {
                Ok(0) => return,
                Ok(count) => discarded += count,
                Err(error) if is_temporary(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn read_once(self: &Rc<Connection>, shell: &Rc<Shell>) -> Reading {
        let mut incoming = shell.incoming.borrow_mut();
        let count = match self.socket.read(&mut incoming) {
            Ok(0) => return Reading::End,
            Ok(count) => count,
            Err(error) if is_temporary(&error) => return Reading::Nothing,
            Err(_) => return Reading::End,
        };
        let received = incoming.get_mut(..count).unwrap_or_default();
        if self.is_plain() {
            return self.push_chunk(shell, received);
        }
        self.read_tls(shell, received)
    }

    fn read_tls(self: &Rc<Connection>, shell: &Rc<Shell>, received: &mut [u8]) -> Reading {
        let mut outgoing = shell.outgoing.borrow_mut();
        let mut plaintext = shell.plaintext.borrow_mut();
        outgoing.clear();
        plaintext.clear();
        let result = match self.tls.borrow_mut().as_mut() {
            Some(session) => session.receive(received, &mut outgoing, &mut plaintext),
            None => return Reading::End,
        };
        let connection = self.id;
        let early = |outcome: &Received| outcome.secured.as_ref().is_some_and(|facts| facts.early);
        if result.as_ref().is_ok_and(early) {
            self.flight.borrow_mut().append(&mut outgoing);
        }
        if !outgoing.is_empty() && self.transmit(shell, &outgoing).is_err() {
            return Reading::End;
        }
        match result {
            Ok(outcome) => {
                if let Some(facts) = outcome.secured {
                    let facts = Box::new(facts);
                    shell.inbox.push(Arrival::Secured { connection, facts });
                }
                let (early, rest) = plaintext
                    .split_at_checked(outcome.early_bytes)
                    .unwrap_or((&plaintext, &[]));
                let mut chunk = Reading::Nothing;
                if !early.is_empty() {
                    chunk = self.push_chunk(shell, early);
                }
                if outcome.handshake_done {
                    shell.inbox.push(Arrival::HandshakeDone { connection });
                }
                if !rest.is_empty() {
                    chunk = self.push_chunk(shell, rest);
                }
                match outcome.peer_closed {
                    true => Reading::End,
                    false => chunk,
                }
            }
            Err(error) => {
                let address = self.address();
                log::info!(
                    "tls.failed connection={} address={address} error=\"{error}\"",
                    self.id.0
                );
                // What came before the damage was sent by the peer and is read.
                if !plaintext.is_empty() {
                    self.push_chunk(shell, &plaintext);
                }
                Reading::End
            }
        }
    }

    fn push_chunk(&self, shell: &Shell, bytes: &[u8]) -> Reading {
        self.chunk_waits.set(true);
        shell.inbox.push(Arrival::Bytes {
            connection: self.id,
            bytes: bytes.into(),
        });
        Reading::Chunk
    }

    /// The peer is gone: told once.
    fn end(&self, shell: &Shell) {
        if !self.over.replace(true) {
            shell.inbox.push(Arrival::Closed {
                connection: self.id,
            });
        }
    }

    /// Hands bytes to the socket, in order; the rest is sent by a task when the socket takes it.
    fn transmit(
        self: &Rc<Connection>,
        shell: &Rc<Shell>,
        mut bytes: &[u8],
    ) -> Result<(), Overflow> {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.len() == 0 {
            match self.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(_) => {
                    drop(unsent);
                    self.end(shell);
                    return Ok(());
                }
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if unsent.len() + bytes.len() > shell.send_queue_bytes_max {
            return Err(Overflow);
        }
        if unsent.start > unsent.bytes.len() / 2 {
            let start = std::mem::take(&mut unsent.start);
            unsent.bytes.drain(..start);
        }
        unsent.bytes.extend_from_slice(bytes);
        drop(unsent);
        if !self.sender_runs.replace(true) {
            let sender = Rc::clone(self).send_unsent(Rc::clone(shell));
            shell.executor.spawn(sender).detach();
        }
        Ok(())
    }

    async fn send_unsent(self: Rc<Connection>, shell: Rc<Shell>) {
        loop {
            self.socket.writable().await;
            let mut unsent = self.unsent.borrow_mut();
            let waiting = unsent.bytes.get(unsent.start..).unwrap_or_default();
            let written = self.write(waiting);
            match written {
                Ok(count) if count < waiting.len() => unsent.start += count,
                result => {
                    *unsent = Unsent::default();
                    self.sender_runs.set(false);
                    drop(unsent);
                    self.sent_all.wake();
                    match result {
                        Ok(_) if self.drained_wanted.replace(false) => self.report_drained(&shell),
                        Ok(_) => {}
                        Err(_) => self.end(&shell),
                    }
                    return;
                }
            }
        }
    }

    /// Writes as much as the socket takes now.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
