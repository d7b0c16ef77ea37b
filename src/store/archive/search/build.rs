//! Words of stanzas on their way into the index: gathered for all archives at once, then a segment for each.
use std::collections::{BTreeMap, HashMap};

use super::super::span::Span;
use super::super::stanza::StanzaRow;
use super::segment::{Head, Place, Posting};
use crate::store::StoreError;
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
    let mut terms: Vec<Box<str>> = Vec::new();
    let mut is_whole = true;
    each_term_of(xml, &mut |term| {
        terms.push(term.into());
        is_whole = has_room(&mut terms);
        is_whole
    });
    is_whole
        .then(|| {
            terms.sort_unstable();
            terms.dedup();
            terms
        })
        .filter(|terms| terms.len() <= TERMS_MAX)
}

/// All of its texts are gone through only as long as that is of use.
fn has_room<T: Ord>(terms: &mut Vec<T>) -> bool {
    if terms.len() < 4 * TERMS_MAX {
        return true;
    }
    terms.sort_unstable();
    terms.dedup();
    terms.len() <= TERMS_MAX
}

fn each_term_of(xml: &str, visit: &mut dyn FnMut(&str) -> bool) {
    let mut goes_on = true;
    each_text(xml, &mut |text| {
        if goes_on {
            each_term(text, &mut |term| {
                goes_on = visit(term);
                goes_on
            });
        }
    });
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

#[derive(Default)]
struct Gathered {
    /// The first stanza; others are told by how far behind it they are.
    first: u64,
    terms: HashMap<Box<str>, u32>,
    archives: BTreeMap<u32, Part>,
    entries: usize,
}

/// Of one archive.
struct Part {
    first: u64,
    head: Head,
    /// (Number of the term, stanza)
    entries: Vec<(u32, u32)>,
}

impl Gathered {
    fn reaches(&self, sequence: u64) -> bool {
        self.archives.is_empty() || u32::try_from(sequence - self.first).is_ok()
    }

    fn add(&mut self, sequence: u64, stanza: &StanzaRow<'_>) {
        if self.archives.is_empty() {
            self.first = sequence;
        }
        let mut numbers: Vec<u32> = Vec::new();
        let mut is_whole = true;
        let known = &mut self.terms;
        each_term_of(stanza.xml, &mut |term| {
            let number = match known.get(term) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
                    known.insert(term.into(), number);
                    number
                }
            };
            numbers.push(number);
            is_whole = has_room(&mut numbers);
            is_whole
        });
        if numbers.is_empty() {
            return;
        }
        numbers.sort_unstable();
        numbers.dedup();
        is_whole &= numbers.len() <= TERMS_MAX;
        let distance = u32::try_from(sequence - self.first).unwrap_or(u32::MAX);
        for owner in &stanza.owners {
            let part = self.archives.entry(owner.account.0);
            let part = part.or_insert_with(|| Part {
                first: sequence,
                head: Head::default(),
                entries: Vec::new(),
            });
            part.head.last = sequence;
            part.head.stanzas += 1;
            match is_whole {
                true => {
                    let entries = numbers.iter().map(|number| (*number, distance));
                    part.entries.extend(entries);
                    self.entries += numbers.len();
                }
                false => part.head.long.push(sequence),
            }
        }
    }

    fn write(self, txn: &WriteTransaction, not_yet: Span) -> Result<(), StoreError> {
        let mut terms: Vec<(&str, u32)> = self
            .terms
            .iter()
            .map(|(term, number)| (&**term, *number))
            .collect();
        terms.sort_unstable();
        // Number -> place in their order.
        let mut order: Vec<(u32, u32)> = (0..)
            .zip(&terms)
            .map(|(place, (_, number))| (*number, place))
            .collect();
        order.sort_unstable();
        for (archive, mut part) in self.archives {
            for (number, _) in &mut part.entries {
                let place = usize::try_from(*number).ok().and_then(|at| order.get(at));
                *number = place.map_or(0, |(_, place)| *place);
            }
            part.entries.sort_unstable();
            let mut postings: Vec<(&str, Vec<u64>)> = Vec::new();
            let mut last = None;
            for (place, distance) in part.entries {
                let term = usize::try_from(place).ok().and_then(|at| terms.get(at));
                let Some((term, _)) = term else { continue };
                let sequence = self.first + u64::from(distance);
                match postings.last_mut() {
                    Some((_, sequences)) if last == Some(place) => sequences.push(sequence),
                    _ => postings.push((term, vec![sequence])),
                }
                last = Some(place);
            }
            let first = part.first;
            put(
                txn,
                Place { archive, first },
                (part.head, &postings),
                not_yet,
            )?;
        }
        Ok(())
    }
}

/// Writes a segment, and those right before with it while they are small and not much larger: so there are few, and no stanza is
/// written often.
fn put(
    txn: &WriteTransaction,
    place: Place,
    (mut head, postings): (Head, &[(&str, Vec<u64>)]),
    not_yet: Span,
) -> Result<(), StoreError> {
    let mut begin = place;
    let mut before: Vec<Posting> = Vec::new();
    loop {
        let blocks = txn.view(SEARCH)?;
        let Some(last) = Place::before(&blocks, place.archive, begin.first)? else {
            break;
        };
        let is_beyond = last.first < not_yet.to && not_yet.to <= place.first;
        let Some(last_head) = last.head(&blocks)?.filter(|_| !is_beyond) else {
            break;
        };
        let stanzas = head.stanzas + last_head.stanzas;
        if stanzas > SEGMENT_STANZAS_MAX || last_head.stanzas > 2 * head.stanzas {
            break;
        }
        let mut read = last.read(&blocks)?;
        drop(blocks);
        read.extend(before);
        before = read;
        head.stanzas = stanzas;
        head.long.splice(0..0, last_head.long);
        last.remove(txn)?;
        begin = last;
    }
    if before.is_empty() {
        return begin.write(txn, &head, postings);
    }
    // Of one term what came earlier stands earlier, and stays so.
    let new = postings.iter();
    before.extend(new.map(|(term, sequences)| (Box::from(*term), sequences.clone())));
    before.sort_by(|(a, _), (b, _)| a.cmp(b));
    before.dedup_by(|(later, sequences), (earlier, all)| {
        let is_same = later == earlier;
        if is_same {
            all.append(sequences);
        }
        is_same
    });
    begin.write(txn, &head, &before)
}
