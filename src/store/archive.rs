//! Message archives (XEP-0313). One stored stanza serves every archive it belongs to; keys are append-ordered.
//!
//! Layout: `stanzas` maps a global, never reused sequence number to the stored stanza and its owners: the only table a
//! message writes to. `archive` (account, sequence) and `archive_with` (account, hash of peer, sequence) are the index;
//! rows newer than the index's checkpoint live in memory only (rebuilt at start from the tail of `stanzas`) and are moved
//! to the tables together once there are enough, so that scattered pages are written rarely.
use crate::xmpp::{BareJid, Jid, Timestamp};

use super::{AccountId, StoreError, Tx};

/// Id of an archived stanza: its place in arrival order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchiveId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The owner sent it.
    Sent,
    /// The owner received it.
    Received,
}

/// An archive a stanza goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub account: AccountId,
    pub direction: Direction,
    /// Received, and no session got it: waits for the next initial presence (XEP-0160).
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
}

/// What is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: ArchiveId,
    pub at: Timestamp,
    pub xml: String,
}

/// XEP-0313 §4.1. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ArchiveQuery {
    /// The other side: any resource if bare, exactly this one if full.
    pub with: Option<Jid>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// `after-id`, `before-id` (exclusive), and `ids`, of `urn:xmpp:mam:2#extended`.
    pub after_id: Option<ArchiveId>,
    pub before_id: Option<ArchiveId>,
    /// RSM: page after / before this id (exclusive).
    pub page_after: Option<ArchiveId>,
    pub page_before: Option<ArchiveId>,
    /// The page is counted from the end (`<before/>`).
    pub backward: bool,
    pub max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePage {
    /// In order of arrival.
    pub stanzas: Vec<Stored>,
    /// Nothing follows in the direction of paging.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultPolicy {
    #[default]
    Always,
    Roster,
    Never,
}

/// XEP-0441.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivePreferences {
    pub default: DefaultPolicy,
    pub always: Vec<String>,
    pub never: Vec<String>,
}

impl Tx {
    /// Appends. The time stored is never earlier than that of the record before it. Returns the id and the time stored.
    pub fn append(&mut self, _record: &Record<'_>) -> Result<(ArchiveId, Timestamp), StoreError> {
        todo!()
    }
    pub fn page(
        &self,
        _account: AccountId,
        _query: &ArchiveQuery,
    ) -> Result<ArchivePage, StoreError> {
        todo!()
    }
    /// True if this archive holds the id (RSM and extended queries: `item-not-found` otherwise).
    pub fn archived(&self, _account: AccountId, _id: ArchiveId) -> Result<bool, StoreError> {
        todo!()
    }
    /// Stanzas of these ids, in order of arrival; `None` if one is not in this archive.
    pub fn archived_ids(
        &self,
        _account: AccountId,
        _ids: &[ArchiveId],
    ) -> Result<Option<Vec<Stored>>, StoreError> {
        todo!()
    }
    /// Oldest and newest: id and time (XEP-0313 §4.3 metadata).
    pub fn archive_ends(
        &self,
        _account: AccountId,
    ) -> Result<Option<[(ArchiveId, Timestamp); 2]>, StoreError> {
        todo!()
    }
    pub fn archive_preferences(
        &self,
        _account: AccountId,
    ) -> Result<ArchivePreferences, StoreError> {
        todo!()
    }
    pub fn set_archive_preferences(
        &mut self,
        _account: AccountId,
        _preferences: &ArchivePreferences,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// Up to `max` unseen stanzas of an account after `after`, oldest first. Costs nothing for an account that has none.
    pub fn unseen(
        &self,
        _account: AccountId,
        _after: Option<ArchiveId>,
        _max: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        todo!()
    }
    pub fn unseen_count(&self, _account: AccountId) -> Result<usize, StoreError> {
        todo!()
    }
    /// All unseen up to and including this id have been delivered.
    pub fn mark_seen(&mut self, _account: AccountId, _up_to: ArchiveId) -> Result<(), StoreError> {
        todo!()
    }
    /// Moves the in-memory index rows to the tables if there are enough of them; called once per batch.
    pub fn checkpoint_if_due(&mut self) -> Result<(), StoreError> {
        todo!()
    }
    /// Removes up to `rows_max` of the oldest stanzas of the whole store that are older than `before` (or, with `None`,
    /// whatever is oldest), with all their index rows. Returns how many. Ids are never reused.
    pub fn prune_oldest(
        &mut self,
        _before: Option<Timestamp>,
        _rows_max: usize,
    ) -> Result<usize, StoreError> {
        todo!()
    }
}

#[allow(unused)]
type Peer = BareJid;
