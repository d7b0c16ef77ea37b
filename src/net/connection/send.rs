//! What the socket does not take at once.
use std::io::{self, Write};

use super::{Connection, Overflow, Unsent};
use crate::net::intake::inbox::Arrival;
use crate::net::shell::Shell;
use crate::xmpp::quoted_error;

/// So often it is told that a peer takes what waits for it: it may have much to read before it comes to a ping.
const ALIVE_EACH_MS: u64 = 10_000;

impl Connection {
    /// Hands bytes to the socket, in order; the rest is sent when the socket takes it.
    pub(super) fn transmit(&self, shell: &Shell, mut bytes: &[u8]) -> Result<(), Overflow> {
        let waiting = self.unsent_bytes();
        if waiting == 0 {
            match self.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(_) => {
                    self.end(shell);
                    return Ok(());
                }
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.is_writing_watched.replace(true)
            && let Err(error) = shell.reactor.watch_writing(&self.socket, self.id.0)
        {
            log::warn!(
                "connection.unwatched connection={} error={}",
                self.id.0,
                quoted_error(&error)
            );
            self.end(shell);
            return Ok(());
        }
        let asked_for = self
            .unsent
            .borrow()
            .as_ref()
            .map_or(0, |unsent| unsent.asked_for);
        // One answer may be longer than the limit; more waits no longer than that.
        if waiting > shell.send_queue_bytes_max.saturating_add(asked_for) {
            return Err(Overflow);
        }
        self.with_unsent(shell, |unsent| {
            if unsent.start > unsent.bytes.len() / 2 {
                let start = std::mem::take(&mut unsent.start);
                unsent.bytes.drain(..start);
            }
            unsent.bytes.extend_from_slice(bytes);
        });
        Ok(())
    }

    /// Lets `change` work on what is unsent; nothing is kept where there is nothing.
    pub(super) fn with_unsent(&self, shell: &Shell, change: impl FnOnce(&mut Unsent)) {
        let mut place = self.unsent.borrow_mut();
        let mut unsent = place.take().unwrap_or_default();
        let (before, was_congested) = (unsent.size(), unsent.is_congested);
        change(&mut unsent);
        let waiting = unsent.waiting().len();
        if waiting == 0 {
            (unsent.bytes, unsent.start, unsent.asked_for) = (Vec::new(), 0, 0);
        }
        unsent.is_congested = unsent.unasked() > shell.send_queue_bytes_max / 4;
        let congested = [was_congested, unsent.is_congested].map(usize::from);
        shell.held.congested.change(congested[0], congested[1]);
        shell.held.unsent.change(before, unsent.size());
        *place = (unsent.size() > 0).then_some(unsent);
    }

    /// The socket takes more.
    pub(super) fn send_unsent(&self, shell: &Shell) {
        if self.unsent_bytes() == 0 {
            return;
        }
        let mut result = Ok(());
        let now_ms = shell.clock.monotonic_ms();
        let mut is_alive = false;
        self.with_unsent(shell, |unsent| match self.write(unsent.waiting()) {
            Ok(count) => {
                unsent.start += count;
                is_alive = count > 0 && now_ms >= unsent.alive_ms + ALIVE_EACH_MS;
                if is_alive {
                    unsent.alive_ms = now_ms;
                }
            }
            Err(error) => {
                result = Err(error);
                (unsent.bytes, unsent.start) = (Vec::new(), 0);
            }
        });
        if is_alive && self.is_member() {
            let connection = self.id;
            shell.inbox.push(Arrival::Alive { connection });
        }
        self.unpark(shell);
        if self.unsent_bytes() > 0 {
            return;
        }
        shell.closing.wake();
        match result {
            Ok(()) if self.drained_wanted.replace(false) => self.report_drained(shell),
            Ok(()) => {}
            Err(_) => self.end(shell),
        }
    }

    /// Writes as much as the socket takes now.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match (&self.socket).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}
