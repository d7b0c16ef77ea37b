//! Occupants of rooms (XEP-0045) whose sessions may be resumed after a restart in order: written when the server stops, taken
//! when it starts.
use crate::store::archive::ArchiveId;
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::{CHANNEL_LEFT, CHANNEL_OCCUPANTS};
use crate::store::{StoreError, Tx, Writing};

use super::ChannelId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OccupantRow {
    pub nick: String,
    /// As `channel` numbers them.
    pub role: u8,
    /// What it last said of itself.
    pub presence: String,
}

impl Tx {
    /// XEP-0437: what is archived from here on somebody has not seen. They are remembered as long as they are members.
    pub fn left_channel_at(
        &self,
        channel: ChannelId,
        jid: &str,
    ) -> Result<Option<ArchiveId>, StoreError> {
        let table = self.view(CHANNEL_LEFT)?;
        let row = table.get((channel.0, jid))?;
        Ok(row.map(|row| ArchiveId(row.value())))
    }

    pub fn set_left_channel_at(
        &mut self,
        channel: ChannelId,
        jid: &str,
        next: ArchiveId,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CHANNEL_LEFT)?
            .insert((channel.0, jid), next.0)
    }

    pub fn keep_occupant(
        &mut self,
        channel: ChannelId,
        jid: &str,
        row: &OccupantRow,
    ) -> Result<(), StoreError> {
        let bytes = Encoder::default()
            .text(&row.nick)
            .byte(row.role)
            .text(&row.presence)
            .done();
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CHANNEL_OCCUPANTS)?
            .insert((channel.0, jid), bytes.as_slice())
    }

    /// All that were kept, with channel and full JID.
    pub fn kept_occupants(&self) -> Result<Vec<(ChannelId, String, OccupantRow)>, StoreError> {
        let table = self.view(CHANNEL_OCCUPANTS)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (key, row) = row?;
            let (channel, jid) = key.value();
            let mut fields = Decoder::new(row.value());
            let row = OccupantRow {
                nick: fields.text()?.into(),
                role: fields.byte()?,
                presence: fields.text()?.into(),
            };
            Ok((ChannelId(channel), jid.to_string(), row))
        })
        .collect()
    }

    pub fn forget_kept_occupants(&mut self) -> Result<(), StoreError> {
        let kept = self.kept_occupants()?;
        if kept.is_empty() {
            return Ok(());
        }
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNEL_OCCUPANTS)?;
        for (channel, jid, _) in &kept {
            table.remove((channel.0, jid))?;
        }
        Ok(())
    }
}
