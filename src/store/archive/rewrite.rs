//! A kept stanza that says something else from now on: what was retracted (XEP-0424 §5). Its place and its id stay.
use std::collections::BTreeMap;

use super::ArchiveId;
use super::retention::bytes;
use super::stanza::StanzaRow;
use crate::store::schema::STANZAS;
use crate::store::{StoreError, Tx, Writing, scrub};

impl Tx {
    /// False: it is not there.
    pub fn rewrite_stanza(&mut self, id: ArchiveId, xml: &str) -> Result<bool, StoreError> {
        let Writing { txn, mut memory } = self.writing()?;
        memory.settle(txn, id.0)?;
        let mut table = txn.open_table(STANZAS)?;
        let Some(row) = table.get(id.0)?.map(|row| row.value().to_vec()) else {
            return Ok(false);
        };
        let stanza = StanzaRow::decode(&row)?;
        let before = stanza.weight().cast_signed();
        let owners: Vec<u32> = stanza.owners.iter().map(|owner| owner.account.0).collect();
        let now = StanzaRow { xml, ..stanza };
        let change = now.weight().cast_signed() - before;
        let bytes = now.encode();
        memory.changed(row.len(), Some(bytes.len()));
        table.insert(id.0, bytes.as_slice())?;
        drop(table);
        let changes: BTreeMap<u32, i64> = owners.iter().map(|owner| (*owner, change)).collect();
        bytes::change(txn, &changes)?;
        memory.save(txn)?;
        scrub::want(txn)?;
        for owner in owners {
            txn.wrote_for(crate::store::AccountId(owner));
        }
        Ok(true)
    }
}
