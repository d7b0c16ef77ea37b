//! XEP-0198 and XEP-0352 on bound streams: acknowledgements, sessions that outlive their connection and come back, clients
//! that say they are inactive.
use crate::state::{ASK, ConnectionId, Cx, Held, Management, Moment, Outbox, SessionId, TooHigh};
use crate::store::{ArchiveId, StoreError, Tx};
use crate::stream::{EnableRequest, enable_request};
use crate::xml::{Element, ElementRef, Writer};
use crate::xmpp::{BareJid, Condition, IqKind, Stanza, StreamCondition, StreamError, ns};

use super::timers::Timer;
use super::{Server, unseen};

/// How long a session may be away if its client names no time.
const RESUME_SECONDS_DEFAULT: u32 = 600;
/// How long a session may be away at most.
const RESUME_SECONDS_MAX: u32 = 86_400;
/// How long something may stay unacknowledged before it is asked for.
pub const ASK_AFTER_MS: u64 = 30_000;

/// What came of `<resume/>`.
pub enum ResumeOutcome {
    /// `received`: how many of the client's stanzas were handled.
    Resumed { session: SessionId, received: u32 },
    /// No such session of this account; with what it had handled, where that is known. A resource may be bound.
    NotFound { received: Option<u32> },
    /// §6: the client claims what was never sent. Its stream ends with `too_high`; the session stays.
    TooHigh(TooHigh),
}

/// What came of `<enable/>`.
pub struct Enabled {
    /// The session's name for resumption and how many seconds it may be away, if the client wants it.
    pub resumption: Option<(String, u32)>,
}

impl Server {
    /// An element of either specification from a bound client.
    pub(super) fn nonza(
        &mut self,
        now: Moment,
        id: ConnectionId,
        element: &Element,
        tx: &mut Tx,
        out: &mut Outbox,
    ) {
        let Some(session) = self
            .connections
            .get(&id)
            .and_then(|connection| connection.session)
        else {
            return;
        };
        let root = element.root();
        let mut cx = self.cx(now, tx, out);
        let done = match (root.namespace(), root.name()) {
            (ns::CLIENT_STATE, name) => {
                client_state(&mut cx, session, name == "active");
                Ok(())
            }
            (_, "enable") => enable_requested(&mut cx, session, root),
            (_, "r") => {
                acknowledge_to_peer(&mut cx, session);
                Ok(())
            }
            (_, "a") => acknowledged_by_peer(&mut cx, session, root),
            _ => Err(StreamCondition::UnsupportedStanzaType.into()),
        };
        if let Err(error) = done {
            self.state.ending.push((id, error));
        }
    }

    /// §5: `<resume/>` of a client that has logged in and bound nothing yet.
    pub(super) fn resume_requested(
        &mut self,
        now: Moment,
        id: ConnectionId,
        account: &BareJid,
        (previous, h): (&str, u32),
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let outcome = self.resume(now, id, account, (previous, h), tx, out)?;
        if let ResumeOutcome::TooHigh(error) = outcome {
            self.state.ending.push((id, too_high(error)));
            return Ok(());
        }
        out.send(id, |bytes| {
            write_outcome(&mut Writer::new(bytes), previous, &outcome);
        });
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        match outcome {
            ResumeOutcome::Resumed { session, .. } => {
                connection.stream.resumed();
                self.resumed(now, id, session, tx, out)
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
    pub(super) fn resume(
        &mut self,
        _now: Moment,
        id: ConnectionId,
        account: &BareJid,
        (previous, h): (&str, u32),
        _tx: &mut Tx,
        _out: &mut Outbox,
    ) -> Result<ResumeOutcome, StoreError> {
        let found = self.state.sessions.resumable(previous);
        let found = found
            .filter(|session| session.jid.bare_str() == account.as_str())
            .map(|session| session.id);
        let not_found = ResumeOutcome::NotFound {
            received: self.state.sessions.received_of_expired(account, previous),
        };
        let Some(session) = found else {
            return Ok(not_found);
        };
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(not_found);
        };
        let Some(management) = &mut known.management else {
            return Ok(not_found);
        };
        if let Err(error) = management.acknowledge(h) {
            return Ok(ResumeOutcome::TooHigh(error));
        }
        management.reconnected();
        let received = management.received;
        let old = known.connection.replace(id);
        log::info!(
            "session.resumed jid={} unacknowledged={}",
            known.jid,
            management.unacknowledged().count()
        );
        if let Some(old) = old {
            if let Some(connection) = self.connections.get_mut(&old) {
                connection.session = None;
            }
            let error =
                StreamError::new(StreamCondition::Conflict).text("The session goes on elsewhere.");
            self.state.ending.push((old, error));
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.session = Some(session);
        }
        Ok(ResumeOutcome::Resumed { session, received })
    }

    /// What a resumed session missed, behind the element that told its client so.
    pub(super) fn resumed(
        &mut self,
        now: Moment,
        id: ConnectionId,
        session: SessionId,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let mut cx = self.cx(now, tx, out);
        send_again(&mut cx, session, id);
        // XEP-0352 §5.2: a resumed stream is active.
        client_state(&mut cx, session, true);
        unseen::go_on(&mut cx, session)?;
        self.watch_idle(now, id);
        Ok(())
    }

    /// The connection of a session is gone. True: the session stays and may be resumed.
    pub(super) fn detach(&mut self, now: Moment, session: SessionId) -> bool {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return false;
        };
        let seconds = match &known.management {
            Some(management) if management.id.is_some() => management.resume_seconds,
            _ => return false,
        };
        known.connection = None;
        log::info!("session.detached jid={} seconds={seconds}", known.jid);
        let away = u64::from(seconds) * 1000;
        known.expires_ms = now.monotonic_ms + away;
        self.timers.set(known.expires_ms, Timer::Expire(session));
        true
    }

    /// The time of a session that was away may be over; its connection may also have come and gone meanwhile.
    pub(super) fn check_expiry(&mut self, now: Moment, session: SessionId) {
        let Some(known) = self.state.sessions.get(session) else {
            return;
        };
        if known.connection.is_none() && known.expires_ms <= now.monotonic_ms {
            log::info!("session.expired jid={}", known.jid);
            self.state.expiring.push(session);
        }
    }

    /// Asks for what has been unacknowledged for long, and looks again.
    pub(super) fn check_unacknowledged(
        &mut self,
        now: Moment,
        session: SessionId,
        out: &mut Outbox,
    ) {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return;
        };
        let (Some(connection), Some(management)) = (known.connection, &mut known.management) else {
            return;
        };
        known.ask_set = false;
        if management.needs_ask() && management.ask() {
            out.send(connection, |bytes| bytes.extend_from_slice(ASK));
            known.ask_set = true;
            self.timers
                .set(now.monotonic_ms + ASK_AFTER_MS, Timer::Ask(session));
        }
    }

    /// Sets a timer for each session that was given something it has not been asked about.
    pub(super) fn watch_unacknowledged(&mut self, now: Moment) {
        for session in std::mem::take(&mut self.state.unasked) {
            if let Some(known) = self.state.sessions.get_mut(session)
                && !std::mem::replace(&mut known.ask_set, true)
            {
                self.timers
                    .set(now.monotonic_ms + ASK_AFTER_MS, Timer::Ask(session));
            }
        }
    }
}

/// XEP-0352 §4.2: what was held goes out before anything that answers the client.
pub fn client_state(cx: &mut Cx<'_>, session: SessionId, active: bool) {
    if active {
        cx.release_held(session);
    }
    if let Some(known) = cx.state.sessions.get_mut(session) {
        match active {
            true => known.held = None,
            false if known.held.is_none() => known.held = Some(Box::new(Held::default())),
            false => {}
        }
    }
}

/// §3: `<enable/>` on a bound stream. §3 asks for a stream error when it comes twice, §6 for `<failed/>` in any case.
fn enable_requested(
    cx: &mut Cx<'_>,
    session: SessionId,
    request: ElementRef<'_>,
) -> Result<(), StreamError> {
    let enabled = enable(cx, session, enable_request(request));
    let connection = cx
        .state
        .sessions
        .get(session)
        .and_then(|known| known.connection);
    if let Some(connection) = connection {
        cx.out.send(connection, |bytes| {
            write_enabled(&mut Writer::new(bytes), &enabled);
        });
    }
    enabled.map(|_| ()).map_err(|_| {
        StreamError::new(StreamCondition::PolicyViolation).text("Stream management is on already.")
    })
}

/// §3: turns it on for a session, once; nothing is written. From now on stanzas count.
pub fn enable(
    cx: &mut Cx<'_>,
    session: SessionId,
    request: EnableRequest,
) -> Result<Enabled, Condition> {
    let wants_resumption = request.resume;
    let id = cx.new_secret_id();
    let known = cx.state.sessions.get_mut(session);
    let known = known.ok_or(Condition::InternalServerError)?;
    if known.management.is_some() {
        return Err(Condition::UnexpectedRequest);
    }
    let seconds = request
        .max
        .unwrap_or(RESUME_SECONDS_DEFAULT)
        .min(RESUME_SECONDS_MAX);
    let mut management = Management::default();
    if wants_resumption {
        management.id = Some(id.as_str().into());
        management.resume_seconds = seconds;
    }
    known.management = Some(Box::new(management));
    if !wants_resumption {
        return Ok(Enabled { resumption: None });
    }
    cx.state.sessions.name_for_resumption(session, &id);
    Ok(Enabled {
        resumption: Some((id, seconds)),
    })
}

/// §3: `<enabled/>` or `<failed/>`.
pub fn write_enabled(w: &mut Writer<'_>, enabled: &Result<Enabled, Condition>) {
    let enabled = match enabled {
        Ok(enabled) => enabled,
        Err(condition) => return write_failed(w, None, *condition),
    };
    w.open_ns("enabled", ns::MANAGEMENT);
    if let Some((id, seconds)) = &enabled.resumption {
        w.attr("id", id)
            .attr("resume", "true")
            .attr("max", &seconds.to_string());
    }
    w.close();
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

fn write_failed(w: &mut Writer<'_>, received: Option<u32>, condition: Condition) {
    w.open_ns("failed", ns::MANAGEMENT);
    w.attr_opt("h", received.map(|h| h.to_string()).as_deref());
    w.open_ns(condition.as_str(), ns::STANZAS).close().close();
}

/// §4: how many stanzas of the peer are handled. It leaves after the batch is durable, like everything.
fn acknowledge_to_peer(cx: &mut Cx<'_>, session: SessionId) {
    let Some(known) = cx.state.sessions.get(session) else {
        return;
    };
    if let (Some(connection), Some(management)) = (known.connection, &known.management) {
        let received = management.received.to_string();
        cx.out.send(connection, |bytes| {
            Writer::new(bytes)
                .open_ns("a", ns::MANAGEMENT)
                .attr("h", &received)
                .close();
        });
    }
}

fn acknowledged_by_peer(
    cx: &mut Cx<'_>,
    session: SessionId,
    a: ElementRef<'_>,
) -> Result<(), StreamError> {
    let Some(h) = a.attribute("h").and_then(|h| h.parse().ok()) else {
        return Err(StreamError::new(StreamCondition::PolicyViolation)
            .text("An acknowledgement needs its h."));
    };
    let management = cx
        .state
        .sessions
        .get_mut(session)
        .and_then(|known| known.management.as_mut());
    match management {
        Some(management) => management.acknowledge(h).map_err(too_high),
        None => Ok(()),
    }
}

/// §4: the peer claims to have handled what was never sent.
pub fn too_high(error: TooHigh) -> StreamError {
    let detail = format!(
        "<handled-count-too-high xmlns='{}' h='{}' send-count='{}'/>",
        ns::MANAGEMENT,
        error.h,
        error.sent
    );
    StreamError {
        condition: StreamCondition::UndefinedCondition,
        text: Some("More was acknowledged than was sent."),
        application: Some(detail.into()),
    }
}

/// §5: what the peer has not handled is sent again, in order; it is counted already.
fn send_again(cx: &mut Cx<'_>, session: SessionId, connection: ConnectionId) {
    let Some(management) = cx
        .state
        .sessions
        .get_mut(session)
        .and_then(|known| known.management.as_mut())
    else {
        return;
    };
    let out = &mut *cx.out;
    for stanza in management.unacknowledged() {
        out.send(connection, |bytes| bytes.extend_from_slice(&stanza.stanza));
    }
    if management.ask() {
        out.send(connection, |bytes| bytes.extend_from_slice(ASK));
    }
}

/// The session will not come back: what it was given and nobody else got waits in the archive like what came while nobody
/// was there (§4). Requests it never answered are refused by the caller.
pub fn give_up(cx: &mut Cx<'_>, session: SessionId) -> Result<(), StoreError> {
    let Some(known) = cx.state.sessions.get_mut(session) else {
        return Ok(());
    };
    let Some(management) = known.management.take() else {
        return Ok(());
    };
    let (account, bare) = (known.account, known.jid.to_bare());
    if let Some(name) = &management.id {
        cx.state
            .sessions
            .forget_resumption(&bare, name, management.received);
    }
    let others = cx
        .state
        .sessions
        .ids_where(&bare, |other| other.id != session && other.takes_messages());
    refuse_requests(cx, &management);
    if !others.is_empty() || cx.state.disk_low {
        // They were given the same, or will find it in the archive.
        return Ok(());
    }
    let ids: Vec<ArchiveId> = management
        .unacknowledged()
        .filter_map(|stanza| stanza.archived)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    cx.tx.mark_unseen(account, &ids)
}

/// Requests that the session was given and will never answer (RFC 6120 §8.2.3).
fn refuse_requests(cx: &mut Cx<'_>, management: &Management) {
    for unacknowledged in management.unacknowledged() {
        let text = std::str::from_utf8(&unacknowledged.stanza).unwrap_or_default();
        if !text.starts_with("<iq") {
            continue;
        }
        let element = crate::xml::parse_stored(text, ns::CLIENT);
        let Some(Ok(Stanza::Iq(iq))) = element.ok().and_then(Stanza::from_element) else {
            continue;
        };
        let asker = iq
            .envelope
            .from
            .as_ref()
            .and_then(|from| cx.state.sessions.find(from))
            .map(|asker| asker.id);
        if let (Some(asker), IqKind::Get | IqKind::Set) = (asker, iq.kind) {
            let error = Condition::RecipientUnavailable.into();
            super::session::send_error(cx, asker, "iq", &iq.envelope, &error);
        }
    }
}
