//! Message archives (XEP-0313). One stored stanza serves every archive it belongs to; keys are append-ordered.
//!
//! Layout: `stanzas` maps a global, never reused sequence number to the stored stanza and its owners: the only table a
//! message writes to. `archive` (account, sequence) and `archive_with` (account, hash of peer, sequence) are the index;
//! rows newer than the index's checkpoint live in memory only (rebuilt at start from the tail of `stanzas`) and are moved
//! to the tables together once there are enough, so that scattered pages are written rarely.

pub mod inbox;
pub mod index;
pub mod page;
pub mod passing;
pub mod preferences;
pub mod reading;
pub mod relation;
pub mod retention;
pub mod rewrite;
pub mod search;
pub mod span;
pub mod stanza;
pub mod unseen;
pub mod walk;

use crate::xmpp::relation::{Act, Kind};
use crate::xmpp::{Jid, Timestamp};

use super::schema::{ARCHIVE, PASSING, SET_BACK, STANZAS};
use super::{AccountId, StoreError, Tx, View, Writing};
pub use page::query::{ArchivePage, ArchiveQuery, Before, Shows};
use relation::Named;
use span::Span;
use stanza::{Relation, StanzaRow};
use walk::Walk;

/// Steps that a stanza takes which is read and passed over.
const READ_STEPS: u64 = 10;

/// Id of an archived stanza: its place in arrival order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchiveId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The owner sent it.
    Sent,
    /// The owner received it.
    Received,
    /// The owner is to receive it, and it is in no archive of theirs (`passing`).
    Passing,
}

/// An archive a stanza goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub account: AccountId,
    pub direction: Direction,
    /// Received, and no session is known to have it yet: unless one says so, it waits for the next initial presence
    /// (XEP-0160).
    pub unseen: bool,
}

/// What is appended.
pub struct Record<'a> {
    pub owners: &'a [Owner],
    pub from: &'a Jid,
    pub to: &'a Jid,
    pub at: Timestamp,
    /// The whole `<message xmlns='jabber:client' …>…</message>`, without any stanza-id of ours.
    pub xml: &'a str,
    /// What it does to an earlier one, if that is there and its sender may.
    pub act: Option<(Act, Named<'a>)>,
}

/// What is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: ArchiveId,
    pub at: Timestamp,
    pub xml: String,
    /// It was read from the archive of this channel, in whose form it is.
    pub channel: Option<AccountId>,
}

impl Stored {
    pub fn is_groupchat(&self) -> bool {
        stanza::is_groupchat(&self.xml)
    }
}

/// What was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub id: ArchiveId,
    /// The time stored.
    pub at: Timestamp,
    pub relation: Option<Relation>,
    pub kind: Kind,
    /// What came before may be about it.
    pub is_awaited: bool,
}

impl Tx {
    /// Appends. The time stored is earlier than that of the record before it only where the clock was set back.
    pub fn append(&mut self, record: &Record<'_>) -> Result<Appended, StoreError> {
        let (sequence, at, is_set_back) = self.memory()?.next(record.at);
        let mut stanza = StanzaRow::new(record, at);
        if let Some(act) = record.act {
            stanza.relation = self.relation_of(&stanza, sequence, act)?;
        }
        let kind = stanza.kind_told();
        stanza.noted_kind = Some(kind);
        let Writing { txn, mut memory } = self.writing()?;
        if is_set_back {
            txn.open_table(SET_BACK)?.insert(sequence, ())?;
            memory.note_set_back(sequence);
        }
        let bytes = stanza.encode();
        txn.open_table(STANZAS)?
            .append(sequence, bytes.as_slice())?;
        memory.remember(sequence, &stanza, bytes.len());
        let is_awaited = memory.ahead.knows(stanza.xml);
        if let (Some((act, Named::Id(name))), None) = (record.act, stanza.relation) {
            memory.ahead.add(sequence, act, name);
        }
        for owner in &stanza.owners {
            txn.wrote_for(owner.account);
        }
        for owner in stanza.owners.iter().filter(|owner| owner.unseen) {
            memory.unseen.came(txn, owner.account, sequence)?;
            if owner.direction == Direction::Passing {
                txn.open_table(PASSING)?
                    .insert((owner.account.0, sequence), ())?;
            }
        }
        Ok(Appended {
            id: ArchiveId(sequence),
            at,
            relation: stanza.relation,
            kind,
            is_awaited,
        })
    }

    /// True if this archive holds the id (RSM and extended queries: `item-not-found` otherwise).
    pub fn archived(&self, account: AccountId, id: ArchiveId) -> Result<bool, StoreError> {
        Ok(self.holds(account, id)? || self.read_of_channel(account, id)?.is_some())
    }

    fn holds(&self, account: AccountId, id: ArchiveId) -> Result<bool, StoreError> {
        if let Some(held) = self.memory()?.held(account, id.0) {
            return Ok(!stanza::is_passing(held));
        }
        let table = self.view(ARCHIVE)?;
        let held = table.get((account.0, id.0))?;
        Ok(held.is_some_and(|held| !stanza::is_passing(held.value())))
    }

    /// Stanzas of these ids, in order of arrival; `None` if one is not in this archive.
    pub fn archived_ids(
        &self,
        account: AccountId,
        ids: &[ArchiveId],
    ) -> Result<Option<Vec<Stored>>, StoreError> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut channels = Vec::with_capacity(ids.len());
        for id in &ids {
            let channel = match self.holds(account, *id)? {
                true => None,
                false => match self.read_of_channel(account, *id)? {
                    Some(channel) => Some(channel),
                    None => return Ok(None),
                },
            };
            channels.push((id.0, channel));
        }
        let stanzas = self.view(STANZAS)?;
        read(&stanzas, channels.into_iter()).map(Some)
    }

    /// A stanza whatever archive it is in; `None`: it was pruned, or is damaged.
    pub fn stanza(&self, id: ArchiveId) -> Result<Option<Stored>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        Ok(Some(stored(id.0, &StanzaRow::decode(row.value())?, None)))
    }

    /// Oldest and newest: id and time (XEP-0313 §4.3 metadata).
    pub fn archive_ends(
        &self,
        account: AccountId,
    ) -> Result<Option<[(ArchiveId, Timestamp); 2]>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let end = |backward| -> Result<Option<(ArchiveId, Timestamp)>, StoreError> {
            let mut walk = Walk::new(&stanzas, backward);
            let mut found = None;
            self.visit_read(account, None, Span::ALL, backward, &mut |row| {
                if let Some(stanza) = walk.find(row.sequence)? {
                    let at = StanzaRow::time_of(stanza.value())?;
                    found = Some((ArchiveId(row.sequence), at));
                }
                Ok(found.is_none())
            })?;
            Ok(found)
        };
        Ok(match (end(false)?, end(true)?) {
            (Some(oldest), Some(newest)) => Some([oldest, newest]),
            _ => None,
        })
    }

    /// Bytes of all stored stanzas with what else of the file they take, roughly.
    pub fn stored_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.memory()?.stored_bytes())
    }
}

/// All of them but those that are damaged, in the order given; best if it ascends. With the channel each is read from.
pub(super) fn read(
    stanzas: &View<'_, u64, &'static [u8]>,
    sequences: impl Iterator<Item = (u64, Option<AccountId>)>,
) -> Result<Vec<Stored>, StoreError> {
    let mut walk = Walk::new(stanzas, false);
    let mut read = Vec::new();
    for (sequence, channel) in sequences {
        if let Some(row) = walk.find(sequence)? {
            read.push(stored(sequence, &StanzaRow::decode(row.value())?, channel));
        }
    }
    Ok(read)
}

pub(super) fn stored(sequence: u64, row: &StanzaRow<'_>, channel: Option<AccountId>) -> Stored {
    Stored {
        id: ArchiveId(sequence),
        at: row.at,
        xml: row.xml.to_string(),
        channel,
    }
}
