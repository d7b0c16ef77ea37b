//! Who makes room when there is none: always whoever has most, so that one account's flood takes nothing from others.
//!
//! In this order, the oldest first:
//! 1. what somebody has received, of the account whose archive holds most, down to a little less than the next one's;
//!    where it has nothing of the kind, of the next one, and so on;
//! 2. what nobody has received yet, of the account that has most, once there is nothing else in any archive. An account
//!    that has more than `LION_SHARE` of all gives it at once: else whoever floods an absent user would empty all others'
//!    archives.
//!
//! A stanza that two archives hold leaves one at a time. One that its receiver still waits for stays in its sender's, too.
use super::super::span::Span;
use super::super::stanza::{StanzaRow, footprint};
use super::super::walk::Walk;
use super::LOOKED_AT_PER_ROW;
use super::removal::Removal;
use crate::store::schema::{ARCHIVE_BYTES, STANZAS};
use crate::store::{AccountId, StoreError, Tx, Writing};

/// Seven of eight bytes.
const LION_SHARE: (u64, u64) = (7, 8);
/// Whoever is taken from ends up so much below the next: a sixteenth of what that one has. Else two alike would take turns
/// with every stanza.
const BELOW_NEXT: u64 = 16;
/// Stanzas of one step may have so many bytes, and one more.
const STEP_BYTES_MAX: u64 = 256 << 10;

/// What room is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    pub bytes: u64,
    /// What nobody has received yet stays in any case.
    pub spares_unseen: bool,
}

/// What one step took from whom. Without stanzas: there was too much to look at for one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub account: AccountId,
    pub stanzas: u64,
    /// What they counted in this archive; it is free once no other holds them.
    pub bytes: u64,
    /// Of the stanzas, what nobody had received yet.
    pub unseen: u64,
}

/// What is found to be taken from an archive.
#[derive(Default)]
struct Found {
    sequences: Vec<u64>,
    weight: u64,
    unseen: u64,
    /// There is no more of the kind.
    is_all: bool,
    /// The archive is empty.
    is_empty: bool,
    /// Up to here it was looked at.
    passed: u64,
}

/// How much is looked for, and what.
#[derive(Clone, Copy)]
struct Search {
    account: AccountId,
    weight: u64,
    bytes: u64,
    rows_max: usize,
    takes_unseen: bool,
}

impl Tx {
    /// Takes up to `rows_max` stanzas out of one archive. `None`: there is nothing to take.
    pub fn prune_greediest(
        &mut self,
        need: Need,
        rows_max: usize,
    ) -> Result<Option<Pruned>, StoreError> {
        let archives = self.archives_by_bytes()?;
        let all = self.stored_bytes()?;
        let (part, of) = LION_SHARE;
        let is_lion = |has: u64| has.saturating_mul(of) > all.saturating_mul(part);
        let mut untouched = Vec::new();
        for (n, (account, has)) in archives.iter().enumerate() {
            let next = archives.get(n + 1).map_or(0, |(_, next)| *next);
            let search = Search {
                account: *account,
                weight: has.saturating_sub(next - next / BELOW_NEXT).max(1),
                bytes: need.bytes,
                rows_max,
                takes_unseen: false,
            };
            let found = self.search(search)?;
            if found.is_empty {
                self.forget_bytes(*account)?;
                continue;
            }
            let is_some = !found.sequences.is_empty() || !found.is_all;
            let pruned = self.take(*account, found)?;
            if is_some {
                return Ok(Some(pruned));
            }
            untouched.push(search);
            if is_lion(*has) && !need.spares_unseen {
                break;
            }
        }
        if need.spares_unseen {
            return Ok(None);
        }
        for search in untouched {
            let takes_unseen = true;
            let found = self.search(Search {
                takes_unseen,
                ..search
            })?;
            if !found.sequences.is_empty() {
                return self.take(search.account, found).map(Some);
            }
        }
        Ok(None)
    }

    fn search(&self, search: Search) -> Result<Found, StoreError> {
        let memory = self.memory()?;
        let unseen = &memory.unseen;
        let mut found = Found {
            is_all: true,
            ..Found::default()
        };
        let mut span = Span::ALL;
        if !search.takes_unseen {
            span.from = unseen.passed.of(search.account);
        }
        found.is_empty = span.from == 0;
        found.passed = span.from;
        let (mut looked_at, mut freed) = (0, 0);
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, false);
        self.visit(search.account, None, span, false, &mut |row| {
            found.is_empty = false;
            found.is_all = found.sequences.len() < search.rows_max
                && looked_at < search.rows_max.saturating_mul(LOOKED_AT_PER_ROW)
                && found.weight < search.weight.min(STEP_BYTES_MAX)
                && freed < search.bytes;
            if !found.is_all {
                return Ok(false);
            }
            looked_at += 1;
            found.passed = row.sequence + 1;
            // Of one that is damaged the rows that point at it go.
            let Some(stanza) = walk.find(row.sequence)? else {
                found.sequences.push(row.sequence);
                return Ok(true);
            };
            let bytes = stanza.value();
            let stanza = StanzaRow::decode(bytes)?;
            let is_unseen = unseen.is_waited_for(&stanza, row.sequence);
            if is_unseen && !search.takes_unseen {
                return Ok(true);
            }
            found.sequences.push(row.sequence);
            found.weight += stanza.weight();
            found.unseen += u64::from(is_unseen);
            if stanza.owners.len() == 1 {
                freed += footprint(bytes.len());
            }
            Ok(true)
        })?;
        Ok(found)
    }

    fn take(&mut self, account: AccountId, found: Found) -> Result<Pruned, StoreError> {
        self.with_unseen(|unseen| match (found.unseen, found.sequences.first()) {
            // Others that hold it may have it for the asking now.
            (1.., Some(first)) => unseen.passed.back_to(*first),
            _ => unseen.passed.come_to(account, found.passed),
        })?;
        if let Some(last) = found.sequences.last() {
            let Writing { txn, mut memory } = self.writing()?;
            memory.settle(txn, *last)?;
            let mut removal = Removal::begin(txn)?;
            for sequence in &found.sequences {
                removal.disown(&mut memory, account.0, *sequence)?;
            }
            removal.finish(txn, &memory)?;
        }
        Ok(Pruned {
            account,
            stanzas: u64::try_from(found.sequences.len()).unwrap_or(u64::MAX),
            bytes: found.weight,
            unseen: found.unseen,
        })
    }

    /// There is room: what was remembered of the search is of no use.
    pub fn forget_search(&self) -> Result<(), StoreError> {
        self.with_unseen(|unseen| unseen.passed.forget_archives())
    }

    /// It has nothing, whatever was counted.
    fn forget_bytes(&mut self, account: AccountId) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(ARCHIVE_BYTES)?.remove(account.0)
    }
}
