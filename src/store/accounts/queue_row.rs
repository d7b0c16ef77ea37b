//! The rows of what sessions have not acknowledged (`suspended`): how they lie in their table.
use std::rc::Rc;

use super::suspended_row::KeepBody;
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::{ArchiveId, Body, Kept, StoreError};
use crate::xmpp::Timestamp;

/// What a row of a queue is.
const WHOLE: u8 = 0;
const WHOLE_SHARED: u8 = 1;
const ARCHIVED: u8 = 2;
/// A head, and the number of a body.
const PARTS: u8 = 3;
const PARTS_SHARED: u8 = 4;

/// A stanza that is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueRow {
    Whole {
        stanza: Kept,
        at: Timestamp,
        /// Another session got it as well.
        shared: bool,
    },
    /// It is in the archive; `form` says how it looks to this session.
    Archived { id: ArchiveId, form: u8 },
}

/// A row as it lies in its table: a body is elsewhere.
pub(super) struct Lying {
    row: QueueRow,
    body: Option<(u64, u64)>,
}

impl Lying {
    /// The number of the body.
    pub(super) fn body(&self) -> Option<u64> {
        self.body.map(|(number, _)| number)
    }

    /// With the body, which is found by its number.
    pub(super) fn with_body(self, found: Option<Rc<Body>>) -> QueueRow {
        match (self.row, self.body, found) {
            (QueueRow::Whole { stanza, at, shared }, Some(_), Some(body)) => QueueRow::Whole {
                stanza: Kept {
                    head: stanza.head,
                    body: Some(body),
                },
                at,
                shared,
            },
            // It is lost. The stanza was counted, so something has to take its place: one of no archive does.
            (_, Some(_), None) => QueueRow::Archived {
                id: ArchiveId(0),
                form: 0,
            },
            (row, None, _) | (row @ QueueRow::Archived { .. }, _, _) => row,
        }
    }

    /// What the row takes, of `length` bytes itself: all of it, whoever shares its body.
    pub(super) fn bytes(&self, length: usize) -> u64 {
        let body = self.body.map_or(0, |(_, bytes)| bytes);
        u64::try_from(length)
            .unwrap_or(u64::MAX)
            .saturating_add(body)
    }
}

impl QueueRow {
    pub(super) fn encode(&self, keep: KeepBody<'_>) -> Result<Vec<u8>, StoreError> {
        if let QueueRow::Whole { stanza, at, shared } = self
            && let Some(body) = &stanza.body
        {
            return Ok(Encoder::default()
                .byte(if *shared { PARTS_SHARED } else { PARTS })
                .time(*at)
                .bytes(&stanza.head)
                .number(keep(body)?)
                .length(body.bytes().len())
                .done());
        }
        Ok(match self {
            QueueRow::Whole { stanza, at, shared } => Encoder::default()
                .byte(if *shared { WHOLE_SHARED } else { WHOLE })
                .time(*at)
                .bytes(&stanza.bytes())
                .done(),
            QueueRow::Archived { id, form } => Encoder::default()
                .byte(ARCHIVED)
                .byte(*form)
                .number(id.0)
                .done(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Lying, StoreError> {
        let mut row = Decoder::new(bytes);
        let kind = row.byte()?;
        let decoded = match kind {
            ARCHIVED => QueueRow::Archived {
                form: row.byte()?,
                id: ArchiveId(row.number()?),
            },
            _ => QueueRow::Whole {
                at: row.time()?,
                stanza: Kept::from(Box::from(row.bytes()?)),
                shared: matches!(kind, WHOLE_SHARED | PARTS_SHARED),
            },
        };
        Ok(Lying {
            row: decoded,
            body: match kind {
                PARTS | PARTS_SHARED => Some((row.number()?, row.number()?)),
                _ => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        for row in [
            QueueRow::Archived {
                id: ArchiveId(1 << 40),
                form: 1,
            },
            QueueRow::Whole {
                stanza: Kept::from(Box::from(*b"<iq/>")),
                at: Timestamp(5),
                shared: true,
            },
        ] {
            let bytes = row.encode(&mut |_| panic!("it has none")).unwrap();
            let lying = QueueRow::decode(&bytes).unwrap();
            assert_eq!(lying.body(), None);
            assert_eq!(lying.with_body(None), row);
        }
    }
}
