//! Who belongs to a channel, by bare JID: affiliation, nick and participation, one row a person whatever protocol they speak.
use crate::store::archive::ArchiveId;
use crate::store::engine::codec::{Decoder, Encoder, damaged};
use crate::store::schema::{CHANNEL_LEFT, CHANNEL_MEMBERS, CHANNEL_NICKS};
use crate::store::{StoreError, Tx, Writing};

use super::{ChannelId, ChannelRow};

/// XEP-0045 §5.2, in order of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChannelAffiliation {
    Outcast,
    #[default]
    None,
    Member,
    Admin,
    Owner,
}

/// XEP-0404 §3.1: what a participant prefers to be known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JidVisibility {
    #[default]
    Unset,
    Never,
    Prefer,
    Always,
}

/// XEP-0369: somebody who joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participation {
    /// The nodes subscribed to, a bit each; which is which is said in `channel`.
    pub nodes: u16,
    /// Messages of this id and later are theirs.
    pub since: ArchiveId,
    /// The namespaces they joined by are of version 0.
    pub is_old: bool,
    pub visibility: JidVisibility,
    /// XEP-0404 §3.1: private messages are refused; vCards are given to others.
    pub no_private_messages: bool,
    pub gives_vcard: bool,
    /// Presence is shared (XEP-0403 §3.3).
    pub shares_presence: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberRow {
    pub affiliation: ChannelAffiliation,
    /// Held for them, present or not (XEP-0045 §7.10, XEP-0407 §3.2).
    pub nick: Option<String>,
    pub participation: Option<Participation>,
    /// They have no voice until a moderator gives it back.
    pub muted: bool,
    /// Why the affiliation is what it is.
    pub reason: String,
    /// `ChannelRow::version` at which it changed.
    pub version: u64,
    /// XEP-0317: URIs of what is shown beside the nick; the channel has their titles.
    pub hats: Vec<String>,
}

impl MemberRow {
    /// Nothing is known of them that must be kept.
    pub fn is_empty(&self) -> bool {
        *self
            == MemberRow {
                version: self.version,
                reason: self.reason.clone(),
                ..MemberRow::default()
            }
    }
}

impl Tx {
    pub fn member(&self, channel: ChannelId, jid: &str) -> Result<Option<MemberRow>, StoreError> {
        let table = self.view(CHANNEL_MEMBERS)?;
        let row = table.get((channel.0, jid))?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// In order of JID, from behind one on.
    pub fn members_behind(
        &self,
        channel: ChannelId,
        jid: &str,
        count_max: usize,
    ) -> Result<Vec<(String, MemberRow)>, StoreError> {
        use std::ops::Bound::Excluded;
        let table = self.view(CHANNEL_MEMBERS)?;
        let end = (channel.0.saturating_add(1), "");
        let rows = table.range((Excluded((channel.0, jid)), Excluded(end)))?;
        rows.take(count_max)
            .map(|row| {
                let (key, row) = row?;
                Ok((key.value().1.to_string(), decode(row.value())?))
            })
            .collect()
    }

    /// Who holds a nick, given as it is compared.
    pub fn nick_holder(
        &self,
        channel: ChannelId,
        nick: &str,
    ) -> Result<Option<String>, StoreError> {
        let table = self.view(CHANNEL_NICKS)?;
        let row = table.get((channel.0, nick))?;
        Ok(row.map(|row| row.value().to_string()))
    }

    /// Writes down what became of somebody, and counts it in the channel's row, which the caller stores. `nicks`: the one
    /// they held and the one they hold, as they are compared.
    pub fn set_member(
        &mut self,
        channel: &mut ChannelRow,
        jid: &str,
        row: &MemberRow,
        nicks: (Option<&str>, Option<&str>),
    ) -> Result<(), StoreError> {
        let before = self.member(channel.id, jid)?;
        let is_there = !row.is_empty();
        let known = before.clone().unwrap_or_default();
        count(&mut channel.members, before.is_some(), is_there);
        let is_owner = |row: &MemberRow| row.affiliation == ChannelAffiliation::Owner;
        count(&mut channel.owners, is_owner(&known), is_owner(row));
        let takes_part = |row: &MemberRow| row.participation.is_some();
        count(
            &mut channel.participants,
            takes_part(&known),
            takes_part(row),
        );
        if before.is_some() && !is_there {
            let Writing { txn, .. } = self.writing()?;
            txn.open_table(CHANNEL_LEFT)?.remove((channel.id.0, jid))?;
        }
        self.write_member(channel.id, jid, row, nicks)
    }

    /// The same where nothing is counted.
    pub fn write_member(
        &mut self,
        channel: ChannelId,
        jid: &str,
        row: &MemberRow,
        nicks: (Option<&str>, Option<&str>),
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut members = txn.open_table(CHANNEL_MEMBERS)?;
        match row.is_empty() {
            false => members.insert((channel.0, jid), encode(row).as_slice())?,
            true => members.remove((channel.0, jid))?,
        }
        if nicks.0 != nicks.1 {
            let mut table = txn.open_table(CHANNEL_NICKS)?;
            if let Some(nick) = nicks.0 {
                table.remove((channel.0, nick))?;
            }
            if let Some(nick) = nicks.1 {
                table.insert((channel.0, nick), jid)?;
            }
        }
        Ok(())
    }
}

fn count(number: &mut u64, before: bool, after: bool) {
    match (before, after) {
        (false, true) => *number += 1,
        (true, false) => *number = number.saturating_sub(1),
        _ => {}
    }
}

fn affiliation(byte: u8) -> Result<ChannelAffiliation, StoreError> {
    Ok(match byte {
        0 => ChannelAffiliation::Outcast,
        1 => ChannelAffiliation::None,
        2 => ChannelAffiliation::Member,
        3 => ChannelAffiliation::Admin,
        4 => ChannelAffiliation::Owner,
        _ => return Err(damaged()),
    })
}

fn visibility(byte: u8) -> JidVisibility {
    match byte {
        1 => JidVisibility::Never,
        2 => JidVisibility::Prefer,
        3 => JidVisibility::Always,
        _ => JidVisibility::Unset,
    }
}

fn encode(row: &MemberRow) -> Vec<u8> {
    let affiliation = match row.affiliation {
        ChannelAffiliation::Outcast => 0,
        ChannelAffiliation::None => 1,
        ChannelAffiliation::Member => 2,
        ChannelAffiliation::Admin => 3,
        ChannelAffiliation::Owner => 4,
    };
    let out = Encoder::default()
        .byte(affiliation)
        .flag(row.nick.is_some())
        .text(row.nick.as_deref().unwrap_or_default())
        .flag(row.muted)
        .text(&row.reason)
        .number(row.version)
        .texts(&row.hats);
    let mut out = out.flag(row.participation.is_some());
    if let Some(participation) = &row.participation {
        let visibility = match participation.visibility {
            JidVisibility::Unset => 0,
            JidVisibility::Never => 1,
            JidVisibility::Prefer => 2,
            JidVisibility::Always => 3,
        };
        out = out
            .number(participation.nodes.into())
            .number(participation.since.0)
            .flag(participation.is_old)
            .byte(visibility)
            .flag(participation.no_private_messages)
            .flag(participation.gives_vcard)
            .flag(participation.shares_presence);
    }
    out.done()
}

fn decode(bytes: &[u8]) -> Result<MemberRow, StoreError> {
    let mut row = Decoder::new(bytes);
    let affiliation = affiliation(row.byte()?)?;
    let has_nick = row.flag()?;
    let nick = row.text()?.to_string();
    let mut member = MemberRow {
        affiliation,
        nick: has_nick.then_some(nick),
        muted: row.flag()?,
        reason: row.text()?.into(),
        version: row.number()?,
        hats: row.texts()?,
        participation: None,
    };
    if row.flag()? {
        member.participation = Some(Participation {
            nodes: u16::try_from(row.number()?).unwrap_or_default(),
            since: ArchiveId(row.number()?),
            is_old: row.flag()?,
            visibility: visibility(row.byte()?),
            no_private_messages: row.flag()?,
            gives_vcard: row.flag()?,
            shares_presence: row.flag()?,
        });
    }
    Ok(member)
}
