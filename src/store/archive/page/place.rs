//! Where a page lies among all that a query matches (XEP-0059 §2.5 to §2.7), which takes counting.
use super::super::reading::rows::IndexRow;
use super::super::stanza::{StanzaRow, peer_hash};
use super::super::walk::Walk;
use super::super::{ArchiveId, READ_STEPS};
use super::matches;
use super::query::{ArchiveQuery, Shows};
use crate::store::schema::STANZAS;
use crate::store::{AccountId, StoreError, Tx};
use crate::xmpp::relation::Kind;

/// A place among the stanzas that match, wherever the page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// So many come before.
    pub index: u64,
    /// So many there are.
    pub count: u64,
}

/// What is found at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtIndex {
    Stanza(ArchiveId),
    /// There are not so many.
    Behind,
    TooFar,
}

impl Tx {
    /// The place of a stanza, or (`None`) that behind the last. No place: finding it takes more than `steps_max`, or words are
    /// looked for.
    pub fn place(
        &self,
        account: AccountId,
        query: &ArchiveQuery,
        of: Option<ArchiveId>,
        steps_max: u64,
    ) -> Result<Option<Place>, StoreError> {
        if query.words.is_some() {
            return Ok(None);
        }
        let mut place = Place { index: 0, count: 0 };
        let is_whole = self.visit_matching(account, query, steps_max, &mut |id| {
            place.count += 1;
            place.index += u64::from(of.is_none_or(|of| id < of));
            true
        })?;
        Ok(is_whole.then_some(place))
    }

    pub fn at_index(
        &self,
        account: AccountId,
        query: &ArchiveQuery,
        index: u64,
        steps_max: u64,
    ) -> Result<AtIndex, StoreError> {
        if query.words.is_some() {
            return Ok(AtIndex::TooFar);
        }
        let (mut before, mut found) = (0, None);
        let is_whole = self.visit_matching(account, query, steps_max, &mut |id| {
            found = (before == index).then_some(id);
            before += 1;
            found.is_none()
        })?;
        Ok(match found {
            Some(id) => AtIndex::Stanza(id),
            None if is_whole => AtIndex::Behind,
            None => AtIndex::TooFar,
        })
    }

    /// Calls `visit` for all that match, in order of arrival (what is done to others before the start does not count), until it says false. False: that took too many steps.
    fn visit_matching(
        &self,
        account: AccountId,
        query: &ArchiveQuery,
        steps_max: u64,
        visit: &mut dyn FnMut(ArchiveId) -> bool,
    ) -> Result<bool, StoreError> {
        let shows = match query.shows {
            Shows::SaidAndDone(_) => Shows::Said,
            shows => shows,
        };
        let query = &ArchiveQuery {
            shows,
            ..query.clone()
        };
        let spans = self.spans(query)?;
        let stanzas = self.view(STANZAS)?;
        let is_read =
            query.without_groupchat || query.with.as_ref().is_some_and(|with| !with.is_bare());
        let peer = query.with.as_ref().map(|with| peer_hash(with.as_str()));
        let mut walk = Walk::new(&stanzas, false);
        let mut steps = 0;
        let mut look = |row: IndexRow| {
            let is_read = is_read || !query.is_told(row.held);
            // Where the index knows, it is one.
            steps += if is_read { READ_STEPS } else { 1 };
            if steps > steps_max {
                return Ok(false);
            }
            if query.is_passed_over(row.held) {
                return Ok(true);
            }
            if is_read {
                let Some(stanza) = walk.find(row.sequence)? else {
                    return Ok(true);
                };
                let stanza = StanzaRow::decode(stanza.value())?;
                let is_passed_over = query.shows != Shows::All && stanza.kind() == Kind::Ancillary;
                if is_passed_over || !matches(&stanza, row.archive, query) {
                    return Ok(true);
                }
            }
            Ok(visit(ArchiveId(row.sequence)))
        };
        for span in spans {
            if !self.visit_read(account, peer, span, false, &mut look)? {
                break;
            }
        }
        Ok(steps <= steps_max)
    }
}
