//! Who is behind a stable participant id (XEP-0369 §4.2), also when they have left.
use crate::store::schema::CHANNEL_IDS;
use crate::store::{StoreError, Tx, Writing};

use super::ChannelId;

impl Tx {
    /// The bare JID.
    pub fn behind_id(&self, channel: ChannelId, id: &str) -> Result<Option<String>, StoreError> {
        let table = self.view(CHANNEL_IDS)?;
        let row = table.get((channel.0, id))?;
        Ok(row.map(|row| row.value().to_string()))
    }

    pub fn note_id(&mut self, channel: ChannelId, id: &str, jid: &str) -> Result<(), StoreError> {
        if self.behind_id(channel, id)?.is_some() {
            return Ok(());
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CHANNEL_IDS)?.insert((channel.0, id), jid)
    }
}
