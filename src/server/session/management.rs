//! XEP-0198 and XEP-0352 on bound streams: management turned on, acknowledgements both ways, clients that say they are
//! inactive. How sessions come back is in `resumption`, how they go in `giving_up`, how they sleep in `hibernation`.
use crate::state::{ConnectionId, Cx, Held, Management, Moment, SessionId, TooHigh};
use crate::store::{ArchiveId, StoreError, Tx};
use crate::stream::{EnableRequest, enable_request};
use crate::xml::{Element, ElementRef, Writer};
use crate::xmpp::{Condition, StreamCondition, StreamError, ns};

use crate::server::route::message::unseen;
use crate::server::timers::Timer;
use crate::server::{Server, Step};

/// How long a session may be away if its client names no time.
const RESUME_SECONDS_DEFAULT: u32 = 600;
/// How long a session may be away at most, and while the disk is nearly full, for then it has to stay in memory.
const RESUME_SECONDS_MAX: u32 = 86_400;
const RESUME_SECONDS_MAX_FULL: u32 = 600;
/// How long something may stay unacknowledged before it is asked for: a phone is still awake from what it was sent, and what
/// it has is not given again should it leave without a word.
pub const ASK_AFTER_MS: u64 = 500;
/// How long the store may believe that something is unseen that was acknowledged, if nothing else is written.
const WRITE_SEEN_AFTER_MS: u64 = 5_000;

/// What came of `<enable/>`.
pub struct Enabled {
    /// The session's name for resumption and how many seconds it may be away, if the client wants it.
    pub resumption: Option<(String, u32)>,
}

impl Server {
    /// An element of either specification from a bound client.
    pub(in crate::server) fn nonza(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        element: &Element,
    ) -> Result<(), StoreError> {
        let Some(session) = self
            .connections
            .get(&id)
            .and_then(|connection| connection.session)
        else {
            return Ok(());
        };
        let root = element.root();
        let mut cx = self.cx(step);
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
            (_, "resume") => {
                // §5: instead of binding, not after it.
                let known = cx.state.sessions.get(session);
                if let Some(wire) = known.and_then(|known| known.wire()) {
                    let condition = Condition::UnexpectedRequest;
                    cx.out.send(wire, |bytes| {
                        write_failed(&mut Writer::new(bytes), None, condition);
                    });
                }
                Ok(())
            }
            (_, "a") => acknowledged_by_peer(&mut cx, session, root)?,
            _ => Err(StreamCondition::UnsupportedStanzaType.into()),
        };
        if let Err(error) = done {
            self.state.effects.ending.push((id, error));
        }
        Ok(())
    }

    /// Asks for what has been unacknowledged for long. What is sent from now on sets the timer anew, and so does an answer
    /// that leaves some of it.
    pub(in crate::server) fn check_unacknowledged(
        &mut self,
        step: &mut Step<'_>,
        session: SessionId,
    ) {
        if let Some(known) = self.state.sessions.get_mut(session) {
            known.ask_set = false;
            self.cx(step).ask(session);
        }
    }

    /// Sets a timer for each session that was given something it has not been asked about.
    pub(in crate::server) fn watch_unacknowledged(&mut self, now: Moment) {
        for session in std::mem::take(&mut self.state.effects.unasked) {
            if let Some(known) = self.state.sessions.get_mut(session)
                && !std::mem::replace(&mut known.ask_set, true)
            {
                self.timers
                    .set(now.monotonic_ms + ASK_AFTER_MS, Timer::Ask(session));
            }
        }
    }

    /// What was acknowledged is written with the next commit, or after a while.
    pub(in crate::server) fn watch_seen(&mut self, step: &Step<'_>) -> Result<(), StoreError> {
        if !self.seen_set && step.tx.has_seen_to_write()? {
            self.seen_set = true;
            self.timers.set(
                step.now.monotonic_ms + WRITE_SEEN_AFTER_MS,
                Timer::WriteSeen,
            );
        }
        Ok(())
    }

    pub(in crate::server) fn write_seen(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        self.seen_set = false;
        tx.write_seen()
    }
}

/// XEP-0352 §4.2: what was held goes out before anything that answers the client.
pub fn client_state(cx: &mut Cx<'_>, session: SessionId, active: bool) {
    let active = active || !cx.state.settings.client_state;
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
    let known = cx.state.sessions.get(session);
    if let Some(wire) = known.and_then(|known| known.wire()) {
        cx.out.send(wire, |bytes| {
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
    let name = cx.new_secret_id();
    let known = cx.state.sessions.get_mut(session);
    let known = known.ok_or(Condition::InternalServerError)?;
    if known.management.is_some() {
        return Err(Condition::UnexpectedRequest);
    }
    let mut management = Box::<Management>::default();
    if !request.resume {
        known.management = Some(management);
        return Ok(Enabled { resumption: None });
    }
    let seconds_max = match cx.state.disk_low {
        true => RESUME_SECONDS_MAX_FULL,
        false => RESUME_SECONDS_MAX,
    };
    let asked = request.max.unwrap_or(RESUME_SECONDS_DEFAULT);
    let seconds = asked.min(seconds_max);
    let shared = std::rc::Rc::<str>::from(name.as_str());
    management.name = Some(std::rc::Rc::clone(&shared));
    management.resume_seconds = seconds;
    known.management = Some(management);
    cx.state.sessions.name_for_resumption(session, shared);
    Ok(Enabled {
        resumption: Some((name, seconds)),
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

/// §6
pub fn write_failed(w: &mut Writer<'_>, received: Option<u32>, condition: Condition) {
    w.open_ns("failed", ns::MANAGEMENT);
    w.attr_opt("h", received.map(|h| h.to_string()).as_deref());
    w.open_ns(condition.as_str(), ns::STANZAS).close().close();
}

/// §4: how many stanzas of the peer are handled. It leaves after the batch is durable, like everything.
pub fn acknowledge_to_peer(cx: &mut Cx<'_>, session: SessionId) {
    let Some(known) = cx.state.sessions.get(session) else {
        return;
    };
    if let (Some(wire), Some(management)) = (known.wire(), &known.management) {
        let received = management.received.to_string();
        cx.out.send(wire, |bytes| {
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
) -> Result<Result<(), StreamError>, StoreError> {
    let Some(h) = a.attribute("h").and_then(|h| h.trim().parse().ok()) else {
        return Ok(Err(StreamError::new(StreamCondition::PolicyViolation)
            .text("An acknowledgement needs its h.")));
    };
    if let Err(error) = acknowledge(cx, session, h)? {
        return Ok(Err(too_high(error)));
    }
    unseen::go_on(cx, session)?;
    Ok(Ok(()))
}

/// §4: the client has all stanzas up to `h`. Messages among them need not wait for the account any more.
pub fn acknowledge(
    cx: &mut Cx<'_>,
    session: SessionId,
    h: u32,
) -> Result<Result<(), TooHigh>, StoreError> {
    let Some(known) = cx.state.sessions.get_mut(session) else {
        return Ok(Ok(()));
    };
    let (account, stored) = (known.account, known.stored);
    let Some(management) = &mut known.management else {
        return Ok(Ok(()));
    };
    let acknowledged = match management.acknowledge(h) {
        Ok(acknowledged) => acknowledged,
        Err(error) => return Ok(Err(error)),
    };
    // What was sent after the question was not asked about.
    if management.needs_ask() && !known.ask_set && known.connection.is_some() {
        cx.state.effects.unasked.push(session);
    }
    let mut ids: Vec<ArchiveId> = Vec::new();
    if let Some(stored) = stored.filter(|_| !acknowledged.stored.is_empty()) {
        let positions = acknowledged.stored;
        cx.tx
            .visit_queue(stored.id, positions.clone(), &mut |row| {
                ids.extend(crate::state::received_id(&row));
                Ok(true)
            })?;
        let bytes = cx.tx.remove_queue(stored.id, positions)?;
        let left = management.stored_bytes().saturating_sub(bytes);
        management.set_stored_bytes(left);
    }
    ids.extend(acknowledged.received);
    cx.tx.mark_seen(account, &ids)?;
    Ok(Ok(()))
}

/// §6: the peer claims to have handled what was never sent.
pub fn too_high(error: TooHigh) -> StreamError {
    let detail = format!(
        "<handled-count-too-high xmlns='{}' h='{}' send-count='{}'/>",
        ns::MANAGEMENT,
        error.h,
        error.sent
    );
    StreamError {
        host: None,
        condition: StreamCondition::UndefinedCondition,
        text: Some("More was acknowledged than was sent."),
        application: Some(detail.into()),
    }
}
