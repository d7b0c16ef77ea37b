//! Which sockets are ready. All connections share one epoll(7) descriptor, edge-triggered, and one task that waits for it:
//! an idle connection has neither a task nor an entry in the executor's reactor, and waiting for it again costs no call.
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use smol::Async;

use super::connection::Connection;
use super::shell::Shell;
use crate::state::{ConnectionId, give_back_room};

/// Sockets told of in one call.
const EVENTS: usize = 256;
const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// All connections whose sockets are open.
pub struct Sockets {
    epoll: Async<OwnedFd>,
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
    pub fn new() -> io::Result<Sockets> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Sockets {
            epoll: Async::new_nonblocking(epoll)?,
            connections: RefCell::default(),
        })
    }

    /// Watches a socket from now on, until `forget`; then it closes.
    pub fn add(&self, connection: Rc<Connection>) -> io::Result<()> {
        epoll::add(
            &self.epoll,
            connection.socket(),
            EventData::new_u64(connection.id.0),
            EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET,
        )?;
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

    pub fn all(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().values().map(Rc::clone).collect()
    }
}

/// Tells connections that they are ready, for ever.
pub async fn watch(shell: Rc<Shell>) {
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        if let Err(error) = shell.sockets.epoll.readable().await {
            log::error!("poll.failed error=\"{error}\"");
            return;
        }
        events.clear();
        match epoll::wait(
            &shell.sockets.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&AT_ONCE),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => log::error!("poll.failed error=\"{error}\""),
        }
        for event in &events {
            let id = ConnectionId(event.data.u64());
            if let Some(connection) = shell.sockets.get(id) {
                connection.is_ready(&shell, Ready::from(event));
            }
        }
    }
}

impl From<&Event> for Ready {
    fn from(event: &Event) -> Ready {
        let flags = event.flags;
        let is_over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        Ready {
            to_read: is_over || flags.contains(EventFlags::IN),
            to_write: flags.contains(EventFlags::OUT),
            is_over,
        }
    }
}

/// A socket that does not block, as all here are.
pub fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Stanzas are small and wanted now; writes are gathered by batch.
    socket.set_nodelay(true)
}
