//! Listening sockets, and letting connections in.
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::census::{Admitted, Refusal};
use super::inbox::Arrival;
use super::proxied::Proxies;
use crate::config::StartError;
use crate::net::machine::system;
use crate::net::reactor::{Reactor, Source};
use crate::net::shell::Shell;
use crate::server::Port;
use crate::xmpp::quoted_error;

/// Connections the kernel holds until we take them: a whole house that comes back after a power cut. It holds fewer where
/// `net.core.somaxconn` is lower.
const BACKLOG: i32 = 4096;
/// Of these, those that may be open already with their first bytes here.
const FAST_OPEN_MAX: u16 = 1024;
/// Where TLS comes first, one wake-up lets a client in and reads its ClientHello. Who stays silent is let in after this
/// time.
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(1);
/// Pause after accept failed (most often: no more file descriptors), instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// Connections let in before the sockets of others are looked at.
const ACCEPTED_AT_ONCE: usize = 32;
/// Refused connections are logged no more often than this.
const REFUSAL_LOG_MS: u64 = 10_000;

/// One listening socket.
pub struct Listener {
    pub socket: Source<TcpListener>,
    pub address: SocketAddr,
    pub port: Port,
}

/// Listens on all addresses of one setting. `[::]` takes IPv4 too, unless the list names `0.0.0.0` on that port; where
/// there is no IPv6 it means `0.0.0.0`.
pub fn listen(
    reactor: &Rc<Reactor>,
    addresses: &[SocketAddr],
    key: &'static str,
    port: Port,
) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let with_ipv4 = address.ip() == Ipv6Addr::UNSPECIFIED
            && !addresses
                .iter()
                .any(|other| other.ip() == Ipv4Addr::UNSPECIFIED && other.port() == address.port());
        let socket =
            bind(*address, with_ipv4).or_else(|error| match with_ipv4 && no_ipv6(&error) {
                true => bind((Ipv4Addr::UNSPECIFIED, address.port()).into(), false),
                false => Err(error),
            });
        let listener = socket.and_then(|socket| {
            if let Err(error) = hurry(&socket, port) {
                log::debug!(
                    "listen.slower address={address} error={}",
                    quoted_error(&error)
                );
            }
            Ok(Listener {
                address: socket.local_addr()?,
                socket: Source::new(reactor, socket)?,
                port,
            })
        });
        listeners.push(listener.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken {
                address: *address,
                key,
            },
            _ => StartError::Listen {
                address: *address,
                key,
                error,
            },
        })?);
    }
    Ok(listeners)
}

fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [
        Errno::AFNOSUPPORT,
        Errno::ADDRNOTAVAIL,
        Errno::PROTONOSUPPORT,
    ]
    .iter()
    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn bind(address: SocketAddr, with_ipv4: bool) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A restart takes the port at once, though old connections still linger in the kernel.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !with_ipv4)?;
    }
    rustix::net::bind(&socket, &address)?;
    // Connections take this from their listener: stanzas are small and wanted now; writes are gathered by batch.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Without these it takes longer to come back, and that is all.
fn hurry(socket: &TcpListener, port: Port) -> io::Result<()> {
    system::set_fast_open(socket, FAST_OPEN_MAX)?;
    if port == Port::ClientsTls {
        system::set_defer_accept(socket, FIRST_BYTES_WITHIN)?;
    }
    Ok(())
}

/// Where somebody comes in.
struct Door {
    port: Port,
    /// When a refusal was last logged.
    logged_ms: Cell<Option<u64>>,
}

/// Lets connections in for ever; what `proxies` pass on, once they have said whose it is.
pub async fn accept(listener: Listener, shell: Rc<Shell>, proxies: Rc<Proxies>) {
    let door = Rc::new(Door {
        port: listener.port,
        logged_ms: Cell::default(),
    });
    let mut accepted = 0;
    loop {
        listener.socket.readable().await;
        accepted += 1;
        if accepted % ACCEPTED_AT_ONCE == 0 {
            // A crowd at the door does not keep those inside from being heard.
            shell.reactor.next_turn().await;
        }
        match listener.socket.reading(take_one) {
            Ok((socket, peer)) if proxies.include(peer) => {
                let (guide, door) = (Rc::clone(&shell), Rc::clone(&door));
                let proxies = Rc::clone(&proxies);
                let introduction = async move {
                    if let Some((socket, peer)) = proxies.introduced(&guide, socket, peer).await {
                        admit(&guide, &door, socket, peer);
                    }
                };
                shell.executor.spawn(introduction).detach();
            }
            Ok((socket, peer)) => admit(&shell, &door, socket, peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                log::warn!(
                    "accept.failed address={} error={}",
                    listener.address,
                    quoted_error(&error)
                );
                shell.reactor.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(shell: &Shell, door: &Door, socket: TcpStream, peer: IpAddr) {
    let refusal = match shell.census.admit(peer) {
        Ok(Admitted {
            admission,
            displaced,
        }) => {
            let port = door.port;
            if let Some(connection) = displaced {
                let displaced = Arrival::Displaced { connection };
                shell.inbox.push_of_stranger(displaced);
            }
            return shell.inbox.push_of_stranger(Arrival::Accepted {
                socket,
                admission,
                port,
            });
        }
        Err(refusal) => refusal,
    };
    let now_ms = shell.clock.monotonic_ms();
    let logged_ms = door.logged_ms.get();
    if logged_ms.is_none_or(|logged| now_ms >= logged + REFUSAL_LOG_MS) {
        door.logged_ms.set(Some(now_ms));
        let reached = match refusal {
            Refusal::Total => "connections_max",
            Refusal::Address => "connections_per_address_max",
            Refusal::Memory => "memory_bytes_max",
        };
        log::warn!("connection.refused address={peer} limit={reached}");
    }
}

/// A connection that waits, if one does; it does not block.
fn take_one(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let peer = peer.ok_or(io::ErrorKind::NotConnected)?;
    let peer = SocketAddr::try_from(peer).map_err(io::Error::other)?;
    Ok((TcpStream::from(socket), canonical(peer)))
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer.
fn canonical(peer: SocketAddr) -> IpAddr {
    match peer {
        SocketAddr::V4(peer) => (*peer.ip()).into(),
        SocketAddr::V6(peer) => SocketAddrV6::ip(&peer).to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_apart() {
        let reactor = Reactor::new().unwrap();
        let first = listen(
            &reactor,
            &["127.0.0.1:0".parse().unwrap()],
            "c2s",
            Port::Clients,
        )
        .unwrap();
        let taken = first[0].address;
        assert!(taken.port() != 0);
        let refused = listen(&reactor, &[taken], "c2s", Port::Clients)
            .err()
            .unwrap();
        assert!(matches!(refused, StartError::PortTaken { address, .. } if address == taken));
        let foreign = listen(
            &reactor,
            &["192.0.2.1:0".parse().unwrap()],
            "c2s",
            Port::Clients,
        );
        assert!(matches!(foreign.err().unwrap(), StartError::Listen { .. }));
    }

    #[test]
    fn who_is_let_in_does_not_wait_to_send() {
        let reactor = Reactor::new().unwrap();
        let listening = listen(
            &reactor,
            &["127.0.0.1:0".parse().unwrap()],
            "c2s",
            Port::Clients,
        )
        .unwrap();
        let mut peer = TcpStream::connect(listening[0].address).unwrap();
        std::io::Write::write_all(&mut peer, b"<").unwrap();
        let accepted = reactor.block_on(async {
            listening[0].socket.readable().await;
            listening[0].socket.reading(take_one)
        });
        assert!(accepted.unwrap().unwrap().0.nodelay().unwrap());
    }

    #[test]
    fn any_address_takes_both_families() {
        let reactor = Reactor::new().unwrap();
        let listener =
            listen(&reactor, &["[::]:0".parse().unwrap()], "c2s", Port::Clients).unwrap();
        let port = listener[0].address.port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("IPv4 reaches it");
    }
}
