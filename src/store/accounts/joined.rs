//! The channels that accounts take part in, wherever they are (XEP-0405): known by this, whatever the roster says.
use crate::store::engine::codec::{Decoder, Encoder, damaged};
use crate::store::schema::CHANNELS_JOINED;
use crate::store::{AccountId, StoreError, Tx, Writing, texts_of};
use crate::xmpp::BareJid;

/// What an account is in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinedChannel {
    /// The stable participant id (XEP-0369 §3.2); empty: the channel told none.
    pub participant: String,
}

impl Tx {
    pub fn joined_channel(
        &self,
        account: AccountId,
        channel: &BareJid,
    ) -> Result<Option<JoinedChannel>, StoreError> {
        let table = self.view(CHANNELS_JOINED)?;
        let row = table.get((account.0, channel.as_str()))?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// All of an account, in order of JID.
    pub fn joined_channels(
        &self,
        account: AccountId,
    ) -> Result<Vec<(BareJid, JoinedChannel)>, StoreError> {
        let table = self.view(CHANNELS_JOINED)?;
        let rows = table.range(texts_of(account))?;
        rows.map(|row| {
            let (key, row) = row?;
            let jid = BareJid::stored(key.value().1).ok_or_else(damaged)?;
            Ok((jid, decode(row.value())?))
        })
        .collect()
    }

    /// `None`: not any more.
    pub fn set_joined_channel(
        &mut self,
        account: AccountId,
        channel: &BareJid,
        row: Option<&JoinedChannel>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNELS_JOINED)?;
        let key = (account.0, channel.as_str());
        match row {
            Some(row) => table.insert(key, encode(row).as_slice()),
            None => table.remove(key),
        }
    }
}

pub(in crate::store) fn encode(row: &JoinedChannel) -> Vec<u8> {
    Encoder::default().text(&row.participant).done()
}

fn decode(bytes: &[u8]) -> Result<JoinedChannel, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(JoinedChannel {
        participant: row.text()?.to_string(),
    })
}
