//! What an absent account has not been given (XEP-0160): a position in its archive, not a second copy. `unseen_from` says
//! from where on to look; it is written when an absence begins and when what waited is given.
use super::archive::read;
use super::index::Span;
use super::schema::{ARCHIVE, ARCHIVE_WITH, STANZAS, UNSEEN_FROM};
use super::stanza::{StanzaRow, held, is_unseen, peer_hash};
use super::{AccountId, ArchiveId, Direction, Owner, StoreError, Stored, Tx, Writing};

impl Tx {
    /// Up to `max` unseen stanzas of an account after `after`, oldest first. Costs nothing for an account that has none.
    pub fn unseen(
        &self,
        account: AccountId,
        after: Option<ArchiveId>,
        max: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        if max == 0 {
            return Ok(Vec::new());
        }
        self.visit_unseen(account, after, &mut |sequence| {
            found.push(sequence);
            found.len() < max
        })?;
        if found.is_empty() && after.is_none() {
            // Pruned in the meantime: the next look need not walk again.
            if let Some(memory) = self.shared.memory.borrow_mut().as_mut() {
                memory.unseen_from.remove(&account);
            }
        }
        let stanzas = self.view(STANZAS)?;
        found.into_iter().map(|id| read(&stanzas, id)).collect()
    }

    pub fn unseen_count(&self, account: AccountId) -> Result<usize, StoreError> {
        let mut count = 0;
        self.visit_unseen(account, None, &mut |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// All unseen up to and including this id have been delivered.
    pub fn mark_seen(&mut self, account: AccountId, up_to: ArchiveId) -> Result<(), StoreError> {
        let first = self.memory()?.unseen_from.get(&account).copied();
        if first.is_none_or(|first| first > up_to.0) {
            return Ok(());
        }
        let mut next = None;
        self.visit_unseen(account, Some(up_to), &mut |sequence| {
            next = Some(sequence);
            false
        })?;
        let Writing { txn, mut memory } = self.writing()?;
        let mut table = txn.open_table(UNSEEN_FROM)?;
        match next {
            Some(next) => {
                memory.unseen_from.insert(account, next);
                table.insert(account.0, next)?;
            }
            None => {
                memory.unseen_from.remove(&account);
                table.remove(account.0)?;
            }
        }
        Ok(())
    }

    /// A session is gone that was given these and never said that it got them: they wait like those that came while
    /// nobody was there.
    pub fn mark_unseen(&mut self, account: AccountId, ids: &[ArchiveId]) -> Result<(), StoreError> {
        for id in ids {
            let row = self
                .view(STANZAS)?
                .get(id.0)?
                .map(|row| row.value().to_vec());
            let Some(bytes) = row else { continue };
            let mut stanza = StanzaRow::decode(&bytes)?;
            let of_account = |owner: &&mut Owner| {
                owner.account == account && owner.direction == Direction::Received
            };
            let Some(owner) = stanza.owners.iter_mut().find(of_account) else {
                continue;
            };
            owner.unseen = true;
            let (flags, peer) = (held(owner), peer_hash(stanza.peer(account)));
            let bytes = stanza.encode();
            let Writing { txn, mut memory } = self.writing()?;
            txn.open_table(STANZAS)?.insert(id.0, bytes.as_slice())?;
            if !memory.set_held(account, id.0, flags) {
                txn.open_table(ARCHIVE)?.insert((account.0, id.0), flags)?;
                txn.open_table(ARCHIVE_WITH)?
                    .insert((account.0, peer, id.0), flags)?;
            }
            let first = memory
                .unseen_from
                .get(&account)
                .map_or(id.0, |first| id.0.min(*first));
            memory.unseen_from.insert(account, first);
            txn.open_table(UNSEEN_FROM)?.insert(account.0, first)?;
        }
        Ok(())
    }

    fn visit_unseen(
        &self,
        account: AccountId,
        after: Option<ArchiveId>,
        visit: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), StoreError> {
        let first = self.memory()?.unseen_from.get(&account).copied();
        let Some(first) = first else {
            return Ok(());
        };
        let mut span = Span {
            from: first,
            ..Span::ALL
        };
        span.cut(after, None);
        self.visit(account, None, span, false, &mut |row| {
            Ok(!is_unseen(row.held) || visit(row.sequence))
        })
    }
}
