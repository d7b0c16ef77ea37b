//! Which stanzas a query shows by what they are (XEP-0427): the index knows most often, without a look at the stanza.
use std::ops::Bound;

use crate::store::schema::STANZAS;
use crate::store::{AccountId, StoreError, Tx};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, Kind};

use super::span::Span;
use super::stanza::{StanzaRow, bare, is_private, kind_held, peer_hash};
use super::walk::Walk;
use super::{ArchiveId, ArchiveQuery, Before, READ_STEPS, Relation, Shows};

/// Later acts that are looked through for whether one was the last.
const LATER_LOOK_MAX: usize = 64;

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
    /// As `Facts` have it.
    pub with: &'a str,
    pub from: ArchiveId,
}

impl ArchiveQuery {
    /// The index says that it is nothing for this query.
    pub(super) fn is_passed_over(&self, held: u8) -> bool {
        match self.shows {
            Shows::All => false,
            Shows::SaidAndDone(before) if before != Before::default() => false,
            Shows::Said | Shows::SaidAndDone(_) => kind_held(held) == Some(Kind::Ancillary),
        }
    }

    /// Whether what the index says is enough; else the stanza is looked at.
    pub(super) fn is_told(&self, held: u8) -> bool {
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

    /// What a later stanza says, and who said it.
    pub fn later(&self, id: ArchiveId) -> Result<Option<(String, String)>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        let row = StanzaRow::decode(row.value())?;
        Ok(Some((row.sender().to_string(), row.xml.to_string())))
    }

    /// Calls `visit` for the marks of a conversation, newest first, until it says false; returns the steps that took, which are no
    /// more than `steps_max` by much.
    pub fn visit_marks(
        &self,
        conversation: Conversation<'_>,
        steps_max: u64,
        visit: &mut dyn FnMut(Mark<'_>) -> bool,
    ) -> Result<u64, StoreError> {
        let Conversation {
            archive,
            with,
            from,
        } = conversation;
        let span = Span {
            from: from.0,
            ..Span::ALL
        };
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, true);
        let mut steps = 0;
        self.visit(archive, Some(peer_hash(with)), span, true, &mut |row| {
            steps += 1;
            if !matches!(kind_held(row.held), None | Some(Kind::Ancillary)) {
                return Ok(steps < steps_max);
            }
            steps += READ_STEPS;
            let Some(row) = walk.find(row.sequence)? else {
                return Ok(steps < steps_max);
            };
            let row = StanzaRow::decode(row.value())?;
            let mark = row.relation.filter(|done| done.act.is_mark());
            let mark = mark.filter(|_| row.xml.contains(ns::MARKERS));
            let goes_on = match mark {
                Some(Relation { act, target }) if conversation_of(&row, archive) == with => {
                    visit(Mark {
                        sender: row.sender(),
                        act,
                        up_to: target,
                    })
                }
                _ => true,
            };
            Ok(goes_on && steps < steps_max)
        })?;
        Ok(steps)
    }

    pub(super) fn is_shown(
        &self,
        archive: AccountId,
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
        match row.relation {
            Some(done) => self.is_last_done(archive, (sequence, done), before),
            None => Ok(false),
        }
    }

    /// It is done to one of before the query's start that is still there, and nothing later is.
    fn is_last_done(
        &self,
        archive: AccountId,
        (sequence, done): (u64, Relation),
        before: Before,
    ) -> Result<bool, StoreError> {
        let target = done.target;
        let mut is_before = before.up_to.is_some_and(|up_to| target <= up_to);
        if !is_before && let Some(start) = before.start {
            let stanzas = self.view(STANZAS)?;
            let row = Walk::new(&stanzas, false).find(target.0)?;
            let at = row.map(|row| StanzaRow::time_of(row.value())).transpose()?;
            is_before = at.is_some_and(|at| at < start);
        }
        if !is_before || !self.holds(archive, target)? {
            return Ok(false);
        }
        let later = (Bound::Excluded(sequence), Bound::Unbounded);
        let later = self.relations_in((archive, target), later, true, LATER_LOOK_MAX)?;
        Ok(later.iter().all(|(act, _)| *act == Act::Replies))
    }
}

fn facts(row: &StanzaRow<'_>, archive: AccountId) -> Facts {
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
