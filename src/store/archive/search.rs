//! The index of words (XEP-0431), made by us: what is ready-made is larger than this whole server and wants threads and files of
//! its own. Segments (`segment`) lie in the order of arrival, each archive's by themselves, so that the latest is found first,
//! pages of the file are written one behind the other, and nobody's search takes longer for what is in others' archives.
//!
//! Words are indexed at the archive's checkpoint (`build`), so that a message costs nothing when it comes. What is behind the
//! checkpoint, and what of a file from before there was an index is not in it yet, is read through (`find`): nothing that is there
//! is missed. The stanza has the last word, so nothing is found that is not there. A block that is damaged hides what is in it; it
//! was reported, and to turn `archive_search` off and on makes all of them anew.
pub mod build;
pub mod find;
pub mod forget;
pub mod left;
mod segment;
mod terms;

use super::span::Span;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{
    META, META_CHECKPOINT, META_SEARCH_END, META_SEARCH_FROM, META_SEARCH_OFF, SEARCH, SEARCH_GONE,
    STANZAS, create_tables,
};
use crate::store::{StoreError, Tx, Writing};

/// Stanzas between two lines in the log.
const PROGRESS_STANZAS: u64 = 100_000;

/// Nothing.
const NONE: Span = Span { from: 0, to: 0 };

/// Which stanzas before the checkpoint are not in the index.
pub fn load(tx: &Tx) -> Result<Span, StoreError> {
    let meta = tx.view(META)?;
    let number = |key| -> Result<_, StoreError> { Ok(meta.get(key)?.map(|row| row.value())) };
    if number(META_SEARCH_OFF)?.is_some() {
        return Ok(Span::ALL);
    }
    let span = number(META_SEARCH_FROM)?.zip(number(META_SEARCH_END)?);
    let span = span.map(|(from, to)| Span { from, to });
    Ok(span.filter(|span| span.from < span.to).unwrap_or(NONE))
}

/// For files in which no words are indexed: it is done later, in steps.
pub fn begin(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    create_tables(txn)?;
    begin_anew(txn).map(drop)
}

/// For a file in which there is no index of words, and all it takes to have one.
pub(in crate::store) fn begin_anew(txn: &WriteTransaction) -> Result<Span, StoreError> {
    let stanzas = txn.view(STANZAS)?;
    let first = stanzas.range(..)?.find_map(Result::ok);
    let first = first.map(|(key, _)| key.value());
    let mut meta = txn.open_table(META)?;
    let end = meta.get(META_CHECKPOINT)?.map_or(1, |row| row.value());
    meta.remove(META_SEARCH_OFF)?;
    let Some(from) = first.filter(|from| *from < end) else {
        meta.remove(META_SEARCH_FROM)?;
        meta.remove(META_SEARCH_END)?;
        return Ok(NONE);
    };
    meta.insert(META_SEARCH_FROM, from)?;
    meta.insert(META_SEARCH_END, end)?;
    Ok(Span { from, to: end })
}

impl Tx {
    /// Makes the index where it is wanted, or removes it: up to `max` stanzas or blocks. False: it is done.
    pub fn index_words_step(&mut self, wanted: bool, max: usize) -> Result<bool, StoreError> {
        let not_yet = self.memory()?.not_searched;
        match (not_yet == Span::ALL, wanted) {
            (false, true) if not_yet == NONE => Ok(false),
            (false, true) => self.index_some(not_yet, max),
            (false, false) => {
                let Writing { txn, mut memory } = self.writing()?;
                txn.open_table(META)?.insert(META_SEARCH_OFF, 1)?;
                memory.not_searched = Span::ALL;
                log::info!("archive.search on=false");
                Ok(true)
            }
            (true, _) if self.remove_some(max)? => Ok(true),
            (true, false) => Ok(false),
            (true, true) => {
                let Writing { txn, mut memory } = self.writing()?;
                memory.checkpoint(txn)?;
                memory.not_searched = begin_anew(txn)?;
                log::info!("archive.search on=true");
                Ok(true)
            }
        }
    }

    fn index_some(&mut self, not_yet: Span, max: usize) -> Result<bool, StoreError> {
        let Span { from, to: end } = not_yet;
        let stanzas = self.view(STANZAS)?;
        let behind = stanzas.range(from..end)?.flatten().nth(max);
        let to = behind.map_or(end, |(key, _)| key.value());
        drop(stanzas);
        let Writing { txn, mut memory } = self.writing()?;
        build::index(txn, Span { from, to }, Span { from: to, to: end })?;
        let mut meta = txn.open_table(META)?;
        if to < end {
            meta.insert(META_SEARCH_FROM, to)?;
            memory.not_searched.from = to;
        } else {
            meta.remove(META_SEARCH_FROM)?;
            meta.remove(META_SEARCH_END)?;
            memory.not_searched = NONE;
            log::info!("archive.search_indexed stanzas_before={end}");
        }
        if from / PROGRESS_STANZAS != to / PROGRESS_STANZAS {
            log::info!("archive.search_indexing stanza={to} of={end}");
        }
        Ok(to < end)
    }

    /// Blocks of an index that nobody wants. False: there are none.
    fn remove_some(&mut self, max: usize) -> Result<bool, StoreError> {
        let blocks = self.view(SEARCH)?;
        let last = blocks.range(..)?.flatten().take(max.max(1)).last();
        let last = last.map(|(key, _)| {
            let (archive, first, term) = key.value();
            (archive, first, term.to_string())
        });
        drop(blocks);
        let Some((archive, first, term)) = last else {
            return Ok(false);
        };
        let Writing { txn, .. } = self.writing()?;
        txn.builds_on_derived();
        txn.open_table(SEARCH)?
            .retain_in(..=(archive, first, term.as_str()), |_, _| false)?;
        txn.open_table(SEARCH_GONE)?.retain_in(.., |_, _| false)?;
        Ok(true)
    }

    /// Bytes of the index of words.
    pub fn search_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for row in self.view(SEARCH)?.range(..)? {
            let (key, block) = row?;
            bytes += key.value().2.len() + block.value().len() + 16;
        }
        Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}
