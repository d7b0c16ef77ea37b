//! How streams end: by the peer, by us, by the operator, or because there is no room.
use crate::state::{ConnectionId, Output, SessionId};
use crate::store::StoreError;
use crate::xmpp::{StreamCondition, StreamError};

use crate::server::timers::Timer;
use crate::server::{Server, Step, session};

impl Server {
    /// The stream is over; the connection closes when its last bytes are out.
    pub(super) fn stream_closed(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        error: Option<StreamError>,
    ) -> Result<(), StoreError> {
        if let Some(error) = error {
            log::info!(
                "stream.error connection={} condition={}",
                id.0,
                error.condition.as_str()
            );
        }
        step.out.push(Output::Close { connection: id });
        self.closed(step, id, false)
    }

    /// The connection is gone, or as good as gone. `lost`: nobody said good-bye, so that the session may be resumed.
    pub(in crate::server) fn closed(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        lost: bool,
    ) -> Result<(), StoreError> {
        self.attempt_given_up(id);
        let Some(connection) = self.connections.remove(&id) else {
            return Ok(());
        };
        self.timers
            .cancel(connection.watched_ms, Timer::Connection(id));
        if let Some(job) = connection.job {
            self.jobs.remove(job);
            step.out.push(Output::Cancel { job });
        }
        self.component_closed(step, id, connection.component)?;
        match connection.session {
            Some(session) if lost && self.detach(step, session)? => Ok(()),
            Some(session) => session::end(&mut self.cx(step), session),
            None => Ok(()),
        }
    }

    /// Ends the streams and sessions that handlers, timers or operators asked to end.
    pub(in crate::server) fn end_streams(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        loop {
            if let Some(session) = self.state.effects.expiring.pop() {
                self.expire(step, session)?;
            } else if let Some((id, error)) = self.state.effects.ending.pop() {
                self.end_stream(step, id, error)?;
            } else {
                return Ok(());
            }
        }
    }

    fn end_stream(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        error: StreamError,
    ) -> Result<(), StoreError> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        log::info!(
            "stream.ended connection={} condition={}",
            id.0,
            error.condition.as_str()
        );
        // Neither said good-bye: what may be resumed stays.
        let lost = matches!(
            error.condition,
            StreamCondition::ConnectionTimeout | StreamCondition::SeeOtherHost
        );
        let entropy = self.entropy.as_mut();
        let wire = connection.wire(id);
        step.out
            .send(wire, |bytes| connection.stream.fail(error, entropy, bytes));
        step.out.push(Output::Close { connection: id });
        self.closed(step, id, lost)
    }

    /// Ends all sessions that are away, as if their time were over: what waits in them waits in the archive from then on.
    pub fn end_away(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let sessions: Vec<SessionId> = self
            .state
            .sessions
            .all()
            .map(|session| session.id)
            .collect();
        for session in sessions {
            self.expire(step, session)?;
        }
        self.end_streams(step)
    }

    /// A session's time is over; one that is still connected hears why.
    fn expire(&mut self, step: &mut Step<'_>, session: SessionId) -> Result<(), StoreError> {
        let connection = self
            .state
            .sessions
            .get(session)
            .and_then(|session| session.connection);
        if let Some(connection) = connection {
            let error = StreamError::new(StreamCondition::ResourceConstraint)
                .text("Too much is unacknowledged.");
            self.state.effects.ending.push((connection, error));
            return Ok(());
        }
        session::end(&mut self.cx(step), session)
    }

    /// RFC 6120 §4.9.3.17: there is no room for it.
    pub(in crate::server) fn displaced(&mut self, id: ConnectionId) {
        let known = self.connections.get(&id);
        if known.is_none_or(|known| known.peer().is_some()) {
            return;
        }
        let error = StreamError::new(StreamCondition::ResourceConstraint)
            .text("Too many connections that have not logged in.");
        self.state.effects.ending.push((id, error));
    }
}
