//! The archive's index: rows newer than the checkpoint in memory, older ones in `archive` and `archive_with`. All rows in
//! memory are newer than all rows in the tables, so a walk is one after the other. What is in memory follows from what
//! is stored, so that it can be rebuilt at any time.
use std::collections::{BTreeMap, HashMap};

use crate::xmpp::Timestamp;

use super::relation::NewRelations;
use super::relation::ahead::Ahead;
use super::relation::names::NewNames;
use super::retention::bytes;
use super::search;
use super::span::Span;
use super::stanza::{Relation, StanzaRow, footprint, peer_hash};
use super::unseen::UnseenOfAll;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{
    ARCHIVE, ARCHIVE_WITH, META, META_BYTES, META_CHECKPOINT, META_SEQUENCE, META_TIME, RELATED,
    SET_BACK, STANZAS, UNSEEN_FROM,
};
use crate::store::{AccountId, StoreError, Tx};

/// So many rows wait in memory (24 bytes each) before they are moved to the tables.
const TAIL_ROWS_MAX: usize = 6144;
/// And no more than this is read at start to rebuild them.
const TAIL_BYTES_MAX: u64 = 4 << 20;

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
    pub(super) tail_rows: usize,
    pub names: NewNames,
    pub ahead: Ahead,
    pub related: NewRelations,
    pub unseen: UnseenOfAll,
}

/// What of an archive is not in the tables yet.
#[derive(Default)]
struct Tail {
    rows: Vec<TailRow>,
    /// Of its stanzas.
    bytes: u64,
}

/// A row that is not in the tables yet; per account in order of sequence.
#[derive(Clone, Copy)]
pub(in crate::store) struct TailRow {
    pub sequence: u64,
    pub peer: u64,
    pub held: u8,
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
            tail.bytes += stanza.weight();
            tail.rows.push(TailRow {
                sequence,
                peer: peer_hash(stanza.peer(owner.account)),
                held: stanza.held(owner),
            });
        }
    }

    pub fn stored_bytes(&self) -> u64 {
        self.settled_bytes + self.tail_bytes
    }

    /// What a row in memory says; `None`: it is in the tables, or nowhere.
    pub fn held(&self, account: AccountId, sequence: u64) -> Option<u8> {
        let rows = &self.tail.get(&account)?.rows;
        let at = rows.binary_search_by_key(&sequence, |row| row.sequence);
        at.ok().and_then(|at| rows.get(at)).map(|row| row.held)
    }

    /// Changes the flags of a row in memory; false: it is in the tables.
    pub fn set_held(&mut self, account: AccountId, sequence: u64, held: u8) -> bool {
        let tail = self.tail.get_mut(&account);
        let rows = tail.map(|tail| tail.rows.as_mut_slice());
        let row = rows
            .unwrap_or_default()
            .iter_mut()
            .find(|row| row.sequence == sequence);
        row.map(|row| row.held = held).is_some()
    }

    pub fn is_settled(&self, sequence: u64) -> bool {
        sequence < self.checkpoint
    }

    /// Moves all rows to the tables.
    pub fn checkpoint(&mut self, txn: &WriteTransaction) -> Result<(), StoreError> {
        if self.checkpoint == self.next_sequence {
            return Ok(());
        }
        txn.is_for_the_file();
        let mut rows: Vec<(AccountId, TailRow)> = Vec::with_capacity(self.tail_rows);
        let mut bytes = BTreeMap::new();
        for (account, tail) in self.tail.drain() {
            bytes.insert(account.0, tail.bytes.cast_signed());
            rows.extend(tail.rows.into_iter().map(|row| (account, row)));
        }
        bytes::change(txn, &bytes)?;
        // In order of their keys, so that each page is touched once.
        rows.sort_unstable_by_key(|(account, row)| (*account, row.sequence));
        let mut archive = txn.open_table(ARCHIVE)?;
        let mut last = None;
        for (account, row) in &rows {
            let is_first = last.replace(account) != Some(account);
            archive.insert_run(is_first, (account.0, row.sequence), row.held)?;
        }
        rows.sort_unstable_by_key(|(account, row)| (*account, row.peer, row.sequence));
        let mut archive_with = txn.open_table(ARCHIVE_WITH)?;
        let mut last = None;
        for (account, row) in &rows {
            let place = (account, row.peer);
            let is_first = last.replace(place) != Some(place);
            let key = (account.0, row.peer, row.sequence);
            archive_with.insert_run(is_first, key, row.held)?;
        }
        drop((archive, archive_with));
        self.names.settle(txn)?;
        let mut related = txn.open_table(RELATED)?;
        for (key, act) in std::mem::take(&mut self.related) {
            related.insert(key, act)?;
        }
        drop(related);
        if self.not_searched != Span::ALL {
            let span = Span {
                from: self.checkpoint,
                to: self.next_sequence,
            };
            search::build::index(txn, span, self.not_searched)?;
        }
        self.settled_bytes += self.tail_bytes;
        (self.tail_bytes, self.tail_rows) = (0, 0);
        self.checkpoint = self.next_sequence;
        self.save(txn)
    }

    /// Bytes of what of each archive is not in the tables.
    pub fn bytes_of_tails(&self) -> impl Iterator<Item = (AccountId, u64)> {
        let tails = self.tail.iter();
        tails.map(|(account, tail)| (*account, tail.bytes))
    }

    /// From here on all up to a stanza are in the tables.
    pub fn settle(&mut self, txn: &WriteTransaction, sequence: u64) -> Result<(), StoreError> {
        match self.is_settled(sequence) {
            true => Ok(()),
            false => self.checkpoint(txn),
        }
    }

    /// A settled stanza of so many bytes became one of so many; `None`: it is gone.
    pub fn changed(&mut self, before: usize, after: Option<usize>) {
        let bytes = self.settled_bytes + after.map_or(0, footprint);
        self.settled_bytes = bytes.saturating_sub(footprint(before));
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
        let rows = tail.map_or(&[][..], |tail| tail.rows.as_slice());
        let from = rows.partition_point(|row| row.sequence < span.from);
        let to = rows.partition_point(|row| row.sequence < span.to);
        rows.get(from..to).unwrap_or_default()
    }
}

impl Tx {
    /// Moves the in-memory index rows to the tables if there are enough of them, and what was seen to its table if the
    /// batch writes anyway; called once per batch.
    pub fn checkpoint_if_due(&mut self) -> Result<(), StoreError> {
        if self.has_written() {
            self.write_seen()?;
        }
        let memory = self.memory()?;
        let due = memory.tail_rows >= TAIL_ROWS_MAX || memory.tail_bytes >= TAIL_BYTES_MAX;
        drop(memory);
        if due {
            let mut writing = self.writing()?;
            writing.memory.checkpoint(writing.txn)?;
        }
        Ok(())
    }
}
