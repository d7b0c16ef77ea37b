//! XEP-0352: what an inactive client need not hear at once is held, the latest of each kind and sender, in order.
use std::collections::VecDeque;

use crate::state::Keep;
use crate::store::Kept;

/// Stanzas held for one session; reaching it lets all of them go.
pub const HELD_STANZAS_MAX: usize = 512;
/// Bytes held for one session; reaching it lets all of them go.
pub const HELD_BYTES_MAX: usize = 64 << 10;

/// How soon a session whose client is inactive must have a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency<'a> {
    /// It wakes the client: bodies, encrypted payloads, requests, errors, calls, subscription requests.
    Now,
    /// It waits; a later one of the same replaces it: presence, chat states, events of a node.
    Latest(Replaces<'a>),
    /// It waits, and all of them count: receipts.
    Later,
}

/// What a later stanza is the successor of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    pub kind: Kind,
    pub sender: &'a str,
    /// Of an event (XEP-0060): its node, and its item where a node has more than one that counts.
    pub node: &'a str,
    pub item: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Presence,
    ChatState,
    Event,
}

impl<'a> Urgency<'a> {
    pub fn latest(kind: Kind, sender: &'a str) -> Urgency<'a> {
        Urgency::Latest(Replaces {
            kind,
            sender,
            node: "",
            item: "",
        })
    }
}

impl Replaces<'_> {
    /// As one text; neither addresses nor attributes as they were sent hold a line feed.
    fn key(&self) -> String {
        let kind = match self.kind {
            Kind::Presence => 'p',
            Kind::ChatState => 'c',
            Kind::Event => 'e',
        };
        format!("{kind}{}\n{}\n{}", self.sender, self.node, self.item)
    }
}

/// A stanza that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldStanza {
    /// What replaces it; empty: nothing does.
    pub key: Box<str>,
    pub stanza: Kept,
    pub keep: Keep,
}

/// What is held for one inactive session.
#[derive(Debug, Default)]
pub struct Held {
    stanzas: VecDeque<HeldStanza>,
    bytes: usize,
}

impl Held {
    /// Takes a stanza to hold; false when it is `Now` or there is no room, so that everything must go out.
    pub fn hold(&mut self, urgency: Urgency<'_>, stanza: Kept, keep: Keep) -> bool {
        let key = match urgency {
            Urgency::Now => return false,
            Urgency::Later => String::new(),
            Urgency::Latest(replaces) => replaces.key(),
        };
        self.push(HeldStanza {
            key: key.into(),
            stanza,
            keep,
        })
    }

    /// Puts a stanza behind all others, in the place of the one it replaces; false: there is no room.
    pub fn push(&mut self, stanza: HeldStanza) -> bool {
        if !stanza.key.is_empty() {
            self.forget(&stanza.key);
        }
        let bytes = footprint(&stanza);
        if self.stanzas.len() >= HELD_STANZAS_MAX || self.bytes + bytes > HELD_BYTES_MAX {
            return false;
        }
        self.bytes += bytes;
        self.stanzas.push_back(stanza);
        true
    }

    fn forget(&mut self, key: &str) {
        let position = self.stanzas.iter().position(|held| &*held.key == key);
        if let Some(held) = position.and_then(|position| self.stanzas.remove(position)) {
            self.bytes -= footprint(&held);
        }
    }

    /// All that is held, oldest first; nothing is held afterwards.
    pub fn take(&mut self) -> VecDeque<HeldStanza> {
        self.bytes = 0;
        std::mem::take(&mut self.stanzas)
    }

    pub fn stanzas(&self) -> impl Iterator<Item = &HeldStanza> {
        self.stanzas.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    /// What is held takes in memory, or would if it shared nothing with others.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it takes by itself.
    pub fn own_bytes(&self) -> usize {
        let shared = self.stanzas.iter().map(|held| held.stanza.shared_len());
        self.bytes - shared.sum::<usize>()
    }
}

fn footprint(held: &HeldStanza) -> usize {
    size_of::<HeldStanza>() + held.key.len() + held.stanza.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: &[u8]) -> Kept {
        Kept::from(Box::from(bytes))
    }

    const fn presence(sender: &str) -> Urgency<'_> {
        Urgency::Latest(Replaces {
            kind: Kind::Presence,
            sender,
            node: "",
            item: "",
        })
    }

    #[test]
    fn the_latest_of_a_sender_takes_its_place_in_order() {
        let mut held = Held::default();
        assert!(held.hold(presence("a"), kept(b"a1"), Keep::WHOLE));
        assert!(held.hold(presence("b"), kept(b"b1"), Keep::WHOLE));
        assert!(held.hold(Urgency::Later, kept(b"receipt"), Keep::WHOLE));
        assert!(held.hold(Urgency::Later, kept(b"receipt"), Keep::WHOLE));
        assert!(held.hold(presence("a"), kept(b"a2"), Keep::WHOLE));
        assert!(!held.hold(Urgency::Now, kept(b"message"), Keep::WHOLE));
        assert!(held.bytes() > 18);
        let all: Vec<_> = held
            .take()
            .into_iter()
            .map(|held| String::from_utf8(held.stanza.bytes().into_owned()).unwrap())
            .collect();
        assert_eq!(all, ["b1", "receipt", "receipt", "a2"]);
        assert_eq!((held.bytes(), held.is_empty()), (0, true));
    }

    #[test]
    fn holds_no_more_than_its_limits() {
        let mut held = Held::default();
        let taken = (0..HELD_STANZAS_MAX + 5)
            .filter(|n| held.hold(presence(&n.to_string()), kept(b"x"), Keep::WHOLE))
            .count();
        assert_eq!(taken, HELD_STANZAS_MAX);
        let mut held = Held::default();
        let taken = (0..100)
            .filter(|n| held.hold(presence(&n.to_string()), kept(&[0; 1000]), Keep::WHOLE))
            .count();
        assert!((50..=HELD_BYTES_MAX / 1000).contains(&taken), "{taken}");
        assert!(held.bytes() <= HELD_BYTES_MAX);
    }
}
