//! Rosters (RFC 6121 §2) with versions (§2.6) and the block list (XEP-0191).
use std::collections::BTreeMap;

use crate::xmpp::BareJid;

use crate::store::engine::codec::{Decoder, Encoder, damaged};
use crate::store::schema::{BLOCKED, ROSTER, ROSTER_LOG, ROSTER_VERSIONS};
use crate::store::{AccountId, StoreError, Tx, Writing, texts_of};

/// So many changes of a roster are remembered; who has an older version gets all of it.
const CHANGES_MAX: u64 = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    #[default]
    None,
    To,
    From,
    Both,
}

impl Subscription {
    /// The contact is told the account's presence.
    pub fn is_from(self) -> bool {
        matches!(self, Subscription::From | Subscription::Both)
    }

    /// The account is told the contact's presence.
    pub fn is_to(self) -> bool {
        matches!(self, Subscription::To | Subscription::Both)
    }

    pub fn with_to(self) -> Subscription {
        match self {
            Subscription::None | Subscription::To => Subscription::To,
            Subscription::From | Subscription::Both => Subscription::Both,
        }
    }

    pub fn with_from(self) -> Subscription {
        match self {
            Subscription::None | Subscription::From => Subscription::From,
            Subscription::To | Subscription::Both => Subscription::Both,
        }
    }

    pub fn without_to(self) -> Subscription {
        match self {
            Subscription::None | Subscription::To => Subscription::None,
            Subscription::From | Subscription::Both => Subscription::From,
        }
    }

    pub fn without_from(self) -> Subscription {
        match self {
            Subscription::None | Subscription::From => Subscription::None,
            Subscription::To | Subscription::Both => Subscription::To,
        }
    }
}

/// One row: a roster item and what the server remembers about that contact beside it (RFC 6121 appendix A).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Empty: no name.
    pub name: String,
    pub groups: Vec<String>,
    pub subscription: Subscription,
    /// "pending out": we asked.
    pub ask: bool,
    /// Pre-approved (§3.4).
    pub approved: bool,
    /// "pending in": the stored request, a whole `<presence type='subscribe'/>` (§3.1.3).
    pub request: Option<String>,
    /// False: only a request or pre-approval is remembered; not shown in the roster.
    pub listed: bool,
}

/// A change of the roster since a version; `None`: the item was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterChange {
    pub jid: BareJid,
    pub contact: Option<Contact>,
}

impl Contact {
    /// What the owner sees of it: a change of anything else is no new version.
    fn visible(&self) -> Option<(&str, &[String], Subscription, bool, bool)> {
        let visible = (
            self.name.as_str(),
            self.groups.as_slice(),
            self.subscription,
            self.ask,
            self.approved,
        );
        self.listed.then_some(visible)
    }
}

impl Tx {
    /// All rows, unlisted ones too, in order of JID.
    pub fn contacts(&self, account: AccountId) -> Result<Vec<(BareJid, Contact)>, StoreError> {
        let table = self.view(ROSTER)?;
        let rows = table.range(texts_of(account))?;
        rows.map(|row| {
            let (key, row) = row?;
            Ok((parse_jid(key.value().1)?, decode_contact(row.value())?))
        })
        .collect()
    }

    pub fn contact(
        &self,
        account: AccountId,
        jid: &BareJid,
    ) -> Result<Option<Contact>, StoreError> {
        let table = self.view(ROSTER)?;
        let row = table.get((account.0, jid.as_str()))?;
        row.map(|row| decode_contact(row.value())).transpose()
    }

    /// Writes a row. Returns the roster's new version, which never repeats; the version moves only if what is visible
    /// in the roster (listed, name, groups, subscription, ask, approved) changed.
    pub fn set_contact(
        &mut self,
        account: AccountId,
        jid: &BareJid,
        contact: &Contact,
    ) -> Result<u64, StoreError> {
        let before = self.contact(account, jid)?;
        if before.as_ref() == Some(contact) {
            return self.roster_version(account);
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(ROSTER)?.insert(
            (account.0, jid.as_str()),
            encode_contact(contact).as_slice(),
        )?;
        if before.as_ref().and_then(Contact::visible) == contact.visible() {
            return self.roster_version(account);
        }
        self.log_change(account, jid)
    }

    pub fn remove_contact(&mut self, account: AccountId, jid: &BareJid) -> Result<u64, StoreError> {
        let Some(before) = self.contact(account, jid)? else {
            return self.roster_version(account);
        };
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(ROSTER)?.remove((account.0, jid.as_str()))?;
        if before.visible().is_none() {
            return self.roster_version(account);
        }
        self.log_change(account, jid)
    }

    /// What else is shown of a contact changed: to clients that is a change of it, too.
    pub fn note_contact_changed(
        &mut self,
        account: AccountId,
        jid: &BareJid,
    ) -> Result<u64, StoreError> {
        self.log_change(account, jid)
    }

    fn log_change(&mut self, account: AccountId, jid: &BareJid) -> Result<u64, StoreError> {
        let version = self.roster_version(account)?.saturating_add(1);
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(ROSTER_VERSIONS)?
            .insert(account.0, version)?;
        let mut log = txn.open_table(ROSTER_LOG)?;
        log.insert((account.0, version), jid.as_str())?;
        log.remove((account.0, version.saturating_sub(CHANGES_MAX)))?;
        Ok(version)
    }

    pub fn roster_version(&self, account: AccountId) -> Result<u64, StoreError> {
        let versions = self.view(ROSTER_VERSIONS)?;
        let version = versions.get(account.0)?;
        Ok(version.map_or(first_version(account), |row| row.value()))
    }

    /// Listed changes since a version in order of version; `None`: cannot be told (too old or never existed), send all.
    /// Of several changes of one contact only the last is told. The newest 100 changes are remembered.
    pub fn roster_changes(
        &self,
        account: AccountId,
        since: u64,
    ) -> Result<Option<Vec<(u64, RosterChange)>>, StoreError> {
        let current = self.roster_version(account)?;
        let is_known = since <= current && since >= first_version(account);
        if !is_known || current - since > CHANGES_MAX {
            return Ok(None);
        }
        let log = self.view(ROSTER_LOG)?;
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for row in log.range((account.0, since + 1)..=(account.0, current))? {
            let (key, jid) = row?;
            last.insert(jid.value().to_string(), key.value().1);
        }
        let mut changes = Vec::with_capacity(last.len());
        for (jid, version) in last {
            let jid = parse_jid(&jid)?;
            let contact = self.contact(account, &jid)?;
            let contact = contact.filter(|contact| contact.listed);
            changes.push((version, RosterChange { jid, contact }));
        }
        changes.sort_by_key(|(version, _)| *version);
        Ok(Some(changes))
    }

    /// Blocked JIDs as written (`user@domain/resource`, `user@domain`, `domain/resource`, `domain`), in order.
    pub fn blocked(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let table = self.view(BLOCKED)?;
        let rows = table.range(texts_of(account))?;
        rows.map(|row| Ok(row?.0.value().1.to_string())).collect()
    }

    pub fn block(&mut self, account: AccountId, jid: &str) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(BLOCKED)?.insert((account.0, jid), ())?;
        Ok(())
    }

    pub fn unblock(&mut self, account: AccountId, jid: &str) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(BLOCKED)?.remove((account.0, jid))?;
        Ok(())
    }
}

/// Versions of different accounts differ, so that whoever is given a deleted account's name does not meet its versions.
fn first_version(account: AccountId) -> u64 {
    u64::from(account.0) << 32
}

fn parse_jid(text: &str) -> Result<BareJid, StoreError> {
    let jid = BareJid::stored(text);
    jid.ok_or_else(damaged)
}

pub(in crate::store) fn encode_contact(contact: &Contact) -> Vec<u8> {
    let subscription = match contact.subscription {
        Subscription::None => 0,
        Subscription::To => 1,
        Subscription::From => 2,
        Subscription::Both => 3,
    };
    let row = Encoder::default()
        .byte(subscription)
        .flag(contact.ask)
        .flag(contact.approved)
        .flag(contact.listed)
        .text(&contact.name)
        .texts(&contact.groups)
        .flag(contact.request.is_some());
    row.text(contact.request.as_deref().unwrap_or_default())
        .done()
}

pub(in crate::store) fn decode_contact(bytes: &[u8]) -> Result<Contact, StoreError> {
    let mut row = Decoder::new(bytes);
    let subscription = match row.byte()? {
        0 => Subscription::None,
        1 => Subscription::To,
        2 => Subscription::From,
        3 => Subscription::Both,
        _ => {
            return Err(damaged());
        }
    };
    Ok(Contact {
        subscription,
        ask: row.flag()?,
        approved: row.flag()?,
        listed: row.flag()?,
        name: row.text()?.to_string(),
        groups: row.texts()?,
        request: {
            let is_some = row.flag()?;
            let request = row.text()?;
            is_some.then(|| request.to_string())
        },
    })
}
