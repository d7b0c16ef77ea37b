//! What a reading of all rows comes by: the whole ones are handed over, the others counted by table and by owner.
use std::collections::{BTreeMap, BTreeSet};

use super::Take;
use super::findings::{Damage, Findings};
use super::salvage::Seen;
use crate::store::accounts::decode_account;
use crate::store::archive::stanza::StanzaRow;
use crate::store::engine::table::Row;
use crate::store::schema::{ACCOUNTS, ARCHIVE, META, SECRETS, STANZAS};
use crate::store::{Owner, StoreError};

/// So many damaged messages, or stretches of them, are told apart by owner.
const LOST_MAX: usize = 1 << 16;

/// Rows on their way to whoever takes them, and what is told of the others.
pub struct Reading<'t> {
    pub take: &'t mut dyn Take,
    total: u64,
    pub findings: Findings,
    names: BTreeMap<u32, String>,
    /// By table and account, how many rows.
    counts: BTreeMap<(&'static str, Option<u32>), u64>,
    /// Sequences of messages that are gone: from, up to.
    lost: Vec<(u64, u64)>,
}

impl Reading<'_> {
    /// Of so many rows.
    pub fn new(take: &mut dyn Take, total: u64) -> Reading<'_> {
        Reading {
            take,
            total,
            findings: Findings::default(),
            names: BTreeMap::new(),
            counts: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    pub fn see(&mut self, table: &'static str, seen: Seen<'_>) -> Result<(), StoreError> {
        const TOLD_EACH: u64 = 1 << 10;
        match seen {
            Seen::Row { key, value } => {
                self.findings.rows += 1;
                if self.findings.rows.is_multiple_of(TOLD_EACH) {
                    self.take.progress(self.findings.rows, self.total)?;
                }
                self.note(table, key, value);
                self.take.row(key, value)
            }
            Seen::Damaged { key, value } => {
                self.damaged(table, key, value);
                Ok(())
            }
            Seen::Gap { after, before } => {
                self.gap(table, after, before);
                Ok(())
            }
        }
    }

    /// What is needed to say whose something else is.
    fn note(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        if table == ACCOUNTS.name() {
            if let Ok(account) = decode_account(value) {
                self.names
                    .insert(account.id.0, <&str>::decode(key).to_string());
            }
        } else if table == ARCHIVE.name() && !self.lost.is_empty() {
            let (account, sequence) = <(u32, u64)>::decode(key);
            let is_lost = |(from, to): &(u64, u64)| (*from..=*to).contains(&sequence);
            if self.lost.iter().any(is_lost) {
                self.count(STANZAS.name(), Some(account), 1);
            }
        }
    }

    fn damaged(&mut self, table: &'static str, key: &[u8], value: &[u8]) {
        if table == STANZAS.name() {
            let sequence = u64::decode(key);
            self.lose(sequence, sequence);
            // Those that are in no index yet say themselves whose they are, if anything of them is right.
            let owners = StanzaRow::decode(value).map(|row| row.owners);
            let known = owners.ok().filter(|owners| {
                let is_known = |owner: &Owner| self.names.contains_key(&owner.account.0);
                owners.iter().all(is_known)
            });
            self.count(table, None, 1);
            for owner in known.unwrap_or_default() {
                self.count(table, Some(owner.account.0), 0);
            }
            return;
        }
        self.count(table, account_of(table, key), 1);
    }

    fn gap(&mut self, table: &'static str, after: &[u8], before: Option<&[u8]>) {
        if table == STANZAS.name() {
            let to = before.map_or(u64::MAX, |key| u64::decode(key).saturating_sub(1));
            self.lose(u64::decode(after).saturating_add(1), to);
        }
        let first = account_of(table, after);
        let last = before.and_then(|key| account_of(table, key));
        let (Some(first), true) = (first, account_of(table, &[0; 4]).is_some()) else {
            return self.count(table, None, 0);
        };
        let last = last.unwrap_or(u32::MAX);
        let within: Vec<u32> = self
            .names
            .range(first..=last.max(first))
            .map(|(id, _)| *id)
            .collect();
        match within.is_empty() {
            true => self.count(table, None, 0),
            false => within
                .into_iter()
                .for_each(|id| self.count(table, Some(id), 0)),
        }
    }

    /// So many more rows should have been there.
    pub fn miss(&mut self, table: &'static str, rows: u64) {
        let told = |((name, _), count): (&(&str, _), &u64)| (*name == table).then_some(*count);
        let told: u64 = self.counts.iter().filter_map(told).sum();
        if rows > told {
            self.count(table, None, rows - told);
        }
    }

    fn lose(&mut self, from: u64, to: u64) {
        if self.lost.len() < LOST_MAX {
            self.lost.push((from, to));
        }
    }

    pub fn count(&mut self, table: &'static str, account: Option<u32>, rows: u64) {
        *self.counts.entry((table, account)).or_default() += rows;
    }

    pub fn done(mut self) -> Findings {
        let owned: BTreeSet<&str> = self
            .counts
            .keys()
            .filter(|(_, account)| account.is_some())
            .map(|(table, _)| *table)
            .collect();
        for ((table, account), rows) in &self.counts {
            // Messages are counted as such, and once more for each whose they are.
            if account.is_none() && *table != STANZAS.name() && *rows == 0 && owned.contains(table)
            {
                continue;
            }
            let name = account.map(|id| {
                let name = self.names.get(&id).cloned();
                name.unwrap_or_else(|| format!("account number {id}"))
            });
            self.findings.damage.push(Damage {
                table,
                account: name,
                rows: *rows,
            });
        }
        self.findings
    }
}

/// Keys of most tables begin with the account's number.
fn account_of(table: &str, key: &[u8]) -> Option<u32> {
    let others = [META.name(), SECRETS.name(), ACCOUNTS.name(), STANZAS.name()];
    match others.contains(&table) {
        true => None,
        false => key.first_chunk().copied().map(u32::from_be_bytes),
    }
}
