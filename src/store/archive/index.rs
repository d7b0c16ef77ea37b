//! The archive's index: rows newer than the checkpoint in memory, older ones in `archive` and `archive_with`. All rows in
//! memory are newer than all rows in the tables, so a walk is one after the other. What is in memory follows from what
//! is stored, so that it can be rebuilt at any time.
pub mod checkpoint;
mod moving;
pub mod tail;

use std::collections::HashMap;

use crate::xmpp::Timestamp;

use super::relation::NewRelations;
use super::relation::ahead::Ahead;
use super::relation::names::NewNames;
use super::search;
use super::span::Span;
use super::stanza::{Relation, StanzaRow, footprint, peer_hash};
use super::unseen::UnseenOfAll;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{
    META, META_BYTES, META_CHECKPOINT, META_MOVING, META_SEQUENCE, META_TIME, SET_BACK, STANZAS,
    UNSEEN_FROM,
};
use crate::store::{AccountId, StoreError, Tx};
use moving::Moving;
use tail::{Tail, TailRow};

/// A clock that is this little behind was not set back; it drifts, or was slowed down.
const DRIFT_MS_MAX: i64 = 60_000;

/// What is known of the archive without reading.
pub(in crate::store) struct Memory {
    next_sequence: u64,
    last_at: Timestamp,
    /// Where the clock was set back, in order.
    set_back: Vec<u64>,
    /// Stanzas before this have their rows in the tables.
    pub(super) checkpoint: u64,
    /// Of these the words are not indexed.
    pub(super) not_searched: Span,
    /// Bytes of the stanzas before the checkpoint, and of those after it.
    settled_bytes: u64,
    tail_bytes: u64,
    tail: HashMap<AccountId, Tail>,
    tail_rows: usize,
    /// Of what is in memory some is on its way to the tables.
    moving: Option<Moving>,
    /// Some may have been when the server was killed.
    may_have_moved: bool,
    pub names: NewNames,
    pub ahead: Ahead,
    pub related: NewRelations,
    pub unseen: UnseenOfAll,
}

impl Memory {
    pub fn load(tx: &Tx) -> Result<Memory, StoreError> {
        let not_searched = search::load(tx)?;
        let meta = tx.view(META)?;
        let number =
            |key| -> Result<Option<u64>, StoreError> { Ok(meta.get(key)?.map(|row| row.value())) };
        let mut memory = Memory {
            next_sequence: number(META_SEQUENCE)?.unwrap_or(1),
            last_at: Timestamp(number(META_TIME)?.map_or(i64::MIN, u64::cast_signed)),
            set_back: Vec::new(),
            checkpoint: number(META_CHECKPOINT)?.unwrap_or(1),
            not_searched,
            settled_bytes: number(META_BYTES)?.unwrap_or(0),
            tail_bytes: 0,
            tail: HashMap::new(),
            tail_rows: 0,
            moving: None,
            may_have_moved: number(META_MOVING)?.is_some(),
            names: NewNames::default(),
            ahead: Ahead::default(),
            related: NewRelations::new(),
            unseen: UnseenOfAll::default(),
        };
        for row in tx.view(SET_BACK)?.range(..)? {
            memory.set_back.push(row?.0.value());
        }
        for row in tx.view(STANZAS)?.range(memory.checkpoint..)? {
            let (key, row) = row?;
            let stanza = StanzaRow::decode(row.value())?;
            memory.remember(key.value(), &stanza, row.value().len());
        }
        match memory.load_unseen(tx) {
            // Whose messages wait is told by the messages, too; looking through all of them once takes time, and that is all.
            Err(StoreError::Damaged { .. }) => {
                for (_, account) in tx.accounts()? {
                    memory.unseen.load(account.id, 0);
                }
            }
            loaded => loaded?,
        }
        Ok(memory)
    }

    fn load_unseen(&mut self, tx: &Tx) -> Result<(), StoreError> {
        for row in tx.view(UNSEEN_FROM)?.range(..)? {
            let (account, first) = row?;
            self.unseen.load(AccountId(account.value()), first.value());
        }
        Ok(())
    }

    /// Sequence and time of the next stanza. The sequence never goes back; the time does where the clock was set back by
    /// more than what clocks do by themselves (`true`).
    pub fn next(&self, now: Timestamp) -> (u64, Timestamp, bool) {
        let is_set_back = now.0.saturating_add(DRIFT_MS_MAX) < self.last_at.0;
        let at = match is_set_back {
            true => now,
            false => now.max(self.last_at),
        };
        (self.next_sequence, at, is_set_back)
    }

    pub fn note_set_back(&mut self, sequence: u64) {
        self.set_back.push(sequence);
    }

    /// Spans within which times do not go back, in order.
    pub fn spans_of_time(&self) -> Vec<Span> {
        let starts = [0].into_iter().chain(self.set_back.iter().copied());
        let ends = self.set_back.iter().copied().chain([u64::MAX]);
        let spans = starts.zip(ends).map(|(from, to)| Span { from, to });
        spans.collect()
    }

    /// A stanza was appended.
    pub fn remember(&mut self, sequence: u64, stanza: &StanzaRow<'_>, bytes: usize) {
        self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
        self.last_at = stanza.at;
        self.tail_bytes += footprint(bytes);
        self.tail_rows += stanza.owners.len();
        self.names.add(sequence, stanza.xml);
        if let Some(Relation { act, target }) = stanza.relation {
            let keys = stanza
                .owners
                .iter()
                .map(|owner| (owner.account.0, target.0, sequence));
            self.related.extend(keys.map(|key| (key, act.number())));
        }
        for owner in &stanza.owners {
            let tail = self.tail.entry(owner.account).or_default();
            tail.push(TailRow {
                sequence,
                peer: peer_hash(stanza.peer(owner.account)),
                bytes: u32::try_from(stanza.weight()).unwrap_or(u32::MAX),
                held: stanza.held(owner),
            });
        }
    }

    pub fn stored_bytes(&self) -> u64 {
        self.settled_bytes + self.tail_bytes
    }

    /// What a row in memory says; `None`: it is in the tables, or nowhere.
    pub fn held(&self, account: AccountId, sequence: u64) -> Option<u8> {
        self.tail.get(&account)?.held(sequence)
    }

    /// Changes a row in memory, and the bytes of its stanza; false: it is in the tables.
    pub fn change_row(
        &mut self,
        (account, sequence): (AccountId, u64),
        held: impl Fn(u8) -> u8,
        bytes: Option<u64>,
    ) -> bool {
        let bytes = bytes.map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
        let tail = self.tail.get_mut(&account);
        tail.is_some_and(|tail| tail.change(sequence, held, bytes))
    }

    pub fn is_settled(&self, sequence: u64) -> bool {
        sequence < self.checkpoint
    }

    /// Stanzas before this have their rows in the tables; what is there at or behind it does not count.
    pub fn checkpoint_at(&self) -> u64 {
        self.checkpoint
    }

    /// Rows that are in memory only, of these archives.
    pub fn rows_in_memory(&self, archives: impl Iterator<Item = AccountId>) -> usize {
        let tails = archives.filter_map(|archive| self.tail.get(&archive));
        tails.map(|tail| tail.within(Span::ALL).len()).sum()
    }

    /// Bytes of what of each archive is not in the tables.
    pub fn bytes_of_tails(&self) -> impl Iterator<Item = (AccountId, u64)> {
        let tails = self.tail.iter();
        tails.map(|(account, tail)| (*account, tail.bytes))
    }

    /// A stanza of so many bytes became one of so many; `None`: it is gone.
    pub fn changed(&mut self, sequence: u64, before: usize, after: Option<usize>) {
        let of_all = match self.is_settled(sequence) {
            true => &mut self.settled_bytes,
            false => &mut self.tail_bytes,
        };
        let bytes = *of_all + after.map_or(0, footprint);
        *of_all = bytes.saturating_sub(footprint(before));
    }

    /// Writes what cannot be told from the stanzas; due whenever a stanza is removed.
    pub fn save(&self, txn: &WriteTransaction) -> Result<(), StoreError> {
        let mut meta = txn.open_table(META)?;
        meta.insert(META_SEQUENCE, self.next_sequence)?;
        meta.insert(META_TIME, self.last_at.0.cast_unsigned())?;
        meta.insert(META_CHECKPOINT, self.checkpoint)?;
        meta.insert(META_BYTES, self.settled_bytes)?;
        Ok(())
    }

    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub fn tail(&self, account: AccountId, span: Span) -> &[TailRow] {
        let tail = self.tail.get(&account);
        tail.map_or(&[], |tail| tail.within(span))
    }
}
