//! What a handler works with, and how it fails.
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use crate::store::{AccountId, QueueRow, StoreError, Tx};
use crate::stream::{Entropy, Framing};
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, StanzaError, base64_url, quoted_error};

use super::{
    BlockList, CONNECTED_BYTES_MAX, ComponentId, DETACHED_BYTES_MAX, HeldStanza, Keep, Moment,
    Outbox, PresenceDetails, SessionId, Shared, State, UNACKNOWLEDGED_MAX, Urgency, Wire, Written,
};

/// XEP-0198 §4: the request for an acknowledgement.
pub const ASK: &[u8] = b"<r xmlns='urn:xmpp:sm:3'/>";

/// One step's view of everything. Handlers check first and write last, and never touch a connection.
pub struct Cx<'a> {
    pub now: Moment,
    pub state: &'a mut State,
    pub tx: &'a mut Tx,
    pub out: &'a mut Outbox,
    pub entropy: &'a mut dyn Entropy,
}

/// Why a handler did not do it.
#[derive(Debug)]
pub enum Fault {
    /// The sender is at fault and hears of it.
    Stanza(StanzaError),
    /// We or the disk are: the log hears it in full, the sender `internal-server-error`.
    Store(StoreError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Stanza(error) => f.write_str(error.condition.as_str()),
            Fault::Store(error) => error.fmt(f),
        }
    }
}

impl From<StanzaError> for Fault {
    fn from(error: StanzaError) -> Fault {
        Fault::Stanza(error)
    }
}

impl From<Condition> for Fault {
    fn from(condition: Condition) -> Fault {
        Fault::Stanza(condition.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl Fault {
    /// Whoever was addressed is somebody at the bare JID, which refuses on their behalf.
    pub fn by_bare(self) -> Fault {
        match self {
            Fault::Stanza(error) => Fault::Stanza(StanzaError {
                is_by_bare: true,
                ..error
            }),
            fault => fault,
        }
    }

    /// What the sender of the stanza hears; a `StoreError` goes to the log here.
    pub fn into_stanza_error(self) -> StanzaError {
        match self {
            Fault::Stanza(error) => error,
            Fault::Store(error) => {
                log::error!("store.failed error={}", quoted_error(&error));
                Condition::InternalServerError.into()
            }
        }
    }
}

impl Cx<'_> {
    /// Writes one stanza into the outbox's buffer, to be delivered to one session or many by `deliver`.
    pub fn write(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> Range<usize> {
        let start = self.out.bytes.len();
        write(&mut Writer::new(&mut self.out.bytes));
        start..self.out.bytes.len()
    }

    /// What was written to the buffer is the end of what many are sent, until the step is over.
    pub fn share(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Shared {
        let start = self.out.bytes.len();
        write(&mut self.out.bytes);
        Shared::at(start..self.out.bytes.len())
    }

    /// Delivers a stanza that was written to the buffer, at once.
    pub fn deliver(&mut self, session: SessionId, stanza: Range<usize>) {
        self.deliver_as(session, &stanza.into(), Urgency::Now, Keep::WHOLE);
    }

    /// Delivers a stanza: held while the client is inactive and it can wait, else behind everything held before it.
    pub fn deliver_as(
        &mut self,
        session: SessionId,
        stanza: &Written<'_>,
        urgency: Urgency<'_>,
        keep: Keep,
    ) {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return;
        };
        let Some(held) = &mut known.held else {
            return self.transmit(session, stanza, keep);
        };
        if urgency != Urgency::Now {
            let kept = self.out.keep(stanza, &self.state.shared_bytes);
            if held.hold(urgency, kept, keep) {
                return;
            }
        }
        self.release_held(session);
        self.transmit(session, stanza, keep);
        // The client is awake now; asked later, it would have to wake again.
        self.ask(session);
    }

    /// Lets go what was held for an inactive client, oldest first.
    pub fn release_held(&mut self, session: SessionId) {
        let held = self
            .state
            .sessions
            .get_mut(session)
            .and_then(|known| known.held.as_mut());
        let Some(held) = held else { return };
        for held in held.take() {
            self.transmit_kept(session, &held);
        }
    }

    pub(super) fn transmit_kept(&mut self, session: SessionId, held: &HeldStanza) {
        let (head, shared) = self.out.write_kept(&held.stanza);
        self.transmit(session, &Written::new(head, shared.as_ref()), held.keep);
    }

    /// Counts (XEP-0198) and sends; a session without a connection only keeps it.
    fn transmit(&mut self, session: SessionId, stanza: &Written<'_>, keep: Keep) {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return;
        };
        let mut ask = false;
        let mut is_behind = false;
        if let Some(management) = &mut known.management {
            is_behind = management.again_from().is_some();
            let row = match keep {
                Keep::Whole { shared } => QueueRow::Whole {
                    stanza: self.out.keep(stanza, &self.state.shared_bytes),
                    at: self.now.wall,
                    shared,
                },
                Keep::Archived(id, form) => QueueRow::Archived {
                    id,
                    form: form.code(),
                },
            };
            ask = management.sent(row, stanza.byte_count());
            let bytes_max = match known.connection {
                Some(_) => CONNECTED_BYTES_MAX,
                None => DETACHED_BYTES_MAX,
            };
            if management.queue_bytes() > bytes_max {
                self.state.effects.spilling.push(session);
            }
            if management.unacknowledged() > UNACKNOWLEDGED_MAX {
                self.state.effects.expiring.push(session);
            }
            if known.connection.is_some() && self.state.handling != Some(session) {
                self.out.pressure = self.out.pressure.max(management.fullness());
            }
            if !known.ask_set && known.connection.is_some() {
                self.state.effects.unasked.push(session);
            }
        }
        // Its turn comes when everything before it was sent again.
        if let Some(wire) = known.wire().filter(|_| !is_behind) {
            self.out.send_written(wire, stanza);
            if ask {
                self.out.send(wire, |bytes| bytes.extend_from_slice(ASK));
            }
        }
    }

    /// Asks for an acknowledgement (XEP-0198 §4) of what was not asked about yet.
    pub fn ask(&mut self, session: SessionId) {
        let Some(known) = self.state.sessions.get_mut(session) else {
            return;
        };
        if let (Some(wire), Some(management)) = (known.wire(), &mut known.management)
            && management.needs_ask()
            && management.ask()
        {
            self.out.send(wire, |bytes| bytes.extend_from_slice(ASK));
        }
    }

    /// What an available session last said to all; `None`: it is not available.
    pub fn presence_details(
        &self,
        session: SessionId,
    ) -> Result<Option<Rc<PresenceDetails>>, StoreError> {
        let Some(known) = self.state.sessions.get(session) else {
            return Ok(None);
        };
        let Some(presence) = &known.presence else {
            return Ok(None);
        };
        if let Some(details) = &presence.details {
            return Ok(Some(Rc::clone(details)));
        }
        let row = match known.stored {
            Some(stored) => self.tx.suspended(stored.id)?,
            None => None,
        };
        let presence = row.and_then(|row| row.presence).unwrap_or_default();
        Ok(Some(Rc::new(presence.into())))
    }

    /// Passes a stanza that was written to the buffer on to a component; false: it is not connected.
    pub fn pass(&mut self, component: ComponentId, stanza: &Written<'_>) -> bool {
        let connection = self.state.domains.components.connection(component);
        if let Some(connection) = connection {
            let framing = Framing::Bytes;
            self.out.send_written(
                Wire {
                    connection,
                    framing,
                },
                stanza,
            );
        }
        connection.is_some()
    }

    /// Writes one stanza and delivers it to one session.
    pub fn send(&mut self, session: SessionId, write: impl FnOnce(&mut Writer<'_>)) {
        let stanza = self.write(write);
        self.deliver(session, stanza);
    }

    /// Refuses what must be stored while the disk is nearly full.
    pub fn require_disk_space(&self) -> Result<(), Fault> {
        if self.state.disk_low {
            return Err(StanzaError::new(Condition::ResourceConstraint)
                .text("The server's disk is full.")
                .into());
        }
        Ok(())
    }

    /// The number of a local account; `None`: not of this domain, or unknown.
    pub fn account(&self, jid: &BareJid) -> Result<Option<AccountId>, StoreError> {
        if let Some(online) = self.state.sessions.online(jid) {
            return Ok(Some(online.account));
        }
        match jid.local() {
            Some(local) if self.state.domains.is_served(jid) => {
                Ok(self.tx.account(local)?.map(|a| a.id))
            }
            _ => Ok(None),
        }
    }

    /// The block list of a local account (XEP-0191), from memory while it has sessions.
    pub fn block_list(&self, jid: &BareJid, account: AccountId) -> Result<BlockList, StoreError> {
        match self.state.sessions.online(jid) {
            Some(online) => Ok(online.blocked.clone()),
            None => Ok(BlockList::new(self.tx.blocked(account)?)),
        }
    }

    /// A name that gives its holder rights: 128 random bits.
    pub fn new_secret_id(&mut self) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        name_of(&bytes).into()
    }

    /// An id for a stanza of the server's own, unguessable.
    pub fn new_id(&mut self) -> String {
        let mut bytes = [0; 9];
        self.entropy.fill(&mut bytes);
        name_of(&bytes).into()
    }
}

/// A name made of random bytes that may stand anywhere.
pub fn name_of(bytes: &[u8]) -> Box<str> {
    base64_url(bytes).into()
}
