//! The conversations in what an account reads, and how far it has read each (XEP-0430). All of it follows from the index, so that
//! nothing is written for it when a message comes, and every device sees the same.
//!
//! Read are: what the account said last and all before it; what it marked as displayed or acknowledged (XEP-0333) and all before
//! that; what it told its devices that it has seen (XEP-0490). What a channel elsewhere passed on is in the account's own archive, also
//! what the account said there: who it is in the channel, or what the channel tells of its address, makes that known.
use std::collections::{BTreeMap, BTreeSet};

use super::reading::Reading;
use super::reading::rows::IndexRow;
use super::relation::names::is_called;
use super::span::Span;
use super::stanza::{StanzaRow, bare, is_groupchat, is_reading, is_received, kind_held, peer_hash};
use super::walk::Walk;
use super::{ArchiveId, READ_STEPS};
use crate::store::schema::{ARCHIVE_WITH, STANZAS};
use crate::store::{AccountId, StoreError, Tx};
use crate::xml::{Escaped, parse_stored};
use crate::xmpp::ns;
use crate::xmpp::relation::{Act, Kind};

/// Unread messages of a conversation that are counted; it has so many or more.
pub const UNREAD_MAX: u64 = 500;
/// Steps through the index for one conversation: that many unread ones of a channel, each of which is read, and some more.
const STEPS_EACH_MAX: u64 = 6_000;
/// And at least so many, however much the others took.
const STEPS_EACH_MIN: u64 = 100;

/// One conversation, before it is looked at.
#[derive(Clone)]
pub struct Talk {
    peer: u64,
    /// Parts of the archive of a channel that belong to it.
    channel: Vec<Reading>,
    /// They are one of `rooms`.
    is_of_room: bool,
    /// Who the account is in a channel, if this is one that it takes part in.
    participant: Option<String>,
}

/// Up to where a conversation was seen.
pub enum Seen {
    Stanza(ArchiveId),
    /// By what a channel elsewhere called it (XEP-0490 §4.2).
    Called(String),
}

/// Whoever reads.
pub struct InboxReader<'a> {
    pub account: AccountId,
    /// Whether what stands in a channel's archive is from them, by its `from`.
    pub is_own: &'a dyn Fn(AccountId, &str) -> bool,
    /// Up to where they told their devices that they have seen a conversation.
    pub seen: &'a dyn Fn(&str) -> Result<Option<Seen>, StoreError>,
}

impl Talk {
    /// Whether something that came is from the account itself.
    fn is_own(&self, stanza: &StanzaRow<'_>) -> bool {
        let own = bare(stanza.to);
        if !is_groupchat(stanza.xml) {
            // What one writes to oneself is read.
            return bare(stanza.from) == own;
        }
        let by = stanza.from.split_once('/').map(|(_, by)| by);
        let participant = self.participant.as_deref();
        participant.is_some_and(|id| !id.is_empty() && by == Some(id)) || is_told_by(own, stanza)
    }
}

/// XEP-0369 §7.1.6: where addresses are visible the channel tells whose message it is.
fn is_told_by(own: &str, stanza: &StanzaRow<'_>) -> bool {
    if !stanza.xml.contains("<jid>") {
        return false;
    }
    let element = parse_stored(stanza.xml, ns::CLIENT);
    element.is_ok_and(|element| {
        let mix = element.root().child("mix", ns::MIX);
        let jid = mix.and_then(|mix| mix.child("jid", ns::MIX));
        jid.is_some_and(|jid| bare(&jid.text()) == own)
    })
}

/// How a conversation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The other side: a bare JID.
    pub with: String,
    /// The last of all that is kept of it.
    pub last: ArchiveId,
    /// What was said last; `None`: it is further back than was looked.
    pub said: Option<ArchiveId>,
    /// The channel whose archive holds that.
    pub channel: Option<AccountId>,
    /// Which is one of the `rooms`.
    pub is_of_room: bool,
    /// Up to `UNREAD_MAX`.
    pub unread: u64,
}

impl Tx {
    /// Up to so many, in no order. `rooms`: channels whose archives the account reads as a whole, unless they are in its own.
    pub fn talks(
        &self,
        account: AccountId,
        rooms: &[AccountId],
        max: usize,
    ) -> Result<Vec<Talk>, StoreError> {
        let mut channels: BTreeMap<u64, Vec<Reading>> = BTreeMap::new();
        let mut readings = self.readings(account)?;
        let is_open = |reading: &&Reading| reading.span.to == Span::ALL.to;
        let joined: BTreeSet<u32> = readings
            .iter()
            .filter(is_open)
            .map(|it| it.channel.0)
            .collect();
        let others: Vec<AccountId> = rooms
            .iter()
            .copied()
            .filter(|it| !joined.contains(&it.0))
            .collect();
        readings.retain(|reading| !others.contains(&reading.channel));
        readings.extend(others.iter().map(|channel| Reading {
            channel: *channel,
            span: Span::ALL,
        }));
        for reading in readings {
            if let Some(peer) = self.peer_of_channel(reading.channel)? {
                channels.entry(peer).or_default().push(reading);
            }
        }
        let joined = self.joined_channels(account)?.into_iter();
        let joined: Vec<(u64, String)> = joined
            .map(|(jid, joined)| (peer_hash(jid.as_str()), joined.participant))
            .collect();
        let mut peers = self.peers(account, max)?;
        peers.extend(channels.keys());
        let talks = peers.into_iter().take(max).map(|peer| {
            let channel = channels.remove(&peer).unwrap_or_default();
            let is_of_room = channel.iter().any(|part| others.contains(&part.channel));
            Talk {
                peer,
                channel,
                is_of_room,
                participant: joined.iter().find(|of| of.0 == peer).map(|of| of.1.clone()),
            }
        });
        Ok(talks.collect())
    }

    /// Hashes of the peers of an account's own archive.
    fn peers(&self, account: AccountId, max: usize) -> Result<BTreeSet<u64>, StoreError> {
        let memory = self.memory()?;
        let tail = memory.tail(account, Span::ALL).iter().map(|row| row.peer);
        let mut peers: BTreeSet<u64> = tail.collect();
        let table = self.view(ARCHIVE_WITH)?;
        let (mut from, end) = (0, account.0.saturating_add(1));
        while peers.len() < max {
            let mut behind = table.range((account.0, from, 0)..(end, 0, 0))?;
            let Some(row) = behind.next().transpose()? else {
                break;
            };
            let (_, peer, _) = row.0.value();
            peers.insert(peer);
            let Some(next) = peer.checked_add(1) else {
                break;
            };
            from = next;
        }
        Ok(peers)
    }

    fn peer_of_channel(&self, channel: AccountId) -> Result<Option<u64>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let mut walk = Walk::new(&stanzas, true);
        let mut peer = None;
        self.visit(channel, None, Span::ALL, true, &mut |row| {
            if let Some(row) = walk.find(row.sequence)? {
                peer = Some(peer_hash(StanzaRow::decode(row.value())?.peer(channel)));
            }
            Ok(peer.is_none())
        })?;
        Ok(peer)
    }

    /// `None`: nothing was ever said in it. Takes from `steps`.
    pub fn standing(
        &self,
        reader: &InboxReader<'_>,
        talk: &Talk,
        steps: &mut u64,
    ) -> Result<Option<Standing>, StoreError> {
        let stanzas = self.view(STANZAS)?;
        let mut look = Look {
            reader,
            talk,
            walk: Walk::new(&stanzas, true),
            left: STEPS_EACH_MAX.min(*steps).max(STEPS_EACH_MIN),
            last: None,
            found: None,
            up_to: ArchiveId(0),
            up_to_called: None,
        };
        let before = look.left;
        self.visit_talk(reader.account, talk.peer, &talk.channel, &mut |row| {
            look.at(row)
        })?;
        let is_over = look.left == 0;
        *steps = steps.saturating_sub(before - look.left);
        let (Some((last, archive)), None) = (look.last, &look.found) else {
            return Ok(look.found);
        };
        // There may be something further back.
        let row = Walk::new(&stanzas, true).find(last.0)?.filter(|_| is_over);
        let row = row.as_ref().map(|row| StanzaRow::decode(row.value()));
        Ok(row.transpose()?.map(|row| Standing {
            with: bare(row.peer(archive)).to_string(),
            last,
            said: None,
            channel: None,
            is_of_room: false,
            unread: 0,
        }))
    }
}

/// Back through one conversation.
struct Look<'l, 't> {
    reader: &'l InboxReader<'l>,
    talk: &'l Talk,
    walk: Walk<'l, 't>,
    left: u64,
    last: Option<(ArchiveId, AccountId)>,
    found: Option<Standing>,
    /// It is read as far as here.
    up_to: ArchiveId,
    up_to_called: Option<String>,
}

impl Look<'_, '_> {
    /// False: no more need be looked at.
    fn at(&mut self, row: IndexRow) -> Result<bool, StoreError> {
        let id = ArchiveId(row.sequence);
        let (last, _) = *self.last.get_or_insert((id, row.archive));
        if self.left == 0 || (self.found.is_some() && id <= self.up_to) {
            return Ok(false);
        }
        self.left = self.left.saturating_sub(1);
        let is_of_channel = row.archive != self.reader.account;
        let may_be_passed_on = is_of_channel || self.talk.participant.is_some();
        let may_be_own = may_be_passed_on || !is_received(row.held);
        match kind_held(row.held) {
            Some(Kind::Ancillary) if !(may_be_own && is_reading(row.held)) => return Ok(true),
            Some(kind) if kind != Kind::Ancillary && self.found.is_some() && !may_be_passed_on => {
                return Ok(self.count(kind, may_be_own));
            }
            _ => {}
        }
        self.left = self.left.saturating_sub(READ_STEPS);
        let Some(stanza) = self.walk.find(row.sequence)? else {
            return Ok(true);
        };
        let stanza = StanzaRow::decode(stanza.value())?;
        let is_own = match is_of_channel {
            true => (self.reader.is_own)(row.archive, stanza.from),
            false => !is_received(row.held) || self.talk.is_own(&stanza),
        };
        let kind = stanza.kind();
        if kind == Kind::Ancillary {
            let read = stanza
                .relation
                .filter(|done| is_own && done.act.is_reading());
            self.up_to = self
                .up_to
                .max(read.map_or(ArchiveId(0), |done| done.target));
            return Ok(true);
        }
        if self.found.is_none() {
            let with = bare(stanza.peer(row.archive)).to_string();
            if !is_own {
                self.note_seen(&with)?;
            }
            self.found = Some(Standing {
                with,
                last,
                said: Some(id),
                channel: is_of_channel.then_some(row.archive),
                is_of_room: is_of_channel && self.talk.is_of_room,
                unread: 0,
            });
            // Who left a channel has nothing to read there.
            let is_left = !may_be_passed_on && is_groupchat(stanza.xml);
            if id <= self.up_to || is_left {
                return Ok(false);
            }
        }
        if let Some(name) = &self.up_to_called
            && is_called(stanza.xml, Act::Displays, name)
        {
            return Ok(false);
        }
        Ok(self.count(kind, is_own))
    }

    fn note_seen(&mut self, with: &str) -> Result<(), StoreError> {
        match (self.reader.seen)(with)? {
            Some(Seen::Stanza(id)) => self.up_to = self.up_to.max(id),
            Some(Seen::Called(name)) if self.talk.participant.is_some() => {
                self.up_to_called = Some(Escaped(&name).to_string());
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind, is_own: bool) -> bool {
        let Some(found) = self.found.as_mut().filter(|_| !is_own) else {
            return false;
        };
        // What was retracted is nothing to read.
        found.unread += u64::from(kind == Kind::Said);
        found.unread < UNREAD_MAX
    }
}
