//! Taking stanzas out of archives: the tables it takes, open for one step.
use std::collections::BTreeMap;

use super::super::index::Memory;
use super::super::search::forget::{self, Gone};
use super::super::stanza::{StanzaRow, peer_hash};
use super::change_bytes;
use crate::store::engine::table::{Table, WriteTransaction};
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH, RELATED, STANZAS};
use crate::store::{Owner, StoreError};

pub struct Removal<'t> {
    stanzas: Table<'t, u64, &'static [u8]>,
    archive: Table<'t, (u32, u64), u8>,
    archive_with: Table<'t, (u32, u64, u64), u8>,
    related: Table<'t, (u32, u64, u64), u8>,
    /// What archives have more or less than before.
    bytes: BTreeMap<u32, i64>,
    gone: Gone,
}

impl<'t> Removal<'t> {
    /// What is to be removed must be in the tables.
    pub fn begin(txn: &'t WriteTransaction) -> Result<Removal<'t>, StoreError> {
        Ok(Removal {
            stanzas: txn.open_table(STANZAS)?,
            archive: txn.open_table(ARCHIVE)?,
            archive_with: txn.open_table(ARCHIVE_WITH)?,
            related: txn.open_table(RELATED)?,
            bytes: BTreeMap::new(),
            gone: Gone::new(),
        })
    }

    /// Out of every archive.
    pub fn remove(&mut self, memory: &mut Memory, sequence: u64) -> Result<(), StoreError> {
        self.take(memory, sequence, &|_| true)
    }

    /// Out of one archive; it stays while another one holds it.
    pub fn disown(
        &mut self,
        memory: &mut Memory,
        account: u32,
        sequence: u64,
    ) -> Result<(), StoreError> {
        // Also of one that is gone or damaged.
        self.note_gone(account, sequence);
        self.archive.remove((account, sequence))?;
        self.take(memory, sequence, &|owner| owner.account.0 == account)
    }

    fn take(
        &mut self,
        memory: &mut Memory,
        sequence: u64,
        loses: &dyn Fn(&Owner) -> bool,
    ) -> Result<(), StoreError> {
        let row = self.stanzas.get(sequence);
        let row = match row.map(|row| row.map(|row| row.value().to_vec())) {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            // Whose it was, nobody can tell any more; what points at it finds nothing.
            Err(StoreError::Damaged { .. }) => return self.stanzas.remove(sequence),
            Err(error) => return Err(error),
        };
        let mut stanza = StanzaRow::decode(&row)?;
        for owner in stanza.owners.iter().filter(|owner| loses(owner)) {
            self.note_gone(owner.account.0, sequence);
        }
        let weight = stanza.weight().cast_signed();
        for owner in stanza.owners.iter().filter(|owner| loses(owner)) {
            let (account, peer) = (owner.account.0, peer_hash(stanza.peer(owner.account)));
            self.archive.remove((account, sequence))?;
            self.archive_with.remove((account, peer, sequence))?;
            let done_to_it = (account, sequence, 0)..=(account, sequence, u64::MAX);
            self.related.retain_in(done_to_it, |_, _| false)?;
            *self.bytes.entry(account).or_default() -= weight;
        }
        stanza.owners.retain(|owner| !loses(owner));
        if stanza.owners.is_empty() {
            memory.changed(sequence, row.len(), None);
            return self.stanzas.remove(sequence);
        }
        let left = stanza.encode();
        memory.changed(sequence, row.len(), Some(left.len()));
        self.stanzas.insert(sequence, left.as_slice())
    }

    fn note_gone(&mut self, account: u32, sequence: u64) {
        let gone = self.gone.entry(account).or_insert((sequence, sequence));
        *gone = (gone.0.min(sequence), gone.1.max(sequence));
    }

    pub fn finish(self, txn: &WriteTransaction, memory: &Memory) -> Result<(), StoreError> {
        let bytes = self.bytes;
        drop((self.stanzas, self.archive, self.archive_with, self.related));
        change_bytes(txn, &bytes)?;
        forget::note(txn, &self.gone)?;
        memory.save(txn)
    }
}
