//! What leaves the index of words: those of a message that says something else from now on, at once; those of messages that were
//! removed, a segment at a time and not after each of them, for that would write all of it again and again.
use std::collections::BTreeMap;

use super::super::ArchiveId;
use super::build::terms_of;
use super::segment::{Blocks, Head, Place};
use super::terms::Terms;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{ARCHIVE, SEARCH, SEARCH_GONE};
use crate::store::{StoreError, Tx, Writing};

/// Archives with the first and the last stanza that was removed.
pub type Gone = BTreeMap<u32, (u64, u64)>;

/// The text of a stanza was another one. Its words leave the index; new ones, which no message has that says something else from
/// now on, are looked for in the stanza itself.
pub fn reword(
    txn: &WriteTransaction,
    (archive, id): (u32, ArchiveId),
    (before, now): (&str, &str),
) -> Result<(), StoreError> {
    txn.builds_on_derived();
    let sequence = id.0;
    let blocks = txn.view(SEARCH)?;
    let place = place_of(&blocks, archive, sequence)?;
    if let Some(place) = place {
        let terms = terms_of(before).unwrap_or_default();
        let touched = place.blocks_of(&blocks, Some(&terms))?;
        drop(blocks);
        place.retain(txn, &touched, &|other| other != sequence)?;
    } else {
        drop(blocks);
    }
    if terms_of(now).is_some_and(|terms| terms.is_empty()) {
        return Ok(());
    }
    match place {
        Some(place) => place.add_long(txn, sequence),
        None => {
            let head = Head {
                last: sequence,
                stanzas: 1,
                long: vec![sequence],
            };
            let first = sequence;
            Place { archive, first }.write(txn, &head, &Terms::default())
        }
    }
}

fn place_of(blocks: &Blocks<'_>, archive: u32, sequence: u64) -> Result<Option<Place>, StoreError> {
    let behind = sequence.saturating_add(1);
    Ok(match Place::before(blocks, archive, behind)? {
        Some((place, Some(head))) if head.last >= sequence => Some(place),
        _ => None,
    })
}

/// Stanzas were removed: their words go later.
pub fn note(txn: &WriteTransaction, gone: &Gone) -> Result<(), StoreError> {
    txn.builds_on_derived();
    let blocks = txn.view(SEARCH)?;
    let mut marks = txn.open_table(SEARCH_GONE)?;
    for (archive, (first, last)) in gone {
        let mut place = place_of(&blocks, *archive, *first)?;
        let mut from = *first;
        loop {
            if let Some(place) = place {
                marks.insert((*archive, place.first), ())?;
                from = place.first.saturating_add(1);
            }
            place = Place::within(&blocks, *archive, (from, last.saturating_add(1)))?;
            if place.is_none() {
                break;
            }
        }
    }
    Ok(())
}

impl Tx {
    /// Takes the words of what was removed out of one segment. False: there are none.
    pub fn forget_words_step(&mut self) -> Result<bool, StoreError> {
        let marks = self.view(SEARCH_GONE)?;
        let first = marks.range(..)?.next().transpose()?;
        let Some((archive, first)) = first.map(|(key, _)| key.value()) else {
            return Ok(false);
        };
        drop(marks);
        let place = Place { archive, first };
        let blocks = self.view(SEARCH)?;
        let head = place.head(&blocks)?;
        let touched = place.blocks_of(&blocks, None)?;
        drop(blocks);
        let last = head.map_or(first, |head| head.last);
        let mut left = Vec::new();
        for row in self
            .view(ARCHIVE)?
            .range((archive, first)..=(archive, last))?
        {
            left.push(row?.0.value().1);
        }
        let Writing { txn, .. } = self.writing()?;
        txn.builds_on_derived();
        txn.open_table(SEARCH_GONE)?.remove((archive, first))?;
        match left.is_empty() {
            true => place.remove(txn)?,
            false => place.retain(txn, &touched, &|sequence| {
                left.binary_search(&sequence).is_ok()
            })?,
        }
        Ok(true)
    }
}
