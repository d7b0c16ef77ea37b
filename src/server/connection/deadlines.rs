//! What happens when nothing happens: deadlines of negotiation, silent clients, timers as they come due.
use crate::state::{ConnectionId, Moment};
use crate::store::StoreError;
use crate::xmpp::{StreamCondition, StreamError};

use crate::server::route::{iq, unanswered};
use crate::server::timers::Timer;
use crate::server::{Server, Step};

/// How long a silent peer has to answer a probe.
const PROBE_MS_MAX: u64 = 60_000;

impl Server {
    pub(in crate::server) fn tick(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        while let Some(timer) = self.timers.take_due(step.now.monotonic_ms) {
            match timer {
                Timer::Connection(id) => self.check_connection(step, id),
                Timer::Attempt(id) => {
                    self.begin_attempt(id);
                    self.poll(step, id, &[])?;
                }
                Timer::ReleaseFailure(id) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.stream.release_failure();
                    }
                    self.poll(step, id, &[])?;
                }
                Timer::Away(session) => self.check_away(step, session)?,
                Timer::WriteSeen => self.write_seen(step.tx)?,
                Timer::Ask(session) => self.check_unacknowledged(step, session),
                Timer::Rounds => self.go_round(step)?,
                Timer::Questions => {
                    unanswered::expire(&mut self.cx(step));
                    self.state.questions.looked_at();
                }
                Timer::Upkeep => self.upkeep(step)?,
            }
            self.end_streams(step)?;
        }
        Ok(())
    }

    /// Sets a timer for whoever waits for an answer that may not come.
    pub(in crate::server) fn watch_questions(&mut self) {
        if let Some(due_ms) = self.state.questions.newly_due_ms() {
            self.timers.set(due_ms, Timer::Questions);
        }
    }

    /// Total and idle time before a resource is bound.
    pub(super) fn negotiation_deadline(&self, opened_ms: u64, last_input_ms: u64) -> u64 {
        let total = opened_ms + u64::from(self.state.settings.negotiation_seconds_max) * 1000;
        let idle =
            last_input_ms + u64::from(self.state.settings.negotiation_idle_seconds_max) * 1000;
        total.min(idle)
    }

    /// Sets when a connection's deadlines are looked at next.
    pub(super) fn watch(&mut self, id: ConnectionId, at_ms: u64) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let timer = Timer::Connection(id);
            self.timers.cancel(connection.watched_ms, timer);
            connection.watched_ms = at_ms;
            self.timers.set(at_ms, timer);
        }
    }

    fn check_connection(&mut self, step: &mut Step<'_>, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.peer().is_some() {
            return self.check_idle(step, id);
        }
        let deadline = self.negotiation_deadline(connection.opened_ms, connection.last_input_ms);
        if deadline > step.now.monotonic_ms {
            self.watch(id, deadline);
            return;
        }
        let error = StreamError::new(StreamCondition::ConnectionTimeout)
            .text("Not logged in within the time allowed.");
        self.state.effects.ending.push((id, error));
    }

    /// A resource was bound: from now on silence is what is watched.
    pub(in crate::server) fn watch_idle(&mut self, now: Moment, id: ConnectionId) {
        let idle_ms = u64::from(self.state.settings.idle_seconds_max) * 1000;
        self.watch(id, now.monotonic_ms + idle_ms);
    }

    /// RFC 6120 §4.6: a peer silent for long is asked for a sign of life (XEP-0199), then given up.
    fn check_idle(&mut self, step: &mut Step<'_>, id: ConnectionId) {
        let idle_ms = u64::from(self.state.settings.idle_seconds_max) * 1000;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let quiet_since = connection.last_input_ms;
        if connection.probed {
            let error =
                StreamError::new(StreamCondition::ConnectionTimeout).text("No answer to a ping.");
            self.state.effects.ending.push((id, error));
        } else if quiet_since + idle_ms > step.now.monotonic_ms {
            self.watch(id, quiet_since + idle_ms);
        } else {
            self.probe(step, id, PROBE_MS_MAX);
        }
    }

    /// Asks whoever is connected there for a sign of life, and ends the connection if none comes in time.
    pub(in crate::server) fn probe(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        within_ms: u64,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(peer) = connection.peer() else {
            return;
        };
        connection.probed = true;
        self.watch(id, step.now.monotonic_ms + within_ms);
        iq::ping(&mut self.cx(step), peer);
    }
}
