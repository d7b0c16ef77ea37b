//! One socket with or without TLS. An idle connection holds no buffers: when it is ready it is read into a buffer that all
//! share; what cannot be sent at once is kept, encrypted, until the socket takes it.
mod close;
mod pause;
mod send;

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::net::{IpAddr, TcpStream};
use std::rc::Rc;

use super::census::Admission;
use super::inbox::{Arrival, Rest};
use super::pace::Pace;
use super::poll::Ready;
use super::shell::Shell;
use super::tls::{Identity, Received, TlsError, TlsSession};
use crate::state::ConnectionId;
use crate::xmpp::quoted_error;

/// Bytes taken from a socket at once.
pub const READ_BYTES_MAX: usize = 16 << 10;
/// Reads in a row that brought nothing to step; then others have their turn.
const EMPTY_READS_MAX: usize = 4;

pub struct Connection {
    pub id: ConnectionId,
    socket: TcpStream,
    /// `None`: plain text so far.
    tls: RefCell<Option<Box<TlsSession>>>,
    phase: Cell<Phase>,
    /// The socket may have more to read.
    readable: Cell<bool>,
    /// The peer will send no more: once everything is read, the end is.
    ending: Cell<bool>,
    /// The end came with no word of goodbye.
    is_cut: Cell<bool>,
    /// Chunks of this connection that have not been stepped yet.
    chunks_wait: Cell<u8>,
    /// It reads on when there is room for its chunk.
    is_hungry: Cell<bool>,
    /// It reads on when its turn comes.
    is_in_line: Cell<bool>,
    /// It is not read for a while.
    is_resting: Cell<bool>,
    asks: Cell<bool>,
    /// Whoever is there has a session.
    is_member: Cell<bool>,
    pub pace: Pace,
    drained_wanted: Cell<bool>,
    /// The reactor tells when the socket takes more. Most never fill theirs.
    is_writing_watched: Cell<bool>,
    unsent: RefCell<Option<Box<Unsent>>>,
    admission: Admission,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// `Arrival::Closed` was pushed.
    Over,
    /// Nothing more is read; what is unsent leaves.
    Flushing,
    /// Everything is sent; the peer may still be reading it. So many bytes of its own were thrown away.
    Lingering(usize),
    Gone,
}

/// Bytes for the socket, as they go over the wire.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    start: usize,
    /// When it was last told that the peer takes something.
    alive_ms: u64,
    /// So much of it may be what the peer asked for itself: that counts towards no limit.
    asked_for: usize,
    /// What is left of a chunk of the peer's, who has to take what waits for it first.
    parked: Option<Rest>,
    /// Others who send to it are slowed down.
    is_congested: bool,
    /// What TLS itself has to say to a client whose words came with it: it leaves together with the answer.
    flight: Vec<u8>,
}

impl Unsent {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// What it takes in memory.
    fn size(&self) -> usize {
        let parked = self.parked.as_ref().map_or(0, |rest| rest.bytes.len() + 1);
        self.bytes.capacity() + self.flight.capacity() + parked
    }
}

/// What TLS holds of input that is not whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holds {
    pub leftover_bytes: usize,
    /// One, while rustls leads the connection.
    pub handshakes: usize,
}

impl Holds {
    pub fn of(session: &TlsSession) -> Holds {
        Holds {
            leftover_bytes: session.leftover_bytes(),
            handshakes: usize::from(session.is_led()),
        }
    }
}

/// The send queue is over its limit.
#[derive(Debug)]
pub struct Overflow;

enum Reading {
    /// The socket has nothing.
    Nothing,
    /// Only the handshake went on.
    Progress,
    Chunk,
    End,
}

impl Connection {
    pub fn new(
        id: ConnectionId,
        socket: TcpStream,
        tls: Option<Box<TlsSession>>,
        admission: Admission,
    ) -> Connection {
        Connection {
            id,
            socket,
            tls: RefCell::new(tls),
            phase: Cell::new(Phase::Open),
            readable: Cell::new(false),
            ending: Cell::new(false),
            is_cut: Cell::new(false),
            chunks_wait: Cell::new(0),
            is_hungry: Cell::new(false),
            is_in_line: Cell::new(false),
            is_resting: Cell::new(false),
            asks: Cell::new(false),
            is_member: Cell::new(false),
            pace: Pace::default(),
            drained_wanted: Cell::new(false),
            is_writing_watched: Cell::new(false),
            unsent: RefCell::default(),
            admission,
        }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub fn address(&self) -> IpAddr {
        self.admission.address()
    }

    pub fn unsent_bytes(&self) -> usize {
        let unsent = self.unsent.borrow();
        unsent.as_ref().map_or(0, |unsent| unsent.waiting().len())
    }

    pub fn is_plain(&self) -> bool {
        self.tls.borrow().is_none()
    }

    pub fn is_in_handshake(&self) -> bool {
        self.holds().handshakes > 0
    }

    /// Bytes of an unfinished record.
    pub fn leftover_bytes(&self) -> usize {
        self.holds().leftover_bytes
    }

    fn holds(&self) -> Holds {
        let tls = self.tls.borrow();
        tls.as_ref().map_or(Holds::default(), |tls| Holds::of(tls))
    }

    /// Neither side has ended it yet.
    pub fn is_open(&self) -> bool {
        matches!(self.phase.get(), Phase::Open | Phase::Over)
    }

    pub fn is_member(&self) -> bool {
        self.is_member.get()
    }

    pub fn logged_in(&self) {
        self.is_member.set(true);
        self.admission.logged_in();
    }

    /// There is more to step than a chunk that waits.
    pub fn chunk_waits(&self) {
        self.chunks_wait.set(self.chunks_wait.get() + 1);
    }

    /// A chunk that waited was stepped: `read_on` may follow.
    pub fn chunk_done(&self) {
        self.chunks_wait
            .set(self.chunks_wait.get().saturating_sub(1));
    }

    /// Everything from now on is TLS.
    pub fn start_tls(&self, shell: &Shell, identity: Rc<Identity>) {
        match TlsSession::new(identity, false) {
            Ok(session) => {
                shell.holds(Holds::default(), Holds::of(&session));
                *self.tls.borrow_mut() = Some(Box::new(session));
            }
            Err(error) => {
                log::error!(
                    "tls.failed connection={} error={}",
                    self.id.0,
                    quoted_error(&error)
                );
                self.end(shell);
            }
        }
    }

    /// What is sent next is what the peer asked for: a large answer is no reason to end it.
    pub fn asks(&self) {
        self.asks.set(true);
    }

    /// Sends plaintext; all that the socket does not take at once is kept.
    pub fn send(&self, shell: &Shell, plaintext: &[u8]) -> Result<(), Overflow> {
        self.send_plaintext(shell, plaintext)?;
        if self.asks.take() && self.unsent_bytes() > 0 {
            self.with_unsent(shell, |unsent| unsent.asked_for = unsent.waiting().len());
        }
        Ok(())
    }

    fn send_plaintext(&self, shell: &Shell, plaintext: &[u8]) -> Result<(), Overflow> {
        let mut scratch = shell.outgoing.borrow_mut();
        scratch.clear();
        self.take_flight(shell, &mut scratch);
        match self.tls.borrow_mut().as_mut() {
            None => return self.transmit(shell, plaintext),
            Some(session) => {
                if let Err(error) = session.seal(plaintext, &mut scratch) {
                    // What a stream says before its TLS is up, or after it failed, cannot be told.
                    log::debug!(
                        "tls.unsent connection={} error={}",
                        self.id.0,
                        quoted_error(&error)
                    );
                    return Ok(());
                }
            }
        }
        self.transmit(shell, &scratch)
    }

    /// Sends what waited for an answer that did not come at once.
    pub fn send_flight(&self, shell: &Shell) {
        let mut scratch = shell.outgoing.borrow_mut();
        scratch.clear();
        self.take_flight(shell, &mut scratch);
        if !scratch.is_empty() && self.transmit(shell, &scratch).is_err() {
            self.end(shell);
        }
    }

    /// Sends what TLS has to say after what it said earlier: records are counted.
    fn transmit_behind_flight(
        &self,
        shell: &Shell,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), Overflow> {
        let mut wire = Vec::new();
        self.take_flight(shell, &mut wire);
        match wire.is_empty() {
            true => self.transmit(shell, outgoing),
            false => {
                wire.append(outgoing);
                self.transmit(shell, &wire)
            }
        }
    }

    fn take_flight(&self, shell: &Shell, outgoing: &mut Vec<u8>) {
        let is_some = self.unsent.borrow().is_some();
        if is_some {
            self.with_unsent(shell, |unsent| {
                outgoing.append(&mut std::mem::take(&mut unsent.flight));
            });
        }
    }

    /// Reports `Arrival::Drained` once nothing is unsent.
    pub fn report_drained(&self, shell: &Shell) {
        if self.unsent_bytes() == 0 {
            let connection = self.id;
            shell.inbox.push(Arrival::Drained { connection });
        } else {
            self.drained_wanted.set(true);
        }
    }

    /// The socket says so.
    pub fn is_ready(self: &Rc<Connection>, shell: &Rc<Shell>, ready: Ready) {
        if ready.to_write {
            self.send_unsent(shell);
        }
        self.ending.set(self.ending.get() || ready.is_over);
        if ready.to_read {
            self.readable.set(true);
            self.read_on(shell);
        }
    }

    /// Reads what there is: at once, a stranger when its turn comes.
    pub fn read_on(self: &Rc<Connection>, shell: &Rc<Shell>) {
        match self.is_member() || !self.is_open() {
            true => self.read_now(shell),
            false if self.may_read() => self.stand_in_line(shell),
            false => {}
        }
    }

    fn may_read(&self) -> bool {
        self.readable.get() && self.chunks_wait.get() == 0 && !self.is_resting.get()
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
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
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
        let result = match self.tls.borrow_mut().as_mut() {
            Some(session) => {
                let before = Holds::of(session);
                let result = session.receive(received, &mut outgoing, &mut plaintext);
                shell.holds(before, Holds::of(session));
                result
            }
            None => return Reading::End,
        };
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

    fn arrived(&self, shell: &Shell, arrival: Arrival) {
        match self.is_member() {
            true => shell.inbox.push(arrival),
            false => shell.inbox.push_of_stranger(arrival),
        }
    }

    /// The peer is gone: told once.
    fn end(&self, shell: &Shell) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Over);
            let connection = self.id;
            self.arrived(shell, Arrival::Closed { connection });
        }
    }
}

/// The driver sends the flight behind the answers of its batch, so that both leave as one.
fn answer_follows(outcome: &Received, plaintext: &[u8]) -> bool {
    let early = outcome.secured.as_ref().is_some_and(|facts| facts.early);
    let is_end = outcome.secured.is_some() || outcome.handshake_done;
    early || is_end && !plaintext.is_empty()
}
