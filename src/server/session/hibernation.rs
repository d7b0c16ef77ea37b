//! XEP-0198 §5: sessions that outlive memory and the process. While they are away they sleep in the store; when the server
//! stops in order, all that may be resumed are written there, and are there again when it starts.
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::channel;
use crate::state::{
    AvailablePresence, BlockList, CONNECTED_BYTES_MAX, Caps, CapsId, Cx, Ended, Held, Management,
    Moment, Online, Output, Session, SessionClient, SessionId, Sessions, Stored,
};
use crate::store::{ClientKey, StoreError, Suspended, SuspendedId, Tx};
use crate::stream::Grant;
use crate::xmpp::{FullJid, Jid, StreamCondition, StreamError};

use super::management;
use crate::server::login::fast;
use crate::server::route::{turn, unanswered};
use crate::server::{Server, Step, session};

/// After a start a session may stay away for at least so long (if it might at all), whatever the clock says: it may have
/// been set meanwhile, and clients need time to notice.
const GRACE_MS: u64 = 120_000;

/// Capabilities by their hash: most clients are like many others, and share theirs.
type Shared = HashMap<String, Rc<Caps>>;

/// Gives memory back: a session that is away goes to the store but for what routing needs, of any other its queue does.
/// Returns about how many bytes.
pub fn hibernate(cx: &mut Cx<'_>, session: SessionId) -> Result<usize, StoreError> {
    let before = memory_bytes(cx, session) + cx.state.shared_bytes.get();
    let Some(known) = cx.state.sessions.get(session) else {
        return Ok(0);
    };
    let is_resumable = known.management.as_ref().is_some_and(|m| m.name.is_some());
    if cx.state.disk_low {
        return Ok(0);
    }
    if known.connection.is_none() && is_resumable {
        let remaining_ms = known.expires_ms.saturating_sub(cx.now.monotonic_ms);
        cx.put_to_sleep(session, remaining_ms)?;
    } else {
        cx.spill(session)?;
    }
    let after = memory_bytes(cx, session) + cx.state.shared_bytes.get();
    Ok(before.saturating_sub(after))
}

/// What of a session `hibernate` can give back, beside what it shares with others.
pub(in crate::server) fn memory_bytes(cx: &Cx<'_>, session: SessionId) -> usize {
    let Some(known) = cx.state.sessions.get(session) else {
        return 0;
    };
    let queue = known.management.as_ref().map_or(0, |m| m.own_bytes());
    let held = known.held.as_ref().map_or(0, |held| held.own_bytes());
    let details = known.presence.as_ref().and_then(|p| p.details.as_ref());
    queue + held + details.map_or(0, |details| details.payload.len())
}

impl Server {
    /// Queues that have grown too large for memory go to the store.
    pub(in crate::server) fn spill_queues(
        &mut self,
        step: &mut Step<'_>,
    ) -> Result<(), StoreError> {
        for session in std::mem::take(&mut self.state.effects.spilling) {
            let mut cx = self.cx(step);
            if !cx.state.disk_low {
                cx.spill(session)?;
                continue;
            }
            let known = cx.state.sessions.get(session);
            let queue = known.and_then(|known| known.management.as_ref());
            if queue.is_some_and(|queue| queue.queue_bytes() > CONNECTED_BYTES_MAX) {
                cx.state.effects.expiring.push(session);
            }
        }
        self.end_streams(step)
    }

    /// Every stream ends; sessions that may be resumed are written, all others end.
    pub(in crate::server) fn shutdown(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        self.shutting_down = true;
        self.end_streams(step)?;
        let components = self.state.domains.components.connected();
        for component in components.map(|(id, _)| id).collect::<Vec<_>>() {
            unanswered::component_went(&mut self.cx(step), component);
        }
        let ids = self.state.sessions.ids();
        for session in &ids {
            // §4: so that clients know what they need not send again.
            management::acknowledge_to_peer(&mut self.cx(step), *session);
        }
        for (id, connection) in self.connections.iter_mut() {
            let error = StreamError::new(StreamCondition::SystemShutdown);
            step.out.send(connection.wire(id), |bytes| {
                connection.stream.fail(error, self.entropy.as_mut(), bytes)
            });
            (connection.session, connection.component) = (None, None);
            step.out.push(Output::Close { connection: id });
        }
        self.state.domains.components.let_go();
        // Nothing more is said to anybody.
        let mut resumable = Vec::new();
        let mut others = Vec::new();
        for id in ids {
            if let Some(known) = self.state.sessions.get_mut(id) {
                match remaining_ms(known, step.now) {
                    Some(left_ms) => resumable.push((id, left_ms)),
                    None => others.push(id),
                }
                known.connection = None;
            }
        }
        let mut cx = self.cx(step);
        for session in others {
            session::end(&mut cx, session)?;
        }
        for (session, remaining_ms) in &resumable {
            fast::settle_session(&mut cx, *session)?;
            if let Some(known) = cx.state.sessions.get(*session) {
                let account = known.jid.to_bare();
                turn::let_go(&mut cx, &account, *session);
            }
            cx.put_to_sleep(*session, *remaining_ms)?;
        }
        channel::keep_occupants(&mut cx)?;
        log::info!("sessions.suspended count={}", resumable.len());
        remember_ended(&cx.state.sessions, &[], cx.tx)?;
        cx.tx.write_seen()?;
        cx.tx.set_stopped(true)?;
        step.out.push(Output::Exit);
        Ok(())
    }

    /// Sessions of the last run, if it ended in order: they are away.
    pub(in crate::server) fn load_suspended(
        &mut self,
        start: Moment,
        tx: &Tx,
    ) -> Result<(), StoreError> {
        for (account, name, received) in tx.ended()? {
            self.state.sessions.forget_resumption(Ended {
                account,
                name: name.into(),
                received,
            });
        }
        let mut shared = HashMap::new();
        match tx.has_stopped()? {
            true => {
                tx.visit_suspended(&mut |id, row| self.restore(start, tx, &mut shared, (id, row)))
            }
            false => Ok(()),
        }
    }

    /// The server begins to serve: from here on what the store has of sessions is only what memory says.
    pub fn begin(&mut self, start: Moment, tx: &mut Tx) -> Result<(), StoreError> {
        if tx.has_stopped()? {
            remove_unknown(&self.state.sessions, tx)?;
            channel::restore_occupants(&mut self.state, tx, start.monotonic_ms)?;
            return tx.set_stopped(false);
        }
        // The last run was cut short: what its sessions were sent since is lost, so that they cannot go on. What was
        // archived waits; how much of their clients' they had handled is known of those that were asleep.
        tx.remove_lost_queues()?;
        let mut shared = HashMap::new();
        tx.visit_suspended(&mut |id, row| self.restore(start, tx, &mut shared, (id, row)))?;
        if self.state.sessions.is_empty() {
            return Ok(());
        }
        let lost = self.state.sessions.ids();
        log::info!("sessions.lost count={}", lost.len());
        remember_ended(&self.state.sessions, &lost, tx)?;
        self.state.effects.expiring.extend(lost);
        Ok(())
    }

    fn restore(
        &mut self,
        start: Moment,
        tx: &Tx,
        shared: &mut Shared,
        (id, row): (SuspendedId, Suspended),
    ) -> Result<(), StoreError> {
        let jid = Jid::parse(&row.jid).ok().and_then(|jid| jid.to_full());
        let Some(jid) = jid.filter(|jid| self.state.domains.is_served(jid)) else {
            return Ok(());
        };
        let away_ms = away_ms(&row, start);
        let session = restored(&mut self.state.sessions, tx, id, &jid, &row)?;
        let caps = row.capabilities.map(|id| {
            let shared = shared.entry(id.clone());
            let of = || self.state.capabilities.of(CapsId(id.into()));
            Rc::clone(shared.or_insert_with(of))
        });
        if let Some(known) = self.state.sessions.get_mut(session) {
            known.told = caps.clone().filter(|caps| caps.is_known());
            known.caps = caps;
            known.shown_to_channels = known.presence.is_some() && known.knows_mix();
            known.expires_ms = start.monotonic_ms + away_ms;
            let expires_ms = known.expires_ms;
            self.set_away_timer(session, Some(expires_ms));
        }
        Ok(())
    }
}

/// Removes sessions that did not come back: of a domain that is served no more.
fn remove_unknown(sessions: &Sessions, tx: &mut Tx) -> Result<(), StoreError> {
    let known = sessions.all().filter_map(|session| session.stored);
    let known: HashSet<SuspendedId> = known.map(|stored| stored.id).collect();
    let mut unknown = Vec::new();
    tx.visit_suspended(&mut |id, _| {
        unknown.extend((!known.contains(&id)).then_some(id));
        Ok(())
    })?;
    for id in unknown {
        tx.forget_suspended(id)?;
        let positions = tx.queue_positions(id)?;
        tx.remove_queue(id, positions)?;
    }
    Ok(())
}

/// Writes how much was handled of sessions that ended, and of these that are about to.
fn remember_ended(
    sessions: &Sessions,
    ending: &[SessionId],
    tx: &mut Tx,
) -> Result<(), StoreError> {
    let ended = sessions.ended();
    let ended = ended.map(|ended| (ended.account, &*ended.name, ended.received));
    let ending = ending.iter().filter_map(|id| {
        let session = sessions.get(*id)?;
        let management = session.management.as_ref()?;
        let name = management.name.as_deref()?;
        Some((session.account, name, management.received))
    });
    tx.set_ended(ended.chain(ending))
}

/// How long a session may be away from now on; `None`: it may not be resumed.
fn remaining_ms(session: &Session, now: Moment) -> Option<u64> {
    let management = session.management.as_ref()?;
    management.name.as_ref()?;
    Some(match session.connection {
        Some(_) => u64::from(management.resume_seconds) * 1000,
        None => session.expires_ms.saturating_sub(now.monotonic_ms),
    })
}

/// How long a session from the store may still be away. A clock that went back takes nothing off, one that leapt leaves
/// the grace; neither ever adds.
fn away_ms(row: &Suspended, start: Moment) -> u64 {
    let away_ms = start.wall.0.saturating_sub(row.at.0);
    let away_ms = u64::try_from(away_ms).unwrap_or(0);
    let least_ms = row.remaining_ms.min(GRACE_MS);
    row.remaining_ms.saturating_sub(away_ms).max(least_ms)
}

/// A session as memory has those that are asleep.
fn restored(
    sessions: &mut Sessions,
    tx: &Tx,
    id: SuspendedId,
    jid: &FullJid,
    row: &Suspended,
) -> Result<SessionId, StoreError> {
    let blocked = BlockList::new(tx.blocked(id.account)?);
    let archive_preferences = Rc::new(tx.archive_preferences(id.account)?);
    let client = SessionClient {
        by_resource: false,
        fast: None,
        noted: None,
        since: Some(row.at),
        key: row.client.as_deref().map(|key| ClientKey(key.into())),
        grant: row.grant.as_ref().map(|(id, restricted)| {
            Rc::new(Grant {
                id: id.as_str().into(),
                restricted: *restricted,
                // Taken away, a grant ends its sessions at once; nothing asks again.
                tag: 0,
            })
        }),
    };
    let session = sessions.restore(jid.clone(), id.account, client, || Online {
        account: id.account,
        sessions: Vec::new(),
        blocked,
        archive_preferences,
        offer: None,
        catching_up: None,
    });
    if row.catching_up
        && let Some(online) = sessions.online_mut(&jid.to_bare())
    {
        online.catching_up = Some(Box::default());
    }
    // After a crash the rows say more than the session's own row.
    let queue = tx.queue_positions(id)?;
    let management = Management::restore(
        &row.name,
        row.resume_seconds,
        (row.received, row.acknowledged),
        (queue, row.queue_bytes),
    );
    let name = management.name.clone();
    if let Some(known) = sessions.get_mut(session) {
        known.wants_roster = row.wants_roster;
        known.wants_channels = row.wants_channels;
        known.wants_blocking = row.wants_blocking;
        known.carbons = row.carbons;
        known.held = row.inactive.then(|| Box::new(Held::default()));
        known.presence = row.presence.as_ref().map(|presence| AvailablePresence {
            priority: presence.priority,
            details: None,
        });
        known.management = Some(Box::new(management));
        known.stored = Some(Stored {
            id,
            has_row: true,
            is_asleep: true,
        });
    }
    if let Some(name) = name {
        sessions.name_for_resumption(session, name);
    }
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::Timestamp;

    #[test]
    fn no_clock_kills_a_session_or_keeps_it_for_ever() {
        let left = |remaining_ms, at, now| {
            let row = Suspended {
                remaining_ms,
                at: Timestamp(at),
                ..Suspended::default()
            };
            let start = Moment {
                monotonic_ms: 5,
                wall: Timestamp(now),
                sure: Timestamp(now),
            };
            away_ms(&row, start)
        };
        assert_eq!(left(600_000, 1_000_000, 1_200_000), 400_000);
        // The clock went back, or was at 1970 and is right now.
        assert_eq!(left(600_000, 1_000_000, 0), 600_000);
        assert_eq!(left(600_000, 0, 1_790_000_000_000), GRACE_MS);
        assert_eq!(left(600_000, i64::MIN, i64::MAX), GRACE_MS);
        assert_eq!(left(600_000, i64::MAX, i64::MIN), 600_000);
        // Whatever it does, nothing is added.
        assert_eq!(left(30_000, 0, 1_790_000_000_000), 30_000);
    }
}
