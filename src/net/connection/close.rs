//! How a connection ends: what is unsent leaves first, and the peer may read it before the socket goes.
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use smol::future::FutureExt;

use super::{Connection, Holds, Phase, Unsent};
use crate::net::shell::Shell;

/// Time for the last bytes to leave after the stream is over.
const FLUSH_SECONDS_MAX: u64 = 5;
/// Time for the peer to close its side then. Closing with unread bytes resets the connection, and a reset may take from
/// the peer what it has not read yet.
const LINGER_SECONDS_MAX: u64 = 2;
const LINGER_BYTES_MAX: usize = 1 << 20;

impl Connection {
    /// Sends what is unsent (for a bounded time), then closes. Holds the connection's place until then.
    pub fn close(self: &Rc<Connection>, shell: &Rc<Shell>) {
        self.phase.set(Phase::Flushing);
        if self.is_cut.get() && self.unsent_bytes() == 0 {
            // Nobody is there to say goodbye to, or to wait for.
            return self.abandon(shell);
        }
        let overflow = {
            let mut scratch = shell.outgoing.borrow_mut();
            scratch.clear();
            self.take_flight(shell, &mut scratch);
            if let Some(session) = self.tls.borrow_mut().as_mut() {
                // One that failed has said so.
                let _unsaid = session.close(&mut scratch);
            }
            !scratch.is_empty() && self.transmit(shell, &scratch).is_err()
        };
        if overflow {
            return self.abandon(shell);
        }
        if self.unsent_bytes() == 0 {
            self.linger(shell);
        }
        if self.phase.get() != Phase::Gone {
            let closing = Rc::clone(self).wait_closed(Rc::clone(shell));
            shell.executor.spawn(closing).detach();
        }
    }

    async fn wait_closed(self: Rc<Connection>, shell: Rc<Shell>) {
        let sent = shell.closing.until(|| self.unsent_bytes() == 0);
        sent.or(seconds(&shell, FLUSH_SECONDS_MAX)).await;
        if self.unsent_bytes() == 0 {
            self.linger(&shell);
            let gone = shell.closing.until(|| self.phase.get() == Phase::Gone);
            gone.or(seconds(&shell, LINGER_SECONDS_MAX)).await;
        }
        self.abandon(&shell);
    }

    /// Everything is sent: our side closes, the peer's is awaited.
    fn linger(self: &Rc<Connection>, shell: &Rc<Shell>) {
        if self.phase.get() != Phase::Flushing {
            return;
        }
        if self.socket.shutdown(Shutdown::Write).is_err() {
            return self.abandon(shell);
        }
        self.phase.set(Phase::Lingering(0));
        // What came before may have told its edge already.
        self.chunks_wait.set(0);
        self.readable.set(true);
        self.read_on(shell);
    }

    pub(super) fn discard(&self, shell: &Shell, mut discarded: usize) {
        let mut scratch = shell.incoming.borrow_mut();
        while discarded < LINGER_BYTES_MAX {
            match self.read(&mut scratch) {
                Ok(0) => break,
                Ok(count) => {
                    discarded += count;
                    self.phase.set(Phase::Lingering(discarded));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
            if !self.readable.get() {
                return;
            }
        }
        self.abandon(shell);
    }

    /// Nothing more can be sent or read: whatever waits is given up, the socket closes.
    pub fn abandon(&self, shell: &Shell) {
        if self.phase.replace(Phase::Gone) == Phase::Gone {
            return;
        }
        self.give_back_parked(shell);
        self.with_unsent(shell, |unsent| *unsent = Unsent::default());
        if let Some(tls) = self.tls.take() {
            shell.holds(Holds::of(&tls), Holds::default());
        }
        if !self.is_cut.get() {
            let _already_gone = self.socket.shutdown(Shutdown::Both);
        }
        // Closes it, as soon as this batch is done with it.
        shell.sockets.forget(self.id);
        shell.closing.wake();
    }
}

async fn seconds(shell: &Shell, count: u64) {
    shell.reactor.sleep(Duration::from_secs(count)).await;
}
