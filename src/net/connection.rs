//! One socket with or without TLS. An idle connection holds no buffers: when it is ready it is read into a buffer that all
//! share; what cannot be sent at once is kept, encrypted, until the socket takes it.

mod close;
mod pause;
pub mod poll;
mod read;
mod send;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, TcpStream};
use std::rc::Rc;

use super::intake::census::Admission;
use super::intake::inbox::{Arrival, Rest};
use super::intake::pace::Pace;
use super::shell::Shell;
use super::tls::{Identity, TlsSession};
use crate::state::ConnectionId;
use crate::xmpp::quoted_error;
use poll::Ready;

/// Bytes taken from a socket at once.
pub const READ_BYTES_MAX: usize = 16 << 10;

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
    /// Its last read brought little but work for TLS: it waits for its turn, too.
    is_wasteful: Cell<bool>,
    /// It is not read for a while; zero: it does not rest.
    rests_until_ms: Cell<u64>,
    asks: Cell<bool>,
    /// The rest of a chunk waits for its turn: what comes behind it does, too.
    has_rest: Cell<bool>,
    /// Whoever is there has a session.
    is_member: Cell<bool>,
    /// What arrived before that and was not taken yet.
    arrivals_of_stranger: Cell<u8>,
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

    fn unasked(&self) -> usize {
        self.waiting().len().saturating_sub(self.asked_for)
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
            is_wasteful: Cell::new(false),
            rests_until_ms: Cell::new(0),
            asks: Cell::new(false),
            has_rest: Cell::new(false),
            is_member: Cell::new(false),
            arrivals_of_stranger: Cell::new(0),
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

    /// What waits for it that it did not ask for itself, at least.
    pub fn unasked_bytes(&self) -> usize {
        let unsent = self.unsent.borrow();
        unsent.as_ref().map_or(0, |unsent| unsent.unasked())
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

    /// What arrives from it waits among what strangers send: nothing overtakes what came before the login was complete.
    pub fn is_among_strangers(&self) -> bool {
        !self.is_member() || self.arrivals_of_stranger.get() > 0
    }

    /// Something that waited there was taken.
    pub fn taken_of_stranger(&self) {
        let waiting = self.arrivals_of_stranger.get();
        self.arrivals_of_stranger.set(waiting.saturating_sub(1));
    }

    pub fn logged_in(&self) {
        self.is_member.set(true);
        self.admission.logged_in();
    }

    /// There is more to step than a chunk that waits.
    pub fn chunk_waits(&self) {
        self.chunks_wait
            .set(self.chunks_wait.get().saturating_add(1));
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

    /// The peer is gone: told once.
    fn end(&self, shell: &Shell) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Over);
            let connection = self.id;
            self.arrived(shell, Arrival::Closed { connection });
        }
    }
}
