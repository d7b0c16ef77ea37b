//! A page of an archive: what matches a query, up to so many (XEP-0313 §4.3, XEP-0059). All of it is read in one look, which has
//! a limit.
pub mod place;
pub mod query;
mod when;

use crate::store::schema::STANZAS;
use crate::store::{AccountId, StoreError, Tx};
use crate::xmpp::said::says;

use super::reading::rows::IndexRow;
use super::search::find::{Ended, Search};
use super::search::left::Steps;
use super::stanza::{StanzaRow, bare, is_groupchat, peer_hash};
use super::walk::Walk;
use super::{ArchiveId, READ_STEPS, stored};
use query::{ArchivePage, ArchiveQuery};

/// Steps through rows for one page, then it ends; a stanza that is read and passed over is `READ_STEPS` more.
const PASSED_STEPS_MAX: u64 = 20_000;

/// A page on its way.
struct Filling<'f, 'v> {
    tx: &'f Tx,
    account: AccountId,
    query: &'f ArchiveQuery,
    walk: Walk<'f, 'v>,
    /// What looking for words may still cost.
    look: &'f Steps,
    /// Through rows.
    steps: u64,
    /// Of what is on the page.
    bytes: usize,
    page: ArchivePage,
}

impl Tx {
    /// A page of what matches. RSM (XEP-0059 §2.5): one that ends before an id is counted from there.
    pub fn page(
        &self,
        account: AccountId,
        query: &ArchiveQuery,
    ) -> Result<ArchivePage, StoreError> {
        let backward = query.is_backward();
        let mut spans = self.spans(query)?;
        for span in &mut spans {
            span.cut(query.page_after, query.page_before);
        }
        if backward {
            spans.reverse();
        }
        let (stanzas, look) = (self.view(STANZAS)?, Steps::of_look());
        let search = Search {
            wanted: query.words.as_ref(),
            peer: query.with.as_ref().map(|with| peer_hash(with.as_str())),
            backward,
            steps: &look,
        };
        let mut filling = Filling {
            tx: self,
            account,
            query,
            walk: Walk::new(&stanzas, backward),
            look: &look,
            steps: 0,
            bytes: 0,
            page: ArchivePage {
                stanzas: Vec::new(),
                complete: true,
                reached: None,
                damaged: 0,
            },
        };
        let mut ended = Ended::Through;
        for span in spans {
            ended = self.visit_asked(account, &search, span, &mut |row| filling.visit(row))?;
            if ended != Ended::Through {
                break;
            }
        }
        filling.end(ended)
    }
}

impl ArchiveQuery {
    fn is_backward(&self) -> bool {
        self.backward || (self.page_before.is_some() && self.page_after.is_none())
    }
}

impl Filling<'_, '_> {
    /// False: the page ends before this.
    fn visit(&mut self, row: IndexRow) -> Result<bool, StoreError> {
        if self.steps >= PASSED_STEPS_MAX {
            self.page.complete = false;
            return Ok(false);
        }
        self.steps += 1;
        let IndexRow {
            sequence,
            archive,
            held,
        } = row;
        let id = ArchiveId(sequence);
        if self.query.is_passed_over(held) {
            self.page.reached = Some(id);
            return Ok(true);
        }
        // One that is damaged is passed over; it was reported.
        let Some(row) = self.walk.find(sequence)? else {
            self.page.damaged += 1;
            return Ok(true);
        };
        self.look.take_stanza(row.value().len());
        let row = StanzaRow::decode(row.value())?;
        let place = (self.account, archive);
        if !(matches(&row, archive, self.query)
            && self.tx.is_shown(place, sequence, &row, self.query)?)
        {
            self.steps += READ_STEPS;
            self.page.reached = Some(id);
            return Ok(true);
        }
        let is_full = self.query.bytes_max.is_some_and(|max| self.bytes >= max);
        if is_full || self.page.stanzas.len() == self.query.max {
            self.page.complete = false;
            return Ok(false);
        }
        let channel = Some(archive).filter(|archive| *archive != self.account);
        self.bytes += row.xml.len();
        self.page.stanzas.push(stored(sequence, &row, channel));
        self.page.reached = None;
        Ok(true)
    }

    /// How far the page reaches.
    fn end(self, ended: Ended) -> Result<ArchivePage, StoreError> {
        let (query, mut page) = (self.query, self.page);
        let backward = query.is_backward();
        if let Ended::At(at) = ended {
            page.complete = false;
            let begin = match backward {
                true => query.page_before,
                false => query.page_after,
            };
            let last = self.tx.looked_at_last(self.account, at, backward)?;
            page.reached = last.filter(|last| Some(*last) != begin);
        } else if page.complete || self.steps < PASSED_STEPS_MAX {
            page.reached = None;
        }
        if backward {
            page.stanzas.reverse();
        }
        Ok(page)
    }
}

/// XEP-0313 §4.1.1. The index goes by a hash of the peer's bare JID, so the stanza has the last word.
fn matches(row: &StanzaRow<'_>, archive: AccountId, query: &ArchiveQuery) -> bool {
    if row.is_passing(archive) || (query.without_groupchat && is_groupchat(row.xml)) {
        return false;
    }
    if let Some(wanted) = &query.words {
        // The index of words may name what left this archive and is still in another one.
        let is_here = row.owners.iter().any(|owner| owner.account == archive);
        if !is_here || !says(row.xml, wanted) {
            return false;
        }
    }
    let Some(with) = &query.with else {
        return true;
    };
    let peer = row.peer(archive);
    if with.is_bare() {
        bare(peer) == with.as_str()
    } else {
        // Of what was sent to oneself, both sides are the peer.
        let is_note = bare(row.from) == bare(row.to);
        peer == with.as_str() || (is_note && (row.from == with.as_str() || row.to == with.as_str()))
    }
}
