//! Small things an account keeps: private XML (XEP-0049), vCard (XEP-0054), last activity (XEP-0012).
use crate::xmpp::Timestamp;

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::{AVATARS, LAST_ACTIVITY, PRIVATE_XML, VCARDS};
use crate::store::{AccountId, StoreError, Tx};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastActivity {
    pub at: Timestamp,
    /// Status text of the last unavailable presence; empty: none.
    pub status: String,
}

/// The avatar that is advertised of an account (XEP-0084, XEP-0153).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avatar {
    /// SHA-1 of the picture, in hexadecimal digits.
    pub id: String,
    /// Its media type.
    pub kind: String,
    /// Of the item that holds it.
    pub item: String,
}

impl Tx {
    pub fn avatar(&self, account: AccountId) -> Result<Option<Avatar>, StoreError> {
        let avatar = self.last_avatar(account)?;
        Ok(avatar.filter(|avatar| !avatar.id.is_empty()))
    }

    /// XEP-0153 §4.1: what presence tells of the avatar: empty if there is none any more, `None` if there never was one.
    pub fn photo_told(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        Ok(self.last_avatar(account)?.map(|avatar| avatar.id))
    }

    /// One without an id: there is none any more.
    fn last_avatar(&self, account: AccountId) -> Result<Option<Avatar>, StoreError> {
        let table = self.view(AVATARS)?;
        let row = table.get(account.0)?;
        row.map(|row| {
            let mut row = Decoder::new(row.value());
            Ok(Avatar {
                id: row.text()?.to_string(),
                kind: row.text()?.to_string(),
                item: row.text()?.to_string(),
            })
        })
        .transpose()
    }

    /// `None`: there is none any more.
    pub fn set_avatar(
        &mut self,
        account: AccountId,
        avatar: Option<&Avatar>,
    ) -> Result<(), StoreError> {
        let texts = avatar.map_or(["", "", ""], |avatar| {
            [&avatar.id, &avatar.kind, &avatar.item]
        });
        let row = texts
            .iter()
            .fold(Encoder::default(), |row, text| row.text(text));
        let writing = self.writing()?;
        let mut table = writing.txn.open_table(AVATARS)?;
        table.insert(account.0, row.done().as_slice())
    }

    pub fn private_xml(
        &self,
        account: AccountId,
        name: &str,
        namespace: &str,
    ) -> Result<Option<String>, StoreError> {
        let table = self.view(PRIVATE_XML)?;
        let row = table.get((account.0, name, namespace))?;
        Ok(row.map(|row| row.value().to_string()))
    }

    /// `None` removes.
    pub fn set_private_xml(
        &mut self,
        account: AccountId,
        name: &str,
        namespace: &str,
        xml: Option<&str>,
    ) -> Result<(), StoreError> {
        let key = (account.0, name, namespace);
        let writing = self.writing()?;
        let mut table = writing.txn.open_table(PRIVATE_XML)?;
        match xml {
            Some(xml) => table.insert(key, xml)?,
            None => table.remove(key)?,
        };
        Ok(())
    }

    pub fn private_xml_count(&self, account: AccountId) -> Result<usize, StoreError> {
        let table = self.view(PRIVATE_XML)?;
        let end = account.0.saturating_add(1);
        let mut rows = table.range((account.0, "", "")..(end, "", ""))?;
        rows.try_fold(0, |count, row| row.map(|_| count + 1))
    }

    /// Bytes of all an account's items but those of these names and namespaces.
    pub fn private_xml_bytes(
        &self,
        account: AccountId,
        but: &[(&str, &str)],
    ) -> Result<usize, StoreError> {
        let table = self.view(PRIVATE_XML)?;
        let end = account.0.saturating_add(1);
        let mut rows = table.range((account.0, "", "")..(end, "", ""))?;
        rows.try_fold(0, |bytes, row| {
            let (key, xml) = row?;
            let (_, name, namespace) = key.value();
            let counts = !but.contains(&(name, namespace));
            Ok(bytes + if counts { xml.value().len() } else { 0 })
        })
    }

    pub fn vcard(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        let table = self.view(VCARDS)?;
        let row = table.get(account.0)?;
        Ok(row.map(|row| row.value().to_string()))
    }

    pub fn set_vcard(&mut self, account: AccountId, xml: &str) -> Result<(), StoreError> {
        let writing = self.writing()?;
        writing.txn.open_table(VCARDS)?.insert(account.0, xml)?;
        Ok(())
    }

    pub fn last_activity(&self, account: AccountId) -> Result<Option<LastActivity>, StoreError> {
        let table = self.view(LAST_ACTIVITY)?;
        let row = table.get(account.0)?;
        row.map(|row| {
            let mut row = Decoder::new(row.value());
            Ok(LastActivity {
                at: row.time()?,
                status: row.text()?.to_string(),
            })
        })
        .transpose()
    }

    pub fn set_last_activity(
        &mut self,
        account: AccountId,
        activity: &LastActivity,
    ) -> Result<(), StoreError> {
        let row = Encoder::default().time(activity.at).text(&activity.status);
        let writing = self.writing()?;
        writing
            .txn
            .open_table(LAST_ACTIVITY)?
            .insert(account.0, row.done().as_slice())?;
        Ok(())
    }
}
