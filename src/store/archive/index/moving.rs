//! Rows on their way from memory to the tables, and words of their stanzas on theirs to the index of words. All at once would hold
//! up everybody, so it is done in small steps beside what comes meanwhile. Until the last step, which alone makes the file
//! durable, the rows stay in memory as well, and what the tables have at or behind the checkpoint does not count. All of it
//! follows from the stanzas: it is in no journal, and after a kill it is begun anew and written over.
use std::collections::VecDeque;

use super::super::search::build::{Gathered, Ordered, last_indexed};
use super::super::span::Span;
use super::super::stanza::{StanzaRow, footprint};
use super::tail::TailRow;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH, META, META_MOVING, STANZAS};
use crate::store::{AccountId, StoreError};

/// Rows of one archive that are written in one step.
const STEP_ROWS_MAX: usize = 128;
/// Work of a step that looks at stanzas.
const LOOK_WORK: u64 = 128;
/// What counts as work: each stanza that is looked at, so many bytes of it, and twice each row that is written.
const WORK_BYTES: u64 = 512;
const WORK_PER_ROW: u64 = 2;

/// What is in memory: stanzas, their rows, and their bytes with what else of the file they take.
#[derive(Clone, Copy)]
pub struct Load {
    pub stanzas: u64,
    pub rows: usize,
    pub bytes: u64,
}

pub struct Moving {
    pub stage: Stage,
    /// What was in memory when it began.
    pub begun: Load,
    done: u64,
    all: u64,
}

pub enum Stage {
    Looking(Looking),
    Writing(Writing),
}

/// Stanzas are counted, and their words gathered.
pub struct Looking {
    at: u64,
    end: u64,
    bytes: u64,
    words: Option<Gathered>,
}

/// Rows are written, one archive after the other.
pub struct Writing {
    /// Behind the last stanza that is moved.
    pub end: u64,
    /// Of the stanzas, with what else of the file they take.
    pub bytes: u64,
    words: Option<Ordered>,
    pub archives: VecDeque<AccountId>,
    /// Of the first of them what is before this is written.
    from: u64,
}

impl Moving {
    /// The stanzas of a span, or the first of them if there is no room to gather the words of all.
    pub fn begin(span: Span, begun: Load, with_words: bool) -> Moving {
        let rows = u64::try_from(begun.rows).unwrap_or(u64::MAX / 4);
        let looking = Looking {
            at: span.from,
            end: span.to,
            bytes: 0,
            words: with_words.then(Gathered::default),
        };
        Moving {
            stage: Stage::Looking(looking),
            begun,
            done: 0,
            all: begun.stanzas + begun.bytes / WORK_BYTES + rows * WORK_PER_ROW,
        }
    }

    #[cfg(test)]
    pub fn done(&self) -> u64 {
        self.done
    }

    pub fn did(&mut self, work: u64) {
        self.done += work;
    }

    /// How much of its work is due when so many hundredths of the time for it are over, and not done yet.
    pub fn due(&self, percent: u64) -> u64 {
        (self.all * percent / 100).saturating_sub(self.done)
    }
}

impl Looking {
    /// True: there is more to look at. With how much work it was.
    pub fn step(&mut self, txn: &WriteTransaction) -> Result<(bool, u64), StoreError> {
        let mut work = 0;
        for row in txn.view(STANZAS)?.range(self.at..self.end)? {
            // One that is damaged is passed over; it was reported.
            let Ok((key, row)) = row else { continue };
            let (sequence, length) = (key.value(), row.value().len());
            if work >= LOOK_WORK {
                self.at = sequence;
                return Ok((true, work));
            }
            if self
                .words
                .as_ref()
                .is_some_and(|words| words.is_full(sequence))
            {
                self.end = sequence;
                break;
            }
            if let Some(words) = &mut self.words {
                words.add(sequence, StanzaRow::decode(row.value())?.xml);
            }
            self.bytes += footprint(length);
            work += 1 + u64::try_from(length).unwrap_or(u64::MAX) / WORK_BYTES;
        }
        self.at = self.end;
        Ok((false, work))
    }

    /// From here on nothing changes of what is moved.
    pub fn is_looked_at(&self, sequence: u64) -> bool {
        sequence < self.at
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn into_writing(self, archives: Vec<AccountId>) -> Writing {
        Writing {
            end: self.end,
            bytes: self.bytes,
            words: self.words.map(Gathered::ordered),
            archives: archives.into(),
            from: 0,
        }
    }
}

impl Writing {
    /// The rows of an archive that are to be written next, and all of its that are to be.
    pub fn span(&self) -> Span {
        Span {
            from: self.from,
            to: self.end,
        }
    }

    /// Writes the first of what the first archive has left. Returns how much work it was.
    pub fn step(
        &mut self,
        txn: &WriteTransaction,
        left: &[TailRow],
        (not_yet, checks_ways): (Span, bool),
    ) -> Result<u64, StoreError> {
        let Some(archive) = self.archives.front().map(|account| account.0) else {
            return Ok(0);
        };
        let rows = left.get(..STEP_ROWS_MAX).unwrap_or(left);
        txn.derive(&mut || {
            txn.open_table(META)?.insert(META_MOVING, 1)?;
            write_rows(txn, archive, rows, checks_ways)?;
            let Some(words) = self.words.as_ref().filter(|_| not_yet != Span::ALL) else {
                return Ok(());
            };
            // What was begun before a kill may be there.
            let known = last_indexed(txn, archive)?;
            let sequences = rows.iter().map(|row| row.sequence);
            let sequences: Vec<u64> = sequences.filter(|sequence| *sequence > known).collect();
            words.put(txn, archive, &sequences, not_yet)
        })?;
        match rows.last().filter(|_| rows.len() < left.len()) {
            Some(last) => self.from = last.sequence + 1,
            None => {
                self.archives.pop_front();
                self.from = 0;
            }
        }
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX) * WORK_PER_ROW)
    }
}

/// `checks_ways`: some of them may be in the tables, and others between them.
fn write_rows(
    txn: &WriteTransaction,
    archive: u32,
    rows: &[TailRow],
    checks_ways: bool,
) -> Result<(), StoreError> {
    let mut table = txn.open_table(ARCHIVE)?;
    let mut is_first = true;
    for row in rows {
        table.insert_run(is_first, (archive, row.sequence), row.held)?;
        is_first = checks_ways;
    }
    drop(table);
    let mut rows = rows.to_vec();
    rows.sort_unstable_by_key(|row| (row.peer, row.sequence));
    let mut table = txn.open_table(ARCHIVE_WITH)?;
    let mut last = None;
    for row in &rows {
        let is_first = last.replace(row.peer) != Some(row.peer) || checks_ways;
        table.insert_run(is_first, (archive, row.peer, row.sequence), row.held)?;
    }
    Ok(())
}
