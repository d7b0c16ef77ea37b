//! XEP-0198 §5: sessions that may be resumed and are not in memory as a whole, or whose server stopped in order; and
//! stanzas that sessions have not acknowledged and memory does not hold. A stanza of the archive is kept as its id.
use std::ops::Range;

use crate::xmpp::Timestamp;

use super::codec::{Decoder, Encoder};
use super::schema::{ENDED, META, META_NEXT_SUSPENDED, META_STOPPED, SUSPENDED, SUSPENDED_QUEUE};
use super::{AccountId, ArchiveId, StoreError, Tx, Writing};

/// A session in the store; its number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SuspendedId {
    pub account: AccountId,
    pub number: u64,
}

/// A session as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspended {
    /// How long it may still be away, counted from `at`.
    pub remaining_ms: u64,
    pub at: Timestamp,
    pub jid: String,
    /// Its name for resumption.
    pub name: String,
    pub resume_seconds: u32,
    pub received: u32,
    pub acknowledged: u32,
    pub wants_roster: bool,
    pub wants_blocking: bool,
    pub carbons: bool,
    /// Its client was inactive (XEP-0352).
    pub inactive: bool,
    /// Its account was being given what had waited.
    pub catching_up: bool,
    pub presence: Option<SuspendedPresence>,
    /// The client, as far as it has a name that lasts.
    pub client: Option<String>,
    /// The token it logged in by, and whether that restricts it.
    pub grant: Option<(String, bool)>,
    /// The `ver` of its capabilities (XEP-0115).
    pub capabilities: Option<String>,
    /// Whom it sent directed presence.
    pub directed: Vec<String>,
    /// What an inactive client was not told yet, oldest first.
    pub held: Vec<HeldRow>,
    /// Positions of what it has not acknowledged, and the bytes of that.
    pub queue: Range<u64>,
    pub queue_bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuspendedPresence {
    pub priority: i8,
    pub payload: String,
    pub id: Option<String>,
    pub lang: Option<String>,
}

/// A stanza that is held for an inactive client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// What replaces it.
    pub key: String,
    pub stanza: Vec<u8>,
    /// Its id in the archive, and a number that says how it looks.
    pub archived: Option<(ArchiveId, u8)>,
}

/// A stanza that is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueRow {
    Whole {
        stanza: Box<[u8]>,
        at: Timestamp,
        /// Another session got it as well.
        shared: bool,
    },
    /// It is in the archive; `form` says how it looks to this session.
    Archived { id: ArchiveId, form: u8 },
}

impl Tx {
    /// A number for a session that goes to the store.
    pub fn new_suspended(&mut self, account: AccountId) -> Result<SuspendedId, StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut meta = txn.open_table(META)?;
        let number = meta.get(META_NEXT_SUSPENDED)?.map_or(1, |row| row.value());
        meta.insert(META_NEXT_SUSPENDED, number + 1)?;
        Ok(SuspendedId { account, number })
    }

    pub fn suspend(&mut self, id: SuspendedId, session: &Suspended) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(SUSPENDED)?
            .insert((id.account.0, id.number), session.encode().as_slice())?;
        Ok(())
    }

    pub fn suspended(&self, id: SuspendedId) -> Result<Option<Suspended>, StoreError> {
        let table = self.view(SUSPENDED)?;
        let row = table.get((id.account.0, id.number))?;
        row.map(|row| Suspended::decode(row.value())).transpose()
    }

    /// Calls `visit` for every session in the store.
    pub fn visit_suspended(
        &self,
        visit: &mut dyn FnMut(SuspendedId, Suspended) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for row in self.view(SUSPENDED)?.range(..)? {
            let (key, row) = row?;
            let (account, number) = key.value();
            let id = SuspendedId {
                account: AccountId(account),
                number,
            };
            visit(id, Suspended::decode(row.value())?)?;
        }
        Ok(())
    }

    /// The session's row; its queue stays.
    pub fn forget_suspended(&mut self, id: SuspendedId) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(SUSPENDED)?
            .remove((id.account.0, id.number))?;
        Ok(())
    }

    /// Appends to a session's queue, from position `from` on. Returns the bytes written.
    pub fn append_queue<'r>(
        &mut self,
        id: SuspendedId,
        from: u64,
        rows: impl Iterator<Item = &'r QueueRow>,
    ) -> Result<u64, StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(SUSPENDED_QUEUE)?;
        let mut written = 0;
        for (position, row) in (from..).zip(rows) {
            let row = row.encode();
            table.insert((id.account.0, id.number, position), row.as_slice())?;
            written += u64::try_from(row.len()).unwrap_or(u64::MAX);
        }
        Ok(written)
    }

    /// Calls `visit` for each stanza of a session's queue between two positions, in order, until it says false.
    pub fn visit_queue(
        &self,
        id: SuspendedId,
        positions: Range<u64>,
        visit: &mut dyn FnMut(QueueRow) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if positions.is_empty() {
            return Ok(());
        }
        let key = |position| (id.account.0, id.number, position);
        for row in self
            .view(SUSPENDED_QUEUE)?
            .range(key(positions.start)..key(positions.end))?
        {
            let (_, row) = row?;
            if !visit(QueueRow::decode(row.value())?)? {
                break;
            }
        }
        Ok(())
    }

    /// The positions that a session's queue has rows for.
    pub fn queue_positions(&self, id: SuspendedId) -> Result<Range<u64>, StoreError> {
        let table = self.view(SUSPENDED_QUEUE)?;
        let mut rows =
            table.range((id.account.0, id.number, 0)..=(id.account.0, id.number, u64::MAX))?;
        let Some(first) = rows.next().transpose()? else {
            return Ok(0..0);
        };
        let first = first.0.value().2;
        let last = rows.next_back().transpose()?;
        let last = last.map_or(first, |(key, _)| key.value().2);
        Ok(first..last.saturating_add(1))
    }

    /// Removes the rows of a session's queue between two positions. Returns their bytes.
    pub fn remove_queue(
        &mut self,
        id: SuspendedId,
        positions: Range<u64>,
    ) -> Result<u64, StoreError> {
        if positions.is_empty() {
            return Ok(0);
        }
        let key = |position| (id.account.0, id.number, position);
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(SUSPENDED_QUEUE)?;
        let mut bytes = 0;
        table.retain_in(key(positions.start)..key(positions.end), |_, row| {
            bytes += u64::try_from(row.len()).unwrap_or(u64::MAX);
            false
        })?;
        Ok(bytes)
    }

    /// Keeps what is known of sessions that ended, and nothing else of the kind: account, name, how much was handled.
    pub fn set_ended<'s>(
        &mut self,
        ended: impl Iterator<Item = (AccountId, &'s str, u32)>,
    ) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        let mut table = txn.open_table(ENDED)?;
        table.retain_in(.., |_, _| false)?;
        for (account, name, received) in ended {
            table.insert((account.0, name), received)?;
        }
        Ok(())
    }

    pub fn ended(&self) -> Result<Vec<(AccountId, String, u32)>, StoreError> {
        let table = self.view(ENDED)?;
        let rows = table.range(..)?;
        rows.map(|row| {
            let (key, received) = row?;
            let (account, name) = key.value();
            Ok((AccountId(account), name.to_string(), received.value()))
        })
        .collect()
    }

    /// Whether the last run ended in order.
    pub fn has_stopped(&self) -> Result<bool, StoreError> {
        let stopped = self.view(META)?.get(META_STOPPED)?.map(|row| row.value());
        Ok(stopped == Some(1))
    }

    pub fn set_stopped(&mut self, stopped: bool) -> Result<(), StoreError> {
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(META)?
            .insert(META_STOPPED, u64::from(stopped))?;
        Ok(())
    }

    /// Removes queues whose session has no row: it was awake when a run was cut short.
    pub fn remove_lost_queues(&mut self) -> Result<(), StoreError> {
        let mut lost = Vec::new();
        {
            let (sessions, queues) = (self.view(SUSPENDED)?, self.view(SUSPENDED_QUEUE)?);
            let mut from = (0, 0, 0);
            while let Some(row) = queues.range(from..)?.next().transpose()? {
                let (account, number, _) = row.0.value();
                if sessions.get((account, number))?.is_none() {
                    lost.push((account, number));
                }
                from = (account, number, u64::MAX);
            }
        }
        for (account, number) in lost {
            let Writing { txn, .. } = self.writing()?;
            txn.open_table(SUSPENDED_QUEUE)?.retain_in(
                (account, number, 0)..=(account, number, u64::MAX),
                |_, _| false,
            )?;
        }
        Ok(())
    }
}

impl Suspended {
    fn encode(&self) -> Vec<u8> {
        let flags = [
            self.wants_roster,
            self.wants_blocking,
            self.carbons,
            self.inactive,
            self.catching_up,
        ];
        let mut row = Encoder::default()
            .number(self.remaining_ms)
            .time(self.at)
            .text(&self.jid)
            .text(&self.name)
            .number(self.resume_seconds.into())
            .number(self.received.into())
            .number(self.acknowledged.into());
        row = flags.into_iter().fold(row, Encoder::flag);
        row = row.flag(self.presence.is_some());
        if let Some(presence) = &self.presence {
            row = row
                .raw(&presence.priority.to_le_bytes())
                .text(&presence.payload);
            row = optional(optional(row, &presence.id), &presence.lang);
        }
        row = optional(row, &self.client).flag(self.grant.is_some());
        if let Some((grant, restricted)) = &self.grant {
            row = row.text(grant).flag(*restricted);
        }
        row = optional(row, &self.capabilities)
            .texts(&self.directed)
            .length(self.held.len());
        for held in &self.held {
            row = row
                .text(&held.key)
                .bytes(&held.stanza)
                .flag(held.archived.is_some());
            if let Some((id, form)) = held.archived {
                row = row.number(id.0).byte(form);
            }
        }
        row.number(self.queue.start)
            .number(self.queue.end)
            .number(self.queue_bytes)
            .done()
    }

    fn decode(bytes: &[u8]) -> Result<Suspended, StoreError> {
        let mut row = Decoder::new(bytes);
        Ok(Suspended {
            remaining_ms: row.number()?,
            at: row.time()?,
            jid: row.text()?.to_string(),
            name: row.text()?.to_string(),
            resume_seconds: row.number_u32()?,
            received: row.number_u32()?,
            acknowledged: row.number_u32()?,
            wants_roster: row.flag()?,
            wants_blocking: row.flag()?,
            carbons: row.flag()?,
            inactive: row.flag()?,
            catching_up: row.flag()?,
            presence: match row.flag()? {
                true => Some(SuspendedPresence {
                    priority: i8::from_le_bytes(row.array()?),
                    payload: row.text()?.to_string(),
                    id: read_optional(&mut row)?,
                    lang: read_optional(&mut row)?,
                }),
                false => None,
            },
            client: read_optional(&mut row)?,
            grant: match row.flag()? {
                true => Some((row.text()?.to_string(), row.flag()?)),
                false => None,
            },
            capabilities: read_optional(&mut row)?,
            directed: row.texts()?,
            held: {
                let count = row.length()?;
                (0..count)
                    .map(|_| HeldRow::decode(&mut row))
                    .collect::<Result<_, StoreError>>()?
            },
            queue: row.number()?..row.number()?,
            queue_bytes: row.number()?,
        })
    }
}

impl HeldRow {
    fn decode(row: &mut Decoder<'_>) -> Result<HeldRow, StoreError> {
        Ok(HeldRow {
            key: row.text()?.to_string(),
            stanza: row.bytes()?.to_vec(),
            archived: match row.flag()? {
                true => Some((ArchiveId(row.number()?), row.byte()?)),
                false => None,
            },
        })
    }
}

/// What a row of a queue is.
const WHOLE: u8 = 0;
const WHOLE_SHARED: u8 = 1;
const ARCHIVED: u8 = 2;

impl QueueRow {
    fn encode(&self) -> Vec<u8> {
        match self {
            QueueRow::Whole { stanza, at, shared } => Encoder::default()
                .byte(if *shared { WHOLE_SHARED } else { WHOLE })
                .time(*at)
                .bytes(stanza)
                .done(),
            QueueRow::Archived { id, form } => Encoder::default()
                .byte(ARCHIVED)
                .byte(*form)
                .number(id.0)
                .done(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<QueueRow, StoreError> {
        let mut row = Decoder::new(bytes);
        Ok(match row.byte()? {
            ARCHIVED => QueueRow::Archived {
                form: row.byte()?,
                id: ArchiveId(row.number()?),
            },
            kind => QueueRow::Whole {
                at: row.time()?,
                stanza: row.bytes()?.into(),
                shared: kind == WHOLE_SHARED,
            },
        })
    }
}

fn optional(row: Encoder, text: &Option<String>) -> Encoder {
    match text {
        Some(text) => row.flag(true).text(text),
        None => row.flag(false),
    }
}

fn read_optional(row: &mut Decoder<'_>) -> Result<Option<String>, StoreError> {
    Ok(match row.flag()? {
        true => Some(row.text()?.to_string()),
        false => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let session = Suspended {
            remaining_ms: 600_000,
            at: Timestamp(-1),
            jid: "romeo@localhost/orchard".into(),
            name: "secret".into(),
            resume_seconds: 600,
            received: u32::MAX,
            acknowledged: 7,
            carbons: true,
            catching_up: true,
            presence: Some(SuspendedPresence {
                priority: -5,
                payload: "<show>away</show>".into(),
                id: Some("p".into()),
                lang: None,
            }),
            client: Some("client".into()),
            grant: Some(("grant".into(), true)),
            capabilities: Some("ver".into()),
            directed: vec!["nurse@localhost/a".into()],
            held: vec![HeldRow {
                key: "p\nnurse@localhost".into(),
                stanza: b"<presence/>".to_vec(),
                archived: Some((ArchiveId(9), 2)),
            }],
            queue: 3..u64::MAX,
            queue_bytes: 12,
            ..Suspended::default()
        };
        let bytes = session.encode();
        assert_eq!(Suspended::decode(&bytes).unwrap(), session);
        for end in 0..bytes.len() {
            assert!(Suspended::decode(&bytes[..end]).is_err(), "{end}");
        }
        for row in [
            QueueRow::Archived {
                id: ArchiveId(1 << 40),
                form: 1,
            },
            QueueRow::Whole {
                stanza: b"<iq/>".as_slice().into(),
                at: Timestamp(5),
                shared: true,
            },
        ] {
            assert_eq!(QueueRow::decode(&row.encode()).unwrap(), row);
        }
    }
}
