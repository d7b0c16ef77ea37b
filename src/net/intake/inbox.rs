//! What has arrived and waits for the next batch, in three lanes: of members and of the machine itself; of strangers, who
//! have not logged in; and what is left of those who brought much. Bounded: each connection has at most one chunk here and
//! reads on only after it was stepped, and all of a lane stop reading when it holds enough.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::TcpStream;
use std::rc::Rc;
use std::task::{Poll, Waker};

use smol::channel::Sender;

use super::census::Admission;
use crate::net::connection::Connection;
use crate::net::machine::memory::DiskBytes;
use crate::server::{Command, Port};
use crate::state::{ConnectionId, Hashed, JobId};
use crate::stream::TlsFacts;

/// Plaintext that may wait in one lane before its connections stop reading.
pub const LANE_BYTES_MAX: usize = 1 << 20;
/// Places for arrivals kept from one batch to the next.
const PLACES_KEPT: usize = 256;

pub enum Arrival {
    Accepted {
        socket: TcpStream,
        admission: Admission,
        port: Port,
    },
    Secured {
        connection: ConnectionId,
        facts: Box<TlsFacts>,
    },
    HandshakeDone {
        connection: ConnectionId,
    },
    Bytes {
        connection: ConnectionId,
        bytes: Box<[u8]>,
    },
    Drained {
        connection: ConnectionId,
    },
    Alive {
        connection: ConnectionId,
    },
    Closed {
        connection: ConnectionId,
    },
    /// It makes room for another.
    Displaced {
        connection: ConnectionId,
    },
    Hashed {
        job: JobId,
        result: Hashed,
    },
    Command {
        command: Command,
        reply: Sender<Answer>,
    },
    Disk(DiskBytes),
    Shutdown,
}

impl Arrival {
    /// Of which connection, if its order among those of the same one matters.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Arrival::Secured { connection, .. }
            | Arrival::HandshakeDone { connection }
            | Arrival::Bytes { connection, .. }
            | Arrival::Closed { connection } => Some(*connection),
            _ => None,
        }
    }
}

/// What a command answers: exit code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u8,
    pub text: String,
}

/// What is left of a chunk.
pub struct Rest {
    pub connection: ConnectionId,
    pub bytes: Box<[u8]>,
    /// So much of it was stepped.
    pub from: usize,
    /// What came from the same connection since, in order.
    pub behind: Vec<Arrival>,
}

impl Rest {
    pub fn new(connection: ConnectionId, bytes: Box<[u8]>) -> Rest {
        Rest {
            connection,
            bytes,
            from: 0,
            behind: Vec::new(),
        }
    }
}

#[derive(Default)]
pub struct Inbox {
    members: Lane,
    strangers: Lane,
    rests: RefCell<VecDeque<Rest>>,
    rest_bytes: Cell<usize>,
    is_poked: Cell<bool>,
    arrived: Waiters,
}

#[derive(Default)]
struct Lane {
    arrivals: RefCell<VecDeque<Arrival>>,
    bytes: Cell<usize>,
    /// Connections that read on when there is room.
    hungry: RefCell<VecDeque<Rc<Connection>>>,
}

impl Inbox {
    /// Of the machine, or of a member.
    pub fn push(&self, arrival: Arrival) {
        self.members.push(arrival);
        self.arrived.wake();
    }

    /// Of somebody who has not logged in.
    pub fn push_of_stranger(&self, arrival: Arrival) {
        self.strangers.push(arrival);
        self.arrived.wake();
    }

    /// Comes when those who brought little had their turn.
    pub fn push_rest(&self, rest: Rest) {
        self.rest_bytes
            .set(self.rest_bytes.get() + rest.bytes.len());
        self.rests.borrow_mut().push_back(rest);
        self.arrived.wake();
    }

    /// Puts an arrival behind what is left of a chunk of the same connection. Gives it back if there is none.
    pub fn wait_behind(&self, connection: ConnectionId, arrival: Arrival) -> Option<Arrival> {
        let mut rests = self.rests.borrow_mut();
        let mut rests = rests.iter_mut();
        match rests.find(|rest| rest.connection == connection) {
            Some(rest) => rest.behind.push(arrival),
            None => return Some(arrival),
        }
        None
    }

    /// Nothing arrived, but there may be something to look at.
    pub fn poke(&self) {
        self.is_poked.set(true);
        self.arrived.wake();
    }

    pub fn pop(&self) -> Option<Arrival> {
        self.members.pop()
    }

    pub fn pop_of_stranger(&self) -> Option<Arrival> {
        self.strangers.pop()
    }

    pub fn pop_rest(&self) -> Option<Rest> {
        let rest = self.rests.borrow_mut().pop_front()?;
        self.rest_bytes
            .set(self.rest_bytes.get() - rest.bytes.len());
        Some(rest)
    }

    pub fn is_empty(&self) -> bool {
        self.members.arrivals.borrow().is_empty()
            && self.strangers.arrivals.borrow().is_empty()
            && self.rests.borrow().is_empty()
    }

    /// Waits until something is there.
    pub async fn arrived(&self) {
        self.arrived
            .until(|| self.is_poked.take() || !self.is_empty())
            .await;
    }

    /// One more chunk is welcome.
    pub fn has_room(&self, connection: &Connection) -> bool {
        self.lane_of(connection).has_room()
    }

    pub fn wait_for_room(&self, connection: Rc<Connection>) {
        let lane = self.lane_of(&connection);
        lane.hungry.borrow_mut().push_back(connection);
    }

    /// The connection that has waited longest, if there is room.
    pub fn next_hungry(&self) -> Option<Rc<Connection>> {
        let members = self.members.next_hungry();
        members.or_else(|| self.strangers.next_hungry())
    }

    fn lane_of(&self, connection: &Connection) -> &Lane {
        match connection.is_among_strangers() {
            true => &self.strangers,
            false => &self.members,
        }
    }

    /// Gives back all places that are not taken.
    pub fn drop_places(&self) {
        for lane in [&self.members, &self.strangers] {
            let mut arrivals = lane.arrivals.borrow_mut();
            *arrivals = arrivals.drain(..).collect();
        }
    }

    /// Gives back what a crowd made grow.
    pub fn shrink(&self) {
        shrink(&mut self.rests.borrow_mut());
        for lane in [&self.members, &self.strangers] {
            shrink(&mut lane.arrivals.borrow_mut());
            let mut hungry = lane.hungry.borrow_mut();
            if hungry.is_empty() && hungry.capacity() > 0 {
                *hungry = VecDeque::new();
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.members.bytes.get() + self.strangers.bytes.get() + self.rest_bytes.get()
    }
}

impl Lane {
    fn push(&self, arrival: Arrival) {
        if let Arrival::Bytes { bytes, .. } = &arrival {
            self.bytes.set(self.bytes.get() + bytes.len());
        }
        self.arrivals.borrow_mut().push_back(arrival);
    }

    fn pop(&self) -> Option<Arrival> {
        let arrival = self.arrivals.borrow_mut().pop_front()?;
        if let Arrival::Bytes { bytes, .. } = &arrival {
            self.bytes.set(self.bytes.get() - bytes.len());
        }
        Some(arrival)
    }

    fn has_room(&self) -> bool {
        self.bytes.get() < LANE_BYTES_MAX
    }

    fn next_hungry(&self) -> Option<Rc<Connection>> {
        match self.has_room() {
            true => self.hungry.borrow_mut().pop_front(),
            false => None,
        }
    }
}

fn shrink<T>(places: &mut VecDeque<T>) {
    if places.capacity() > PLACES_KEPT && places.len() < PLACES_KEPT {
        places.shrink_to(PLACES_KEPT);
    }
}

/// Tasks of the reactor thread that wait for a condition.
#[derive(Default)]
pub struct Waiters(RefCell<Vec<Waker>>);

impl Waiters {
    pub fn wake(&self) {
        // Most often nobody waits.
        if !self.0.borrow().is_empty() {
            for waker in self.0.take() {
                waker.wake();
            }
        }
    }

    pub async fn until(&self, mut condition: impl FnMut() -> bool) {
        poll_fn(|cx| {
            if condition() {
                return Poll::Ready(());
            }
            let mut wakers = self.0.borrow_mut();
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
