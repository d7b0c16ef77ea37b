//! What stanzas do to earlier ones (`Act`): noted when they come, so that whoever reads a message knows what became of it.
//!
//! The target is the first version: what corrects a correction, or reacts to one, is about what that one corrects. Only the
//! rightful sender's act counts:
//! - correction (XEP-0308 §3) and retraction (XEP-0424 §5): who said it, by bare JID; in a room's private messages by the
//!   full one (XEP-0308, note in §3); in a channel by the stable id (XEP-0421 §3);
//! - moderation (XEP-0425 §4): the channel itself;
//! - marks and receipts (XEP-0333 §4, XEP-0184 §5): the other side;
//! - reactions, replies and other fastenings (XEP-0444 §4, XEP-0461, XEP-0422): both sides; all in a channel.
pub mod ahead;
pub mod around;
mod awaited;
pub mod earlier;
pub mod kinds;
pub mod names;

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::store::engine::table::Guard;
use crate::store::schema::{NAMES, RELATED, STANZAS};
use crate::store::{AccountId, ArchiveId, Direction, Owner, StoreError, Tx, View};
use crate::xml::Escaped;
use crate::xmpp::ns;
use crate::xmpp::relation::Act;

use super::stanza::{Relation, StanzaRow, bare, is_groupchat};

/// A row of the table as it is read.
type RelatedRow<'g> = (Guard<'g, (u32, u64, u64)>, Guard<'g, u8>);

/// How a message names the other one.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// By the id it came with.
    Id(&'a str),
    /// By its id in the archive (XEP-0359).
    Stanza(ArchiveId),
}

/// Relations that are not in the table yet: (archive, target, stanza) -> act.
pub(in crate::store) type NewRelations = BTreeMap<(u32, u64, u64), u8>;

impl Tx {
    /// What stanzas do to one, the latest first: up to `max`. `archive`: whose archive all of them are in.
    pub fn relations(
        &self,
        archive: AccountId,
        target: ArchiveId,
        max: usize,
    ) -> Result<Vec<(Act, ArchiveId)>, StoreError> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.relations_in((archive, target), all, true, max)
    }

    /// The same of those within bounds; the latest first, or the earliest.
    pub fn relations_in(
        &self,
        (archive, target): (AccountId, ArchiveId),
        (from, to): (Bound<u64>, Bound<u64>),
        is_latest_first: bool,
        max: usize,
    ) -> Result<Vec<(Act, ArchiveId)>, StoreError> {
        let key = |sequence| (archive.0, target.0, sequence);
        let from = match from {
            Bound::Unbounded => Bound::Included(0),
            from => from,
        };
        let to = match to {
            Bound::Unbounded => Bound::Included(u64::MAX),
            to => to,
        };
        let range = (from.map(key), to.map(key));
        let memory = self.memory()?;
        let mut new = memory.related.range(range);
        // Rows that are damaged are passed over; they were reported.
        let table = self.view(RELATED)?;
        let mut old = table.range(range)?.flatten();
        let mut found: Vec<(u8, u64)> = Vec::new();
        let of_new = |((_, _, sequence), act): (&(u32, u64, u64), &u8)| (*act, *sequence);
        let of_old = |(key, act): RelatedRow<'_>| (act.value(), key.value().2);
        while found.len() < max {
            // What is in memory is later than what is in the table.
            let next = match is_latest_first {
                true => match new.next_back().map(of_new) {
                    None => old.next_back().map(of_old),
                    next => next,
                },
                false => match old.next().map(of_old) {
                    None => new.next().map(of_new),
                    next => next,
                },
            };
            let Some(next) = next else { break };
            found.push(next);
        }
        let known = |(act, sequence)| Some((Act::numbered(act)?, ArchiveId(sequence)));
        Ok(found.into_iter().filter_map(known).collect())
    }

    /// The relation of a stanza that is about to be appended, or was before there were relations.
    pub(super) fn relation_of(
        &self,
        stanza: &StanzaRow<'_>,
        sequence: u64,
        (act, by): (Act, Named<'_>),
    ) -> Result<Option<Relation>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let target = match by {
            Named::Stanza(id) => Candidate::read(&stanzas, id.0, None)?
                .filter(|candidate| id.0 < sequence && candidate.may_be(act, stanza))
                .map(|candidate| candidate.first_version),
            Named::Id(name) => self.target_named(&stanzas, stanza, (sequence, act, name))?,
        };
        Ok(target.map(|target| Relation { act, target }))
    }

    fn target_named(
        &self,
        stanzas: &View<'_, u64, &'static [u8]>,
        stanza: &StanzaRow<'_>,
        (before, act, name): (u64, Act, &str),
    ) -> Result<Option<ArchiveId>, StoreError> {
        let name = Escaped(name).to_string();
        let mut found = None;
        let mut accept = |sequence| {
            let candidate = Candidate::read(stanzas, sequence, Some((act, &name)))?;
            found = candidate
                .filter(|candidate| candidate.may_be(act, stanza))
                .map(|candidate| candidate.first_version);
            Ok(found.is_some())
        };
        let memory = self.memory()?;
        let table = self.view(NAMES)?;
        memory
            .names
            .find(&table, (names::hash(&name), before), &mut accept)?;
        Ok(found)
    }
}

/// A stanza that may be the target.
struct Candidate {
    owners: Vec<AccountId>,
    from: String,
    to: String,
    first_version: ArchiveId,
}

impl Candidate {
    fn read(
        stanzas: &View<'_, u64, &'static [u8]>,
        sequence: u64,
        called: Option<(Act, &str)>,
    ) -> Result<Option<Candidate>, StoreError> {
        let row = match stanzas.get(sequence) {
            Err(StoreError::Damaged { .. }) | Ok(None) => return Ok(None),
            Ok(Some(row)) => row,
            Err(error) => return Err(error),
        };
        let stanza = StanzaRow::decode(row.value())?;
        if called.is_some_and(|(act, name)| !names::is_called(stanza.xml, act, name)) {
            return Ok(None);
        }
        Ok(Some(Candidate::of(sequence, &stanza)))
    }

    fn of(sequence: u64, stanza: &StanzaRow<'_>) -> Candidate {
        let corrects = stanza.relation.filter(|one| one.act == Act::Corrects);
        Candidate {
            owners: stanza.owners.iter().map(|owner| owner.account).collect(),
            from: stanza.from.to_string(),
            to: stanza.to.to_string(),
            first_version: corrects.map_or(ArchiveId(sequence), |one| one.target),
        }
    }

    fn done(&self, act: Act) -> Relation {
        Relation {
            act,
            target: self.first_version,
        }
    }

    /// It belongs to the same conversation, and the sender of the other may do this to it.
    fn may_be(&self, act: Act, later: &StanzaRow<'_>) -> bool {
        let shares = later
            .owners
            .iter()
            .any(|owner| self.owners.contains(&owner.account));
        let (from, to) = (bare(&self.from), bare(&self.to));
        let (by, of) = (bare(later.from), bare(later.to));
        let is_groupchat = is_groupchat(later.xml);
        let is_same = (from == by && to == of) || (from == of && to == by);
        let is_sent = |owner: &Owner| owner.direction == Direction::Sent;
        let is_of_occupant =
            is_groupchat || (later.xml.contains(ns::MUC_USER) && !later.owners.iter().any(is_sent));
        let is_author = match is_of_occupant {
            true => self.from == later.from,
            false => from == by,
        };
        let is_right = match act {
            Act::Corrects | Act::Retracts => is_author,
            Act::Moderates => is_groupchat && later.from == by,
            Act::Displays | Act::Receives | Act::Acknowledges | Act::Delivers => {
                is_groupchat || from != by || from == to
            }
            Act::Reacts | Act::Replies | Act::Fastens => true,
        };
        shares && is_same && is_right
    }
}
