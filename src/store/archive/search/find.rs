//! Looking for words: the newest or the oldest first, in everything that an account reads. What the index says is looked up a
//! segment at a time; what is not in it is looked at one by one. A look has a limit, so that nobody waits for it: where that is
//! reached it ends, and says how far it came.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::reading::Reading;
use super::super::reading::rows::{IndexRow, Visit};
use super::super::span::Span;
use super::left::{BLOCK_STEPS, Cursor, SEGMENT_STEPS, Steps, cut};
use super::segment::{Blocks, Head, Place};
use crate::store::schema::SEARCH;
use crate::store::{AccountId, ArchiveId, StoreError, Tx};
use crate::xmpp::words::{Lookup, Wanted};

/// Stanzas of an archive that are known to be looked at, and no more.
const READY_MAX: usize = 128;
/// If who looks has more rows behind the checkpoint than this, there is a checkpoint before.
const TAIL_ROWS_MAX: usize = 1024;

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Through,
    /// The visitor has enough.
    Enough,
    /// All before this, in the direction of the look, was looked at.
    At(u64),
}

/// What is looked for.
pub(in crate::store) struct Search<'s> {
    pub wanted: Option<&'s Wanted>,
    pub peer: Option<u64>,
    pub backward: bool,
    pub steps: &'s Steps,
}

impl Tx {
    /// There is not much left to be read through.
    pub fn prepare_to_search(&mut self, account: AccountId) -> Result<(), StoreError> {
        let sources = self.sources(account, Span::ALL)?;
        let archives = sources.iter().map(|source| source.channel);
        let memory = self.memory()?;
        let rows = memory.rows_in_memory(archives);
        let is_much = memory.not_searched != Span::ALL && rows > TAIL_ROWS_MAX;
        drop(memory);
        if is_much && !self.is_starved() {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// As `visit_read`; where words are looked for, of what may have all of them.
    pub(in crate::store) fn visit_asked(
        &self,
        account: AccountId,
        search: &Search<'_>,
        span: Span,
        visit: Visit<'_>,
    ) -> Result<Ended, StoreError> {
        let Search { peer, backward, .. } = *search;
        let Some(wanted) = search.wanted else {
            let is_through = self.visit_read(account, peer, span, backward, visit)?;
            return Ok(match is_through {
                true => Ended::Through,
                false => Ended::Enough,
            });
        };
        let blocks = self.view(SEARCH)?;
        let finder = Finder {
            tx: self,
            lookups: wanted.lookups(),
            blocks: &blocks,
            search,
        };
        let cursor = |reading: Reading| Cursor {
            archive: reading.channel,
            left: reading.span,
            ready: Vec::new(),
        };
        let cursors = self.sources(account, span)?.into_iter().map(cursor);
        finder.run(cursors.collect(), visit)
    }

    /// The stanza of what the account reads that was looked at last, where a look ended at `at`.
    pub(in crate::store) fn looked_at_last(
        &self,
        account: AccountId,
        at: u64,
        backward: bool,
    ) -> Result<Option<ArchiveId>, StoreError> {
        let behind = match backward {
            true => Span {
                from: at.saturating_add(1),
                to: u64::MAX,
            },
            false => Span { from: 0, to: at },
        };
        let mut last = None;
        self.visit_read(account, None, behind, !backward, &mut |row| {
            last = Some(ArchiveId(row.sequence));
            Ok(false)
        })?;
        Ok(last)
    }
}

struct Finder<'f> {
    tx: &'f Tx,
    lookups: Vec<Lookup<'f>>,
    blocks: &'f Blocks<'f>,
    search: &'f Search<'f>,
}

impl Finder<'_> {
    /// A merge, as of rows: each stanza once.
    fn run(&self, mut cursors: Vec<Cursor>, visit: Visit<'_>) -> Result<Ended, StoreError> {
        let Search {
            backward, steps, ..
        } = *self.search;
        let rank = |sequence: u64| match backward {
            true => sequence,
            false => !sequence,
        };
        let mut heads = BinaryHeap::with_capacity(cursors.len());
        for (n, cursor) in cursors.iter().enumerate() {
            heads.extend(
                cursor
                    .next(backward)
                    .map(|next| (rank(next), Reverse(n), 0_u8)),
            );
        }
        let (mut last, is_one) = (None, cursors.len() == 1);
        // Whichever archive is the least far goes on.
        while let Some((ranked, Reverse(n), _)) = heads.pop() {
            let sequence = rank(ranked);
            if steps.left() == 0 {
                return Ok(Ended::At(sequence));
            }
            let Some(cursor) = cursors.get_mut(n) else {
                continue;
            };
            if cursor.ready.is_empty() {
                self.load(cursor)?;
            } else if self.is_with(cursor, sequence)? {
                cursor.ready.pop();
                let row = IndexRow {
                    sequence,
                    held: 0,
                    archive: cursor.archive,
                };
                // The index may name what left this archive and is still in another, which is asked next.
                let is_here = is_one || self.tx.holds(row.archive, ArchiveId(sequence))?;
                if is_here && last.replace(sequence) != Some(sequence) && !visit(row)? {
                    return Ok(Ended::Enough);
                }
            }
            heads.extend(
                cursor
                    .next(backward)
                    .map(|next| (rank(next), Reverse(n), 0_u8)),
            );
        }
        Ok(Ended::Through)
    }

    /// It is of the conversation that is asked for; else the next one is that is.
    fn is_with(&self, cursor: &mut Cursor, sequence: u64) -> Result<bool, StoreError> {
        let Some(peer) = self.search.peer else {
            return Ok(true);
        };
        self.search.steps.take(1);
        let next = self.next_with((cursor.archive, peer), sequence)?;
        if next != Some(sequence) {
            cursor.skip_to(next, self.search.backward);
        }
        Ok(next == Some(sequence))
    }

    /// The first stanza of a conversation from here on.
    fn next_with(
        &self,
        (archive, peer): (AccountId, u64),
        at: u64,
    ) -> Result<Option<u64>, StoreError> {
        let backward = self.search.backward;
        let span = match backward {
            true => Span {
                from: 0,
                to: at.saturating_add(1),
            },
            false => Span {
                from: at,
                to: u64::MAX,
            },
        };
        let mut next = None;
        self.tx
            .visit(archive, Some(peer), span, backward, &mut |row| {
                next = Some(row.sequence);
                Ok(false)
            })?;
        Ok(next)
    }

    /// Finds what is looked at next, in the part of the archive that comes next.
    fn load(&self, cursor: &mut Cursor) -> Result<(), StoreError> {
        let backward = self.search.backward;
        let Some(at) = cursor.next(backward) else {
            return Ok(());
        };
        let (zone, is_indexed) = self.zone(at)?;
        let part = Span {
            from: cursor.left.from.max(zone.from),
            to: cursor.left.to.min(zone.to),
        };
        let ready = &mut cursor.ready;
        let seen = match is_indexed {
            true => self.look_up(cursor.archive, part, zone, ready)?,
            false => self.read_through(cursor.archive, part, ready)?,
        };
        match backward {
            true => cursor.left.to = seen.from,
            false => cursor.left.from = seen.to,
        }
        Ok(())
    }

    /// What lies around a stanza and is in the index as it is, or is not.
    fn zone(&self, at: u64) -> Result<(Span, bool), StoreError> {
        let memory = self.tx.memory()?;
        let (not_yet, checkpoint) = (memory.not_searched, memory.checkpoint_at());
        let span = |from, to| Span { from, to };
        Ok(match at {
            at if not_yet.holds(at) => (not_yet, false),
            at if at >= checkpoint => (span(checkpoint, u64::MAX), false),
            at if at < not_yet.from => (span(0, not_yet.from), true),
            _ => (span(not_yet.to, checkpoint), true),
        })
    }

    /// Every stanza. Returns how far it came.
    fn read_through(
        &self,
        archive: AccountId,
        part: Span,
        ready: &mut Vec<u64>,
    ) -> Result<Span, StoreError> {
        let Search { backward, peer, .. } = *self.search;
        let is_all = self.tx.visit(archive, peer, part, backward, &mut |row| {
            ready.push(row.sequence);
            Ok(ready.len() < READY_MAX)
        })?;
        self.search.steps.take(1);
        let last = ready.last().copied().filter(|_| !is_all);
        ready.reverse();
        Ok(cut(part, last, backward))
    }

    /// What the next segment of the part says.
    fn look_up(
        &self,
        archive: AccountId,
        part: Span,
        zone: Span,
        ready: &mut Vec<u64>,
    ) -> Result<Span, StoreError> {
        let backward = self.search.backward;
        let Some((place, head)) = self.segment(archive, part, zone)? else {
            return Ok(part);
        };
        let mut seen = part;
        match backward {
            true => seen.from = seen.from.max(place.first),
            false => seen.to = seen.to.min(head.last.saturating_add(1)),
        }
        let mut hits = self.hits(place, head)?;
        hits.retain(|sequence| part.from <= *sequence && *sequence < part.to);
        if !backward {
            hits.reverse();
        }
        // The next one is last.
        let surplus = hits.len().saturating_sub(READY_MAX);
        hits.drain(..surplus);
        let last = hits.first().copied().filter(|_| surplus > 0);
        ready.extend(hits);
        Ok(cut(seen, last, backward))
    }

    fn segment(
        &self,
        archive: AccountId,
        part: Span,
        zone: Span,
    ) -> Result<Option<(Place, Head)>, StoreError> {
        let (blocks, archive) = (self.blocks, archive.0);
        self.search.steps.take(SEGMENT_STEPS);
        let to = match self.search.backward {
            true => part.to,
            false => part.from.saturating_add(1),
        };
        let before = Place::before(blocks, archive, to)?;
        let before = before.filter(|(place, _)| place.first >= zone.from);
        if self.search.backward {
            // Of one whose head is damaged nothing is known: its stanzas are not found.
            return Ok(before.map(|(place, head)| (place, head.unwrap_or_default())));
        }
        if let Some((place, Some(head))) = before
            && head.last >= part.from
        {
            return Ok(Some((place, head)));
        }
        let Some(place) = Place::within(blocks, archive, (to, part.to))? else {
            return Ok(None);
        };
        let head = place.head(blocks)?.unwrap_or_else(|| Head {
            last: place.first,
            ..Head::default()
        });
        Ok(Some((place, head)))
    }

    /// What has all terms, and what has too many to tell, in order.
    fn hits(&self, place: Place, head: Head) -> Result<Vec<u64>, StoreError> {
        let mut all: Option<Vec<u64>> = None;
        for lookup in &self.lookups {
            let mut found = Vec::new();
            let term = (lookup.term, lookup.begins);
            let read = place.find(self.blocks, term, &mut found)?;
            self.search.steps.take(read * BLOCK_STEPS);
            found.sort_unstable();
            found.dedup();
            if let Some(all) = &all {
                found.retain(|sequence| all.binary_search(sequence).is_ok());
            }
            let is_none = found.is_empty();
            all = Some(found);
            if is_none {
                break;
            }
        }
        let mut hits = all.unwrap_or_default();
        if !head.long.is_empty() {
            hits.extend(head.long);
            hits.sort_unstable();
            hits.dedup();
        }
        Ok(hits)
    }
}
