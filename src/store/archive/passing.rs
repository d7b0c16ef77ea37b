//! What waits for an account whose archive is not to have it: its owner wants none of it (XEP-0441), its sender no permanent copy
//! (XEP-0334 §4.1), or it is no part of a conversation (XEP-0160 §3). It lies where all else that waits does, in the order of
//! arrival, is no part of the archive, and is removed some time after the account got it.
use super::retention::removal::Removal;
use super::stanza::StanzaRow;
use super::walk::Walk;
use super::{ArchiveId, Direction};
use crate::store::schema::{PASSING, STANZAS};
use crate::store::{AccountId, StoreError, Tx, Writing, scrub};
use crate::xmpp::Timestamp;

/// Rows that one step looks at for each that it may remove.
const LOOKED_AT_PER_ROW: usize = 8;

/// A row: an account, and what passes through.
pub type Passage = (u32, u64);

impl StanzaRow<'_> {
    pub(in crate::store) fn is_passing(&self, account: AccountId) -> bool {
        let mut owners = self.owners.iter();
        owners.any(|owner| owner.account == account && owner.direction == Direction::Passing)
    }
}

impl Tx {
    /// Whether a stanza only passes through to somebody.
    pub fn is_passing(&self, id: ArchiveId) -> Result<bool, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let Some(row) = Walk::new(&stanzas, false).find(id.0)? else {
            return Ok(false);
        };
        let owners = StanzaRow::decode(row.value())?.owners;
        let mut owners = owners.iter();
        Ok(owners.any(|owner| owner.direction == Direction::Passing))
    }

    /// Removes up to so many that came before a time and that nobody waits for. Returns where to go on; `None`: it is through.
    pub fn forget_passing(
        &mut self,
        before: Timestamp,
        (from, rows_max): (Option<Passage>, usize),
    ) -> Result<Option<Passage>, StoreError> {
        let mut places = Vec::new();
        for row in self.view(PASSING)?.range(from.unwrap_or_default()..)? {
            places.push(row?.0.value());
            if places.len() > rows_max.saturating_mul(LOOKED_AT_PER_ROW) {
                break;
            }
        }
        let is_more = places.len() > rows_max.saturating_mul(LOOKED_AT_PER_ROW);
        let mut next = places.pop_if(|_| is_more);
        let mut due = Vec::new();
        for place in places {
            if due.len() == rows_max {
                next = Some(place);
                break;
            }
            if self.has_passed(place.1, before)? {
                due.push(place);
            }
        }
        let Some(last) = due.iter().map(|(_, sequence)| *sequence).max() else {
            return Ok(next);
        };
        let Writing { txn, mut memory } = self.writing()?;
        memory.settle(txn, last)?;
        let mut removal = Removal::begin(txn)?;
        for (account, sequence) in &due {
            removal.disown(&mut memory, *account, *sequence)?;
        }
        removal.finish(txn, &memory)?;
        let mut table = txn.open_table(PASSING)?;
        for place in due {
            table.remove(place)?;
        }
        drop(table);
        scrub::want(txn)?;
        Ok(next)
    }

    fn has_passed(&self, sequence: u64, before: Timestamp) -> Result<bool, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let row = match stanzas.get(sequence) {
            Err(StoreError::Damaged { .. }) => return Ok(true),
            row => row?,
        };
        let Some(row) = row else { return Ok(true) };
        let stanza = StanzaRow::decode(row.value())?;
        let is_waited_for = self.memory()?.unseen.is_waited_for(&stanza, sequence);
        Ok(stanza.at < before && !is_waited_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Owner, Record, Store};
    use crate::xmpp::Jid;

    const ONE: AccountId = AccountId(1);
    const OTHER: AccountId = AccountId(2);

    fn append(tx: &mut Tx, at: i64, directions: &[(AccountId, Direction)]) -> ArchiveId {
        let jid = Jid::parse("a@x/r").unwrap();
        let owners = directions.iter().map(|(account, direction)| Owner {
            account: *account,
            direction: *direction,
            unseen: *direction == Direction::Passing,
        });
        let owners: Vec<Owner> = owners.collect();
        let record = Record {
            owners: &owners,
            from: &jid,
            to: &jid,
            at: Timestamp(at),
            xml: "<message><body>b</body></message>",
            act: None,
        };
        tx.append(&record).unwrap().id
    }

    fn all(tx: &Tx) -> Vec<ArchiveId> {
        let table = tx.view(PASSING).unwrap();
        let rows = table.range((0, 0)..).unwrap();
        rows.map(|row| ArchiveId(row.unwrap().0.value().1))
            .collect()
    }

    #[test]
    fn what_was_given_goes_in_steps_and_what_waits_stays() -> Result<(), StoreError> {
        let store = Store::open_backend(redb::backends::InMemoryBackend::new(), 1 << 20)?;
        let mut tx = store.begin();
        let alone: Vec<ArchiveId> = (0..30)
            .map(|at| append(&mut tx, at, &[(ONE, Direction::Passing)]))
            .collect();
        let both = [(ONE, Direction::Passing), (OTHER, Direction::Sent)];
        let shared = append(&mut tx, 40, &both);
        let late = append(&mut tx, 90, &[(ONE, Direction::Passing)]);
        let (waiting, given) = alone.split_first().unwrap();
        assert_eq!(all(&tx).len(), 32);
        assert!(
            tx.is_passing(shared)? && !tx.archived(ONE, shared)? && tx.archived(OTHER, shared)?
        );
        tx.mark_seen(ONE, given)?;
        tx.mark_seen(ONE, &[shared, late])?;
        let (mut from, mut steps) = (None, 0);
        loop {
            from = tx.forget_passing(Timestamp(50), (from, 3))?;
            steps += 1;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(steps, 11);
        assert_eq!(all(&tx), [*waiting, late]);
        for id in given {
            assert_eq!(tx.stanza(*id)?, None);
        }
        assert!(tx.stanza(shared)?.is_some() && !tx.is_passing(shared)?);
        assert_eq!(tx.unseen_count(ONE)?, 1);
        Ok(())
    }
}
