//! XEP-0198 §5: a session outlives its connection, goes on on another one, and is sent again what its client missed.
use crate::feature;
use crate::state::{ConnectionId, Cx, Output, SessionClient, SessionId, TooHigh};
use crate::store::{QueueRow, StoreError};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, StreamCondition, StreamError, ns, quoted};

use super::hibernation::hibernate;
use super::management::{acknowledge, client_state, too_high, write_failed};
use crate::server::login::fast;
use crate::server::route::again;
use crate::server::route::message::unseen;
use crate::server::timers::Timer;
use crate::server::{Server, Step};

/// Bytes sent again at a time; the rest follows when the connection has taken them.
const AGAIN_BYTES_MAX: usize = 256 << 10;
/// How long a session is away before it goes to the store: most come back sooner.
const HIBERNATE_AFTER_MS: u64 = 60_000;

/// What came of `<resume/>`.
pub enum ResumeOutcome {
    /// `received`: how many of the client's stanzas were handled.
    Resumed { session: SessionId, received: u32 },
    /// No such session of this account; with what it had handled, where that is known. A resource may be bound.
    NotFound { received: Option<u32> },
    /// §6: the client claims what was never sent. Its stream ends with `too_high`; the session stays.
    TooHigh(TooHigh),
}

impl Server {
    /// §5: `<resume/>` of a client that has logged in and bound nothing yet.
    pub(in crate::server) fn resume_requested(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        account: &BareJid,
        (previous, h): (&str, u32),
    ) -> Result<(), StoreError> {
        if self.still_logged_in(step, id, account)?.is_none() {
            self.state
                .effects
                .ending
                .push((id, StreamCondition::NotAuthorized.into()));
            return Ok(());
        }
        let outcome = self.resume(step, id, account, (previous, h))?;
        if let ResumeOutcome::TooHigh(error) = outcome {
            self.state.effects.ending.push((id, too_high(error)));
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        step.out.send(connection.wire(id), |bytes| {
            write_outcome(&mut Writer::new(bytes), previous, &outcome);
        });
        match outcome {
            ResumeOutcome::Resumed { session, .. } => {
                connection.stream.resumed();
                self.log_resumed(session, "");
                self.resumed(step, id, session)
            }
            _ => {
                connection.stream.resume_refused();
                Ok(())
            }
        }
    }

    /// §5: an earlier session of the same account goes on on this connection; its old one, if it is still there, ends.
    /// Nothing is written to the new one: once it was told what came of it (`write_outcome`, or `too_high` and the end),
    /// `resumed` sends what was missed.
    pub(in crate::server) fn resume(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        account: &BareJid,
        (previous, h): (&str, u32),
    ) -> Result<ResumeOutcome, StoreError> {
        let found = self.state.sessions.resumable(previous);
        let found = found.filter(|session| session.jid.bare_str() == account.as_str());
        let Some(session) = found.map(|session| session.id) else {
            let account = self.cx(step).account(account)?;
            let sessions = &self.state.sessions;
            let received =
                account.and_then(|account| sessions.received_of_ended(account, previous));
            return Ok(ResumeOutcome::NotFound { received });
        };
        let mut cx = self.cx(step);
        if let Err(error) = acknowledge(&mut cx, session, h)? {
            return Ok(ResumeOutcome::TooHigh(error));
        }
        cx.wake(session)?;
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(ResumeOutcome::NotFound { received: None });
        };
        let Some(management) = &mut known.management else {
            return Ok(ResumeOutcome::NotFound { received: None });
        };
        management.reconnected();
        let received = management.received;
        let old = known.connection.replace(id);
        if let Some(old) = old {
            if let Some(connection) = self.connections.get_mut(&old) {
                connection.session = None;
            }
            let error =
                StreamError::new(StreamCondition::Conflict).text("The session goes on elsewhere.");
            self.state.effects.ending.push((old, error));
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.session = Some(session);
            if let Some(known) = self.state.sessions.get_mut(session) {
                known.framing = connection.stream.framing();
            }
            let login = std::mem::take(&mut connection.client);
            taken_over(&mut self.cx(step), session, login)?;
        }
        step.out.push(Output::LoggedIn { connection: id });
        Ok(ResumeOutcome::Resumed { session, received })
    }

    /// `mechanism`: of a login that did nothing else, and has no line of its own.
    pub(in crate::server) fn log_resumed(&self, session: SessionId, mechanism: &str) {
        let Some(known) = self.state.sessions.get(session) else {
            return;
        };
        let management = known.management.as_ref();
        let unacknowledged = management.map_or(0, |management| management.unacknowledged());
        let by = match mechanism {
            "" => String::new(),
            _ => format!(" mechanism={mechanism}"),
        };
        log::info!(
            "session.resumed jid={}{by} unacknowledged={unacknowledged}",
            quoted(known.jid.as_str())
        );
    }

    /// What a resumed session missed, behind the element that told its client so.
    pub(in crate::server) fn resumed(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        session: SessionId,
    ) -> Result<(), StoreError> {
        let mut cx = self.cx(step);
        // XEP-0352 §5.2: a resumed stream is active. What was held comes behind what was sent before.
        client_state(&mut cx, session, true);
        if send_again(&mut cx, session)? {
            unseen::begin(&mut cx, session)?;
            cx.ask(session);
        }
        feature::ask_caps_again(&mut cx, session)?;
        self.watch_idle(step.now, id);
        Ok(())
    }

    /// The connection of a session is gone. True: the session stays and may be resumed.
    pub(in crate::server) fn detach(
        &mut self,
        step: &mut Step<'_>,
        session: SessionId,
    ) -> Result<bool, StoreError> {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(false);
        };
        let seconds = match &known.management {
            Some(management) if management.name.is_some() => management.resume_seconds,
            _ => return Ok(false),
        };
        known.connection = None;
        let account = known.jid.to_bare();
        log::debug!(
            "session.detached jid={} seconds={seconds}",
            quoted(known.jid.as_str())
        );
        known.expires_ms = step.now.monotonic_ms + u64::from(seconds) * 1000;
        let at_ms = known
            .expires_ms
            .min(step.now.monotonic_ms + HIBERNATE_AFTER_MS);
        self.set_away_timer(session, Some(at_ms));
        unseen::hand_over(&mut self.cx(step), &account)?;
        Ok(true)
    }

    /// One timer for each session, whatever its connections do.
    pub(super) fn set_away_timer(&mut self, session: SessionId, at_ms: Option<u64>) {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return;
        };
        if let Some(before_ms) = std::mem::replace(&mut known.away_timer_ms, at_ms) {
            self.timers.cancel(before_ms, Timer::Away(session));
        }
        if let Some(at_ms) = at_ms {
            self.timers.set(at_ms, Timer::Away(session));
        }
    }

    /// A session that is away ends when its time is over, and sleeps until then.
    pub(in crate::server) fn check_away(
        &mut self,
        step: &mut Step<'_>,
        session: SessionId,
    ) -> Result<(), StoreError> {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        known.away_timer_ms = None;
        if known.connection.is_some() {
            return Ok(());
        }
        if known.expires_ms <= step.now.monotonic_ms {
            log::info!("session.expired jid={}", quoted(known.jid.as_str()));
            self.state.effects.expiring.push(session);
            return Ok(());
        }
        let expires_ms = known.expires_ms;
        hibernate(&mut self.cx(step), session)?;
        self.set_away_timer(session, Some(expires_ms));
        Ok(())
    }
}

/// Whoever resumed a session may do what this login may, not what the one before it might; and what takes this login away
/// takes the session away.
fn taken_over(cx: &mut Cx<'_>, session: SessionId, login: SessionClient) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(());
    };
    let is_other = login.key.is_some() && login.key != known.client.key;
    if is_other {
        fast::settle_session(cx, session)?;
    }
    let Some(known) = cx.state.sessions.get_mut(session) else {
        return Ok(());
    };
    let fast = login.fast.or(known.client.fast.filter(|_| !is_other));
    let now = Some(cx.now.wall);
    known.client = SessionClient {
        key: login.key.or(known.client.key.take()),
        by_resource: known.client.by_resource && !is_other,
        grant: login.grant,
        fast,
        noted: known.client.noted.filter(|_| !is_other),
        since: known.client.since.filter(|_| !is_other).or(now),
    };
    Ok(())
}

/// §5: `<resumed/>`, or `<failed/>` with what the session had handled, where that is known.
pub fn write_outcome(w: &mut Writer<'_>, previous: &str, outcome: &ResumeOutcome) {
    match outcome {
        ResumeOutcome::Resumed { received, .. } => {
            w.open_ns("resumed", ns::MANAGEMENT)
                .attr("previd", previous);
            w.attr("h", &received.to_string()).close();
        }
        ResumeOutcome::NotFound { received } => {
            write_failed(w, *received, Condition::ItemNotFound);
        }
        // The stream ends with `too_high` instead.
        ResumeOutcome::TooHigh(_) => {}
    }
}

/// The connection of a session has taken everything: what is still to be sent again goes on, then what waits.
pub fn drained(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let known = cx.state.sessions.get(session);
    let management = known.and_then(|known| known.management.as_ref());
    if management.is_none_or(|management| management.again_from().is_none()) {
        return unseen::go_on(cx, session);
    }
    if send_again(cx, session)? {
        unseen::begin(cx, session)?;
        cx.ask(session);
    }
    Ok(())
}

/// §5: a portion of what the peer has not handled, in order; it is counted already. True: that is all of it.
fn send_again(cx: &mut Cx<'_>, session: SessionId) -> Result<bool, StoreError> {
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(false);
    };
    let (Some(wire), Some(management)) = (known.wire(), &known.management) else {
        return Ok(known.management.is_none());
    };
    let Some(from) = management.again_from() else {
        return Ok(true);
    };
    let (jid, stored) = (known.jid.clone(), known.stored);
    let start = cx.out.bytes.len();
    let mut bytes = std::mem::take(&mut cx.out.bytes);
    let mut sent = 0;
    let mut write = |row: &QueueRow| -> Result<bool, StoreError> {
        again::write_row(&mut bytes, cx, &jid, row)?;
        sent += 1;
        Ok(bytes.len() - start < AGAIN_BYTES_MAX)
    };
    let mut goes_on = true;
    let of_store = from..management.stored().end;
    if let Some(stored) = stored {
        cx.tx.visit_queue(stored.id, of_store, &mut |row| {
            goes_on = write(&row)?;
            Ok(goes_on)
        })?;
    }
    if goes_on {
        for row in management.queue_from(from) {
            if !write(row)? {
                break;
            }
        }
    }
    cx.out.bytes = bytes;
    cx.out.send_range(wire, start..cx.out.bytes.len());
    let is_all = cx.state.sessions.get_mut(session).is_some_and(|known| {
        let management = known.management.as_mut();
        management.is_some_and(|management| {
            management.sent_again(from + sent);
            management.again_from().is_none()
        })
    });
    if !is_all {
        let connection = wire.connection;
        cx.out.push(Output::ReportDrained { connection });
    }
    Ok(is_all)
}
