//! What the loop and the tasks of the connections share.
use std::cell::RefCell;
use std::rc::Rc;

use smol::LocalExecutor;

use super::connection::poll::Sockets;
use super::connection::{Holds, READ_BYTES_MAX};
use super::intake::census::Census;
use super::intake::inbox::{Inbox, Waiters};
use super::intake::line::{Line, Resting};
use super::intake::pace::Rates;
use super::machine::clock::Clock;
use super::machine::memory::HeldBytes;
use super::reactor::Reactor;
use super::watch::Identities;
use crate::state::Settings;

/// Shared buffers larger than this after a batch are given back.
pub const BUFFER_BYTES_KEPT: usize = 64 << 10;
pub struct Shell {
    pub executor: LocalExecutor<'static>,
    pub reactor: Rc<Reactor>,
    pub clock: Clock,
    pub inbox: Inbox,
    pub line: Line,
    pub resting: Resting,
    pub rates: Rates,
    pub census: Rc<Census>,
    pub sockets: Sockets,
    /// Connections that are being closed wait here.
    pub closing: Waiters,
    pub held: HeldBytes,
    pub identities: Identities,
    pub send_queue_bytes_max: usize,
    /// Buffers for whoever reads or writes at the moment, never held across a wait.
    pub incoming: RefCell<Vec<u8>>,
    pub outgoing: RefCell<Vec<u8>>,
    pub plaintext: RefCell<Vec<u8>>,
}

impl Shell {
    pub fn new(
        reactor: Rc<Reactor>,
        clock: Clock,
        census: Rc<Census>,
        identities: Identities,
        settings: &Settings,
    ) -> Rc<Shell> {
        Rc::new(Shell {
            executor: LocalExecutor::new(),
            sockets: Sockets::new(&reactor),
            reactor,
            clock,
            inbox: Inbox::default(),
            line: Line::default(),
            resting: Resting::default(),
            rates: Rates::new(
                settings.read_bytes_per_second_max,
                settings.read_stanzas_per_second_max,
            ),
            census,
            closing: Waiters::default(),
            held: HeldBytes::default(),
            identities,
            send_queue_bytes_max: settings.send_queue_bytes_max,
            incoming: RefCell::new(vec![0; READ_BYTES_MAX]),
            outgoing: RefCell::default(),
            plaintext: RefCell::default(),
        })
    }

    /// Counts what a connection's TLS holds. It may be much before anything arrives that a batch would be made of.
    pub fn holds(&self, before: Holds, after: Holds) {
        const TOLD_EACH: usize = 1 << 20;
        let leftovers = &self.held.leftovers;
        let told = leftovers.get() / TOLD_EACH;
        leftovers.change(before.leftover_bytes, after.leftover_bytes);
        if leftovers.get() / TOLD_EACH > told {
            self.inbox.poke();
        }
        let handshakes = &self.held.handshakes;
        handshakes.change(before.handshakes, after.handshakes);
    }

    /// Gives back all that is not needed while nothing happens.
    pub fn drop_buffers(&self) {
        for buffer in [&self.outgoing, &self.plaintext] {
            *buffer.borrow_mut() = Vec::new();
        }
        self.inbox.drop_places();
    }

    /// Gives back what a large batch made grow.
    pub fn shrink_buffers(&self) {
        for buffer in [&self.outgoing, &self.plaintext] {
            let mut buffer = buffer.borrow_mut();
            if buffer.capacity() > BUFFER_BYTES_KEPT {
                *buffer = Vec::new();
            }
        }
        self.inbox.shrink();
    }
}
