//! Stanzas of before it was noted what they do to each other: it is looked for later, in steps, while the server serves.
use super::super::stanza::StanzaRow;
use super::Named;
use super::names::NewNames;
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::{
    META, META_CHECKPOINT, META_RELATE_END, META_RELATE_FROM, RELATED, STANZAS, create_tables,
};
use crate::store::{StoreError, Tx, Writing};
use crate::xml::parse_stored;
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, act_of, says_an_act};

/// Stanzas between two lines in the log.
const PROGRESS_STANZAS: u64 = 100_000;

/// A file of before there were relations: names are written at once, what stanzas do is looked for later, in steps.
pub(in crate::store) fn begin_to_relate(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    create_tables(txn)?;
    let checkpoint = txn
        .view(META)?
        .get(META_CHECKPOINT)?
        .map_or(1, |row| row.value());
    let mut names = NewNames::default();
    let (mut first, mut end) = (None, 0);
    for row in txn.view(STANZAS)?.range(..)? {
        let Ok((key, row)) = row else { continue };
        let sequence = key.value();
        first.get_or_insert(sequence);
        if sequence / PROGRESS_STANZAS != end / PROGRESS_STANZAS {
            log::info!("store.upgrade stanza={sequence}");
        }
        end = sequence + 1;
        // Those behind are read when the file is opened.
        if sequence < checkpoint {
            names.add(sequence, StanzaRow::decode(row.value())?.xml);
        }
    }
    names.settle(txn)?;
    if let Some(first) = first {
        let mut meta = txn.open_table(META)?;
        meta.insert(META_RELATE_FROM, first)?;
        meta.insert(META_RELATE_END, end)?;
    }
    Ok(())
}

impl Tx {
    /// Notes the relations of up to `max` stanzas of before this was done. False: all are noted.
    pub fn relate_step(&mut self, max: usize) -> Result<bool, StoreError> {
        let number = |tx: &Tx, key| -> Result<Option<u64>, StoreError> {
            Ok(tx.view(META)?.get(key)?.map(|row| row.value()))
        };
        let ends = number(self, META_RELATE_FROM)?.zip(number(self, META_RELATE_END)?);
        let Some((from, end)) = ends.filter(|(from, end)| from < end) else {
            return Ok(false);
        };
        let stanzas = self.view(STANZAS)?;
        let rows = stanzas.range(from..end)?.flatten().take(max);
        let rows: Vec<_> = rows
            .map(|(key, row)| (key.value(), row.value().to_vec()))
            .collect();
        drop(stanzas);
        let next = match rows.last() {
            Some((last, _)) if rows.len() == max => last + 1,
            _ => end,
        };
        for (sequence, row) in rows {
            self.relate(sequence, &row)?;
        }
        let Writing { txn, .. } = self.writing()?;
        let mut meta = txn.open_table(META)?;
        match next < end {
            true => meta.insert(META_RELATE_FROM, next)?,
            false => {
                meta.remove(META_RELATE_FROM)?;
                meta.remove(META_RELATE_END)?;
            }
        }
        if next >= end {
            log::info!("archive.related stanzas_before={end}");
        } else if from / PROGRESS_STANZAS != next / PROGRESS_STANZAS {
            log::info!("archive.relating stanza={next} of={end}");
        }
        Ok(next < end)
    }

    fn relate(&mut self, sequence: u64, row: &[u8]) -> Result<(), StoreError> {
        let stanza = StanzaRow::decode(row)?;
        if stanza.relation.is_some() || !says_an_act(stanza.xml) {
            return Ok(());
        }
        let Ok(element) = parse_stored(stanza.xml, ns::CLIENT) else {
            return Ok(());
        };
        let Some((act, name)) = act_of(element.root()) else {
            return Ok(());
        };
        let Some(relation) = self.relation_of(&stanza, sequence, (act, Named::Id(&name)))? else {
            return Ok(());
        };
        let owners: Vec<u32> = stanza.owners.iter().map(|owner| owner.account.0).collect();
        let Writing { txn, mut memory } = self.writing()?;
        for owner in owners {
            let key = (owner, relation.target.0, sequence);
            txn.open_table(RELATED)?.insert(key, act.number())?;
        }
        // What is done to a correction is done to what it corrects: of this the row itself tells.
        if act == Act::Corrects {
            memory.settle(txn, sequence)?;
            let now = StanzaRow {
                relation: Some(relation),
                ..stanza
            };
            let bytes = now.encode();
            memory.changed(row.len(), Some(bytes.len()));
            txn.open_table(STANZAS)?
                .insert(sequence, bytes.as_slice())?;
            memory.save(txn)?;
        }
        Ok(())
    }
}
