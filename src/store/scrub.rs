//! Overwriting what was taken back. The database gives the pages of a row that changed to others and leaves in them what they
//! held, so that the words of a retracted message would lie in the file until somebody needs the room. When something was
//! taken back, or an operator pruned an archive, all room in the file is filled with zeros, in steps, and freed again. That
//! writes as much as there is free room, so it is not done often: whoever calls says when.
use std::cell::Cell;
use std::sync::Arc;

use super::engine::table::WriteTransaction;
use super::schema::{FILLER, META, META_SCRUB, META_SCRUB_WANTED};
use super::{Store, StoreError, Tx};

/// A page of the file holds one.
const FILLER_BYTES: usize = 4000;
const PAGE_BYTES: u64 = 4096;
/// Rows that are removed in one step for each that is written: it is less work.
const REMOVED_PER_ROW: u64 = 4;

/// Where it stands, as `META_SCRUB` says it; no row: it is not under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A page is free one or two commits after the one that did without it.
    Settling(u64),
    Filling,
    Emptying,
}

impl Phase {
    const SETTLING: u64 = 3;

    fn number(self) -> u64 {
        match self {
            Phase::Emptying => 1,
            Phase::Filling => 2,
            Phase::Settling(left) => 2 + left,
        }
    }

    fn of(number: u64) -> Phase {
        match number {
            0 | 1 => Phase::Emptying,
            2 => Phase::Filling,
            left => Phase::Settling(left - 2),
        }
    }
}

/// What is known of it without reading.
#[derive(Default)]
pub(super) struct Scrub {
    /// Pages written since it was begun.
    pages: Cell<u64>,
    /// Of the file, after the last step that filled.
    length: Cell<Option<u64>>,
    /// With the next commit.
    pub(super) wipes_journal: Cell<bool>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrubbed {
    /// Nothing was taken back since the last time.
    Nothing,
    /// There is more to do.
    Partly,
    /// It is over; so many bytes were written.
    Whole { bytes: u64 },
}

/// Something is taken back.
pub(super) fn want(txn: &WriteTransaction) -> Result<(), StoreError> {
    txn.open_table(META)?.insert(META_SCRUB_WANTED, 1)
}

impl Tx {
    /// Begins if `may_begin`, or goes on: writes up to so many pages.
    pub fn scrub_step(&mut self, pages_max: u64, may_begin: bool) -> Result<Scrubbed, StoreError> {
        let meta = self.view(META)?;
        let number =
            |key| -> Result<Option<u64>, StoreError> { Ok(meta.get(key)?.map(|row| row.value())) };
        let (phase, wanted) = (number(META_SCRUB)?, number(META_SCRUB_WANTED)?);
        drop(meta);
        let phase = match phase {
            Some(number) => Phase::of(number),
            None if wanted.is_none() || !may_begin || self.is_read_whole() => {
                return Ok(Scrubbed::Nothing);
            }
            // Words that are taken out of the index later would lie in the file.
            None if self.forget_words_step()? => return Ok(Scrubbed::Partly),
            None => {
                let txn = self.writing()?.txn;
                txn.open_table(META)?.remove(META_SCRUB_WANTED)?;
                Phase::Settling(Phase::SETTLING)
            }
        };
        self.writing()?.txn.is_for_the_file();
        let is_first = phase == Phase::Settling(Phase::SETTLING);
        self.shared.scrub.wipes_journal.set(is_first);
        let next = match phase {
            Phase::Settling(1) => Some(Phase::Filling),
            Phase::Settling(left) => Some(Phase::Settling(left - 1)),
            Phase::Filling => Some(self.fill(pages_max)?),
            Phase::Emptying => self.empty(pages_max)?,
        };
        let mut meta = self.writing()?.txn.open_table(META)?;
        match next {
            Some(next) => {
                meta.insert(META_SCRUB, next.number())?;
                Ok(Scrubbed::Partly)
            }
            None => {
                meta.remove(META_SCRUB)?;
                drop(meta);
                let bytes = self.shared.scrub.pages.take() * PAGE_BYTES;
                Ok(Scrubbed::Whole { bytes })
            }
        }
    }

    /// Somebody reads all of it at one moment (`Whole`), so that no page of that moment is free.
    fn is_read_whole(&self) -> bool {
        let database = self.shared.database.borrow();
        database
            .as_ref()
            .is_none_or(|database| Arc::strong_count(database) > 1)
    }

    /// When the file has to grow for a page, nothing in it was free any more. If it grew since the last step, it may have
    /// been for more than that, while single pages were free; they are taken first.
    fn fill(&mut self, pages_max: u64) -> Result<Phase, StoreError> {
        let scrub = &self.shared.scrub;
        let now = self.shared.length()?;
        let before = scrub.length.take().map_or(now, |last| last.min(now));
        let table = self.view(FILLER)?;
        let last = table.range(..)?.next_back().transpose()?;
        let first = last.map_or(0, |(key, _)| key.value() + 1);
        drop(table);
        let mut table = self.writing()?.txn.open_table(FILLER)?;
        let zeros = [0; FILLER_BYTES];
        for key in first..first + pages_max {
            table.insert(key, &zeros)?;
        }
        drop(table);
        let scrub = &self.shared.scrub;
        scrub.pages.set(scrub.pages.get() + pages_max);
        let length = self.shared.length()?;
        if length > before {
            return Ok(Phase::Emptying);
        }
        scrub.length.set(Some(length));
        Ok(Phase::Filling)
    }

    fn empty(&mut self, pages_max: u64) -> Result<Option<Phase>, StoreError> {
        let first = |tx: &Tx| -> Result<Option<u64>, StoreError> {
            let table = tx.view(FILLER)?;
            let first = table.range(..)?.next().transpose()?;
            Ok(first.map(|(key, _)| key.value()))
        };
        let Some(from) = first(self)? else {
            return Ok(None);
        };
        let to = from + pages_max * REMOVED_PER_ROW;
        let mut table = self.writing()?.txn.open_table(FILLER)?;
        table.retain_in(from..to, |_, _| false)?;
        drop(table);
        Ok(first(self)?.map(|_| Phase::Emptying))
    }
}

impl Store {
    /// All of it at once, when nobody is served any more; up to so many pages.
    pub fn scrub(&self, pages_max: u64) -> Result<(), StoreError> {
        const PAGES_EACH: u64 = 1024;
        let steps_max = pages_max / PAGES_EACH + Phase::SETTLING;
        for _ in 0..steps_max {
            let mut tx = self.begin();
            let scrubbed = tx.scrub_step(PAGES_EACH, true)?;
            if let Some(commit) = tx.finish() {
                commit.run()?;
            }
            if scrubbed != Scrubbed::Partly {
                break;
            }
        }
        Ok(())
    }
}
