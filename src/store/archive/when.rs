//! XEP-0313 §4.1.2: where in an archive a time lies.
use crate::store::engine::table::Range;
use crate::store::schema::STANZAS;
use crate::store::{ArchiveQuery, StoreError, Tx, View};
use crate::xmpp::Timestamp;

use super::span::Span;
use super::stanza::StanzaRow;

impl Tx {
    /// The sequences a query is about, before paging, in order.
    pub(in crate::store) fn spans(&self, query: &ArchiveQuery) -> Result<Vec<Span>, StoreError> {
        if query.start.is_none() && query.end.is_none() {
            let mut all = Span::ALL;
            all.cut(query.after_id, query.before_id);
            return Ok(vec![all]);
        }
        let stanzas = self.view(STANZAS)?;
        let mut spans = self.memory()?.spans_of_time();
        for span in &mut spans {
            span.cut(query.after_id, query.before_id);
            // XEP-0313 §4.1.2: both ends belong to it.
            if let Some(start) = query.start {
                span.from = first_at(&stanzas, *span, (start, false))?;
            }
            if let Some(end) = query.end {
                span.to = first_at(&stanzas, *span, (end, true))?;
            }
        }
        spans.retain(|span| span.from < span.to);
        Ok(spans)
    }
}

/// The first sequence of a span that came at or after a time (`when`), or after it: within a span times do not go back.
/// Looked for in turns where it lies if messages came evenly, and in the middle, for each look reads a page of the file.
fn first_at(
    stanzas: &View<'_, u64, &'static [u8]>,
    span: Span,
    (when, is_after): (Timestamp, bool),
) -> Result<u64, StoreError> {
    let late = |at: Timestamp| at > when || (!is_after && at == when);
    let ends = stanzas.range(span.from..span.to.max(span.from))?;
    let Some([first, last]) = first_and_last(ends)? else {
        return Ok(span.to);
    };
    if late(first.1) {
        return Ok(first.0);
    }
    if !late(last.1) {
        return Ok(last.0 + 1);
    }
    // One that is early, and one that is late.
    let (mut early, mut late_one) = (first, last);
    let mut is_even = true;
    while early.0 + 1 < late_one.0 {
        let (span, time) = (late_one.0 - early.0, late_one.1.0.abs_diff(early.1.0));
        let gone = when.0.abs_diff(early.1.0);
        let share = u128::from(span) * u128::from(gone) / u128::from(time.max(1));
        let even = u64::try_from(share).unwrap_or(u64::MAX).clamp(1, span - 1);
        let middle = early.0 + if is_even { even } else { span / 2 };
        is_even = !is_even;
        // To the end: the way there is known, and to another place it would be read as well.
        match stanzas.range(middle..)?.next().transpose()? {
            Some((key, row)) => {
                let found = (key.value(), StanzaRow::time_of(row.value())?);
                match found.0 >= late_one.0 || late(found.1) {
                    // Between the middle and what was found there is nothing.
                    true => late_one = (middle, found.1),
                    false => early = found,
                }
            }
            None => late_one.0 = middle,
        }
    }
    Ok(late_one.0)
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
