//! Invitations to a channel that hold good by themselves (XEP-0407 §3.3, XEP-0488): tokens, each used up in the end.
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::CHANNEL_INVITATIONS;
use crate::store::{StoreError, Tx, Writing};
use crate::xmpp::Timestamp;

use super::ChannelId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvitationRow {
    /// A bare JID.
    pub inviter: String,
    /// The bare JID it is for; empty: whoever has it.
    pub invitee: String,
    pub expires: Timestamp,
    /// So often it may still be used.
    pub uses: u32,
}

impl Tx {
    pub fn channel_invitations(
        &self,
        channel: ChannelId,
    ) -> Result<Vec<(String, InvitationRow)>, StoreError> {
        let table = self.view(CHANNEL_INVITATIONS)?;
        let end = (channel.0.saturating_add(1), "");
        let rows = table.range((channel.0, "")..end)?;
        rows.map(|row| {
            let (key, row) = row?;
            Ok((key.value().1.to_string(), decode(row.value())?))
        })
        .collect()
    }

    pub fn channel_invitation(
        &self,
        channel: ChannelId,
        token: &str,
    ) -> Result<Option<InvitationRow>, StoreError> {
        let table = self.view(CHANNEL_INVITATIONS)?;
        let row = table.get((channel.0, token))?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// `None`: it is gone.
    pub fn set_channel_invitation(
        &mut self,
        channel: ChannelId,
        token: &str,
        row: Option<&InvitationRow>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNEL_INVITATIONS)?;
        let Some(row) = row else {
            return table.remove((channel.0, token));
        };
        table.insert((channel.0, token), encode(row).as_slice())
    }
}

pub(in crate::store) fn encode(row: &InvitationRow) -> Vec<u8> {
    Encoder::default()
        .text(&row.inviter)
        .text(&row.invitee)
        .time(row.expires)
        .number(row.uses.into())
        .done()
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<InvitationRow, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(InvitationRow {
        inviter: row.text()?.into(),
        invitee: row.text()?.into(),
        expires: row.time()?,
        uses: row.number_u32()?,
    })
}
