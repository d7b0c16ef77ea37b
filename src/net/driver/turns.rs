//! Whose input is stepped when: what members and the machine itself sent, then what is left of those who sent much or cost
//! much lately, then strangers; each for so long only, so that nobody waits for somebody else's work.
use std::ops::Range;
use std::rc::Rc;

use super::Driver;
use crate::net::connection::Connection;
use crate::net::intake::inbox::{Arrival, Rest};
use crate::net::intake::pace::{self, Taken};
use crate::server::Input;
use crate::state::{ConnectionId, Output};
use crate::store::{StoreError, Tx};

/// Inputs of one batch at most; the rest waits for the next.
const BATCH_INPUTS_MAX: usize = 1024;
/// A batch that queued more for all who get it takes no further inputs.
const BATCH_OUTPUT_BYTES_MAX: usize = 1 << 20;
/// The same of those who come after members: what they are sent has to be sealed and copied before others are heard.
const OTHERS_OUTPUT_BYTES_MAX: usize = 256 << 10;
/// How long one connection is stepped before others are, in nanoseconds.
const TURN_NS: u64 = 1_000_000;
/// How long a batch goes on with members, then with those who come after them: longer if it has nobody else.
const MEMBERS_NS: u64 = 20_000_000;
const OTHERS_NS: u64 = 3_000_000;
const OTHERS_ALONE_NS: u64 = 6_000_000;

impl Driver {
    pub(super) fn step_batch(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = self.shell.clock.now();
        while let Some(connection) = self.shell.resting.take_due(now.monotonic_ms) {
            connection.rested(&self.shell, now.monotonic_ms);
        }
        if self
            .server
            .next_wake_ms()
            .is_some_and(|wake_ms| wake_ms <= now.monotonic_ms)
        {
            self.step(Input::Tick, tx)?;
            self.note_unfinished();
        }
        self.now_ns = self.shell.clock.monotonic_ns();
        let until_ns = self.now_ns + MEMBERS_NS;
        let mut inputs = 0;
        while !self.is_full(inputs) && self.now_ns < until_ns {
            let Some(arrival) = self.shell.inbox.pop() else {
                break;
            };
            inputs += 1;
            self.take(arrival, tx)?;
        }
        let most_ns = match inputs {
            0 => OTHERS_ALONE_NS,
            _ => OTHERS_NS,
        };
        self.step_others(self.now_ns + most_ns, tx)
    }

    /// At least one of each kind, whatever else there is.
    fn step_others(&mut self, until_ns: u64, tx: &mut Tx) -> Result<(), StoreError> {
        let mut inputs = 0;
        loop {
            let rest = self.shell.inbox.pop_rest();
            let arrival = self.shell.inbox.pop_of_stranger();
            if rest.is_none() && arrival.is_none() {
                return Ok(());
            }
            inputs += 1;
            if let Some(rest) = rest {
                let open = self.open(rest.connection);
                self.turn(rest, open, tx)?;
            }
            if let Some(arrival) = arrival {
                let connection = arrival.connection();
                if let Some(open) = connection.and_then(|id| self.shell.sockets.get(id)) {
                    open.taken_of_stranger();
                }
                self.take(arrival, tx)?;
            }
            let is_much = self.batch.out.queued_bytes >= OTHERS_OUTPUT_BYTES_MAX;
            if self.is_full(inputs) || is_much || self.now_ns >= until_ns {
                return Ok(());
            }
        }
    }

    pub(in crate::net) fn take(&mut self, arrival: Arrival, tx: &mut Tx) -> Result<(), StoreError> {
        self.has_worked = true;
        let start_ns = self.now_ns;
        let Some(arrival) = self.in_order(arrival) else {
            return Ok(());
        };
        self.take_arrival(arrival, tx)?;
        self.note_unfinished();
        if self.now_ns == start_ns {
            self.now_ns = self.shell.clock.monotonic_ns();
        }
        Ok(())
    }

    fn is_full(&self, inputs: usize) -> bool {
        inputs >= BATCH_INPUTS_MAX || self.batch.out.queued_bytes >= BATCH_OUTPUT_BYTES_MAX
    }

    /// A chunk that has just come.
    pub(super) fn take_bytes(
        &mut self,
        connection: ConnectionId,
        bytes: Box<[u8]>,
        tx: &mut Tx,
    ) -> Result<(), StoreError> {
        self.looks.note(bytes.len());
        let open = self.open(connection);
        let arrival = Arrival::Bytes { connection, bytes };
        let arrival = match &open {
            Some(open) => open.wait_behind(&self.shell, arrival),
            None => self.shell.inbox.wait_behind(connection, arrival),
        };
        let Some(Arrival::Bytes { bytes, .. }) = arrival else {
            return Ok(());
        };
        let rest = Rest::new(connection, bytes);
        match open {
            Some(open) if open.pace.is_heavy(self.now_ns) => open.put_off(&self.shell, rest),
            open => self.turn(rest, open, tx)?,
        }
        Ok(())
    }

    /// What a connection did is taken in its order, though the rest of a chunk may wait.
    fn in_order(&self, arrival: Arrival) -> Option<Arrival> {
        match &arrival {
            Arrival::HandshakeDone { connection } | Arrival::Closed { connection } => {
                let connection = *connection;
                match self.shell.sockets.get(connection) {
                    Some(open) => open.wait_behind(&self.shell, arrival),
                    None => self.shell.inbox.wait_behind(connection, arrival),
                }
            }
            _ => Some(arrival),
        }
    }

    /// Steps what is left of a chunk, as far as the connection's turn goes.
    fn turn(
        &mut self,
        mut rest: Rest,
        open: Option<Rc<Connection>>,
        tx: &mut Tx,
    ) -> Result<(), StoreError> {
        if let Some(open) = &open {
            match open.park(&self.shell, rest) {
                Some(goes_on) => rest = goes_on,
                None => return Ok(()),
            }
            open.asks();
        }
        let connection = rest.connection;
        self.has_worked = true;
        let start_ns = self.now_ns;
        let (outputs, stanzas) = (self.batch.out.outputs.len(), self.batch.out.stanzas);
        let from = rest.from;
        let is_done = loop {
            let bytes = rest.bytes.get(rest.from..).unwrap_or_default();
            self.step(Input::Bytes { connection, bytes }, tx)?;
            let unfinished = &mut self.batch.out.unfinished;
            let own = unfinished.iter().position(|(id, _)| *id == connection);
            let left = own.map(|at| unfinished.swap_remove(at).1);
            self.note_unfinished();
            let Some(left) = left else { break true };
            rest.from = rest.bytes.len().saturating_sub(left);
            let busy_ns = self.shell.clock.monotonic_ns() - start_ns;
            if busy_ns >= TURN_NS || self.is_full(0) {
                break false;
            }
        };
        if let Some(open) = &open {
            let now_ns = self.shell.clock.monotonic_ns();
            let taken = Taken {
                bytes: if is_done { rest.bytes.len() } else { rest.from } - from,
                stanzas: self.batch.out.stanzas - stanzas,
                busy_ns: now_ns - start_ns,
            };
            self.now_ns = now_ns;
            let sent = outputs..self.batch.out.outputs.len();
            self.set_pace(open, (now_ns, taken), sent);
        }
        match open {
            Some(open) if !is_done => {
                open.put_off(&self.shell, rest);
                return Ok(());
            }
            None if !is_done => {
                self.shell.inbox.push_rest(rest);
                return Ok(());
            }
            Some(open) if open.is_plain() => self.batch.held.push(open),
            Some(open) => self.batch.stepped.push(open),
            None => {}
        }
        for arrival in rest.behind {
            self.take(arrival, tx)?;
        }
        Ok(())
    }

    /// Counts what a connection sent, and lets it rest if that was too much, or more than others take.
    fn set_pace(
        &mut self,
        open: &Rc<Connection>,
        (now_ns, taken): (u64, Taken),
        sent: Range<usize>,
    ) {
        let shell = &self.shell;
        let mut rest_ns = open.pace.take(&shell.rates, now_ns, taken);
        let pressure = std::mem::take(&mut self.batch.out.pressure);
        if pressure > 0 {
            rest_ns = rest_ns.max(pace::rest_for_slow_reader_ns(taken.bytes, pressure));
        }
        if shell.held.congested.get() > 0 {
            let sent = self.batch.out.outputs.get(sent).unwrap_or_default();
            let slow = |output: &Output| match output {
                Output::Send {
                    connection, bytes, ..
                } if *connection != open.id => {
                    let reader = shell.sockets.get(*connection)?;
                    let (waiting, most) = (reader.unasked_bytes(), shell.send_queue_bytes_max);
                    let fullness = pace::fullness(waiting, most);
                    Some(pace::rest_for_slow_reader_ns(bytes.len(), fullness))
                }
                _ => None,
            };
            rest_ns = rest_ns.max(sent.iter().filter_map(slow).max().unwrap_or(0));
        }
        let rest_ms = rest_ns / 1_000_000;
        if rest_ms > 0 {
            open.rest_until(shell, now_ns / 1_000_000 + rest_ms);
        }
    }

    /// Connections that have more to do than what they were given now.
    pub(super) fn note_unfinished(&mut self) {
        for (connection, _) in std::mem::take(&mut self.batch.out.unfinished) {
            // One that waits goes on with all of it.
            if let Some(open) = self.open(connection).filter(|open| !open.has_rest()) {
                open.chunk_waits();
                open.put_off(&self.shell, Rest::new(connection, Box::default()));
            }
        }
    }
}
