//! A kept stanza that says something else from now on: what was retracted (XEP-0424 §5). Its place and its id stay.
use std::collections::BTreeMap;

use super::ArchiveId;
use super::index::Memory;
use super::retention::bytes;
use super::search;
use super::stanza::{StanzaRow, peer_hash, with_kind};
use crate::store::engine::table::{Row, Table, WriteTransaction};
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH, STANZAS};
use crate::store::{AccountId, StoreError, Tx, Writing, scrub};
use crate::xmpp::relation::Kind;

impl Tx {
    /// False: it is not there.
    pub fn rewrite_stanza(&mut self, id: ArchiveId, xml: &str) -> Result<bool, StoreError> {
        let Writing { txn, mut memory } = self.writing()?;
        memory.settle_moving(txn, id.0)?;
        let mut table = txn.open_table(STANZAS)?;
        let Some(row) = table.get(id.0)?.map(|row| row.value().to_vec()) else {
            return Ok(false);
        };
        let stanza = StanzaRow::decode(&row)?;
        let before_xml = stanza.xml;
        let before = stanza.weight();
        let owners = stanza.owners.iter().map(|owner| {
            let account = owner.account;
            (account.0, peer_hash(stanza.peer(account)))
        });
        let owners: Vec<(u32, u64)> = owners.collect();
        let mut now = StanzaRow { xml, ..stanza };
        let kind = now.kind_told();
        now.noted_kind = Some(kind);
        let weight = now.weight();
        let bytes = now.encode();
        memory.changed(id.0, row.len(), Some(bytes.len()));
        table.insert(id.0, bytes.as_slice())?;
        drop(table);
        change_kinds((txn, &mut memory), (&owners, id.0), kind)?;
        let mut changes = BTreeMap::new();
        for (account, _) in &owners {
            let is_in_memory =
                memory.change_row((AccountId(*account), id.0), |held| held, Some(weight));
            if is_in_memory {
                continue;
            }
            if !memory.not_searched.holds(id.0) {
                search::forget::reword(txn, (*account, id), (before_xml, xml))?;
            }
            changes.insert(*account, weight.cast_signed() - before.cast_signed());
        }
        bytes::change(txn, &changes)?;
        memory.save(txn)?;
        scrub::want(txn)?;
        for (account, _) in owners {
            txn.wrote_for(AccountId(account));
        }
        Ok(true)
    }
}

/// In the index. `places`: accounts, and hashes of the other side.
pub(super) fn change_kinds(
    (txn, memory): (&WriteTransaction, &mut Memory),
    (places, sequence): (&[(u32, u64)], u64),
    kind: Kind,
) -> Result<(), StoreError> {
    for (account, peer) in places {
        let row = (AccountId(*account), sequence);
        if memory.change_row(row, |held| with_kind(held, kind), None) {
            continue;
        }
        let mut index = txn.open_table(ARCHIVE)?;
        change_kind(&mut index, (*account, sequence), kind)?;
        let mut index = txn.open_table(ARCHIVE_WITH)?;
        change_kind(&mut index, (*account, *peer, sequence), kind)?;
    }
    Ok(())
}

fn change_kind<K: Copy + for<'v> Row<View<'v> = K>>(
    index: &mut Table<'_, K, u8>,
    key: K,
    kind: Kind,
) -> Result<(), StoreError> {
    let held = index.get(key)?.map(|held| held.value());
    match held {
        Some(held) => index.insert(key, with_kind(held, kind)),
        None => Ok(()),
    }
}
