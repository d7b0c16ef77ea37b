//! XEP-0313 §4.1.2: where in an archive a time lies.
use crate::store::engine::table::Range;
use crate::store::schema::STANZAS;
use crate::store::{ArchiveQuery, StoreError, Tx, View};
use crate::xmpp::Timestamp;

use super::super::reading::Parts;
use super::super::span::Span;
use super::super::stanza::StanzaRow;

/// So close to each other stanzas are read one after the other.
const NEAR: u64 = 32;

impl Tx {
    /// The sequences a query is about, before paging, in order.
    pub(in crate::store) fn spans(&self, query: &ArchiveQuery) -> Result<Vec<Span>, StoreError> {
        let mut spans = match &query.during {
            Some(during) => during.0.clone(),
            None => self.during(query)?.0,
        };
        for span in &mut spans {
            span.cut(query.after_id, query.before_id);
        }
        spans.retain(|span| span.from < span.to);
        Ok(spans)
    }

    /// What came between a query's start and its end.
    pub fn during(&self, query: &ArchiveQuery) -> Result<Parts, StoreError> {
        if query.start.is_none() && query.end.is_none() {
            return Ok(Parts::all());
        }
        let stanzas = self.view(STANZAS)?;
        let mut spans = self.memory()?.spans_of_time();
        for span in &mut spans {
            // XEP-0313 §4.1.2: both ends belong to it.
            if let Some(start) = query.start {
                span.from = first_at(&stanzas, *span, (start, false))?;
            }
            if let Some(end) = query.end {
                span.to = first_at(&stanzas, *span, (end, true))?;
            }
        }
        spans.retain(|span| span.from < span.to);
        Ok(Parts(spans))
    }
}

/// The first sequence of a span that came at or after a time (`when`), or after it: within a span times do not go back.
fn first_at(
    stanzas: &View<'_, u64, &'static [u8]>,
    span: Span,
    (when, is_after): (Timestamp, bool),
) -> Result<u64, StoreError> {
    let is_late = |at: Timestamp| at > when || (!is_after && at == when);
    let ends = stanzas.range(span.from..span.to.max(span.from))?;
    let Some([first, last]) = first_and_last(ends)? else {
        return Ok(span.to);
    };
    if is_late(first.1) {
        return Ok(first.0);
    }
    if !is_late(last.1) {
        return Ok(last.0 + 1);
    }
    // One that is early, and one that is late.
    let (mut early, mut late) = (first, last);
    for turn in Turn::ALL.into_iter().cycle() {
        if late.0 - early.0 <= NEAR {
            break;
        }
        let middle = turn.middle((early, late), when);
        // To the end: the way there is known, and to another place it would be read as well.
        let found = stanzas.range(middle..)?.next().transpose()?;
        let found = match found {
            Some((key, row)) => (key.value(), StanzaRow::time_of(row.value())?),
            None => late,
        };
        match found.0 >= late.0 || is_late(found.1) {
            // Between the middle and what was found there is nothing.
            true => late = (middle, found.1),
            false => early = found,
        }
    }
    for row in stanzas.range(early.0 + 1..late.0.max(early.0 + 1))? {
        let (key, row) = row?;
        if is_late(StanzaRow::time_of(row.value())?) {
            return Ok(key.value());
        }
    }
    Ok(late.0)
}

/// Each look reads a page of the file, so that few are better than simple ones.
#[derive(Clone, Copy)]
enum Turn {
    /// Where it lies if messages came evenly.
    Even,
    /// A little on the other side of that, so that both ends come close.
    Across,
    /// However they came, half is left.
    Half,
}

impl Turn {
    const ALL: [Turn; 3] = [Turn::Even, Turn::Across, Turn::Half];

    /// Where to look between what is early and what is late.
    fn middle(self, (early, late): ((u64, Timestamp), (u64, Timestamp)), when: Timestamp) -> u64 {
        let (span, time) = (late.0 - early.0, late.1.0.abs_diff(early.1.0));
        let gone = when.0.abs_diff(early.1.0);
        let share = u128::from(span) * u128::from(gone) / u128::from(time.max(1));
        let even = u64::try_from(share).unwrap_or(u64::MAX).clamp(1, span - 1);
        let half = span / 2;
        early.0
            + match self {
                Turn::Even => even,
                Turn::Across if even < half => (even * 2 + NEAR / 2).min(half),
                Turn::Across => span - ((span - even) * 2 + NEAR / 2).min(half),
                Turn::Half => half,
            }
    }
}

/// Sequence and time of both ends.
fn first_and_last(
    mut rows: Range<'_, u64, &'static [u8]>,
) -> Result<Option<[(u64, Timestamp); 2]>, StoreError> {
    let mut ends = [None; 2];
    for (place, row) in ends.iter_mut().zip([rows.next(), rows.next_back()]) {
        if let Some((key, row)) = row.transpose()? {
            *place = Some((key.value(), StanzaRow::time_of(row.value())?));
        }
    }
    let [first, last] = ends;
    Ok(first.map(|first| [first, last.unwrap_or(first)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AccountId, Direction, Owner, Record, Store};
    use crate::xmpp::Jid;

    #[test]
    fn times_are_found_however_unevenly_messages_came() -> Result<(), StoreError> {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), 1 << 20)?;
        let mut tx = store.begin();
        let jid = Jid::parse("a@b").unwrap();
        let (mut at, mut times) = (1_000, Vec::new());
        for n in 0..500_i64 {
            // Many at once, then nothing for long, then one after the other.
            at += match n % 100 {
                0 => 1_000_000_000,
                1..50 => 0,
                _ => n,
            };
            let owner = Owner {
                account: AccountId(1),
                direction: Direction::Sent,
                unseen: false,
            };
            let appended = tx.append(&Record {
                owners: &[owner],
                from: &jid,
                to: &jid,
                at: Timestamp(at),
                xml: "<message/>",
                act: None,
            })?;
            times.push((appended.id.0, at));
        }
        let stanzas = tx.view(STANZAS)?;
        let ends = [0, i64::MAX];
        let asked = times.iter().flat_map(|(_, at)| [at - 1, *at, at + 1]);
        for when in asked.chain(ends) {
            for is_after in [false, true] {
                let found = first_at(&stanzas, Span::ALL, (Timestamp(when), is_after))?;
                let is_late = |at: i64| at > when || (!is_after && at == when);
                let expected = times.iter().find(|(_, at)| is_late(*at));
                let last = times.last().map_or(0, |(id, _)| id + 1);
                assert_eq!(found, expected.map_or(last, |(id, _)| *id), "{when}");
            }
        }
        Ok(())
    }
}
