//! Channels that somebody is in, or that were used lately: all that is kept of them in memory. One that nobody is in and
//! nobody spoke in for a while takes none.
pub mod activity;
mod ids;
mod joined;
mod occupant;
pub mod watchers;

use std::collections::HashMap;
use std::rc::Rc;

use crate::store::{ChannelId, ChannelRow};
use crate::xmpp::BareJid;

pub use ids::{ParticipantId, ParticipantIds};
pub use joined::joined_channel;
pub use occupant::{Occupant, Role, Way};

/// Channels kept in memory though nobody is in them.
pub const IDLE_ROOMS_MAX: usize = 64;
/// How long one is kept after somebody spoke in it.
const IDLE_MS: u64 = 60_000;

/// Occupants who are looked at for somebody who says the same of themselves: what clients say is often alike.
const SAID_ALIKE_LOOKS: usize = 16;

/// People who are remembered to have spoken just now; if so many did within the time that each is to wait, nobody else may.
const SPOKE_MAX: usize = 4096;

/// One channel in memory.
#[derive(Debug)]
pub struct Room {
    pub name: Box<str>,
    pub row: Rc<ChannelRow>,
    /// In the order they came.
    pub occupants: Vec<Occupant>,
    /// Who is sent messages as a participant of XEP-0369, until that changes.
    pub takers: Option<Rc<[Taker]>>,
    /// When people last said something, by bare JID, while the channel counts that (XEP-0500).
    spoke: HashMap<Box<str>, u64>,
    /// When it was last used (`Moment::monotonic_ms`).
    pub used_ms: u64,
}

/// A participant who subscribed to the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taker {
    pub jid: BareJid,
    /// The nodes subscribed to.
    pub nodes: u16,
    /// The namespaces they joined by are of version 0.
    pub is_old: bool,
    /// They administer the channel, and are told who is who.
    pub rules: bool,
}

#[derive(Debug, Default)]
pub struct Rooms {
    rooms: HashMap<ChannelId, Room>,
    names: HashMap<Box<str>, ChannelId>,
}

impl Rooms {
    pub fn get(&self, id: ChannelId) -> Option<&Room> {
        self.rooms.get(&id)
    }

    pub fn get_mut(&mut self, id: ChannelId) -> Option<&mut Room> {
        self.rooms.get_mut(&id)
    }

    /// By the local part of its address.
    pub fn named(&self, name: &str) -> Option<&Room> {
        self.rooms.get(self.names.get(name)?)
    }

    pub fn all(&self) -> impl Iterator<Item = &Room> {
        self.rooms.values()
    }

    /// The one of this number, made if it is not there.
    pub fn open(&mut self, name: &str, row: &Rc<ChannelRow>, now_ms: u64) -> &mut Room {
        if !self.rooms.contains_key(&row.id) {
            self.make_room(now_ms);
            self.names.insert(name.into(), row.id);
        }
        let room = self.rooms.entry(row.id).or_insert_with(|| Room {
            name: name.into(),
            row: Rc::clone(row),
            occupants: Vec::new(),
            takers: None,
            spoke: HashMap::new(),
            used_ms: now_ms,
        });
        room.used_ms = now_ms;
        room
    }

    /// Forgets it, whoever is in it.
    pub fn close(&mut self, id: ChannelId) -> Option<Room> {
        let room = self.rooms.remove(&id)?;
        self.names.remove(&room.name);
        Some(room)
    }

    /// Forgets those that nobody is in and nobody used for a while.
    pub fn forget_idle(&mut self, now_ms: u64) {
        let names = &mut self.names;
        self.rooms.retain(|_, room| {
            let stays = !room.is_idle() || now_ms < room.used_ms.saturating_add(IDLE_MS);
            if !stays {
                names.remove(&room.name);
            }
            stays
        });
        if self.rooms.is_empty() {
            *self = Rooms::default();
        }
    }

    fn make_room(&mut self, now_ms: u64) {
        let idle = self.rooms.values().filter(|room| room.is_idle());
        let idle: Vec<_> = idle.map(|room| (room.used_ms, room.row.id)).collect();
        if idle.len() >= IDLE_ROOMS_MAX {
            self.forget_idle(now_ms);
            if let Some((_, oldest)) = idle.iter().min() {
                self.close(*oldest);
            }
        }
    }
}

impl Room {
    /// Nobody is in it, or shown as if they were, but participants, who are written down.
    pub fn is_idle(&self) -> bool {
        let mut occupants = self.occupants.iter();
        occupants.all(|occupant| occupant.way == Way::Participant && occupant.jid.is_bare())
    }

    /// Somebody comes in. There is little room for more than there are; what the last who came said of themselves in the same
    /// words is kept once.
    pub fn enter(&mut self, mut occupant: Occupant) {
        let last = self.occupants.iter().rev().take(SAID_ALIKE_LOOKS);
        let mut alike = last.filter(|one| one.presence == occupant.presence);
        if let Some(alike) = alike.next() {
            occupant.presence = Rc::clone(&alike.presence);
        }
        if self.occupants.len() == self.occupants.capacity() {
            let more = self.occupants.len() / 16 + 1;
            self.occupants.reserve_exact(more);
        }
        self.occupants.push(occupant);
    }

    /// Each nick once, in order.
    pub fn nicks(&self) -> Vec<Rc<str>> {
        let occupants = self.occupants.iter();
        let mut nicks: Vec<_> = occupants.map(|one| Rc::clone(&one.nick)).collect();
        nicks.sort();
        nicks.dedup();
        nicks
    }

    /// XEP-0500: somebody says something. False: it is too soon after the last time, also if they left and came meanwhile.
    pub fn may_speak(&mut self, who: &str, wait_ms: u64, now_ms: u64) -> bool {
        let is_over = |at: u64| now_ms >= at.saturating_add(wait_ms);
        if self.spoke.get(who).is_some_and(|at| !is_over(*at)) {
            return false;
        }
        if self.spoke.len() >= SPOKE_MAX {
            self.spoke.retain(|_, at| !is_over(*at));
        }
        if self.spoke.len() >= SPOKE_MAX {
            return false;
        }
        self.spoke.insert(who.into(), now_ms);
        true
    }

    /// All that one person has in here, in the order they came.
    pub fn of_nick<'r>(&'r self, key: &'r str) -> impl Iterator<Item = &'r Occupant> {
        let occupants = self.occupants.iter();
        occupants.filter(move |occupant| *occupant.key == *key)
    }

    pub fn of_person<'r>(&'r self, jid: &'r str) -> impl Iterator<Item = &'r Occupant> {
        let occupants = self.occupants.iter();
        occupants.filter(move |occupant| occupant.jid.bare_str() == jid)
    }
}
