//! Does what steps wanted done: in order for each connection, with one write for each where possible.
use std::rc::Rc;

use super::Driver;
use super::batch::Action;
use crate::net::connection::{Connection, Overflow};
use crate::net::intake::inbox::Arrival;
use crate::net::shell::BUFFER_BYTES_KEPT;
use crate::state::{ConnectionId, Outbox, Output};

/// Places for actions kept from one batch to the next.
const PLACES_KEPT: usize = 256;

impl Driver {
    /// Performs what is left of the batch.
    pub(super) fn perform_batch(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        self.perform(&mut batch.out);
        self.send_flights(&mut batch.flights);
        for id in batch.gone.drain(..) {
            self.close(id);
        }
        for id in batch.displaced.drain(..) {
            let displaced = self.shell.sockets.get(id);
            if let Some(displaced) = displaced.filter(|displaced| !displaced.is_member()) {
                log::debug!("connection.displaced connection={}", id.0);
                displaced.abandon(&self.shell);
            }
        }
        self.read_on_plain(&mut batch.held);
        batch.out.settle();
        self.shell.shrink_buffers();
        batch.exit |= self.batch.exit;
        self.batch = batch;
    }

    /// Performs outputs, in order for each connection, with one write for each where possible.
    pub(super) fn perform(&mut self, out: &mut Outbox) {
        let mut actions = std::mem::take(&mut self.actions);
        for output in out.outputs.drain(..) {
            let (connection, action) = match output {
                Output::Send {
                    connection, bytes, ..
                } => (connection, Action::Send(bytes)),
                Output::StartTls { connection } => (connection, Action::StartTls),
                Output::ReportDrained { connection } => (connection, Action::ReportDrained),
                Output::Close { connection } => (connection, Action::Close),
                Output::Hash {
                    job,
                    work,
                    applicant,
                } => {
                    self.hashing.run(job, *work, *applicant);
                    continue;
                }
                Output::Cancel { job } => {
                    self.hashing.cancel(job);
                    continue;
                }
                Output::CommandDone { job, code, text } => {
                    self.answer(job, code, text);
                    continue;
                }
                Output::LoggedIn { connection } => {
                    if let Some(open) = self.open(connection) {
                        open.logged_in();
                    }
                    continue;
                }
                Output::Exit => {
                    self.batch.exit = true;
                    continue;
                }
            };
            actions.push((connection, action));
        }
        // A stable sort: the order within each connection stays.
        actions.sort_by_key(|(connection, _)| *connection);
        let mut joined = std::mem::take(&mut self.joined);
        for actions in actions.chunk_by(|a, b| a.0 == b.0) {
            if let Some((id, _)) = actions.first() {
                self.perform_for(*id, actions, &out.bytes, &mut joined);
            }
        }
        actions.clear();
        actions.shrink_to(PLACES_KEPT);
        joined.shrink_to(BUFFER_BYTES_KEPT);
        (self.actions, self.joined) = (actions, joined);
    }

    fn perform_for(
        &mut self,
        id: ConnectionId,
        actions: &[(ConnectionId, Action)],
        bytes: &[u8],
        joined: &mut Vec<u8>,
    ) {
        let Some(connection) = self.open(id) else {
            return;
        };
        if let [(_, Action::Send(range))] = actions {
            return self.send(&connection, bytes.get(range.clone()).unwrap_or_default());
        }
        joined.clear();
        for (_, action) in actions {
            if let Action::Send(range) = action {
                joined.extend_from_slice(bytes.get(range.clone()).unwrap_or_default());
                continue;
            }
            self.send(&connection, joined);
            joined.clear();
            match action {
                Action::StartTls => {
                    connection.start_tls(&self.shell, self.shell.identities.current());
                }
                Action::ReportDrained => connection.report_drained(&self.shell),
                Action::Close | Action::Send(_) => return self.close(id),
            }
        }
        self.send(&connection, joined);
    }

    fn send(&mut self, connection: &Rc<Connection>, plaintext: &[u8]) {
        if plaintext.is_empty() || !connection.is_open() {
            return;
        }
        self.looks.note(plaintext.len());
        if let Err(Overflow) = connection.send(&self.shell, plaintext) {
            self.overflow(connection);
        }
    }

    /// It does not read what it is sent.
    pub(in crate::net) fn overflow(&self, connection: &Connection) {
        log::warn!(
            "connection.overflow connection={} address={} unsent_bytes={}",
            connection.id.0,
            connection.address(),
            connection.unsent_bytes()
        );
        connection.abandon(&self.shell);
        let connection = connection.id;
        self.shell.inbox.push(Arrival::Closed { connection });
    }

    /// Closes once everything is sent; from now on nothing more is read.
    pub(super) fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open(id) {
            log::debug!("connection.closed connection={}", id.0);
            connection.close(&self.shell);
        }
    }
}
