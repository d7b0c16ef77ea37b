//! XEP-0352: what an inactive client need not hear at once is held, the latest of each kind and sender, in order.
use std::collections::VecDeque;

/// Stanzas held for one session; reaching it lets all of them go.
pub const HELD_STANZAS_MAX: usize = 512;
/// Bytes held for one session; reaching it lets all of them go.
pub const HELD_BYTES_MAX: usize = 64 << 10;

/// How soon a session whose client is inactive must have a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency<'a> {
    /// It wakes the client: bodies, encrypted payloads, requests, errors, subscription requests.
    Now,
    /// It waits; a later one of the same kind and sender replaces it: presence, chat states.
    Latest { kind: char, sender: &'a str },
    /// It waits, and all of them count: receipts.
    Later,
}

#[derive(Debug)]
struct HeldStanza {
    kind: char,
    sender: Box<str>,
    bytes: Box<[u8]>,
}

/// What is held for one inactive session.
#[derive(Debug, Default)]
pub struct Held {
    stanzas: VecDeque<HeldStanza>,
    bytes: usize,
}

impl Held {
    /// Takes a stanza to hold; false when it is `Now` or there is no room, so that everything must go out.
    pub fn hold(&mut self, urgency: Urgency<'_>, stanza: &[u8]) -> bool {
        let (kind, sender) = match urgency {
            Urgency::Now => return false,
            Urgency::Later => ('-', ""),
            Urgency::Latest { kind, sender } => {
                self.forget(kind, sender);
                (kind, sender)
            }
        };
        if self.stanzas.len() >= HELD_STANZAS_MAX || self.bytes + stanza.len() > HELD_BYTES_MAX {
            return false;
        }
        self.bytes += stanza.len();
        self.stanzas.push_back(HeldStanza {
            kind,
            sender: sender.into(),
            bytes: stanza.into(),
        });
        true
    }

    fn forget(&mut self, kind: char, sender: &str) {
        let same = |held: &HeldStanza| held.kind == kind && &*held.sender == sender;
        if let Some(position) = self.stanzas.iter().position(same)
            && let Some(held) = self.stanzas.remove(position)
        {
            self.bytes -= held.bytes.len();
        }
    }

    /// All that is held, oldest first; nothing is held afterwards.
    pub fn take(&mut self) -> impl Iterator<Item = Box<[u8]>> + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.stanzas)
            .into_iter()
            .map(|held| held.bytes)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn presence(sender: &str) -> Urgency<'_> {
        Urgency::Latest { kind: 'p', sender }
    }

    #[test]
    fn the_latest_of_a_sender_takes_its_place_in_order() {
        let mut held = Held::default();
        assert!(held.hold(presence("a"), b"a1"));
        assert!(held.hold(presence("b"), b"b1"));
        assert!(held.hold(Urgency::Later, b"receipt"));
        assert!(held.hold(presence("a"), b"a2"));
        assert!(!held.hold(Urgency::Now, b"message"));
        assert_eq!(held.bytes(), 11);
        let all: Vec<_> = held
            .take()
            .map(|bytes| String::from_utf8(bytes.into()).unwrap())
            .collect();
        assert_eq!(all, ["b1", "receipt", "a2"]);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn holds_no_more_than_its_limits() {
        let mut held = Held::default();
        let taken = (0..HELD_STANZAS_MAX + 5)
            .filter(|n| held.hold(presence(&n.to_string()), b"x"))
            .count();
        assert_eq!(taken, HELD_STANZAS_MAX);
        let mut held = Held::default();
        let taken = (0..100)
            .filter(|n| held.hold(presence(&n.to_string()), &[0; 1000]))
            .count();
        assert_eq!(taken, HELD_BYTES_MAX / 1000);
    }
}
