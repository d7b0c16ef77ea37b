//! Words of stanzas on their way into the index: gathered for all archives at once, then a segment for each.
use std::collections::{BTreeMap, HashMap};

use super::super::span::Span;
use super::super::stanza::StanzaRow;
use super::segment::{Head, Place};
use super::terms::Terms;
use crate::store::StoreError;
use crate::store::engine::codec::put_number;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{SEARCH, SEARCH_GONE, STANZAS};
use crate::xmpp::said::each_text;
use crate::xmpp::words::each_term;

/// Different terms of a stanza that are indexed; one that has more is looked at by whoever looks for a word.
pub const TERMS_MAX: usize = 256;
/// What is gathered in memory before segments are made of it: 4 bytes for each term of a stanza, some 70 for each different one.
const GATHERED_MAX: usize = 1 << 18;
const DIFFERENT_MAX: usize = 1 << 14;
/// So many segments, none of which is twice as large as the last, become one if that has not more stanzas than so many.
const SEGMENTS_ALIKE: usize = 4;
const SEGMENT_STANZAS_MAX: u64 = 2048;

/// The terms of a stanza, each once; `None`: too many.
pub fn terms_of(xml: &str) -> Option<Vec<Box<str>>> {
    let mut known = Numbers::new();
    numbers_of(xml, &mut known).map(|_| known.into_keys().collect())
}

/// The same, by their numbers.
fn numbers_of(xml: &str, known: &mut Numbers) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut is_whole = true;
    each_text(xml, &mut |text| {
        let mut take = |term: &str| {
            let number = known.get(term).copied().unwrap_or_else(|| {
                let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
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

fn settle(numbers: &mut Vec<u32>) -> bool {
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() <= TERMS_MAX
}

/// Indexes the stanzas of a span. `not_yet`: what lies there is not indexed, and no segment may reach across.
pub fn index(txn: &WriteTransaction, span: Span, not_yet: Span) -> Result<(), StoreError> {
    let mut gathered = Gathered::default();
    let mut archives: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    let write = |gathered: Gathered, archives: &mut BTreeMap<u32, Vec<u64>>| {
        let words = gathered.ordered();
        for (archive, sequences) in std::mem::take(archives) {
            words.put(txn, archive, &sequences, not_yet)?;
        }
        Ok::<_, StoreError>(())
    };
    let stanzas = txn.view(STANZAS)?;
    for row in stanzas.range(span.from..span.to)? {
        // One that is damaged is passed over; it was reported.
        let Ok((key, row)) = row else { continue };
        let sequence = key.value();
        if gathered.is_full(sequence) {
            write(std::mem::take(&mut gathered), &mut archives)?;
        }
        let stanza = StanzaRow::decode(row.value())?;
        gathered.add(sequence, stanza.xml);
        for owner in &stanza.owners {
            let sequences = archives.entry(owner.account.0).or_default();
            sequences.push(sequence);
        }
    }
    drop(stanzas);
    write(gathered, &mut archives)
}

/// Terms, and the number that each got.
type Numbers = HashMap<Box<str>, u32>;

/// The terms of stanzas, whoever has them.
#[derive(Default)]
pub struct Gathered {
    /// The first stanza; others are told by how far behind it they are.
    first: u64,
    terms: Numbers,
    stanzas: Vec<Listed>,
    numbers: Vec<u32>,
}

/// A stanza that has words.
struct Listed {
    /// Behind the first.
    distance: u32,
    /// Where its numbers end, and those of the next begin.
    end: usize,
    /// They are too many: it has none.
    is_long: bool,
}

impl Gathered {
    /// There is no room for one more stanza.
    pub fn is_full(&self, next: u64) -> bool {
        self.numbers.len() >= GATHERED_MAX
            || self.terms.len() >= DIFFERENT_MAX
            || !self.stanzas.is_empty() && u32::try_from(next - self.first).is_err()
    }

    pub fn add(&mut self, sequence: u64, xml: &str) {
        let numbers = numbers_of(xml, &mut self.terms);
        if numbers.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        if self.stanzas.is_empty() {
            self.first = sequence;
        }
        let is_long = numbers.is_none();
        self.numbers.extend(numbers.unwrap_or_default());
        self.stanzas.push(Listed {
            distance: u32::try_from(sequence - self.first).unwrap_or(u32::MAX),
            end: self.numbers.len(),
            is_long,
        });
    }

    pub fn ordered(mut self) -> Ordered {
        let mut terms: Vec<(Box<str>, u32)> = self.terms.into_iter().collect();
        terms.sort_unstable();
        // Number -> place in their order.
        let mut places = vec![0; terms.len()];
        for (place, (_, number)) in (0..).zip(&terms) {
            if let Some(slot) = at_mut(&mut places, *number) {
                *slot = place;
            }
        }
        for number in &mut self.numbers {
            *number = at_mut(&mut places, *number).map_or(0, |place| *place);
        }
        Ordered {
            first: self.first,
            terms: terms.into_iter().map(|(term, _)| term).collect(),
            stanzas: self.stanzas,
            places: self.numbers,
        }
    }
}

/// The same, with their terms in order, and each named by its place there.
pub struct Ordered {
    first: u64,
    terms: Vec<Box<str>>,
    stanzas: Vec<Listed>,
    places: Vec<u32>,
}

impl Ordered {
    /// Indexes stanzas of one archive, which ascend. `not_yet`: as above.
    pub fn put(
        &self,
        txn: &WriteTransaction,
        archive: u32,
        sequences: &[u64],
        not_yet: Span,
    ) -> Result<(), StoreError> {
        let mut head = Head::default();
        let mut first = None;
        // Place of the term, then how far behind the first of all the stanza is.
        let mut entries = Vec::new();
        for sequence in sequences {
            let Some((listed, places)) = self.listed(*sequence) else {
                continue;
            };
            first.get_or_insert(*sequence);
            head.last = *sequence;
            head.stanzas += 1;
            if listed.is_long {
                head.long.push(*sequence);
            }
            let distance = u64::from(listed.distance);
            entries.extend(
                places
                    .iter()
                    .map(|place| u64::from(*place) << 32 | distance),
            );
        }
        let Some(first) = first else { return Ok(()) };
        entries.sort_unstable();
        let terms = self.terms_of(first, &entries);
        put(txn, Place { archive, first }, (head, terms), not_yet)
    }

    fn listed(&self, sequence: u64) -> Option<(&Listed, &[u32])> {
        let distance = u32::try_from(sequence.checked_sub(self.first)?).ok()?;
        let found = self
            .stanzas
            .binary_search_by_key(&distance, |listed| listed.distance);
        let at = found.ok()?;
        let listed = self.stanzas.get(at)?;
        let before = at
            .checked_sub(1)
            .and_then(|before| self.stanzas.get(before));
        let begin = before.map_or(0, |before| before.end);
        Some((listed, self.places.get(begin..listed.end)?))
    }

    /// The terms of a segment that begins with `first`.
    fn terms_of(&self, first: u64, entries: &[u64]) -> Terms {
        let mut found = Terms::default();
        let mut distances = Vec::new();
        for of_term in entries.chunk_by(|a, b| a >> 32 == b >> 32) {
            let mut before = first;
            distances.clear();
            for entry in of_term {
                let sequence = self.first + (entry & u64::from(u32::MAX));
                put_number(&mut distances, sequence.saturating_sub(before));
                before = sequence;
            }
            let place = of_term.first().map_or(0, |entry| entry >> 32);
            let term = usize::try_from(place).ok();
            let term = term.and_then(|at| self.terms.get(at));
            found.push(term.map_or(&[], |term| term.as_bytes()), &distances);
        }
        found
    }
}

fn at_mut(list: &mut [u32], at: u32) -> Option<&mut u32> {
    list.get_mut(usize::try_from(at).ok()?)
}

/// The last stanza of an archive that the index has; 0: none.
pub fn last_indexed(txn: &WriteTransaction, archive: u32) -> Result<u64, StoreError> {
    let blocks = txn.view(SEARCH)?;
    let last = Place::before(&blocks, archive, u64::MAX)?;
    Ok(last.and_then(|(_, head)| head).map_or(0, |head| head.last))
}

/// Writes a segment, and those right before with it once there are enough of no larger ones: so there are few, and no stanza is
/// written often.
fn put(
    txn: &WriteTransaction,
    place: Place,
    (mut head, mut terms): (Head, Terms),
    not_yet: Span,
) -> Result<(), StoreError> {
    let mut begin = place;
    loop {
        let alike = alike(txn, begin, head.stanzas, not_yet)?;
        if alike.is_empty() {
            break;
        }
        for (last, last_head) in alike {
            let blocks = txn.view(SEARCH)?;
            terms = last.joined(&blocks, (&terms, begin.first))?;
            drop(blocks);
            head.stanzas += last_head.stanzas;
            head.long.splice(0..0, last_head.long);
            last.remove(txn)?;
            // Words that are to leave it leave what it is part of now.
            let mut marks = txn.open_table(SEARCH_GONE)?;
            if begin != place && marks.get((begin.archive, begin.first))?.is_some() {
                marks.remove((begin.archive, begin.first))?;
                marks.insert((last.archive, last.first), ())?;
            }
            begin = last;
        }
    }
    begin.write(txn, &head, &terms)
}

/// The segments right before one of so many stanzas that become one with it, the last first; none: they are too few.
fn alike(
    txn: &WriteTransaction,
    begin: Place,
    stanzas: u64,
    not_yet: Span,
) -> Result<Vec<(Place, Head)>, StoreError> {
    let blocks = txn.view(SEARCH)?;
    let (mut alike, mut first, mut all) = (Vec::new(), begin.first, stanzas);
    while let Some((last, Some(head))) = Place::before(&blocks, begin.archive, first)? {
        let is_beyond = last.first < not_yet.to && not_yet.to <= begin.first;
        if is_beyond || head.stanzas > 2 * stanzas {
            break;
        }
        all += head.stanzas;
        if all > SEGMENT_STANZAS_MAX {
            return Ok(alike);
        }
        first = last.first;
        alike.push((last, head));
        if alike.len() + 1 == SEGMENTS_ALIKE {
            return Ok(alike);
        }
    }
    Ok(Vec::new())
}
