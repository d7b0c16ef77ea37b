//! Which stanzas a query shows by what they are (XEP-0427): the index knows most often, without a look at the stanza.
use std::ops::Bound;

use crate::store::schema::STANZAS;
use crate::store::{AccountId, StoreError, Tx};
use crate::xmpp::relation::{Act, Kind};
use crate::xmpp::{Timestamp, ns};

use super::super::reading::Parts;
use super::super::reading::rows::IndexRow;
use super::super::stanza::{
    Relation, StanzaRow, bare, is_marking, is_private, kind_held, peer_hash,
};
use super::super::walk::Walk;
use super::super::{ArchiveId, ArchiveQuery, Before, READ_STEPS, Shows};

/// Later acts that are looked through for whether one was the last.
const LATER_LOOK_MAX: usize = 64;
/// The same for what took one back.
const TAKEN_BACK_LOOK_MAX: usize = 2_000;

/// What is known of a stanza in an archive beside what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub kind: Kind,
    pub relation: Option<Relation>,
    /// Who said it: in rooms and channels the whole sender, else the bare JID.
    pub sender: String,
    /// The other side of the conversation: in private messages of rooms the full JID, else the bare one.
    pub with: String,
}

/// A stanza that is looked at.
#[derive(Clone, Copy)]
pub struct Glance<'a> {
    pub id: ArchiveId,
    /// As in `Facts`.
    pub sender: &'a str,
    pub xml: &'a str,
}

/// A mark (XEP-0333): all up to its target.
pub struct Mark<'a> {
    pub sender: &'a str,
    pub act: Act,
    pub up_to: ArchiveId,
}

/// A conversation of an archive, as far back as a stanza.
#[derive(Clone, Copy)]
pub struct Conversation<'a> {
    pub archive: AccountId,
    pub parts: &'a Parts,
    /// As `Facts` have it.
    pub with: &'a str,
    pub from: ArchiveId,
}

impl ArchiveQuery {
    /// The index says that it is nothing for this query.
    pub(in crate::store) fn is_passed_over(&self, held: u8) -> bool {
        match self.shows {
            Shows::All => false,
            Shows::SaidAndDone(before) if before != Before::default() => false,
            Shows::Said | Shows::SaidAndDone(_) => kind_held(held) == Some(Kind::Ancillary),
        }
    }

    /// Whether what the index says is enough; else the stanza is looked at.
    pub(in crate::store) fn is_told(&self, held: u8) -> bool {
        self.shows == Shows::All || kind_held(held).is_some()
    }
}

impl Tx {
    pub fn facts(&self, archive: AccountId, id: ArchiveId) -> Result<Option<Facts>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        Ok(Some(facts(&StanzaRow::decode(row.value())?, archive)))
    }

    /// The first version of what a stanza corrects.
    pub fn corrected(&self, id: ArchiveId) -> Result<Option<ArchiveId>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        let done = StanzaRow::decode(row.value())?.relation;
        let done = done.filter(|done| done.act == Act::Corrects);
        Ok(done.map(|done| done.target))
    }

    /// What took a stanza back, or the first version of what it corrects.
    pub fn taken_back_by(&self, id: ArchiveId) -> Result<Option<ArchiveId>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        let archive = StanzaRow::decode(row.value())?.owners.first().copied();
        let Some(archive) = archive else {
            return Ok(None);
        };
        let first = self.corrected(id)?.unwrap_or(id);
        let done = self.relations(archive.account, first, TAKEN_BACK_LOOK_MAX)?;
        let is_it = |(act, _): &(Act, ArchiveId)| matches!(act, Act::Retracts | Act::Moderates);
        Ok(done.into_iter().rev().find(is_it).map(|(_, id)| id))
    }

    /// Looks at stanzas, best in descending order, until `visit` says that it is enough; those that are gone are passed over.
    pub fn glance(
        &self,
        ids: impl Iterator<Item = ArchiveId>,
        visit: &mut dyn FnMut(Glance<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, true);
        for id in ids {
            let Some(row) = walk.find(id.0)? else {
                continue;
            };
            let row = StanzaRow::decode(row.value())?;
            let (sender, xml) = (row.sender(), row.xml);
            if !visit(Glance { id, sender, xml }) {
                break;
            }
        }
        Ok(())
    }

    /// Calls `visit` for the marks of a conversation, newest first; returns the steps that took, which are no more than `steps_max` by
    /// much.
    pub fn visit_marks(
        &self,
        conversation: Conversation<'_>,
        steps_max: u64,
        visit: &mut dyn FnMut(Mark<'_>),
    ) -> Result<u64, StoreError> {
        let Conversation {
            archive,
            parts,
            with,
            from,
        } = conversation;
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, true);
        let mut steps = 0;
        let mut look = |row: IndexRow| {
            steps += 1;
            if !is_marking(row.held) {
                return Ok(steps < steps_max);
            }
            steps += READ_STEPS;
            let Some(row) = walk.find(row.sequence)? else {
                return Ok(steps < steps_max);
            };
            let row = StanzaRow::decode(row.value())?;
            let mark = row.relation.filter(|done| done.act.is_mark());
            let mark = mark.filter(|_| row.xml.contains(ns::MARKERS));
            if let Some(Relation { act, target }) = mark
                && conversation_of(&row, archive) == with
            {
                visit(Mark {
                    sender: row.sender(),
                    act,
                    up_to: target,
                });
            }
            Ok(steps < steps_max)
        };
        for mut span in parts.0.iter().rev().copied() {
            span.from = span.from.max(from.0);
            if !self.visit(archive, Some(peer_hash(with)), span, true, &mut look)? {
                break;
            }
        }
        Ok(steps)
    }

    pub(in crate::store) fn is_shown(
        &self,
        (account, archive): (AccountId, AccountId),
        sequence: u64,
        row: &StanzaRow<'_>,
        query: &ArchiveQuery,
    ) -> Result<bool, StoreError> {
        let before = match query.shows {
            Shows::All => return Ok(true),
            _ if row.kind() != Kind::Ancillary => return Ok(true),
            Shows::Said => return Ok(false),
            Shows::SaidAndDone(before) => before,
        };
        let Some(Relation { target, .. }) = row.relation else {
            return Ok(false);
        };
        let parts = self.parts(account, archive)?;
        Ok(parts.hold(target)
            && self.is_before(target, before)?
            && self.holds(archive, target)?
            && self.is_last_done(archive, (sequence, target), (&parts, query))?)
    }

    fn is_before(&self, target: ArchiveId, before: Before) -> Result<bool, StoreError> {
        if before.up_to.is_some_and(|up_to| target <= up_to) {
            return Ok(true);
        }
        let at = self.time_of(target)?;
        Ok(before.start.zip(at).is_some_and(|(start, at)| at < start))
    }

    fn time_of(&self, id: ArchiveId) -> Result<Option<Timestamp>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let row = Walk::new(&stanzas, false).find(id.0)?;
        row.map(|row| StanzaRow::time_of(row.value())).transpose()
    }

    /// Nothing later is done to the same one before the query ends.
    fn is_last_done(
        &self,
        archive: AccountId,
        (sequence, target): (u64, ArchiveId),
        (parts, query): (&Parts, &ArchiveQuery),
    ) -> Result<bool, StoreError> {
        let end = match query.before_id {
            Some(before) => Bound::Excluded(before.0.max(sequence + 1)),
            None => Bound::Unbounded,
        };
        let later = (Bound::Excluded(sequence), end);
        for (act, id) in self.relations_in((archive, target), later, true, LATER_LOOK_MAX)? {
            let is_in_time = match query.end {
                Some(end) => self.time_of(id)?.is_some_and(|at| at <= end),
                None => true,
            };
            if act != Act::Replies && parts.hold(id) && is_in_time {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

pub(super) fn facts(row: &StanzaRow<'_>, archive: AccountId) -> Facts {
    Facts {
        kind: row.kind(),
        relation: row.relation,
        sender: row.sender().to_string(),
        with: conversation_of(row, archive).to_string(),
    }
}

fn conversation_of<'a>(row: &StanzaRow<'a>, archive: AccountId) -> &'a str {
    match is_private(row) {
        true => row.peer(archive),
        false => bare(row.peer(archive)),
    }
}
