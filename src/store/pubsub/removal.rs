//! What nodes, purges and accounts left behind goes in small steps.
use crate::store::engine::table::{TableDefinition, WriteTransaction};
use crate::store::schema::{
    PUBSUB_GONE, PUBSUB_ITEM_IDS, PUBSUB_ITEMS, PUBSUB_RELATED, PUBSUB_RELATED_BY, RELATED,
};
use crate::store::{StoreError, Tx, Writing};

impl Tx {
    /// Removes up to `rows_max` rows of nodes that are gone, or of their items; true while there is more.
    pub fn remove_gone_step(&mut self, rows_max: usize) -> Result<bool, StoreError> {
        let gone = self.view(PUBSUB_GONE)?;
        let first = gone.range(..)?.next().transpose()?;
        let Some(((owner, number), all)) = first.map(|(key, all)| (key.value(), all.value()))
        else {
            return Ok(false);
        };
        drop(gone);
        let mut left = rows_max;
        if all != 0 {
            left -= self.forget_relations(owner, number, left)?;
        }
        let prefix = [&owner.to_be_bytes()[..], &number.to_be_bytes()].concat();
        let Writing { txn, .. } = self.writing()?;
        for table in [PUBSUB_ITEMS.name(), PUBSUB_ITEM_IDS.name()] {
            left -= sweep(txn, table, &prefix, left)?;
        }
        if left > 0 {
            txn.open_table(PUBSUB_GONE)?.remove((owner, number))?;
        }
        Ok(true)
    }

    /// Both rows of each.
    fn forget_relations(
        &mut self,
        owner: u32,
        number: u64,
        rows_max: usize,
    ) -> Result<usize, StoreError> {
        let related = self.view(PUBSUB_RELATED)?;
        let rows = related.range((owner, number, "")..(owner, number + 1, ""))?;
        let jids = rows.take(rows_max).map(|row| Ok(row?.0.value().2.into()));
        let jids: Vec<Box<str>> = jids.collect::<Result<_, StoreError>>()?;
        drop(related);
        let Writing { txn, .. } = self.writing()?;
        for jid in &jids {
            txn.open_table(PUBSUB_RELATED)?
                .remove((owner, number, jid))?;
            txn.open_table(PUBSUB_RELATED_BY)?
                .remove((owner, jid, number))?;
        }
        Ok(jids.len())
    }

    /// Removes up to `rows_max` rows that a deleted account left here; returns how many.
    pub(in crate::store) fn remove_left_by(
        &mut self,
        account: u32,
        rows_max: usize,
    ) -> Result<usize, StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut left = rows_max;
        for table in [
            RELATED.name(),
            PUBSUB_ITEMS.name(),
            PUBSUB_ITEM_IDS.name(),
            PUBSUB_RELATED.name(),
            PUBSUB_RELATED_BY.name(),
        ] {
            left -= sweep(txn, table, &account.to_be_bytes(), left)?;
        }
        Ok(rows_max - left)
    }
}

/// Removes the first rows whose keys begin so, and damaged ones between them; returns how many.
fn sweep(
    txn: &WriteTransaction,
    table: &'static str,
    prefix: &[u8],
    rows_max: usize,
) -> Result<usize, StoreError> {
    let rows = || -> TableDefinition<&'static [u8], &'static [u8]> { TableDefinition::new(table) };
    let view = txn.view(rows())?;
    let mut last = None;
    let mut count = 0;
    for row in view.range(prefix..)?.take(rows_max) {
        let key = row?.0.value().to_vec();
        if !key.starts_with(prefix) {
            break;
        }
        count += 1;
        last = Some(key);
    }
    drop(view);
    if let Some(last) = last {
        txn.open_table(rows())?
            .retain_in(prefix..=last.as_slice(), |_, _| false)?;
    }
    Ok(count)
}
