//! What has arrived and waits for the next batch. Bounded: each connection has at most one chunk here and reads on only
//! after it was stepped, and all together stop reading at `INBOX_BYTES_MAX`.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::TcpStream;
use std::rc::Rc;
use std::task::{Poll, Waker};

use smol::channel::Sender;

use super::census::Admission;
use super::connection::Connection;
use super::memory::DiskBytes;
use crate::server::Command;
use crate::state::{ConnectionId, Hashed, JobId};
use crate::stream::TlsFacts;

/// Plaintext that may wait here before connections stop reading.
pub const INBOX_BYTES_MAX: usize = 2 << 20;
/// Places for arrivals kept from one batch to the next.
const PLACES_KEPT: usize = 256;

pub enum Arrival {
    Accepted {
        socket: TcpStream,
        admission: Admission,
        direct_tls: bool,
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
    Closed {
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

/// What a command answers: exit code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u8,
    pub text: String,
}

#[derive(Default)]
pub struct Inbox {
    arrivals: RefCell<VecDeque<Arrival>>,
    bytes: Cell<usize>,
    arrived: Waiters,
    /// Connections that read on when there is room.
    hungry: RefCell<VecDeque<Rc<Connection>>>,
}

impl Inbox {
    pub fn push(&self, arrival: Arrival) {
        if let Arrival::Bytes { bytes, .. } = &arrival {
            self.bytes.set(self.bytes.get() + bytes.len());
        }
        self.arrivals.borrow_mut().push_back(arrival);
        self.arrived.wake();
    }

    pub fn pop(&self) -> Option<Arrival> {
        let arrival = self.arrivals.borrow_mut().pop_front()?;
        if let Arrival::Bytes { bytes, .. } = &arrival {
            self.bytes.set(self.bytes.get() - bytes.len());
        }
        Some(arrival)
    }

    /// Waits until something is there.
    pub async fn arrived(&self) {
        self.arrived
            .until(|| !self.arrivals.borrow().is_empty())
            .await;
    }

    /// One more chunk is welcome.
    pub fn has_room(&self) -> bool {
        self.bytes.get() < INBOX_BYTES_MAX
    }

    pub fn wait_for_room(&self, connection: Rc<Connection>) {
        self.hungry.borrow_mut().push_back(connection);
    }

    /// The connection that has waited longest, if there is room.
    pub fn next_hungry(&self) -> Option<Rc<Connection>> {
        match self.has_room() {
            true => self.hungry.borrow_mut().pop_front(),
            false => None,
        }
    }

    /// Gives back all places that are not taken.
    pub fn drop_places(&self) {
        let mut arrivals = self.arrivals.borrow_mut();
        *arrivals = arrivals.drain(..).collect();
    }

    /// Gives back what a crowd made grow.
    pub fn shrink(&self) {
        let mut arrivals = self.arrivals.borrow_mut();
        if arrivals.capacity() > PLACES_KEPT && arrivals.len() < PLACES_KEPT {
            arrivals.shrink_to(PLACES_KEPT);
        }
        let mut hungry = self.hungry.borrow_mut();
        if hungry.is_empty() && hungry.capacity() > 0 {
            *hungry = VecDeque::new();
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes.get()
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
