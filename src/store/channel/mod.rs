//! Rows of channels (XEP-0369, XEP-0045): each has a number of the accounts' counter, under which its archive, its nodes
//! and all else of it lie.

pub mod ids;
pub mod invitations;
pub mod members;
pub mod occupants;
pub mod tombstones;

use super::accounts::removal;
use super::engine::codec::{Decoder, Encoder};
use super::schema::{CHANNEL_CREATORS, CHANNEL_NAMES, CHANNELS, META, META_NEXT_ACCOUNT, PURGE};
use super::{AccountId, ConfigRow, NodeOwner, StoreError, Tx, Writing};
use crate::xmpp::Timestamp;

/// Nodes of a channel whose past is kept.
const HISTORIES: u32 = 3;
const LAST_HISTORY: u32 = u32::MAX - 2;

/// Number of a channel; no account has it, and it is never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// Not a channel: under it lie the nicks that hold in all of them (XEP-0407 §3).
    pub const SERVICE: ChannelId = ChannelId(0);

    /// Whose archive holds what became of one of its nodes. They are numbered from the end, which no account comes to.
    pub fn history(self, number: u32) -> AccountId {
        let of_all = self.0.saturating_mul(HISTORIES).saturating_add(number);
        AccountId(LAST_HISTORY.saturating_sub(of_all))
    }

    /// Whose archive holds its messages.
    pub fn archive(self) -> AccountId {
        AccountId(self.0)
    }

    /// Whose its nodes are.
    pub fn nodes(self) -> NodeOwner {
        NodeOwner(self.0)
    }
}

/// What was last said of what it is about (XEP-0045 §8.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectRow {
    pub text: String,
    /// Nick of whoever set it; empty: nobody did.
    pub nick: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    pub id: ChannelId,
    pub created: Timestamp,
    /// A bare JID.
    pub creator: String,
    /// Its first owner has not configured it yet (XEP-0045 §10.1): nobody else may enter.
    pub locked: bool,
    pub config: ConfigRow,
    /// When that was last changed.
    pub configured: Timestamp,
    pub subject: SubjectRow,
    /// Of the affiliations: one more with each change (XEP-0463).
    pub version: u64,
    /// The last version by which somebody's row went: what changed before it is not known any more.
    pub known_from: u64,
    /// Rows in `channel_members`.
    pub members: u64,
    pub owners: u64,
    /// Participants of XEP-0369.
    pub participants: u64,
}

impl Tx {
    /// `name`: the local part of its address.
    pub fn channel(&self, name: &str) -> Result<Option<ChannelRow>, StoreError> {
        let table = self.view(CHANNELS)?;
        let row = table.get(name)?;
        row.map(|row| decode(row.value())).transpose()
    }

    pub fn channel_name(&self, id: ChannelId) -> Result<Option<String>, StoreError> {
        let table = self.view(CHANNEL_NAMES)?;
        let row = table.get(id.0)?;
        Ok(row.map(|row| row.value().to_string()))
    }

    /// Names and rows in order of name, from behind one on.
    pub fn channels_behind(
        &self,
        name: &str,
        count_max: usize,
    ) -> Result<Vec<(String, ChannelRow)>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let table = self.view(CHANNELS)?;
        let rows = table.range((Excluded(name), Unbounded))?;
        rows.take(count_max)
            .map(|row| {
                let (name, row) = row?;
                Ok((name.value().to_string(), decode(row.value())?))
            })
            .collect()
    }

    /// A channel of a name that is free, stored; it has nobody yet.
    pub fn add_channel(
        &mut self,
        name: &str,
        (creator, now): (&str, Timestamp),
        config: ConfigRow,
    ) -> Result<ChannelRow, StoreError> {
        let next = self
            .view(META)?
            .get(META_NEXT_ACCOUNT)?
            .map_or(1, |row| row.value());
        let id = u32::try_from(next)
            .ok()
            .filter(|id| *id < LAST_HISTORY / (HISTORIES + 2));
        let id = id.ok_or_else(|| StoreError::Io("no account number is left".into()))?;
        let row = ChannelRow {
            id: ChannelId(id),
            created: now,
            creator: creator.into(),
            locked: false,
            config,
            configured: now,
            subject: SubjectRow::default(),
            version: 0,
            known_from: 0,
            members: 0,
            owners: 0,
            participants: 0,
        };
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(META)?.insert(META_NEXT_ACCOUNT, next + 1)?;
        txn.open_table(CHANNEL_NAMES)?.insert(id, name)?;
        self.count_made(creator, true)?;
        self.set_channel(name, &row)?;
        Ok(row)
    }

    /// How many of those there are somebody made.
    pub fn channels_made_by(&self, creator: &str) -> Result<u64, StoreError> {
        let table = self.view(CHANNEL_CREATORS)?;
        let row = table.get(creator)?;
        Ok(row.map_or(0, |row| row.value()))
    }

    fn count_made(&mut self, creator: &str, more: bool) -> Result<(), StoreError> {
        let made = self.channels_made_by(creator)?;
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(CHANNEL_CREATORS)?;
        match (more, made) {
            (true, made) => table.insert(creator, made + 1),
            (false, 0 | 1) => table.remove(creator),
            (false, made) => table.insert(creator, made - 1),
        }
    }

    pub fn set_channel(&mut self, name: &str, row: &ChannelRow) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(CHANNELS)?
            .insert(name, encode(row).as_slice())
    }

    /// Its name is free, and all of it is there no more; its archive goes in small steps.
    pub fn remove_channel(&mut self, name: &str, row: &ChannelRow) -> Result<(), StoreError> {
        let id = row.id;
        self.count_made(&row.creator, false)?;
        let Writing { txn, mut memory } = self.writing()?;
        txn.open_table(CHANNELS)?.remove(name)?;
        memory.unseen.forget(id.archive());
        let histories = (0..HISTORIES).map(|number| id.history(number));
        for archive in histories.chain([id.archive()]) {
            removal::remove_account(txn, archive.0)?;
            txn.open_table(PURGE)?.insert(archive.0, ())?;
        }
        Ok(())
    }
}

pub(in crate::store) fn encode(row: &ChannelRow) -> Vec<u8> {
    let head = Encoder::default()
        .number(row.id.0.into())
        .time(row.created)
        .text(&row.creator)
        .flag(row.locked)
        .time(row.configured)
        .text(&row.subject.text)
        .text(&row.subject.nick)
        .time(row.subject.at)
        .number(row.version)
        .number(row.members)
        .number(row.owners)
        .number(row.participants);
    row.config.encode(head).number(row.known_from).done()
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<ChannelRow, StoreError> {
    let mut row = Decoder::new(bytes);
    let mut channel = ChannelRow {
        id: ChannelId(row.number_u32()?),
        created: row.time()?,
        creator: row.text()?.into(),
        locked: row.flag()?,
        configured: row.time()?,
        subject: SubjectRow {
            text: row.text()?.into(),
            nick: row.text()?.into(),
            at: row.time()?,
        },
        version: row.number()?,
        members: row.number()?,
        owners: row.number()?,
        participants: row.number()?,
        config: ConfigRow::decode(&mut row)?,
        known_from: 0,
    };
    // Rows of before end here.
    channel.known_from = match row.is_at_end() {
        true => channel.version,
        false => row.number()?,
    };
    Ok(channel)
}
