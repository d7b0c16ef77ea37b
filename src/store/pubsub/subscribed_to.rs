//! What an account is subscribed to elsewhere (XEP-0376, XEP-0405): by whom it is served and the name of the node.
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::PUBSUB_SUBSCRIBED_TO;
use crate::store::{AccountId, StoreError, Tx, Writing};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribedTo {
    /// As the service calls it (XEP-0060 §4.2).
    pub state: String,
    /// Empty: none.
    pub subid: String,
    /// Its events are to be in the account's archive.
    pub archived: bool,
}

impl Tx {
    pub fn subscribed_to(
        &self,
        account: AccountId,
        service: &str,
        node: &str,
    ) -> Result<Option<SubscribedTo>, StoreError> {
        let table = self.view(PUBSUB_SUBSCRIBED_TO)?;
        let row = table.get((account.0, service, node))?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// All of an account: service, node, and what is known of it.
    pub fn all_subscribed_to(
        &self,
        account: AccountId,
    ) -> Result<Vec<(String, String, SubscribedTo)>, StoreError> {
        let table = self.view(PUBSUB_SUBSCRIBED_TO)?;
        let end = account.0.saturating_add(1);
        let rows = table.range((account.0, "", "")..(end, "", ""))?;
        rows.map(|row| {
            let (key, row) = row?;
            let (_, service, node) = key.value();
            Ok((service.to_string(), node.to_string(), decode(row.value())?))
        })
        .collect()
    }

    /// `None`: not any more.
    pub fn set_subscribed_to(
        &mut self,
        account: AccountId,
        service: &str,
        node: &str,
        row: Option<&SubscribedTo>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(PUBSUB_SUBSCRIBED_TO)?;
        let key = (account.0, service, node);
        match row {
            Some(row) => {
                let row = Encoder::default()
                    .flag(row.archived)
                    .text(&row.state)
                    .text(&row.subid);
                table.insert(key, row.done().as_slice())
            }
            None => table.remove(key),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<SubscribedTo, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(SubscribedTo {
        archived: row.flag()?,
        state: row.text()?.to_string(),
        subid: row.text()?.to_string(),
    })
}
