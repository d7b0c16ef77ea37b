//! A row of `stanzas`: time, owners, addresses, the stanza itself.
use crate::xmpp::relation::{Act, Kind, kind_of};
use crate::xmpp::{Timestamp, ns};

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::{AccountId, ArchiveId, Direction, Owner, Record, StoreError};

const RECEIVED: u8 = 1;
const UNSEEN: u8 = 2;
/// At the first owner: behind the owners stands what it does to which other one.
const RELATES: u8 = 4;
/// What kind of message it is, in the index and at the first owner; neither bit: it came before that was noted.
const SAID: u8 = 8;
const ANCILLARY: u8 = 16;
const GONE: u8 = SAID | ANCILLARY;
/// In the index: its sender has read an earlier one.
const READING: u8 = 32;
/// And by XEP-0333 it marks it.
const MARKING: u8 = 64;
/// The owner's archive has no part in it.
const PASSING: u8 = 128;
/// What a stanza takes in the file beside its bytes: keys, index rows, page slack.
const STANZA_OVERHEAD_BYTES: u64 = 128;

/// A relation of a stanza to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    pub act: Act,
    pub target: ArchiveId,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct StanzaRow<'a> {
    pub at: Timestamp,
    /// Each account once.
    pub owners: Vec<Owner>,
    /// What it does to an earlier one.
    pub relation: Option<Relation>,
    /// `None`: it came before that was noted.
    pub noted_kind: Option<Kind>,
    pub from: &'a str,
    pub to: &'a str,
    pub xml: &'a str,
}

impl<'a> StanzaRow<'a> {
    pub fn new(record: &Record<'a>, at: Timestamp) -> StanzaRow<'a> {
        let mut owners: Vec<Owner> = Vec::with_capacity(record.owners.len());
        for owner in record.owners {
            // Only received stanzas wait to be seen.
            let unseen = owner.unseen && owner.direction != Direction::Sent;
            match owners.iter_mut().find(|o| o.account == owner.account) {
                Some(twice) => {
                    if owner.direction != Direction::Sent {
                        twice.direction = owner.direction;
                    }
                    twice.unseen |= unseen;
                }
                None => owners.push(Owner { unseen, ..*owner }),
            }
        }
        StanzaRow {
            at,
            owners,
            relation: None,
            noted_kind: None,
            from: record.from.as_str(),
            to: record.to.as_str(),
            xml: record.xml,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let head = Encoder::default().time(self.at).length(self.owners.len());
        let mut of_stanza = kind_bits(self.noted_kind);
        if self.relation.is_some() {
            of_stanza |= RELATES;
        }
        let owners = self.owners.iter().fold(head, |out, owner| {
            let held = held(owner) | std::mem::take(&mut of_stanza);
            out.number(owner.account.0.into()).byte(held)
        });
        let relation = match self.relation {
            Some(Relation { act, target }) if !self.owners.is_empty() => {
                owners.byte(act.number()).number(target.0)
            }
            _ => owners,
        };
        relation
            .text(self.from)
            .text(self.to)
            .raw(self.xml.as_bytes())
            .done()
    }

    pub fn decode(bytes: &'a [u8]) -> Result<StanzaRow<'a>, StoreError> {
        let mut row = Decoder::new(bytes);
        let at = row.time()?;
        let count = row.length()?;
        let mut of_stanza = 0;
        let owner = |_| {
            let account = AccountId(row.number_u32()?);
            let held = row.byte()?;
            of_stanza |= held;
            Ok(owner_of(account, held))
        };
        let owners = (0..count).map(owner).collect::<Result<_, StoreError>>()?;
        let relation = match of_stanza & RELATES != 0 {
            true => {
                let (act, target) = (row.byte()?, ArchiveId(row.number()?));
                Act::numbered(act).map(|act| Relation { act, target })
            }
            false => None,
        };
        Ok(StanzaRow {
            at,
            owners,
            relation,
            noted_kind: kind_held(of_stanza),
            from: row.text()?,
            to: row.text()?,
            xml: row.rest_text()?,
        })
    }

    /// What it counts in each archive that holds it, however many do.
    pub fn weight(&self) -> u64 {
        footprint(self.from.len() + self.to.len() + self.xml.len())
    }

    /// Who said it: in rooms and channels the whole sender, else the bare JID.
    pub fn sender(&self) -> &'a str {
        match is_groupchat(self.xml) {
            true => self.from,
            false => bare(self.from),
        }
    }

    pub fn kind(&self) -> Kind {
        self.noted_kind.unwrap_or_else(|| self.kind_told())
    }

    /// As the stanza itself tells it.
    pub fn kind_told(&self) -> Kind {
        kind_of(self.xml, self.relation.map(|relation| relation.act))
    }

    /// The value of its rows in the index.
    pub fn held(&self, owner: &Owner) -> u8 {
        let marks = match self.relation.map(|done| done.act) {
            Some(Act::Displays | Act::Acknowledges) => READING | MARKING,
            Some(Act::Receives) => MARKING,
            _ => 0,
        };
        held(owner) | kind_bits(self.noted_kind) | marks
    }

    pub fn time_of(bytes: &[u8]) -> Result<Timestamp, StoreError> {
        Decoder::new(bytes).time()
    }

    /// The other side, as this owner sees it.
    pub fn peer(&self, account: AccountId) -> &'a str {
        let is_sender =
            |owner: &Owner| owner.account == account && owner.direction == Direction::Sent;
        if self.owners.iter().any(is_sender) {
            self.to
        } else {
            self.from
        }
    }
}

/// What a stanza of so many bytes takes in the file.
pub(super) fn footprint(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX / 2) + STANZA_OVERHEAD_BYTES
}

fn kind_bits(kind: Option<Kind>) -> u8 {
    match kind {
        None => 0,
        Some(Kind::Said) => SAID,
        Some(Kind::Ancillary) => ANCILLARY,
        Some(Kind::Gone) => GONE,
    }
}

/// What kind of message a row of the index is of; `None`: only the stanza knows.
pub(super) fn kind_held(held: u8) -> Option<Kind> {
    match held & GONE {
        0 => None,
        SAID => Some(Kind::Said),
        ANCILLARY => Some(Kind::Ancillary),
        _ => Some(Kind::Gone),
    }
}

/// The same of another kind.
pub(super) fn with_kind(held: u8, kind: Kind) -> u8 {
    (held & !GONE) | kind_bits(Some(kind))
}

pub(super) fn is_received(held: u8) -> bool {
    held & RECEIVED != 0
}

pub(super) fn is_reading(held: u8) -> bool {
    held & READING != 0 || kind_held(held).is_none()
}

pub(super) fn is_marking(held: u8) -> bool {
    held & MARKING != 0 || kind_held(held).is_none()
}

/// Direction and unseen flag as one byte.
fn held(owner: &Owner) -> u8 {
    let received = match owner.direction {
        Direction::Sent => 0,
        Direction::Received => RECEIVED,
        Direction::Passing => RECEIVED | PASSING,
    };
    received | if owner.unseen { UNSEEN } else { 0 }
}

pub(super) fn owner_of(account: AccountId, held: u8) -> Owner {
    Owner {
        account,
        direction: match (held & RECEIVED, held & PASSING) {
            (0, _) => Direction::Sent,
            (_, 0) => Direction::Received,
            _ => Direction::Passing,
        },
        unseen: held & UNSEEN != 0,
    }
}

pub(super) fn is_passing(held: u8) -> bool {
    held & PASSING != 0
}

pub(super) fn is_unseen(held: u8) -> bool {
    held & UNSEEN != 0
}

/// Whether a message is of type groupchat: as it is written here, no attribute's value has such quotes in it.
pub(super) fn is_groupchat(xml: &str) -> bool {
    let tag = xml.split('>').next().unwrap_or_default();
    tag.contains(" type='groupchat'")
}

/// Whether a message is between two occupants of a room.
pub(super) fn is_private(row: &StanzaRow<'_>) -> bool {
    !is_groupchat(row.xml) && row.xml.contains(ns::MUC_USER)
}

/// The text of a JID without its resource.
pub(in crate::store) fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}

/// FNV-1a of the bare JID: the same on every machine and in every version. Two JIDs of one hash only cost time.
pub(in crate::store) fn peer_hash(jid: &str) -> u64 {
    bare(jid).bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use crate::xmpp::Jid;

    use super::*;

    #[test]
    fn an_account_owns_a_stanza_once() {
        let jid = Jid::parse("a@b/c").unwrap();
        let owner = |direction, unseen| Owner {
            account: AccountId(3),
            direction,
            unseen,
        };
        let record = Record {
            owners: &[
                owner(Direction::Sent, true),
                owner(Direction::Received, true),
            ],
            from: &jid,
            to: &jid,
            at: Timestamp(-5),
            xml: "<message/>",
            act: None,
        };
        let mut row = StanzaRow::new(&record, record.at);
        assert_eq!(row.owners, [owner(Direction::Received, true)]);
        let bytes = row.encode();
        assert_eq!(StanzaRow::decode(&bytes).unwrap(), row);
        assert_eq!(StanzaRow::time_of(&bytes).unwrap(), Timestamp(-5));
        row.relation = Some(Relation {
            act: Act::Reacts,
            target: ArchiveId(300),
        });
        let bytes = row.encode();
        assert_eq!(StanzaRow::decode(&bytes).unwrap(), row);
        for kind in [Kind::Said, Kind::Ancillary, Kind::Gone] {
            row.noted_kind = Some(kind);
            assert_eq!(StanzaRow::decode(&row.encode()).unwrap(), row);
            let held = row.held(&row.owners[0]);
            assert_eq!((kind_held(held), is_unseen(held)), (Some(kind), true));
            assert_eq!(kind_held(with_kind(held, Kind::Gone)), Some(Kind::Gone));
        }
        for end in 0..bytes.len() - row.xml.len() {
            assert!(StanzaRow::decode(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(peer_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(peer_hash("foobar/x"), 0x8594_4171_f739_67e8);
    }
}
