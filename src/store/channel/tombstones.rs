//! What is kept of channels that were destroyed, so that nobody else takes their address (XEP-0045 §10.9).
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::CHANNEL_TOMBSTONES;
use crate::store::{StoreError, Tx, Writing};
use crate::xmpp::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TombstoneRow {
    pub at: Timestamp,
    /// Bare JIDs of those who owned it.
    pub owners: Vec<String>,
    /// The JID to go to instead; empty: none.
    pub instead: String,
    pub reason: String,
}

impl Tx {
    /// `name`: the local part of the address.
    pub fn tombstone(&self, name: &str) -> Result<Option<TombstoneRow>, StoreError> {
        let table = self.view(CHANNEL_TOMBSTONES)?;
        let row = table.get(name)?;
        row.map(|row| decode(row.value())).transpose()
    }

    pub fn tombstones(&self) -> Result<Vec<(String, TombstoneRow)>, StoreError> {
        let table = self.view(CHANNEL_TOMBSTONES)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (name, row) = row?;
            Ok((name.value().to_string(), decode(row.value())?))
        })
        .collect()
    }

    /// `None`: there is none any more.
    pub fn set_tombstone(
        &mut self,
        name: &str,
        row: Option<&TombstoneRow>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNEL_TOMBSTONES)?;
        match row {
            Some(row) => table.insert(name, encode(row).as_slice()),
            None => table.remove(name),
        }
    }
}

pub(in crate::store) fn encode(row: &TombstoneRow) -> Vec<u8> {
    Encoder::default()
        .time(row.at)
        .texts(&row.owners)
        .text(&row.instead)
        .text(&row.reason)
        .done()
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<TombstoneRow, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(TombstoneRow {
        at: row.time()?,
        owners: row.texts()?,
        instead: row.text()?.into(),
        reason: row.text()?.into(),
    })
}
