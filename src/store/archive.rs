//! Message archives (XEP-0313). One stored stanza serves every archive it belongs to; keys are append-ordered.
//!
//! Layout: `stanzas` maps a global, never reused sequence number to the stored stanza and its owners: the only table a
//! message writes to. `archive` (account, sequence) and `archive_with` (account, hash of peer, sequence) are the index;
//! rows newer than the index's checkpoint live in memory only (rebuilt at start from the tail of `stanzas`) and are moved
//! to the tables together once there are enough, so that scattered pages are written rarely.

pub mod around;
pub mod inbox;
pub mod index;
pub mod kinds;
mod merged;
pub mod names;
pub mod place;
pub mod preferences;
mod query;
pub mod reading;
pub mod relation;
pub mod retention;
pub mod rewrite;
pub mod search;
pub mod span;
pub mod stanza;
pub mod unseen;
pub mod walk;
mod when;

use crate::xmpp::relation::{Act, Kind};
use crate::xmpp::said::says;
use crate::xmpp::{Jid, Timestamp};

use super::schema::{ARCHIVE, SET_BACK, STANZAS};
use super::{AccountId, StoreError, Tx, View, Writing};
use index::IndexRow;
pub use query::{ArchivePage, ArchiveQuery, Before, Shows};
use relation::Named;
use search::find::{Ended, Search};
use search::left::{LOOK_STEPS_MAX, Steps};
use span::Span;
use stanza::{Relation, StanzaRow, bare, peer_hash};
use walk::Walk;

/// Steps through rows for one page, then it ends; a stanza that is read and passed over is as many more.
const PASSED_STEPS_MAX: u64 = 20_000;
const READ_STEPS: u64 = 10;

/// Id of an archived stanza: its place in arrival order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchiveId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The owner sent it.
    Sent,
    /// The owner received it.
    Received,
}

/// An archive a stanza goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub account: AccountId,
    pub direction: Direction,
    /// Received, and no session is known to have it yet: unless one says so, it waits for the next initial presence
    /// (XEP-0160).
    pub unseen: bool,
}

/// What is appended.
pub struct Record<'a> {
    pub owners: &'a [Owner],
    pub from: &'a Jid,
    pub to: &'a Jid,
    pub at: Timestamp,
    /// The whole `<message xmlns='jabber:client' …>…</message>`, without any stanza-id of ours.
    pub xml: &'a str,
    /// What it does to an earlier one, if that is there and its sender may.
    pub act: Option<(Act, Named<'a>)>,
}

/// What is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: ArchiveId,
    pub at: Timestamp,
    pub xml: String,
    /// It was read from the archive of this channel, in whose form it is.
    pub channel: Option<AccountId>,
}

impl Stored {
    pub fn is_groupchat(&self) -> bool {
        stanza::is_groupchat(&self.xml)
    }
}

/// What was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub id: ArchiveId,
    /// The time stored.
    pub at: Timestamp,
    pub relation: Option<Relation>,
    pub kind: Kind,
}

impl Tx {
    /// Appends. The time stored is earlier than that of the record before it only where the clock was set back.
    pub fn append(&mut self, record: &Record<'_>) -> Result<Appended, StoreError> {
        let (sequence, at, is_set_back) = self.memory()?.next(record.at);
        let mut stanza = StanzaRow::new(record, at);
        if let Some(act) = record.act {
            stanza.relation = self.relation_of(&stanza, sequence, act)?;
        }
        let kind = stanza.kind_told();
        stanza.noted_kind = Some(kind);
        let Writing { txn, mut memory } = self.writing()?;
        if is_set_back {
            txn.open_table(SET_BACK)?.insert(sequence, ())?;
            memory.note_set_back(sequence);
        }
        let bytes = stanza.encode();
        txn.open_table(STANZAS)?
            .append(sequence, bytes.as_slice())?;
        memory.remember(sequence, &stanza, bytes.len());
        for owner in &stanza.owners {
            txn.wrote_for(owner.account);
        }
        for owner in stanza.owners.iter().filter(|owner| owner.unseen) {
            memory.unseen.came(txn, owner.account, sequence)?;
        }
        Ok(Appended {
            id: ArchiveId(sequence),
            at,
            relation: stanza.relation,
            kind,
        })
    }

    /// A page of what matches. RSM (XEP-0059 §2.5): one that ends before an id is counted from there.
    pub fn page(
        &self,
        account: AccountId,
        query: &ArchiveQuery,
    ) -> Result<ArchivePage, StoreError> {
        let backward =
            query.backward || (query.page_before.is_some() && query.page_after.is_none());
        let mut spans = self.spans(query)?;
        for span in &mut spans {
            span.cut(query.page_after, query.page_before);
        }
        if backward {
            spans.reverse();
        }
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, backward);
        let mut page = ArchivePage {
            stanzas: Vec::new(),
            complete: true,
            reached: None,
            steps: 0,
        };
        let look = Steps::new(LOOK_STEPS_MAX.saturating_sub(query.steps));
        let peer = query.with.as_ref().map(|with| peer_hash(with.as_str()));
        let mut steps = 0;
        let mut visit = |row: IndexRow| {
            let IndexRow {
                sequence,
                archive,
                held,
            } = row;
            if steps >= PASSED_STEPS_MAX {
                page.complete = false;
                return Ok(false);
            }
            steps += 1;
            if query.is_passed_over(held) {
                page.reached = Some(ArchiveId(sequence));
                return Ok(true);
            }
            // One that is damaged is passed over; it was reported.
            let Some(row) = walk.find(sequence)? else {
                return Ok(true);
            };
            look.take_stanza(row.value().len());
            let row = StanzaRow::decode(row.value())?;
            if !(matches(&row, archive, query)
                && self.is_shown((account, archive), sequence, &row, query)?)
            {
                steps += READ_STEPS;
                page.reached = Some(ArchiveId(sequence));
                return Ok(true);
            }
            if page.stanzas.len() == query.max {
                page.complete = false;
                return Ok(false);
            }
            let channel = Some(archive).filter(|archive| *archive != account);
            page.stanzas.push(stored(sequence, &row, channel));
            page.reached = None;
            Ok(true)
        };
        let search = Search {
            wanted: query.words.as_ref(),
            peer,
            backward,
            steps: &look,
        };
        let mut ended = Ended::Through;
        for span in spans {
            ended = self.visit_asked(account, &search, span, &mut visit)?;
            if ended != Ended::Through {
                break;
            }
        }
        page.steps = LOOK_STEPS_MAX - look.left();
        page.reached = match ended {
            Ended::At(at) => {
                page.complete = false;
                let begin = if backward {
                    query.page_before
                } else {
                    query.page_after
                };
                let last = self.looked_at_last(account, at, backward)?;
                last.filter(|last| Some(*last) != begin)
            }
            _ => page
                .reached
                .filter(|_| !page.complete && steps >= PASSED_STEPS_MAX),
        };
        if backward {
            page.stanzas.reverse();
        }
        Ok(page)
    }

    /// True if this archive holds the id (RSM and extended queries: `item-not-found` otherwise).
    pub fn archived(&self, account: AccountId, id: ArchiveId) -> Result<bool, StoreError> {
        Ok(self.holds(account, id)? || self.read_of_channel(account, id)?.is_some())
    }

    fn holds(&self, account: AccountId, id: ArchiveId) -> Result<bool, StoreError> {
        if self.memory()?.holds(account, id.0) {
            return Ok(true);
        }
        Ok(self.view(ARCHIVE)?.get((account.0, id.0))?.is_some())
    }

    /// Stanzas of these ids, in order of arrival; `None` if one is not in this archive.
    pub fn archived_ids(
        &self,
        account: AccountId,
        ids: &[ArchiveId],
    ) -> Result<Option<Vec<Stored>>, StoreError> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut channels = Vec::with_capacity(ids.len());
        for id in &ids {
            let channel = match self.holds(account, *id)? {
                true => None,
                false => match self.read_of_channel(account, *id)? {
                    Some(channel) => Some(channel),
                    None => return Ok(None),
                },
            };
            channels.push((id.0, channel));
        }
        let stanzas = self.view(STANZAS)?;
        read(&stanzas, channels.into_iter()).map(Some)
    }

    /// A stanza whatever archive it is in; `None`: it was pruned, or is damaged.
    pub fn stanza(&self, id: ArchiveId) -> Result<Option<Stored>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(None);
        };
        Ok(Some(stored(id.0, &StanzaRow::decode(row.value())?, None)))
    }

    /// Oldest and newest: id and time (XEP-0313 §4.3 metadata).
    pub fn archive_ends(
        &self,
        account: AccountId,
    ) -> Result<Option<[(ArchiveId, Timestamp); 2]>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let end = |backward| -> Result<Option<(ArchiveId, Timestamp)>, StoreError> {
            let mut walk = Walk::new(&stanzas, backward);
            let mut found = None;
            self.visit_read(account, None, Span::ALL, backward, &mut |row| {
                if let Some(stanza) = walk.find(row.sequence)? {
                    let at = StanzaRow::time_of(stanza.value())?;
                    found = Some((ArchiveId(row.sequence), at));
                }
                Ok(found.is_none())
            })?;
            Ok(found)
        };
        Ok(match (end(false)?, end(true)?) {
            (Some(oldest), Some(newest)) => Some([oldest, newest]),
            _ => None,
        })
    }

    /// Bytes of all stored stanzas with what else of the file they take, roughly.
    pub fn stored_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.memory()?.stored_bytes())
    }
}

/// XEP-0313 §4.1.1. The index goes by a hash of the peer's bare JID, so the stanza has the last word.
pub(super) fn matches(row: &StanzaRow<'_>, archive: AccountId, query: &ArchiveQuery) -> bool {
    if query.without_groupchat && stanza::is_groupchat(row.xml) {
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

/// All of them but those that are damaged, in the order given; best if it ascends. With the channel each is read from.
pub(super) fn read(
    stanzas: &View<'_, u64, &'static [u8]>,
    sequences: impl Iterator<Item = (u64, Option<AccountId>)>,
) -> Result<Vec<Stored>, StoreError> {
    let mut walk = Walk::new(stanzas, false);
    let mut read = Vec::new();
    for (sequence, channel) in sequences {
        if let Some(row) = walk.find(sequence)? {
            read.push(stored(sequence, &StanzaRow::decode(row.value())?, channel));
        }
    }
    Ok(read)
}

fn stored(sequence: u64, row: &StanzaRow<'_>, channel: Option<AccountId>) -> Stored {
    Stored {
        id: ArchiveId(sequence),
        at: row.at,
        xml: row.xml.to_string(),
        channel,
    }
}
