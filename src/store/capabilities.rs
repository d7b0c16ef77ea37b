//! What clients want to hear of, by verified hash (XEP-0115, XEP-0390): a session that is there after a restart is not asked
//! again.
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::engine::table::WriteTransaction;
use crate::store::schema::CAPABILITIES;
use crate::store::{StoreError, Tx};

impl Tx {
    /// All that is known: hash and nodes.
    pub fn capabilities(&self) -> Result<Vec<(String, Vec<String>)>, StoreError> {
        let table = self.view(CAPABILITIES)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (id, nodes) = row?;
            let nodes = Decoder::new(nodes.value()).texts()?;
            Ok((id.value().to_string(), nodes))
        })
        .collect()
    }

    pub fn set_capabilities(&mut self, id: &str, nodes: &[Box<str>]) -> Result<(), StoreError> {
        let row = nodes.iter();
        let row = row.fold(Encoder::default().length(nodes.len()), |row, node| {
            row.text(node)
        });
        let writing = self.writing()?;
        let mut table = writing.txn.open_table(CAPABILITIES)?;
        table.insert(id, row.done().as_slice())
    }

    pub fn forget_capabilities(&mut self, id: &str) -> Result<(), StoreError> {
        let writing = self.writing()?;
        writing.txn.open_table(CAPABILITIES)?.remove(id)
    }
}

/// Rows hold only what was gone by when they were written: where that is more now, clients are asked anew.
pub(super) fn forget_all(txn: &mut WriteTransaction) -> Result<(), StoreError> {
    txn.open_table(CAPABILITIES)?.retain_in(.., |_, _| false)
}
