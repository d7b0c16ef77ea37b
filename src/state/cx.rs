//! What a handler works with, and how it fails.
use std::ops::Range;

use crate::store::{AccountId, StoreError, Tx};
use crate::stream::Entropy;
use crate::xml::Writer;
use crate::xmpp::{BareJid, Condition, StanzaError};

use super::{BlockList, Moment, Outbox, SessionId, State};

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
    /// What the sender of the stanza hears; a `StoreError` goes to the log here.
    pub fn into_stanza_error(self) -> StanzaError {
        match self {
            Fault::Stanza(error) => error,
            Fault::Store(error) => {
                log::error!("store.failed error=\"{error:?}\"");
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

    /// Delivers a stanza that was written to the buffer.
    pub fn deliver(&mut self, session: SessionId, stanza: Range<usize>) {
        if let Some(session) = self.state.sessions.get(session) {
            self.out.send_range(session.connection, stanza);
        }
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
            Some(local) if jid.domain() == self.state.domain.domain() => {
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

    /// An id for a stanza of the server's own, unguessable.
    pub fn new_id(&mut self) -> String {
        let mut bytes = [0; 9];
        self.entropy.fill(&mut bytes);
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
    }
}
