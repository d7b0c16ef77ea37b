//! Words of stanzas on their way into the index: gathered for all archives at once, then a segment for each.
use std::collections::{BTreeMap, HashMap};

use super::super::span::Span;
use super::super::stanza::StanzaRow;
use super::segment::{Head, Place};
use super::terms::Terms;
use crate::store::StoreError;
use crate::store::engine::codec::put_number;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{SEARCH, STANZAS};
use crate::xmpp::said::each_text;
use crate::xmpp::words::each_term;

/// Different terms of a stanza that are indexed; one that has more is looked at by whoever looks for a word.
pub const TERMS_MAX: usize = 256;
/// What is gathered in memory, 8 bytes each, before segments are made of it.
const GATHERED_MAX: usize = 1 << 17;
/// A segment and the one before become one if that has not more stanzas.
const SEGMENT_STANZAS_MAX: u64 = 2048;

/// The terms of a stanza, each once; `None`: too many.
pub fn terms_of(xml: &str) -> Option<Vec<Box<str>>> {
    let mut known = Numbers::new();
    numbers_of(xml, &mut known).map(|_| known.into_keys().collect())
}

/// The same, by their numbers.
fn numbers_of(xml: &str, known: &mut Numbers) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut is_whole = true;
    each_text(xml, &mut |text| {
        let mut take = |term: &str| {
            let number = known.get(term).copied().unwrap_or_else(|| {
                let number = u64::try_from(known.len()).unwrap_or(u64::MAX);
                known.insert(term.into(), number);
                number
            });
            numbers.push(number);
            // All is gone through only as long as that is of use.
            if numbers.len() >= 4 * TERMS_MAX {
                is_whole = settle(&mut numbers);
            }
            is_whole
        };
        each_term(text, &mut take);
    });
    (is_whole && settle(&mut numbers)).then_some(numbers)
}

fn settle(numbers: &mut Vec<u64>) -> bool {
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() <= TERMS_MAX
}

/// Indexes the stanzas of a span. `not_yet`: what lies there is not indexed, and no segment may reach across.
pub fn index(txn: &WriteTransaction, span: Span, not_yet: Span) -> Result<(), StoreError> {
    let mut gathered = Gathered::default();
    let stanzas = txn.view(STANZAS)?;
    for row in stanzas.range(span.from..span.to)? {
        // One that is damaged is passed over; it was reported.
        let Ok((key, row)) = row else { continue };
        let sequence = key.value();
        if gathered.entries >= GATHERED_MAX || !gathered.reaches(sequence) {
            std::mem::take(&mut gathered).write(txn, not_yet)?;
        }
        gathered.add(sequence, &StanzaRow::decode(row.value())?);
    }
    drop(stanzas);
    gathered.write(txn, not_yet)
}

/// Terms, and the number that each got.
type Numbers = HashMap<Box<str>, u64>;

#[derive(Default)]
struct Gathered {
    /// The first stanza; others are told by how far behind it they are.
    first: u64,
    terms: Numbers,
    archives: BTreeMap<u32, Part>,
    entries: usize,
}

/// Of one archive.
struct Part {
    first: u64,
    head: Head,
    /// Number of the term, then how far behind the first the stanza is.
    entries: Vec<u64>,
}

impl Gathered {
    fn reaches(&self, sequence: u64) -> bool {
        self.archives.is_empty() || u32::try_from(sequence - self.first).is_ok()
    }

    fn add(&mut self, sequence: u64, stanza: &StanzaRow<'_>) {
        if self.archives.is_empty() {
            self.first = sequence;
        }
        let numbers = numbers_of(stanza.xml, &mut self.terms);
        if numbers.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let distance = sequence - self.first;
        for owner in &stanza.owners {
            let part = self.archives.entry(owner.account.0);
            let part = part.or_insert_with(|| Part {
                first: sequence,
                head: Head::default(),
                entries: Vec::new(),
            });
            part.head.last = sequence;
            part.head.stanzas += 1;
            match &numbers {
                Some(numbers) => {
                    let entries = numbers.iter().map(|number| number << 32 | distance);
                    part.entries.extend(entries);
                    self.entries += numbers.len();
                }
                None => part.head.long.push(sequence),
            }
        }
    }

    fn write(self, txn: &WriteTransaction, not_yet: Span) -> Result<(), StoreError> {
        let mut terms: Vec<&str> = self.terms.keys().map(|term| &**term).collect();
        terms.sort_unstable();
        // Number -> place in their order.
        let mut places = vec![0; terms.len()];
        for (place, term) in (0_u64..).zip(&terms) {
            let number = self.terms.get(*term).copied().unwrap_or(0);
            if let Some(slot) = at_mut(&mut places, number) {
                *slot = place;
            }
        }
        for (archive, mut part) in self.archives {
            for entry in &mut part.entries {
                let place = at_mut(&mut places, *entry >> 32).map_or(0, |place| *place);
                *entry = place << 32 | (*entry & u64::from(u32::MAX));
            }
            part.entries.sort_unstable();
            let found = part.found(self.first, &terms);
            let place = Place {
                archive,
                first: part.first,
            };
            put(txn, place, (part.head, found), not_yet)?;
        }
        Ok(())
    }
}

impl Part {
    /// The terms, which its entries name by their places now, in order.
    fn found(&self, first: u64, terms: &[&str]) -> Terms {
        let mut found = Terms::default();
        let mut distances = Vec::new();
        for of_term in self.entries.chunk_by(|a, b| a >> 32 == b >> 32) {
            let mut before = self.first;
            distances.clear();
            for entry in of_term {
                let sequence = first + (entry & u64::from(u32::MAX));
                put_number(&mut distances, sequence.saturating_sub(before));
                before = sequence;
            }
            let place = of_term.first().map_or(0, |entry| entry >> 32);
            let term = usize::try_from(place).ok().and_then(|at| terms.get(at));
            found.push(term.map_or(&[], |term| term.as_bytes()), &distances);
        }
        found
    }
}

fn at_mut<T>(list: &mut [T], at: u64) -> Option<&mut T> {
    list.get_mut(usize::try_from(at).ok()?)
}

/// Writes a segment, and those right before with it while they are small and not much larger: so there are few, and no stanza is
/// written often.
fn put(
    txn: &WriteTransaction,
    place: Place,
    (mut head, mut terms): (Head, Terms),
    not_yet: Span,
) -> Result<(), StoreError> {
    let mut begin = place;
    loop {
        let blocks = txn.view(SEARCH)?;
        let before = Place::before(&blocks, place.archive, begin.first)?;
        let Some((last, Some(last_head))) = before else {
            break;
        };
        if last.first < not_yet.to && not_yet.to <= place.first {
            break;
        }
        let stanzas = head.stanzas + last_head.stanzas;
        if stanzas > SEGMENT_STANZAS_MAX || last_head.stanzas > 2 * head.stanzas {
            break;
        }
        terms = last.joined(&blocks, (&terms, begin.first))?;
        drop(blocks);
        head.stanzas = stanzas;
        head.long.splice(0..0, last_head.long);
        last.remove(txn)?;
        begin = last;
    }
    begin.write(txn, &head, &terms)
}
