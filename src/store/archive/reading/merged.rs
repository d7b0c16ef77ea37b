//! What an account reads: the rows of its own archive and those of channels it is or was in (`reading`), in the order of
//! arrival. Each archive is read as far as the walk comes and no further.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::ArchiveId;
use super::super::index::Memory;
use super::super::index::tail::TailRow;
use super::super::span::Span;
use super::super::stanza::{StanzaRow, is_passing};
use super::super::walk::Walk;
use super::Reading;
use super::rows::{IndexRow, Visit};
use crate::store::engine::table::{Guard, Range, Row, View};
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH, STANZAS};
use crate::store::{AccountId, StoreError, Tx};

/// The tables of the index, as far as a walk needs them: of all peers, or of one by its hash.
enum Index<'t> {
    All(View<'t, (u32, u64), u8>),
    Of(View<'t, (u32, u64, u64), u8>, u64),
}

enum TableRows<'i> {
    All(Range<'i, (u32, u64), u8>),
    Of(Range<'i, (u32, u64, u64), u8>),
}

/// The rows of one archive within a span, from one end to the other.
struct Rows<'i> {
    archive: AccountId,
    peer: Option<u64>,
    backward: bool,
    table: TableRows<'i>,
    tail: &'i [TailRow],
}

impl Tx {
    /// As `visit`, of all that the account reads; not what only passes through.
    pub(in crate::store) fn visit_read(
        &self,
        account: AccountId,
        peer: Option<u64>,
        span: Span,
        backward: bool,
        visit: Visit<'_>,
    ) -> Result<bool, StoreError> {
        let sources = self.sources(account, span)?;
        let mut visit = |row: IndexRow| Ok(is_passing(row.held) || visit(row)?);
        if sources.len() < 2 {
            return self.visit(account, peer, span, backward, &mut visit);
        }
        self.visit_sources(&sources, peer, backward, &mut visit)
    }

    /// Backward through what an account's archive, and parts of a channel's, have of one peer.
    pub(in crate::store) fn visit_talk(
        &self,
        account: AccountId,
        peer: u64,
        channel: &[Reading],
        visit: Visit<'_>,
    ) -> Result<bool, StoreError> {
        let own = Reading {
            channel: account,
            span: Span::ALL,
        };
        let sources = [&[own], channel].concat();
        let mut visit = |row: IndexRow| Ok(is_passing(row.held) || visit(row)?);
        self.visit_sources(&sources, Some(peer), true, &mut visit)
    }

    fn visit_sources(
        &self,
        sources: &[Reading],
        peer: Option<u64>,
        backward: bool,
        visit: Visit<'_>,
    ) -> Result<bool, StoreError> {
        let index = match peer {
            None => Index::All(self.view(ARCHIVE)?),
            Some(peer) => Index::Of(self.view(ARCHIVE_WITH)?, peer),
        };
        let memory = self.memory()?;
        let rows = sources.iter().map(|reading| {
            let Reading { channel, span } = *reading;
            index.rows(&memory, channel, span, backward)
        });
        merge(rows.collect::<Result<_, _>>()?, backward, visit)
    }

    /// The archives that the account reads, and which parts of them. What is in its own as well is its own: that comes first.
    pub(in crate::store) fn sources(
        &self,
        account: AccountId,
        span: Span,
    ) -> Result<Vec<Reading>, StoreError> {
        let channel = account;
        let mut sources = vec![Reading { channel, span }];
        for mut reading in self.readings(account)? {
            reading.span.from = reading.span.from.max(span.from);
            reading.span.to = reading.span.to.min(span.to);
            if reading.span.from < reading.span.to {
                sources.push(reading);
            }
        }
        Ok(sources)
    }

    /// The account reads this, though it is not in its own archive: that of the channel which it is in.
    pub(in crate::store) fn read_of_channel(
        &self,
        account: AccountId,
        id: ArchiveId,
    ) -> Result<Option<AccountId>, StoreError> {
        let readings = self.readings(account)?;
        let covers = |span: Span| span.from <= id.0 && id.0 < span.to;
        if !readings.iter().any(|reading| covers(reading.span)) {
            return Ok(None);
        }
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        let owners = StanzaRow::decode(row.value())?.owners;
        let holds = |reading: &&Reading| {
            covers(reading.span) && owners.iter().any(|owner| owner.account == reading.channel)
        };
        Ok(readings.iter().find(holds).map(|reading| reading.channel))
    }
}

/// A merge of sorted rows; each sequence once.
fn merge(mut sources: Vec<Rows<'_>>, backward: bool, visit: Visit<'_>) -> Result<bool, StoreError> {
    // The largest comes first.
    let rank = |sequence: u64| match backward {
        true => sequence,
        false => !sequence,
    };
    let mut heads = BinaryHeap::with_capacity(sources.len());
    for (n, source) in sources.iter_mut().enumerate() {
        if let Some(row) = source.next()? {
            heads.push((rank(row.sequence), Reverse(n), row.held));
        }
    }
    let mut last = None;
    while let Some((ranked, Reverse(n), held)) = heads.pop() {
        let Some(source) = sources.get_mut(n) else {
            continue;
        };
        let row = IndexRow {
            sequence: rank(ranked),
            held,
            archive: source.archive,
        };
        if let Some(next) = source.next()? {
            heads.push((rank(next.sequence), Reverse(n), next.held));
        }
        if last.replace(ranked) != Some(ranked) && !visit(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Index<'_> {
    fn rows<'i>(
        &'i self,
        memory: &'i Memory,
        archive: AccountId,
        span: Span,
        backward: bool,
    ) -> Result<Rows<'i>, StoreError> {
        let (Span { from, to }, number) = (span, archive.0);
        let to = to.min(memory.checkpoint_at()).max(from);
        let (table, peer) = match self {
            Index::All(table) => {
                let rows = table.range((number, from)..(number, to))?;
                (TableRows::All(rows), None)
            }
            Index::Of(table, peer) => {
                let rows = table.range((number, *peer, from)..(number, *peer, to))?;
                (TableRows::Of(rows), Some(*peer))
            }
        };
        Ok(Rows {
            archive,
            peer,
            backward,
            table,
            tail: memory.tail(archive, span),
        })
    }
}

impl TableRows<'_> {
    fn next(&mut self, backward: bool) -> Result<Option<(u64, u8)>, StoreError> {
        let row = match (self, backward) {
            (TableRows::All(rows), false) => number(rows.next(), |(_, sequence)| sequence),
            (TableRows::All(rows), true) => number(rows.next_back(), |(_, sequence)| sequence),
            (TableRows::Of(rows), false) => number(rows.next(), |(_, _, sequence)| sequence),
            (TableRows::Of(rows), true) => number(rows.next_back(), |(_, _, sequence)| sequence),
        };
        row.transpose()
    }
}

type Entry<'g, K> = Result<(Guard<'g, K>, Guard<'g, u8>), StoreError>;

fn number<'g, K: Row>(
    row: Option<Entry<'g, K>>,
    sequence: impl Fn(K::View<'_>) -> u64,
) -> Option<Result<(u64, u8), StoreError>> {
    row.map(|row| row.map(|(key, held)| (sequence(key.value()), held.value())))
}

impl Rows<'_> {
    /// All rows in memory are newer than those in the tables.
    fn next(&mut self) -> Result<Option<IndexRow>, StoreError> {
        if self.backward
            && let Some(row) = self.next_of_tail()
        {
            return Ok(Some(row));
        }
        if let Some((sequence, held)) = self.table.next(self.backward)? {
            return Ok(Some(self.row(sequence, held)));
        }
        Ok(self.next_of_tail())
    }

    fn next_of_tail(&mut self) -> Option<IndexRow> {
        loop {
            let (row, rest) = match self.backward {
                true => self.tail.split_last()?,
                false => self.tail.split_first()?,
            };
            self.tail = rest;
            if self.peer.is_none_or(|peer| peer == row.peer) {
                return Some(self.row(row.sequence, row.held));
            }
        }
    }

    fn row(&self, sequence: u64, held: u8) -> IndexRow {
        IndexRow {
            sequence,
            held,
            archive: self.archive,
        }
    }
}
