//! XEP-0437: sessions that are told that something happened in rooms they are not in, once a room.
use std::collections::HashMap;

use crate::store::ChannelId;

use crate::state::SessionId;

/// Rooms that one session watches.
pub const WATCHED_MAX: usize = 250;

/// By room: whether the session was told since it was last in it.
#[derive(Debug, Default)]
pub struct Watchers(HashMap<SessionId, HashMap<ChannelId, bool>>);

impl Watchers {
    pub fn begin(&mut self, session: SessionId, rooms: impl Iterator<Item = (ChannelId, bool)>) {
        self.0.insert(session, rooms.take(WATCHED_MAX).collect());
    }

    /// All that is watched, and whether the session was told of it; of a session that watches no room yet, no room.
    pub fn all(&self) -> impl Iterator<Item = (SessionId, Option<ChannelId>, bool)> {
        self.0.iter().flat_map(|(session, rooms)| {
            let none = rooms.is_empty().then_some((*session, None, false));
            let rooms = rooms.iter();
            none.into_iter()
                .chain(rooms.map(|(room, told)| (*session, Some(*room), *told)))
        })
    }

    /// As it was before the server stopped.
    pub fn restore(&mut self, session: SessionId, room: Option<ChannelId>, told: bool) {
        let rooms = self.0.entry(session).or_default();
        rooms.extend(room.map(|room| (room, told)));
    }

    pub fn end(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// The session was in it until now; false: it watches none.
    pub fn left(&mut self, session: SessionId, room: ChannelId) -> bool {
        let Some(rooms) = self.0.get_mut(&session) else {
            return false;
        };
        if rooms.len() < WATCHED_MAX || rooms.contains_key(&room) {
            rooms.insert(room, false);
        }
        true
    }

    /// Those that are to be told of the next thing that happens in it.
    pub fn waiting(&self, room: ChannelId) -> Vec<SessionId> {
        let waits = |rooms: &HashMap<ChannelId, bool>| rooms.get(&room) == Some(&false);
        let waiting = self.0.iter().filter(|(_, rooms)| waits(rooms));
        waiting.map(|(session, _)| *session).collect()
    }

    pub fn told(&mut self, session: SessionId, room: ChannelId) {
        if let Some(told) = self.0.get_mut(&session).and_then(|it| it.get_mut(&room)) {
            *told = true;
        }
    }
}
