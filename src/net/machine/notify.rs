//! Tells systemd how the server is (`Type=notify`): ready, alive, stopping. Does nothing where nobody asked.
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::rc::Rc;
use std::time::Duration;

use crate::net::reactor::Reactor;
use crate::xmpp::{quoted, quoted_error};

/// The socket systemd named in `$NOTIFY_SOCKET`: a path, or an abstract name after `@`.
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
}

impl Notify {
    pub fn from_environment() -> Notify {
        let name = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None if name.is_empty() => return Notify { to: None },
            None => SocketAddr::from_pathname(&name),
        };
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let to = socket.and_then(|socket| Ok((socket, address?)));
        if let Err(error) = &to {
            log::warn!(
                "notify.failed socket={} error={}",
                quoted(&name),
                quoted_error(error)
            );
        }
        Notify { to: to.ok() }
    }

    pub fn ready(&self) {
        self.send("READY=1\nSTATUS=Serving.");
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            log::debug!("notify.failed error={}", quoted_error(&error));
        }
    }

    /// Says that the reactor still turns, twice as often as the watchdog wants to hear it.
    pub async fn keep_alive(self, reactor: Rc<Reactor>) {
        let usec = std::env::var("WATCHDOG_USEC")
            .ok()
            .and_then(|usec| usec.parse::<u64>().ok());
        let Some(usec) = usec.filter(|usec| *usec > 0 && self.to.is_some()) else {
            return;
        };
        loop {
            reactor.sleep(Duration::from_micros(usec / 2)).await;
            self.send("WATCHDOG=1");
        }
    }
}
