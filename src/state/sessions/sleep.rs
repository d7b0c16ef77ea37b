//! XEP-0198 §5: a session that is away sleeps in the store; memory keeps what routing needs. Queues that are too large for
//! memory go there as well, of sessions that are awake too.
use std::rc::Rc;

use crate::store::{HeldRow, StoreError, Suspended, SuspendedId, SuspendedPresence};
use crate::xmpp::{Jid, quoted};

use crate::state::{
    Cx, Form, Held, HeldStanza, Keep, PresenceDetails, STORED_BYTES_MAX, Session, SessionId, Stored,
};

impl Cx<'_> {
    /// Writes the part of a session's queue that is in memory behind the part in the store.
    pub fn spill(&mut self, session: SessionId) -> Result<(), StoreError> {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        let account = known.account;
        let Some(management) = &mut known.management else {
            return Ok(());
        };
        if management.queue_bytes() == 0 {
            return Ok(());
        }
        let stored = match known.stored {
            Some(stored) => stored,
            None => Stored {
                id: self.tx.new_suspended(account)?,
                has_row: false,
                is_asleep: false,
            },
        };
        known.stored = Some(stored);
        let (from, queue) = management.take_queue();
        let bytes = self.tx.append_queue(stored.id, from, queue.iter())?;
        let bytes = management.stored_bytes().saturating_add(bytes);
        management.set_stored_bytes(bytes);
        if bytes > STORED_BYTES_MAX {
            log::warn!(
                "session.too_far_behind jid={} bytes={bytes}",
                quoted(known.jid.as_str())
            );
            self.state.effects.expiring.push(session);
        }
        Ok(())
    }

    /// Puts a session that may be resumed into the store, to be away for so long at most.
    pub fn put_to_sleep(
        &mut self,
        session: SessionId,
        remaining_ms: u64,
    ) -> Result<(), StoreError> {
        let holds = |known: &Session| known.held.as_ref().is_some_and(|held| !held.is_empty());
        if self.state.sessions.get(session).is_some_and(holds) {
            // What is held now belongs behind what was held before.
            self.wake(session)?;
        }
        self.spill(session)?;
        let id = match self.state.sessions.get(session) {
            Some(known) => match known.stored {
                Some(stored) => stored.id,
                None => self.tx.new_suspended(known.account)?,
            },
            None => return Ok(()),
        };
        let Some(row) = self.suspended_row(session, id, remaining_ms)? else {
            return Ok(());
        };
        self.tx.suspend(id, &row)?;
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        known.stored = Some(Stored {
            id,
            has_row: true,
            is_asleep: true,
        });
        known.directed = Vec::new();
        known.uncopied.forget();
        if let Some(presence) = &mut known.presence {
            presence.details = None;
        }
        if let Some(held) = &mut known.held {
            **held = Held::default();
        }
        self.state.sessions.note_slept();
        Ok(())
    }

    /// `None`: it may not be resumed.
    fn suspended_row(
        &self,
        session: SessionId,
        id: SuspendedId,
        remaining_ms: u64,
    ) -> Result<Option<Suspended>, StoreError> {
        let Some(known) = self.state.sessions.get(session) else {
            return Ok(None);
        };
        let Some(management) = &known.management else {
            return Ok(None);
        };
        let Some(name) = &management.name else {
            return Ok(None);
        };
        let asleep = match known.is_asleep() {
            true => self.tx.suspended(id)?,
            false => None,
        };
        let online = self.state.sessions.online(&known.jid.to_bare());
        let grant = known.client.grant.as_deref();
        let row = Suspended {
            remaining_ms,
            at: self.now.wall,
            jid: known.jid.as_str().to_string(),
            name: name.to_string(),
            resume_seconds: management.resume_seconds,
            received: management.received,
            acknowledged: management.acknowledged(),
            wants_roster: known.wants_roster,
            wants_channels: known.wants_channels,
            wants_blocking: known.wants_blocking,
            carbons: known.carbons,
            inactive: known.held.is_some(),
            catching_up: online.is_some_and(|online| online.catching_up.is_some()),
            client: known.client.key.as_ref().map(|key| key.0.to_string()),
            grant: grant.map(|grant| (grant.id.to_string(), grant.restricted)),
            capabilities: known.caps.as_ref().map(|caps| caps.id.0.to_string()),
            queue: management.stored(),
            queue_bytes: management.stored_bytes(),
            ..match asleep {
                Some(row) => row,
                None => awake_parts(known),
            }
        };
        Ok(Some(row))
    }

    /// Brings back into memory what only the store has of a session, but its queue. The row stays until the client says
    /// something.
    pub fn wake(&mut self, session: SessionId) -> Result<(), StoreError> {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        let Some(stored) = known.stored.as_mut().filter(|stored| stored.is_asleep) else {
            return Ok(());
        };
        stored.is_asleep = false;
        let Some(row) = self.tx.suspended(stored.id)? else {
            return Ok(());
        };
        if let (Some(presence), Some(of_row)) = (&mut known.presence, row.presence) {
            presence.details = Some(Rc::new(PresenceDetails::from(of_row)));
        }
        let directed = row.directed.iter().filter_map(|jid| Jid::parse(jid).ok());
        known.directed = directed.collect();
        let Some(held) = &mut known.held else {
            return Ok(());
        };
        let newer = held.take();
        for stanza in row.held.into_iter().map(held_stanza).chain(newer) {
            self.hold_or_release(session, stanza);
        }
        Ok(())
    }

    /// Puts a stanza behind what is held, or lets all go.
    fn hold_or_release(&mut self, session: SessionId, stanza: HeldStanza) {
        let held = self
            .state
            .sessions
            .get_mut(session)
            .and_then(|known| known.held.as_mut());
        if !held.is_some_and(|held| held.push(stanza.clone())) {
            self.release_held(session);
            self.transmit_kept(session, &stanza);
        }
    }

    /// The client of a session says something: what the store has of it is no longer true.
    pub fn forget_row(&mut self, session: SessionId) -> Result<(), StoreError> {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        if let Some(stored) = known.stored.as_mut().filter(|stored| stored.has_row) {
            stored.has_row = false;
            self.tx.forget_suspended(stored.id)?;
        }
        Ok(())
    }

    /// The session ends: nothing of it stays in the store.
    pub fn forget_stored(&mut self, session: SessionId) -> Result<(), StoreError> {
        self.forget_row(session)?;
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        let Some(stored) = known.stored.take() else {
            return Ok(());
        };
        let positions = self.tx.queue_positions(stored.id)?;
        self.tx.remove_queue(stored.id, positions)?;
        Ok(())
    }
}

/// What memory has of a session that is awake and would not have of one asleep.
fn awake_parts(known: &Session) -> Suspended {
    let presence = known.presence.as_ref().map(|presence| {
        let details = presence.details.as_deref();
        let text = |text: &Option<Rc<str>>| text.as_ref().map(|text| text.to_string());
        SuspendedPresence {
            priority: presence.priority,
            payload: details.map_or_else(String::new, |details| details.payload.to_string()),
            id: details.and_then(|details| text(&details.id)),
            lang: details.and_then(|details| text(&details.lang)),
        }
    });
    let held = known.held.as_ref().map(|held| held.stanzas().map(held_row));
    Suspended {
        presence,
        directed: known.directed.iter().map(|jid| jid.to_string()).collect(),
        held: held.map(Iterator::collect).unwrap_or_default(),
        ..Suspended::default()
    }
}

fn held_row(held: &HeldStanza) -> HeldRow {
    HeldRow {
        key: held.key.to_string(),
        stanza: held.stanza.clone(),
        archived: match held.keep {
            Keep::Archived(id, form) => Some((id, form.code())),
            Keep::Whole { .. } => None,
        },
    }
}

fn held_stanza(row: HeldRow) -> HeldStanza {
    HeldStanza {
        key: row.key.into(),
        stanza: row.stanza,
        keep: match row.archived {
            Some((id, form)) => Keep::Archived(id, Form::of_code(form)),
            None => Keep::WHOLE,
        },
    }
}
