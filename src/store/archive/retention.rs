//! What leaves the archive: the oldest stanzas of all, and what deleted accounts left behind. Always in small steps, and
//! no id is ever given twice.
use crate::xmpp::Timestamp;

use super::stanza::{StanzaRow, peer_hash};
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH, PURGE, STANZAS};
use crate::store::{StoreError, Tx, Writing};

/// How old stanzas are at least, whatever clock stamped them: what came before another is not younger.
struct Ages {
    /// Where the clock was set back, and to what.
    latest: Vec<(u64, Timestamp)>,
}

impl Ages {
    fn of(&self, sequence: u64, at: Timestamp) -> Timestamp {
        let later = self.latest.iter().filter(|(from, _)| *from > sequence);
        later
            .map(|(_, time)| *time)
            .min()
            .map_or(at, |latest| latest.min(at))
    }
}

impl Tx {
    /// Removes up to `rows_max` of the oldest stanzas of the whole store that are older than `before` (or, with `None`,
    /// whatever is oldest), with all their index rows. Returns how many. Ids are never reused.
    pub fn prune_oldest(
        &mut self,
        before: Option<Timestamp>,
        rows_max: usize,
    ) -> Result<usize, StoreError> {
        let ages = self.ages()?;
        let is_due = |sequence, at| before.is_none_or(|before| ages.of(sequence, at) < before);
        let oldest = self.oldest()?;
        if rows_max == 0 || !oldest.is_some_and(|(sequence, at)| is_due(sequence, at)) {
            return Ok(0);
        }
        let Writing { txn, mut memory } = self.writing()?;
        let mut stanzas = txn.open_table(STANZAS)?;
        let mut archive = txn.open_table(ARCHIVE)?;
        let mut archive_with = txn.open_table(ARCHIVE_WITH)?;
        let mut removed = 0;
        while removed < rows_max {
            let first = stanzas.first()?;
            let first = first.map(|(key, row)| (key.value(), row.map(|row| row.value().to_vec())));
            let Some((sequence, row)) = first else {
                break;
            };
            let Some(row) = row else {
                // Whose it was, nobody can tell any more; what points at it finds nothing.
                stanzas.remove(sequence)?;
                removed += 1;
                continue;
            };
            let stanza = StanzaRow::decode(&row)?;
            if !is_due(sequence, stanza.at) {
                break;
            }
            if !memory.is_settled(sequence) {
                drop((archive, archive_with));
                memory.checkpoint(txn)?;
                archive = txn.open_table(ARCHIVE)?;
                archive_with = txn.open_table(ARCHIVE_WITH)?;
            }
            for owner in &stanza.owners {
                let (account, peer) = (owner.account.0, peer_hash(stanza.peer(owner.account)));
                archive.remove((account, sequence))?;
                archive_with.remove((account, peer, sequence))?;
            }
            memory.changed(row.len(), None);
            stanzas.remove(sequence)?;
            removed += 1;
        }
        memory.save(txn)?;
        Ok(removed)
    }

    fn oldest(&self) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let first = stanzas.range(0..)?.next().transpose()?;
        first
            .map(|(key, row)| Ok((key.value(), StanzaRow::time_of(row.value())?)))
            .transpose()
    }

    fn ages(&self) -> Result<Ages, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let mut latest = Vec::new();
        for span in self.memory()?.spans_of_time().into_iter().skip(1) {
            let first = stanzas.range(span.from..)?.next().transpose()?;
            if let Some((_, row)) = first {
                latest.push((span.from, StanzaRow::time_of(row.value())?));
            }
        }
        Ok(Ages { latest })
    }

    /// Removes up to `rows_max` rows of deleted accounts' archives; true while there is more.
    pub fn purge_step(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        let Some(account) = self.first_to_purge()? else {
            return Ok(false);
        };
        let (mut ids, mut more) = (Vec::new(), false);
        for row in self
            .view(ARCHIVE)?
            .range((account, 0)..=(account, u64::MAX))?
        {
            if ids.len() == rows_max {
                more = true;
                break;
            }
            ids.push(row?.0.value().1);
        }
        for id in ids {
            self.disown(account, id)?;
        }
        let Writing { txn, memory } = self.writing()?;
        memory.save(txn)?;
        let mut purge = txn.open_table(PURGE)?;
        if !more {
            purge.remove(account)?;
        }
        Ok(purge.first()?.is_some())
    }

    fn first_to_purge(&self) -> Result<Option<u32>, StoreError> {
        let purge = self.view(PURGE)?;
        let first = purge.range(..)?.next().transpose()?;
        Ok(first.map(|(account, _)| account.value()))
    }

    /// Takes a stanza out of one archive; it stays while another one holds it.
    fn disown(&mut self, account: u32, id: u64) -> Result<(), StoreError> {
        let Writing { txn, mut memory } = self.writing()?;
        txn.open_table(ARCHIVE)?.remove((account, id))?;
        let mut stanzas = txn.open_table(STANZAS)?;
        let row = stanzas
            .get(id)
            .map(|row| row.map(|row| row.value().to_vec()));
        let bytes = match row {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            // Of no use to those either whose it was beside.
            Err(StoreError::Damaged { .. }) => return stanzas.remove(id),
            Err(error) => return Err(error),
        };
        let mut stanza = StanzaRow::decode(&bytes)?;
        let peer = peer_hash(stanza.peer(super::AccountId(account)));
        txn.open_table(ARCHIVE_WITH)?.remove((account, peer, id))?;
        stanza.owners.retain(|owner| owner.account.0 != account);
        if stanza.owners.is_empty() {
            stanzas.remove(id)?;
            memory.changed(bytes.len(), None);
        } else {
            let left = stanza.encode();
            stanzas.insert(id, left.as_slice())?;
            memory.changed(bytes.len(), Some(left.len()));
        }
        Ok(())
    }
}
