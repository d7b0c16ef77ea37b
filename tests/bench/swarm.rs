//! Thousands of connections on one thread: non-blocking sockets, TLS, and what is to be sent, moved by `Swarm::turn`.
//! Knows no XMPP. What is queued during a turn leaves at its end, so that many small messages share a TLS record.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::Outcome;

pub type LinkId = usize;

const LISTENER: u64 = u64::MAX;
/// Reads of one link in one turn, so that a busy one does not starve the others.
const READS_PER_TURN: usize = 8;

/// The turns a conversation took: a flight is what one side sends without waiting for the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flights {
    pub out: u32,
    pub back: u32,
    last_was_out: bool,
}

struct Link {
    socket: TcpStream,
    tls: Option<Connection>,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    flights: Flights,
    open: bool,
    ended: bool,
    is_dirty: bool,
    waits_for_room: bool,
}

pub struct Swarm {
    epoll: OwnedFd,
    listener: Option<(TcpListener, Arc<ServerConfig>)>,
    links: Vec<Option<Link>>,
    vacant: Vec<LinkId>,
    dirty: Vec<LinkId>,
    ready: VecDeque<LinkId>,
    events: Vec<epoll::Event>,
}

/// What a link has to say after a turn.
pub struct News {
    pub id: LinkId,
    pub ended: bool,
}

impl Swarm {
    pub fn new() -> Outcome<Swarm> {
        Ok(Swarm {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            listener: None,
            links: Vec::new(),
            vacant: Vec::new(),
            dirty: Vec::new(),
            ready: VecDeque::new(),
            events: Vec::with_capacity(256),
        })
    }

    pub fn listen(&mut self, listener: TcpListener, config: Arc<ServerConfig>) -> Outcome<()> {
        listener.set_nonblocking(true)?;
        epoll::add(
            &self.epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        self.listener = Some((listener, config));
        Ok(())
    }

    /// On loopback the kernel completes a connection by itself, so this does not wait for the server.
    pub fn connect(&mut self, address: SocketAddr) -> Outcome<LinkId> {
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        self.adopt(socket, None)
    }

    pub fn start_tls(&mut self, id: LinkId, config: &Arc<ClientConfig>) -> Outcome<()> {
        let name = ServerName::try_from("localhost")?;
        let connection = ClientConnection::new(Arc::clone(config), name)?;
        let link = self.link(id)?;
        link.tls = Some(connection.into());
        link.open = false;
        self.mark_dirty(id);
        Ok(())
    }

    /// Queues bytes; they leave at the end of the turn, once the handshake is over.
    pub fn send(&mut self, id: LinkId, bytes: &[u8]) {
        if let Some(Some(link)) = self.links.get_mut(id) {
            link.outgoing.extend_from_slice(bytes);
            self.mark_dirty(id);
        }
    }

    /// Moves bytes for all, waiting at most `wait` for the first.
    pub fn turn(&mut self, wait: Duration) -> Outcome<()> {
        self.flush();
        let timeout = Timespec::try_from(if self.ready.is_empty() {
            wait
        } else {
            Duration::ZERO
        })?;
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                self.accept()?;
            } else {
                let id = event.data.u64() as LinkId;
                let flags = event.flags;
                if flags.contains(EventFlags::OUT) {
                    self.mark_dirty(id);
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.receive(id);
                }
            }
        }
        self.events = events;
        self.flush();
        Ok(())
    }

    /// The next link with something new.
    pub fn next_news(&mut self) -> Option<News> {
        let id = self.ready.pop_front()?;
        let ended = self.links.get(id)?.as_ref()?.ended;
        Some(News { id, ended })
    }

    /// Takes what has arrived; what is not used goes back through `keep`.
    pub fn take(&mut self, id: LinkId) -> Vec<u8> {
        match self.links.get_mut(id) {
            Some(Some(link)) => std::mem::take(&mut link.incoming),
            _ => Vec::new(),
        }
    }

    pub fn keep(&mut self, id: LinkId, mut bytes: Vec<u8>, used: usize) {
        if let Some(Some(link)) = self.links.get_mut(id) {
            bytes.drain(..used);
            if bytes.is_empty() && bytes.capacity() > 16 * 1024 {
                bytes = Vec::new();
            }
            link.incoming = bytes;
        }
    }

    pub fn flights(&self, id: LinkId) -> Flights {
        match self.links.get(id) {
            Some(Some(link)) => link.flights,
            _ => Flights::default(),
        }
    }

    pub fn close(&mut self, id: LinkId) {
        if let Some(slot) = self.links.get_mut(id)
            && let Some(link) = slot.take()
        {
            // The socket closes with `link`, and leaves the epoll set with it.
            drop(link);
            self.vacant.push(id);
            self.ready.retain(|other| *other != id);
        }
    }

    fn link(&mut self, id: LinkId) -> Outcome<&mut Link> {
        self.links
            .get_mut(id)
            .and_then(Option::as_mut)
            .ok_or_else(|| "no such connection".into())
    }

    fn adopt(&mut self, socket: TcpStream, tls: Option<Connection>) -> Outcome<LinkId> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let id = self.vacant.pop().unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        epoll::add(
            &self.epoll,
            &socket,
            EventData::new_u64(id as u64),
            EventFlags::IN,
        )?;
        self.links[id] = Some(Link {
            socket,
            open: tls.is_none(),
            tls,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            flights: Flights::default(),
            ended: false,
            is_dirty: false,
            waits_for_room: false,
        });
        Ok(id)
    }

    fn accept(&mut self) -> Outcome<()> {
        for _ in 0..64 {
            let Some((listener, config)) = &self.listener else {
                return Ok(());
            };
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let connection = ServerConnection::new(Arc::clone(config))?;
            self.adopt(socket, Some(connection.into()))?;
        }
        Ok(())
    }

    fn mark_dirty(&mut self, id: LinkId) {
        if let Some(Some(link)) = self.links.get_mut(id)
            && !link.is_dirty
        {
            link.is_dirty = true;
            self.dirty.push(id);
        }
    }

    fn receive(&mut self, id: LinkId) {
        let Some(Some(link)) = self.links.get_mut(id) else {
            return;
        };
        let had = link.incoming.len();
        for _ in 0..READS_PER_TURN {
            match link.read() {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    link.ended = true;
                    break;
                }
            }
        }
        let is_news = link.incoming.len() > had || link.ended;
        let wants_write = link.tls.as_ref().is_some_and(|tls| tls.wants_write());
        let opened = !link.open && link.tls.as_ref().is_some_and(|tls| !tls.is_handshaking());
        link.open |= opened;
        if is_news {
            self.ready.push_back(id);
        }
        if wants_write || opened {
            self.mark_dirty(id);
        }
    }

    /// Sends what is queued, of every link that has something.
    fn flush(&mut self) {
        for id in std::mem::take(&mut self.dirty) {
            let Some(Some(link)) = self.links.get_mut(id) else {
                continue;
            };
            link.is_dirty = false;
            let blocked = match link.write() {
                Ok(blocked) => blocked,
                Err(_) => {
                    link.ended = true;
                    self.ready.push_back(id);
                    false
                }
            };
            if blocked != link.waits_for_room {
                link.waits_for_room = blocked;
                let mut interest = EventFlags::IN;
                interest.set(EventFlags::OUT, blocked);
                let data = EventData::new_u64(id as u64);
                // Fails only for a socket that has just ended, which is noticed when it is read.
                let _ = epoll::modify(&self.epoll, &link.socket, data, interest);
            }
        }
    }
}

impl Link {
    /// True when there may be more to read.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let Some(tls) = &mut self.tls else {
            return match self.socket.read(&mut buffer) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.flights.came_back();
                    self.incoming.extend_from_slice(&buffer[..count]);
                    Ok(count == buffer.len())
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(error),
            };
        };
        match tls.read_tls(&mut self.socket) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        self.flights.came_back();
        let state = tls
            .process_new_packets()
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let mut left = state.plaintext_bytes_to_read();
        while left > 0 {
            let count = tls.reader().read(&mut buffer)?;
            self.incoming.extend_from_slice(&buffer[..count]);
            left = left.saturating_sub(count.max(1));
        }
        if state.peer_has_closed() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(true)
    }

    /// True when the socket is full.
    fn write(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return match self.socket.write(&self.outgoing) {
                Ok(count) => {
                    if count > 0 {
                        self.flights.went_out();
                    }
                    self.outgoing.drain(..count);
                    Ok(!self.outgoing.is_empty())
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
                Err(error) => Err(error),
            };
        };
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(_) => self.flights.went_out(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                    Err(error) => return Err(error),
                }
            }
            if tls.is_handshaking() || self.outgoing.is_empty() {
                return Ok(false);
            }
            let count = tls.writer().write(&self.outgoing)?;
            self.outgoing.drain(..count);
        }
    }
}

impl Flights {
    fn went_out(&mut self) {
        if !self.last_was_out {
            self.out += 1;
        }
        self.last_was_out = true;
    }

    fn came_back(&mut self) {
        if self.last_was_out {
            self.back += 1;
        }
        self.last_was_out = false;
    }
}
