//! Which sockets are ready: all connections share one task that hears of it from the reactor. An idle connection has
//! neither a task nor a waker, and waiting for it again costs no call.
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use super::Connection;
use crate::net::reactor::{EVENTS_MAX, Reactor};
use crate::net::shell::Shell;
use crate::state::{ConnectionId, give_back_room, resettle};

/// All connections whose sockets are open.
pub struct Sockets {
    reactor: Rc<Reactor>,
    connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub to_read: bool,
    pub to_write: bool,
    /// The peer will send no more, or an error waits: reading tells which.
    pub is_over: bool,
}

impl Sockets {
    pub fn new(reactor: &Rc<Reactor>) -> Sockets {
        Sockets {
            reactor: Rc::clone(reactor),
            connections: RefCell::default(),
        }
    }

    /// Watches a socket from now on, until `forget`; then it closes.
    pub fn add(&self, connection: Rc<Connection>) -> io::Result<()> {
        self.reactor.watch(connection.socket(), connection.id.0)?;
        self.connections
            .borrow_mut()
            .insert(connection.id, connection);
        Ok(())
    }

    pub fn get(&self, id: ConnectionId) -> Option<Rc<Connection>> {
        self.connections.borrow().get(&id).map(Rc::clone)
    }

    pub fn forget(&self, id: ConnectionId) {
        let mut connections = self.connections.borrow_mut();
        connections.remove(&id);
        give_back_room(&mut connections);
    }

    /// Most have left.
    pub fn resettle(&self) {
        resettle(&mut self.connections.borrow_mut());
    }

    pub fn all(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().values().map(Rc::clone).collect()
    }
}

/// Tells connections that they are ready, for ever.
pub async fn watch(shell: Rc<Shell>) {
    // At its size from the start, so that it does not grow where a crowd's memory is.
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        shell.reactor.events(&mut events).await;
        for (number, flags) in events.drain(..) {
            if let Some(connection) = shell.sockets.get(ConnectionId(number)) {
                connection.is_ready(&shell, Ready::from(flags));
            }
        }
    }
}

impl From<EventFlags> for Ready {
    fn from(flags: EventFlags) -> Ready {
        let is_over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        Ready {
            to_read: is_over || flags.contains(EventFlags::IN),
            to_write: flags.contains(EventFlags::OUT),
            is_over,
        }
    }
}
