//! Terms with their stanzas as they are written: how many octets of a term the one before has as well, the other octets, and the
//! sequences of its stanzas as their distances from the first of the segment on.
use crate::store::StoreError;
use crate::store::engine::codec::{Decoder, damaged, put_number};

/// Terms in their order, each with the distances of its stanzas, as a block has them, but as many as there are.
#[derive(Default)]
pub struct Terms {
    pub bytes: Vec<u8>,
    last: Vec<u8>,
}

impl Terms {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last.clear();
    }

    pub fn push(&mut self, term: &[u8], postings: &[u8]) {
        let before = self.last.iter().zip(term);
        let shared = before.take_while(|(a, b)| a == b).count();
        let own = term.get(shared..).unwrap_or_default();
        for part in [shared, own.len(), postings.len()] {
            put_number(&mut self.bytes, u64::try_from(part).unwrap_or(u64::MAX));
        }
        self.bytes.extend_from_slice(own);
        self.bytes.extend_from_slice(postings);
        self.last.truncate(shared);
        self.last.extend_from_slice(own);
    }
}

/// Goes through the terms of a block.
pub struct Reading<'b> {
    rest: Decoder<'b>,
    /// That was come by last.
    pub term: Vec<u8>,
}

impl<'b> Reading<'b> {
    pub fn of(block: &'b [u8]) -> Reading<'b> {
        Reading {
            rest: Decoder::new(block),
            term: Vec::new(),
        }
    }

    /// The distances of the next term.
    pub fn next(&mut self) -> Result<Option<&'b [u8]>, StoreError> {
        let rest = &mut self.rest;
        if rest.is_at_end() {
            return Ok(None);
        }
        let (shared, own, postings) = (rest.length()?, rest.length()?, rest.length()?);
        self.term.truncate(shared);
        self.term.extend_from_slice(rest.raw(own)?);
        rest.raw(postings).map(Some)
    }
}

/// The distances of a term's stanzas in a segment and in a later one, from the first stanza of each.
pub fn join(
    both: &mut Vec<u8>,
    (first, earlier): (u64, &[u8]),
    (later_first, later): (u64, &[u8]),
) -> Result<(), StoreError> {
    let mut last = first;
    let mut distances = Decoder::new(earlier);
    while !distances.is_at_end() {
        last = last.checked_add(distances.number()?).ok_or_else(damaged)?;
    }
    let mut later = Decoder::new(later);
    let next = later_first.checked_add(later.number()?);
    both.extend_from_slice(earlier);
    put_number(both, next.ok_or_else(damaged)?.saturating_sub(last));
    both.extend_from_slice(later.rest());
    Ok(())
}

type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError>;

/// Calls `visit` for each term of a block with its sequences as they are written, until it says false.
pub fn each(block: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
    let mut terms = Reading::of(block);
    while let Some(postings) = terms.next()? {
        if !visit(&terms.term, postings)? {
            break;
        }
    }
    Ok(())
}

pub fn distances(bytes: &mut Vec<u8>, sequences: &[u64], first: u64) {
    let mut before = first;
    for sequence in sequences {
        put_number(bytes, sequence.saturating_sub(before));
        before = *sequence;
    }
}

pub fn sequences(bytes: &[u8], first: u64) -> Result<Vec<u64>, StoreError> {
    let mut rest = Decoder::new(bytes);
    let mut sequences = Vec::new();
    let mut before = first;
    while !rest.is_at_end() {
        before = before.checked_add(rest.number()?).ok_or_else(damaged)?;
        sequences.push(before);
    }
    Ok(sequences)
}
