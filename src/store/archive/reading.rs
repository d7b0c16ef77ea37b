//! Channels of our own service: which parts of their archives an account reads as if they were in its own. Nothing is written
//! for a member when a message is sent; a channel has a number as accounts have, and sequences are the same in all archives.
//!
//! Of one channel no two parts overlap, and between two of them there is something that the account does not read.
mod merged;
pub mod rows;

use super::ArchiveId;
use super::span::Span;
use crate::store::schema::CHANNEL_READ;
use crate::store::{AccountId, StoreError, Tx, Writing};

/// Parts of archives that one account reads, of all channels it is in or was in. Those that ended first make room.
pub const READINGS_MAX: usize = 1024;

/// How a part that has no end yet is kept.
const OPEN: u64 = 0;

/// A part of a channel's archive.
#[derive(Clone, Copy)]
pub(in crate::store) struct Reading {
    pub channel: AccountId,
    pub span: Span,
}

/// What of an archive somebody reads.
#[derive(Clone, Debug)]
pub struct Parts(pub(super) Vec<Span>);

impl Parts {
    pub fn all() -> Parts {
        Parts(vec![Span::ALL])
    }

    pub fn hold(&self, id: ArchiveId) -> bool {
        let mut spans = self.0.iter();
        spans.any(|span| span.from <= id.0 && id.0 < span.to)
    }
}

impl Tx {
    /// What an account reads of an archive: all of its own, of a channel's what was said while it was there.
    pub fn parts(&self, account: AccountId, archive: AccountId) -> Result<Parts, StoreError> {
        match account == archive {
            true => Ok(Parts::all()),
            false => Ok(Parts(self.spans_of(account, archive)?)),
        }
    }

    /// The id of what is archived next.
    pub fn next_archive_id(&self) -> Result<ArchiveId, StoreError> {
        Ok(ArchiveId(self.memory()?.next_sequence()))
    }

    /// From here on, and until `end_reading`, what the channel's archive holds is in the account's as well. What is not
    /// archived yet is in any case.
    pub fn begin_reading(
        &mut self,
        account: AccountId,
        channel: AccountId,
        from: ArchiveId,
    ) -> Result<(), StoreError> {
        self.make_room_to_read(account)?;
        let mut spans = self.spans_of(account, channel)?;
        let before = spans.clone();
        let from = from.0.min(self.memory()?.next_sequence());
        spans.push(Span { from, ..Span::ALL });
        spans.sort_unstable_by_key(|span| span.from);
        let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            let last = joined.last().copied();
            let adjoins = match last {
                Some(last) => {
                    let between = Span {
                        from: last.to,
                        to: span.from,
                    };
                    self.has_nothing(channel, between)?
                }
                None => false,
            };
            match joined.last_mut() {
                Some(last) if adjoins => last.to = last.to.max(span.to),
                _ => joined.push(span),
            }
        }
        self.write_spans((account, channel), &before, &joined)
    }

    /// What is archived from here on is not the account's, nor is what is archived next.
    pub fn end_reading(
        &mut self,
        account: AccountId,
        channel: AccountId,
        to: ArchiveId,
    ) -> Result<(), StoreError> {
        let before = self.spans_of(account, channel)?;
        let mut spans = before.clone();
        let to = to.0.min(self.memory()?.next_sequence());
        if let Some(open) = spans.last_mut().filter(|span| span.to == Span::ALL.to) {
            open.to = to;
            if self.has_nothing(channel, *open)? {
                spans.pop();
            }
        }
        self.write_spans((account, channel), &before, &spans)
    }

    /// All that an account reads of channels.
    pub(in crate::store) fn readings(
        &self,
        account: AccountId,
    ) -> Result<Vec<Reading>, StoreError> {
        let end = account.0.saturating_add(1);
        self.readings_in((account.0, 0, 0)..(end, 0, 0))
    }

    fn spans_of(&self, account: AccountId, channel: AccountId) -> Result<Vec<Span>, StoreError> {
        let end = channel.0.saturating_add(1);
        let readings = self.readings_in((account.0, channel.0, 0)..(account.0, end, 0))?;
        Ok(readings.into_iter().map(|reading| reading.span).collect())
    }

    fn readings_in(
        &self,
        range: std::ops::Range<(u32, u32, u64)>,
    ) -> Result<Vec<Reading>, StoreError> {
        let table = self.view(CHANNEL_READ)?;
        let rows = table.range(range)?;
        rows.map(|row| {
            let (key, to) = row?;
            let (_, channel, from) = key.value();
            let to = match to.value() {
                OPEN => Span::ALL.to,
                to => to,
            };
            let channel = AccountId(channel);
            let span = Span { from, to };
            Ok(Reading { channel, span })
        })
        .collect()
    }

    /// Nothing of it is in an archive.
    fn has_nothing(&self, archive: AccountId, span: Span) -> Result<bool, StoreError> {
        self.visit(archive, None, span, false, &mut |_| Ok(false))
    }

    fn write_spans(
        &mut self,
        (account, channel): (AccountId, AccountId),
        before: &[Span],
        after: &[Span],
    ) -> Result<(), StoreError> {
        if before == after {
            return Ok(());
        }
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNEL_READ)?;
        for span in before.iter().filter(|span| !after.contains(span)) {
            table.remove((account.0, channel.0, span.from))?;
        }
        for span in after.iter().filter(|span| !before.contains(span)) {
            let to = match *span {
                Span { to, .. } if to == Span::ALL.to => OPEN,
                Span { to, .. } => to,
            };
            table.insert((account.0, channel.0, span.from), to)?;
        }
        Ok(())
    }

    fn make_room_to_read(&mut self, account: AccountId) -> Result<(), StoreError> {
        let mut readings = self.readings(account)?;
        if readings.len() < READINGS_MAX {
            return Ok(());
        }
        readings.sort_unstable_by_key(|reading| reading.span.to);
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNEL_READ)?;
        for Reading { channel, span } in readings.iter().take(readings.len() + 1 - READINGS_MAX) {
            table.remove((account.0, channel.0, span.from))?;
        }
        Ok(())
    }
}
