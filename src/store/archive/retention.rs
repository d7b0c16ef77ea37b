//! What leaves the archive: what is too old, what deleted accounts left behind, and what there is no room for. Always in
//! small steps, and no id is ever given twice.
//!
//! What an operator takes out of an archive and what a deleted account leaves is overwritten where it lay (`scrub`). What goes
//! by age or for want of room is not: something of that kind goes every day, to overwrite all room each time would write more
//! to a memory card than the messages do, and what comes next needs the room and soon lies in it.
//!
//! The archive is where messages wait for who is absent: age takes none that nobody has received yet, and want of room only
//! those of whoever has most, when nobody has anything else (`greed`).
pub(super) mod bytes;
mod greed;
pub mod removal;

use crate::xmpp::Timestamp;

use super::span::Span;
use super::stanza::StanzaRow;
use super::walk::Walk;
use crate::store::schema::{ARCHIVE, ARCHIVE_BYTES, PURGE, STANZAS};
use crate::store::{AccountId, ArchiveId, StoreError, Tx, Writing, scrub};

pub use bytes::{change as change_bytes, count as count_bytes, count_anew};
pub use greed::{Need, Pruned};
use removal::Removal;

/// Stanzas looked at in one step for each that may be removed.
const LOOKED_AT_PER_ROW: usize = 8;

/// What a step does where the rows of a deleted account are not in the tables yet.
const CHECKPOINT_WORK: u64 = 1024;

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aged {
    pub stanzas: usize,
    /// There is more to look at.
    pub more: bool,
}

/// What one step took out of one archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunedStep {
    pub stanzas: usize,
    /// Where the next step goes on; `None`: that was all.
    pub next: Option<ArchiveId>,
}

/// How old stanzas are at least, whatever clock stamped them: what came before another is not younger.
struct Ages {
    /// Where the clock was set back, and to what.
    latest: Vec<(u64, Timestamp)>,
}

impl Ages {
    fn of(&self, sequence: u64, at: Timestamp) -> Timestamp {
        let later = self.latest.iter().filter(|(from, _)| *from > sequence);
        later
            .map(|(_, time)| *time)
            .min()
            .map_or(at, |latest| latest.min(at))
    }
}

impl Tx {
    /// Removes up to `rows_max` of the oldest stanzas of the whole store that are older than `before`, with all their index
    /// rows, but those that somebody still waits for.
    pub fn prune_aged(&mut self, before: Timestamp, rows_max: usize) -> Result<Aged, StoreError> {
        let ages = self.ages()?;
        let mut due = Vec::new();
        let mut aged = Aged::default();
        let mut passed = self.memory()?.unseen.passed.by_age;
        let stanzas = self.view(STANZAS)?;
        for (looked_at, row) in stanzas.range(passed..)?.enumerate() {
            let (key, row) = row?;
            let sequence = key.value();
            let stanza = StanzaRow::decode(row.value())?;
            if ages.of(sequence, stanza.at) >= before {
                break;
            }
            if due.len() == rows_max || looked_at == rows_max.saturating_mul(LOOKED_AT_PER_ROW) {
                aged.more = true;
                break;
            }
            passed = sequence + 1;
            if !self.memory()?.unseen.is_waited_for(&stanza, sequence) {
                due.push(sequence);
            }
        }
        drop(stanzas);
        self.with_unseen(|unseen| unseen.passed.by_age = passed)?;
        aged.stanzas = due.len();
        if let Some(last) = due.last() {
            let Writing { txn, mut memory } = self.writing()?;
            memory.settle(txn, *last)?;
            let mut removal = Removal::begin(txn)?;
            for sequence in due {
                removal.remove(&mut memory, sequence)?;
            }
            removal.finish(txn, &memory)?;
        }
        Ok(aged)
    }

    /// Takes up to `rows_max` stanzas older than `before` out of one archive, from behind `after` on, but what waits there.
    pub fn prune_archive(
        &mut self,
        account: AccountId,
        before: Timestamp,
        (after, rows_max): (Option<ArchiveId>, usize),
    ) -> Result<PrunedStep, StoreError> {
        let ages = self.ages()?;
        let mut span = Span::ALL;
        span.cut(after, None);
        let (mut due, mut looked_at, mut next) = (Vec::new(), 0, None);
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, false);
        let memory = self.memory()?;
        self.visit(account, None, span, false, &mut |row| {
            if due.len() == rows_max || looked_at == rows_max.saturating_mul(LOOKED_AT_PER_ROW) {
                return Ok(false);
            }
            looked_at += 1;
            if let Some(stanza) = walk.find(row.sequence)? {
                let stanza = StanzaRow::decode(stanza.value())?;
                if ages.of(row.sequence, stanza.at) >= before {
                    next = None;
                    return Ok(false);
                }
                if !memory.unseen.is_waited_for(&stanza, row.sequence) {
                    due.push(row.sequence);
                }
            }
            next = Some(ArchiveId(row.sequence));
            Ok(true)
        })?;
        drop((memory, walk));
        drop(stanzas);
        if let Some(last) = due.last() {
            let Writing { txn, mut memory } = self.writing()?;
            memory.settle(txn, *last)?;
            let mut removal = Removal::begin(txn)?;
            for sequence in &due {
                removal.disown(&mut memory, account.0, *sequence)?;
            }
            removal.finish(txn, &memory)?;
            scrub::want(txn)?;
        }
        Ok(PrunedStep {
            stanzas: due.len(),
            next,
        })
    }

    fn ages(&self) -> Result<Ages, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let mut latest = Vec::new();
        for span in self.memory()?.spans_of_time().into_iter().skip(1) {
            let first = stanzas.range(span.from..)?.next().transpose()?;
            if let Some((_, row)) = first {
                latest.push((span.from, StanzaRow::time_of(row.value())?));
            }
        }
        Ok(Ages { latest })
    }

    /// Removes up to `rows_max` rows of deleted accounts' archives; true while there is more.
    pub fn purge_step(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        let Some(account) = self.first_to_purge()? else {
            return Ok(false);
        };
        let archive = || [AccountId(account)].into_iter();
        while self.memory()?.rows_in_memory(archive()) > 0 {
            if self.checkpoint_step(CHECKPOINT_WORK)? {
                return Ok(true);
            }
        }
        let mut ids = Vec::new();
        for row in self
            .view(ARCHIVE)?
            .range((account, 0)..=(account, u64::MAX))?
            .take(rows_max.saturating_add(1))
        {
            ids.push(row?.0.value().1);
        }
        let Writing { txn, mut memory } = self.writing()?;
        let mut removal = Removal::begin(txn)?;
        for id in ids.iter().take(rows_max) {
            removal.disown(&mut memory, account, *id)?;
        }
        removal.finish(txn, &memory)?;
        drop(memory);
        if ids.len() <= rows_max && self.remove_left_by(account, rows_max)? < rows_max {
            let Writing { txn, .. } = self.writing()?;
            txn.open_table(PURGE)?.remove(account)?;
            txn.open_table(ARCHIVE_BYTES)?.remove(account)?;
            scrub::want(txn)?;
        }
        Ok(self.first_to_purge()?.is_some())
    }

    fn first_to_purge(&self) -> Result<Option<u32>, StoreError> {
        let purge = self.view(PURGE)?;
        let first = purge.range(..)?.next().transpose()?;
        Ok(first.map(|(account, _)| account.value()))
    }
}
