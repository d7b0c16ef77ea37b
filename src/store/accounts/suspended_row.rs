//! The rows of sessions in the store (`suspended`): how they lie in their table.
use std::ops::Range;
use std::rc::Rc;

use crate::xmpp::Timestamp;

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::{ArchiveId, Body, Kept, StoreError};

/// Whether a session is told of changes of the roster.
const NO_ROSTER: u8 = 0;
const ROSTER: u8 = 1;
const ROSTER_WITH_CHANNELS: u8 = 2;

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
    /// With what is a channel (XEP-0405).
    pub wants_channels: bool,
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
    /// The hash of its capabilities (XEP-0115, XEP-0390).
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
    pub stanza: Kept,
    /// Its id in the archive, and a number that says how it looks.
    pub archived: Option<(ArchiveId, u8)>,
}

/// Gives a body its number.
pub(super) type KeepBody<'k> = &'k mut dyn FnMut(&Body) -> Result<u64, StoreError>;
/// Has the body of a number, if it is there.
pub(super) type FindBody<'f> = &'f mut dyn FnMut(u64) -> Result<Option<Rc<Body>>, StoreError>;

impl Suspended {
    pub(super) fn encode(&self, keep: KeepBody<'_>) -> Result<Vec<u8>, StoreError> {
        let roster = match (self.wants_roster, self.wants_channels) {
            (false, _) => NO_ROSTER,
            (true, false) => ROSTER,
            (true, true) => ROSTER_WITH_CHANNELS,
        };
        let flags = [
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
            .number(self.acknowledged.into())
            .byte(roster);
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
            row = held.encode(row, keep)?;
        }
        Ok(row
            .number(self.queue.start)
            .number(self.queue.end)
            .number(self.queue_bytes)
            .done())
    }

    pub(super) fn decode(bytes: &[u8], find: FindBody<'_>) -> Result<Suspended, StoreError> {
        let mut row = Decoder::new(bytes);
        let mut decoded = Suspended {
            remaining_ms: row.number()?,
            at: row.time()?,
            jid: row.text()?.to_string(),
            name: row.text()?.to_string(),
            resume_seconds: row.number_u32()?,
            received: row.number_u32()?,
            acknowledged: row.number_u32()?,
            ..Suspended::default()
        };
        let roster = row.byte()?;
        decoded.wants_roster = roster != NO_ROSTER;
        decoded.wants_channels = roster == ROSTER_WITH_CHANNELS;
        Ok(Suspended {
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
                let mut all = Vec::new();
                for _ in 0..row.length()? {
                    all.extend(HeldRow::decode(&mut row, find)?);
                }
                all
            },
            queue: row.number()?..row.number()?,
            queue_bytes: row.number()?,
            ..decoded
        })
    }
}

/// What of a held stanza follows its head.
const HELD_ARCHIVED: u8 = 1;
const HELD_BODY: u8 = 2;

impl HeldRow {
    fn encode(&self, row: Encoder, keep: KeepBody<'_>) -> Result<Encoder, StoreError> {
        let archived = self.archived.map_or(0, |_| HELD_ARCHIVED);
        let body = self.stanza.body.as_ref().map_or(0, |_| HELD_BODY);
        let mut row = row
            .text(&self.key)
            .bytes(&self.stanza.head)
            .byte(archived | body);
        if let Some((id, form)) = self.archived {
            row = row.number(id.0).byte(form);
        }
        if let Some(body) = &self.stanza.body {
            row = row.number(keep(body)?);
        }
        Ok(row)
    }

    /// `None`: its body is lost.
    fn decode(row: &mut Decoder<'_>, find: FindBody<'_>) -> Result<Option<HeldRow>, StoreError> {
        let key = row.text()?.to_string();
        let head = Box::from(row.bytes()?);
        let follows = row.byte()?;
        let archived = match follows & HELD_ARCHIVED {
            0 => None,
            _ => Some((ArchiveId(row.number()?), row.byte()?)),
        };
        let body = match follows & HELD_BODY {
            0 => None,
            _ => match find(row.number()?)? {
                None => return Ok(None),
                found => found,
            },
        };
        Ok(Some(HeldRow {
            key,
            stanza: Kept { head, body },
            archived,
        }))
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
                stanza: Kept::from(Box::from(*b"<presence/>")),
                archived: Some((ArchiveId(9), 2)),
            }],
            queue: 3..u64::MAX,
            queue_bytes: 12,
            ..Suspended::default()
        };
        let none = &mut |_: u64| panic!("it has no bodies");
        let bytes = session.encode(&mut |_| panic!("it has none")).unwrap();
        assert_eq!(Suspended::decode(&bytes, none).unwrap(), session);
        for end in 0..bytes.len() {
            assert!(Suspended::decode(&bytes[..end], none).is_err(), "{end}");
        }
    }
}
