//! What an account has not been given, or never said that it got (XEP-0160, XEP-0198 §4): a position in its archive, not a
//! second copy. `unseen_from` says from where on to look. It is written at once when there is something to look for, and
//! with the next commit when it moves on: after a crash something may come twice, with its id, but nothing is lost.
use std::collections::{BTreeSet, HashMap};

use crate::store::engine::table::WriteTransaction;

use super::read;
use super::span::Span;
use super::stanza::{StanzaRow, is_passing, is_unseen, peer_hash};
use super::walk::Walk;
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH, STANZAS, UNSEEN_FROM};
use crate::store::{AccountId, ArchiveId, Direction, Owner, StoreError, Stored, Tx, Writing};

/// Stanzas of one account that are remembered in memory as seen out of order; then their rows say so.
const SEEN_MAX: usize = 512;

/// A stanza that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub id: ArchiveId,
    /// The account's archive has it.
    pub is_archived: bool,
}

/// What memory knows of one account.
#[derive(Default)]
struct Unseen {
    /// No stanza before this is unseen. `None`: none is.
    first: Option<u64>,
    /// At or after `first`, seen before what came earlier.
    seen: BTreeSet<u64>,
    /// What the table says: never after `first`.
    written: Option<u64>,
}

/// What memory knows of all accounts that have anything unseen.
#[derive(Default)]
pub(in crate::store) struct UnseenOfAll {
    accounts: HashMap<AccountId, Unseen>,
    /// Those of whom the table says less than memory.
    due: BTreeSet<AccountId>,
    pub passed: Passed,
}

/// How far what may be removed was looked for: before this there is nothing but what somebody waits for.
#[derive(Default)]
pub struct Passed {
    pub by_age: u64,
    /// In an archive, while there is no room.
    archives: HashMap<AccountId, u64>,
}

impl Passed {
    pub fn of(&self, account: AccountId) -> u64 {
        self.archives.get(&account).copied().unwrap_or(0)
    }

    pub fn come_to(&mut self, account: AccountId, sequence: u64) {
        self.archives.insert(account, sequence);
    }

    /// From here on something may be waited for no more.
    pub fn back_to(&mut self, sequence: u64) {
        self.by_age = self.by_age.min(sequence);
        for passed in self.archives.values_mut() {
            *passed = (*passed).min(sequence);
        }
    }

    /// There is room again.
    pub fn forget_archives(&mut self) {
        self.archives = HashMap::new();
    }
}

impl UnseenOfAll {
    /// A row of the table.
    pub fn load(&mut self, account: AccountId, first: u64) {
        let unseen = Unseen {
            first: Some(first),
            written: Some(first),
            ..Unseen::default()
        };
        self.accounts.insert(account, unseen);
    }

    pub fn forget(&mut self, account: AccountId) {
        self.accounts.remove(&account);
        self.due.remove(&account);
        self.passed = Passed::default();
    }

    /// Whether somebody is to receive a stanza, and is not known to have.
    pub fn is_waited_for(&self, stanza: &StanzaRow<'_>, sequence: u64) -> bool {
        stanza.owners.iter().any(|owner| {
            let unseen = self.accounts.get(&owner.account);
            owner.unseen
                && unseen.is_some_and(|unseen| {
                    unseen.first.is_some_and(|first| first <= sequence)
                        && !unseen.seen.contains(&sequence)
                })
        })
    }

    /// An unseen stanza was appended.
    pub fn came(
        &mut self,
        txn: &WriteTransaction,
        account: AccountId,
        sequence: u64,
    ) -> Result<(), StoreError> {
        let unseen = self.accounts.entry(account).or_default();
        if unseen.first.is_none() {
            unseen.first = Some(sequence);
            unseen.written = Some(sequence);
            txn.open_table(UNSEEN_FROM)?.insert(account.0, sequence)?;
        }
        Ok(())
    }

    fn first(&self, account: AccountId) -> Option<u64> {
        self.accounts.get(&account)?.first
    }

    fn is_seen(&self, account: AccountId, sequence: u64) -> bool {
        self.accounts
            .get(&account)
            .is_some_and(|unseen| unseen.seen.contains(&sequence))
    }
}

impl Tx {
    /// Up to `max` unseen stanzas of an account after `after`, oldest first, without those that `is_given` knows. Costs
    /// nothing for an account that has none.
    pub fn unseen(
        &self,
        account: AccountId,
        after: Option<ArchiveId>,
        max: usize,
        is_given: &dyn Fn(Waiting) -> bool,
    ) -> Result<Vec<Stored>, StoreError> {
        let found = self.unseen_ids(account, after, max, is_given)?;
        let stanzas = self.view(STANZAS)?;
        read(&stanzas, found.into_iter().map(|id| (id.0, None)))
    }

    /// The same, only which they are.
    pub fn unseen_ids(
        &self,
        account: AccountId,
        after: Option<ArchiveId>,
        max: usize,
        is_given: &dyn Fn(Waiting) -> bool,
    ) -> Result<Vec<ArchiveId>, StoreError> {
        let mut found = Vec::new();
        if max == 0 {
            return Ok(found);
        }
        let mut is_any = false;
        self.visit_unseen(account, after, &mut |waiting| {
            is_any = true;
            if !is_given(waiting) {
                found.push(waiting.id);
            }
            found.len() < max
        })?;
        if !is_any && after.is_none_or(|after| after.0 == 0) {
            // All of it was pruned in the meantime: the next look need not walk again.
            self.with_unseen(|all| {
                if let Some(unseen) = all.accounts.get_mut(&account) {
                    unseen.first = None;
                    all.due.insert(account);
                }
            })?;
        }
        Ok(found)
    }

    /// Whether there is anything to look for.
    pub fn has_unseen(&self, account: AccountId) -> Result<bool, StoreError> {
        Ok(self.memory()?.unseen.first(account).is_some())
    }

    pub fn unseen_count(&self, account: AccountId) -> Result<usize, StoreError> {
        let mut count = 0;
        self.visit_unseen(account, None, &mut |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Somebody has these for sure: they are not given to the account again. Written with the next commit, or by
    /// `write_seen`.
    pub fn mark_seen(&mut self, account: AccountId, ids: &[ArchiveId]) -> Result<(), StoreError> {
        if ids.is_empty() || !self.add_seen(account, ids)? {
            return Ok(());
        }
        let mut first = None;
        self.visit_unseen(account, None, &mut |waiting| {
            first = Some(waiting.id.0);
            false
        })?;
        let many = self.with_unseen(|all| {
            let unseen = all.accounts.entry(account).or_default();
            unseen.first = first;
            unseen.seen = match first {
                Some(first) => unseen.seen.split_off(&first),
                None => BTreeSet::new(),
            };
            let many = unseen.seen.len() > SEEN_MAX;
            all.due.insert(account);
            many
        })?;
        if many { self.write_seen() } else { Ok(()) }
    }

    /// False: all of them are seen already.
    fn add_seen(&mut self, account: AccountId, ids: &[ArchiveId]) -> Result<bool, StoreError> {
        self.with_unseen(|all| {
            let Some(unseen) = all.accounts.get_mut(&account) else {
                return false;
            };
            let Some(first) = unseen.first else {
                return false;
            };
            if let Some(earliest) = ids.iter().min() {
                all.passed.back_to(earliest.0);
            }
            let later = ids.iter().map(|id| id.0).filter(|id| *id >= first);
            unseen.seen.extend(later);
            !unseen.seen.is_empty()
        })
    }

    pub(super) fn with_unseen<T>(
        &self,
        work: impl FnOnce(&mut UnseenOfAll) -> T,
    ) -> Result<T, StoreError> {
        self.load_memory()?;
        let mut memory = self.shared.memory.borrow_mut();
        Ok(work(&mut memory.as_mut().expect("loaded above").unseen))
    }

    /// True while `mark_seen` said more than is written.
    pub fn has_seen_to_write(&self) -> Result<bool, StoreError> {
        Ok(!self.memory()?.unseen.due.is_empty())
    }

    /// Writes what `mark_seen` said.
    pub fn write_seen(&mut self) -> Result<(), StoreError> {
        let due = self.with_unseen(|all| std::mem::take(&mut all.due))?;
        for account in due {
            let (first, seen, written) = self.with_unseen(|all| {
                let unseen = all.accounts.entry(account).or_default();
                let told = (
                    unseen.first,
                    std::mem::take(&mut unseen.seen),
                    unseen.written,
                );
                unseen.written = unseen.first;
                if unseen.first.is_none() {
                    all.accounts.remove(&account);
                }
                told
            })?;
            for sequence in seen {
                self.write_seen_row(account, sequence)?;
            }
            if first == written {
                continue;
            }
            let Writing { txn, .. } = self.writing()?;
            let mut table = txn.open_table(UNSEEN_FROM)?;
            match first {
                Some(first) => table.insert(account.0, first)?,
                None => table.remove(account.0)?,
            };
        }
        Ok(())
    }

    /// The stanza's row and its index rows say that it was seen.
    fn write_seen_row(&mut self, account: AccountId, sequence: u64) -> Result<(), StoreError> {
        let stanzas = self.view(STANZAS)?;
        let row = Walk::new(&stanzas, false).find(sequence)?;
        let row = row.map(|row| row.value().to_vec());
        drop(stanzas);
        let Some(bytes) = row else { return Ok(()) };
        let mut stanza = StanzaRow::decode(&bytes)?;
        let of_account = |owner: &&mut Owner| {
            owner.account == account && owner.direction != Direction::Sent && owner.unseen
        };
        let Some(owner) = stanza.owners.iter_mut().find(of_account) else {
            return Ok(());
        };
        owner.unseen = false;
        let owner = *owner;
        let (flags, peer) = (stanza.held(&owner), peer_hash(stanza.peer(account)));
        let bytes = stanza.encode();
        let Writing { txn, mut memory } = self.writing()?;
        memory.settle_moving(txn, sequence)?;
        txn.open_table(STANZAS)?
            .insert(sequence, bytes.as_slice())?;
        if !memory.change_row((account, sequence), |_| flags, None) {
            txn.open_table(ARCHIVE)?
                .insert((account.0, sequence), flags)?;
            txn.open_table(ARCHIVE_WITH)?
                .insert((account.0, peer, sequence), flags)?;
        }
        Ok(())
    }

    fn visit_unseen(
        &self,
        account: AccountId,
        after: Option<ArchiveId>,
        visit: &mut dyn FnMut(Waiting) -> bool,
    ) -> Result<(), StoreError> {
        let memory = self.memory()?;
        let Some(first) = memory.unseen.first(account) else {
            return Ok(());
        };
        let mut span = Span {
            from: first,
            ..Span::ALL
        };
        span.cut(after, None);
        self.visit(account, None, span, false, &mut |row| {
            let is_seen = !is_unseen(row.held) || memory.unseen.is_seen(account, row.sequence);
            let waiting = Waiting {
                id: ArchiveId(row.sequence),
                is_archived: !is_passing(row.held),
            };
            Ok(is_seen || visit(waiting))
        })?;
        Ok(())
    }
}
