//! What one step wants done: bytes to connections and other effects, in order. What tells of something is performed only when
//! that is durable.
pub mod effects;
pub mod written;

use std::net::IpAddr;
use std::ops::Range;

use crate::store::Epoch;
use crate::stream::{Credentials, Framing, ScramHash};
use crate::xml;

use super::Written;

/// Room kept from one batch to the next.
const BYTES_KEPT: usize = 32 << 10;
const PLACES_KEPT: usize = 256;

/// A connection, for the life of the process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Work that takes long, done on a worker thread; its result comes back as `Input::Hashed` with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// PBKDF2 work (RFC 5802 §2.2).
#[derive(Clone, Debug)]
pub enum HashJob {
    /// Keys of one hash for comparison (PLAIN).
    Compare {
        password: Box<str>,
        hash: ScramHash,
        salt: [u8; 16],
        iterations: u32,
    },
    /// All three hashes of a new password.
    New {
        password: Box<str>,
        salt: [u8; 16],
        iterations: u32,
    },
}

/// Who waits for it: some come first, the others take turns. Accounts are digests of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applicant {
    Operator,
    Member { account: u64 },
    Stranger { address: IpAddr, account: u64 },
}

/// Where bytes are sent, and how they follow each other there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    pub connection: ConnectionId,
    pub framing: Framing,
}

/// What the bytes of one `Output::Send` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of a stream of bytes, which may be cut and joined anywhere.
    OfStream,
    /// The beginning of an element whose rest is in what the same connection is sent next.
    Beginning,
    /// An element, or all that is left of one.
    Element,
}

#[derive(Debug)]
pub enum Output {
    /// Send these bytes of the outbox's buffer.
    Send {
        connection: ConnectionId,
        bytes: Range<usize>,
        piece: Piece,
    },
    /// Start the TLS handshake as server after what was sent before.
    StartTls { connection: ConnectionId },
    /// Report `Input::Drained` once everything sent so far is handed to the operating system.
    ReportDrained { connection: ConnectionId },
    /// Whoever is connected there has a session now: a member, no stranger.
    LoggedIn { connection: ConnectionId },
    /// Close after everything sent before is out (bounded in time by the shell).
    Close { connection: ConnectionId },
    /// Boxed: it is rare, and outputs are many.
    Hash {
        job: JobId,
        work: Box<HashJob>,
        applicant: Box<Applicant>,
    },
    /// Nobody waits for its result any more.
    Cancel { job: JobId },
    /// Answer to an operator's command: exit code and text.
    CommandDone { job: JobId, code: u8, text: String },
    /// Nothing more will come: end the process once all is sent.
    Exit,
}

impl Output {
    /// Whom it concerns.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Output::Send { connection, .. }
            | Output::StartTls { connection }
            | Output::ReportDrained { connection }
            | Output::LoggedIn { connection }
            | Output::Close { connection } => Some(*connection),
            Output::Hash { .. }
            | Output::Cancel { .. }
            | Output::CommandDone { .. }
            | Output::Exit => None,
        }
    }
}

/// Collects outputs; bytes of a whole batch lie in one buffer so that a fan-out shares its payload.
#[derive(Debug, Default)]
pub struct Outbox {
    pub bytes: Vec<u8>,
    pub outputs: Vec<Output>,
    /// The commit that has to be durable before an output is performed; those beyond the end wait for none.
    pub until: Vec<Epoch>,
    /// Where the outputs of this step begin.
    step: usize,
    /// Bytes to be sent, counted once for each who gets them.
    pub queued_bytes: usize,
    /// Stanzas that were taken from peers.
    pub stanzas: usize,
    /// How full the fullest queue is, in sixteenths, of those that were given something by somebody else and did not
    /// acknowledge much. The shell takes it, and reads whoever it was more slowly.
    pub pressure: u64,
    /// Connections whose input was not taken whole, and how many bytes of the end of what they were given come again as
    /// an input of their own: with as many, or with none, there may be more to do.
    pub unfinished: Vec<(ConnectionId, usize)>,
}

impl Outbox {
    /// Writes with `write` and sends what it wrote.
    pub fn send(&mut self, wire: Wire, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.send_range(wire, start..self.bytes.len());
    }

    /// Sends bytes that are in the buffer already: whole elements, one or more. On a stream of bytes a second send right
    /// behind the first is joined with it.
    pub fn send_range(&mut self, wire: Wire, range: Range<usize>) {
        match wire.framing {
            Framing::Bytes => self.send_bytes(wire.connection, range),
            Framing::Messages => self.send_elements(wire.connection, range),
        }
    }

    fn send_bytes(&mut self, connection: ConnectionId, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.queued_bytes += range.len();
        if self.outputs.len() > self.step
            && let Some(Output::Send {
                connection: last,
                bytes,
                piece: Piece::OfStream,
            }) = self.outputs.last_mut()
            && *last == connection
            && bytes.end == range.start
        {
            bytes.end = range.end;
            return;
        }
        self.outputs.push(Output::Send {
            connection,
            bytes: range,
            piece: Piece::OfStream,
        });
    }

    /// One by one, however many were written at once.
    fn send_elements(&mut self, connection: ConnectionId, mut range: Range<usize>) {
        while !range.is_empty() {
            let rest = self.bytes.get(range.clone()).unwrap_or_default();
            let length = xml::first_element(rest);
            let (start, end) = (range.start, range.start + length);
            self.send_piece(connection, start..end, Piece::Element);
            range.start = end;
        }
    }

    fn send_piece(&mut self, connection: ConnectionId, bytes: Range<usize>, piece: Piece) {
        self.queued_bytes += bytes.len();
        self.outputs.push(Output::Send {
            connection,
            bytes,
            piece,
        });
    }

    /// Sends a stanza that is in the buffer already.
    pub fn send_written(&mut self, wire: Wire, stanza: &Written<'_>) {
        let (head, body) = (stanza.head.clone(), stanza.body());
        match (wire.framing, body) {
            (_, None) => self.send_range(wire, head),
            (Framing::Bytes, Some(body)) => {
                self.send_bytes(wire.connection, head);
                self.send_bytes(wire.connection, body);
            }
            (Framing::Messages, Some(body)) => {
                if !head.is_empty() {
                    self.send_piece(wire.connection, head, Piece::Beginning);
                }
                self.send_piece(wire.connection, body, Piece::Element);
            }
        }
    }

    /// A step begins: what it sends is told apart from what was sent before.
    pub fn begin_step(&mut self) {
        self.step = self.outputs.len();
    }

    /// A step has ended of which nobody waits for anything; its first bytes may go with the last of the step before.
    pub fn join_step(&mut self) {
        let at = self.step;
        if at == 0 || self.outputs.len() != at + 1 || self.until.len() >= at {
            return;
        }
        if let [
            ..,
            Output::Send {
                connection: before,
                bytes,
                piece: Piece::OfStream,
            },
            Output::Send {
                connection,
                bytes: more,
                piece: Piece::OfStream,
            },
        ] = self.outputs.as_mut_slice()
            && before == connection
            && bytes.end == more.start
        {
            bytes.end = more.end;
            self.outputs.pop();
        }
    }

    /// Outputs of this step wait, each for the commit that `until` tells.
    pub fn hold_step(&mut self, mut until: impl FnMut(&Output) -> Epoch) {
        self.until.resize(self.step, Epoch::default());
        let of_step = self.outputs.get(self.step..).unwrap_or_default();
        self.until.extend(of_step.iter().map(&mut until));
    }

    pub fn push(&mut self, output: Output) {
        self.outputs.push(output);
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.outputs.clear();
        self.until.clear();
        self.step = 0;
        (self.queued_bytes, self.stanzas, self.pressure) = (0, 0, 0);
        self.unfinished.clear();
    }

    /// Empties it, and gives back what a large batch made grow.
    pub fn settle(&mut self) {
        self.clear();
        self.bytes.shrink_to(BYTES_KEPT);
        self.outputs.shrink_to(PLACES_KEPT);
        self.until.shrink_to(PLACES_KEPT);
    }
}

/// The result of a `HashJob`.
#[derive(Clone, Debug)]
pub enum Hashed {
    Compare(crate::stream::ScramKeys),
    New(Credentials),
    /// There is too much to do; it may be asked for again.
    Refused,
}
