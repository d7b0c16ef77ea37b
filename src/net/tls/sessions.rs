//! TLS sessions that clients may resume (RFC 8446 §2.2), each once: a ticket that was used is gone, so that what it
//! carried as early data cannot be sent again to this process (§8.1). Nothing outlives the process. They lie behind each
//! other in one buffer, so that thousands of small values that stay do not keep the memory around them from being used.
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use rustls::server::StoresServerSessions;

use crate::state::resettle;

/// Bytes of all sessions together, until another limit is set; the oldest makes room.
const BYTES_MAX: usize = 64 << 10;
/// What a session takes beside its own bytes: its length, its place in the table.
const ENTRY_BYTES: usize = 32;
/// Bytes of a session's name that it is looked up by; the rest is compared.
const LOOKUP_BYTES: usize = 8;

#[derive(Debug, Default)]
pub struct Sessions(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    bytes_max: usize,
    /// Names and values, oldest first; those that were taken stay until everything before them is gone.
    ring: VecDeque<u8>,
    /// Bytes that left the front of the ring.
    dropped: u64,
    /// Where each session begins, counted from the first byte there ever was.
    places: HashMap<u64, u64>,
}

/// A session's header in the ring: what it is looked up by, the length of the rest of its name, that of its value.
const HEADER_BYTES: usize = LOOKUP_BYTES + 2 + 2;

impl Default for Kept {
    fn default() -> Kept {
        Kept {
            bytes_max: BYTES_MAX,
            ring: VecDeque::new(),
            dropped: 0,
            places: HashMap::new(),
        }
    }
}

impl Sessions {
    /// Bytes of all sessions together.
    pub fn bytes(&self) -> usize {
        self.0.lock().map_or(0, |kept| kept.bytes())
    }

    /// Keeps no more from now on.
    pub fn limit(&self, bytes_max: usize) {
        if let Ok(mut kept) = self.0.lock() {
            kept.bytes_max = bytes_max;
            kept.make_room();
            if kept.ring.capacity() > 2 * bytes_max {
                kept.ring = kept.ring.iter().copied().collect();
                resettle(&mut kept.places);
            }
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        self.ring.len() + self.places.len() * ENTRY_BYTES
    }

    fn ring_bytes(&self) -> u64 {
        u64::try_from(self.ring.len()).unwrap_or(u64::MAX)
    }

    fn copy(&self, from: usize, count: usize) -> Vec<u8> {
        self.ring.iter().skip(from).take(count).copied().collect()
    }

    /// What a session that begins there is looked up by, and how long the rest of its name and its value are.
    fn header(&self, at: usize) -> Option<(u64, usize, usize)> {
        let header = self.copy(at, HEADER_BYTES);
        let (lookup, rest) = header.split_first_chunk::<LOOKUP_BYTES>()?;
        let [name_high, name_low, value_high, value_low] = *rest.first_chunk()?;
        Some((
            u64::from_ne_bytes(*lookup),
            u16::from_be_bytes([name_high, name_low]).into(),
            u16::from_be_bytes([value_high, value_low]).into(),
        ))
    }

    fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        let (lookup, rest) = split_name(name)?;
        let place = self.places.get(&lookup)?.checked_sub(self.dropped)?;
        let at = usize::try_from(place).ok()?;
        let (_, name_bytes, value_bytes) = self.header(at)?;
        let at = at + HEADER_BYTES;
        (self.copy(at, name_bytes) == rest).then(|| self.copy(at + name_bytes, value_bytes))
    }

    fn put(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let (lookup, rest) = split_name(name)?;
        let lengths = [
            u16::try_from(rest.len()).ok()?.to_be_bytes(),
            u16::try_from(value.len()).ok()?.to_be_bytes(),
        ];
        let place = self.dropped + self.ring_bytes();
        self.places.insert(lookup, place);
        self.ring.extend(lookup.to_ne_bytes());
        self.ring.extend(lengths.concat());
        self.ring.extend(rest);
        self.ring.extend(value);
        Some(())
    }

    /// Drops the oldest, and whatever was taken before.
    fn make_room(&mut self) {
        while let Some((lookup, name_bytes, value_bytes)) = self.header(0) {
            let is_there = self.places.get(&lookup) == Some(&self.dropped);
            if is_there && self.bytes() <= self.bytes_max {
                return;
            }
            if is_there {
                self.places.remove(&lookup);
            }
            let whole = HEADER_BYTES + name_bytes + value_bytes;
            self.ring.drain(..whole.min(self.ring.len()));
            self.dropped += u64::try_from(whole).unwrap_or(u64::MAX);
        }
    }
}

fn split_name(name: &[u8]) -> Option<(u64, &[u8])> {
    let (lookup, rest) = name.split_first_chunk::<LOOKUP_BYTES>()?;
    Some((u64::from_ne_bytes(*lookup), rest))
}

impl StoresServerSessions for Sessions {
    fn put(&self, name: Vec<u8>, value: Vec<u8>) -> bool {
        let Ok(mut kept) = self.0.lock() else {
            return false;
        };
        let is_kept = kept.put(&name, &value).is_some();
        kept.make_room();
        is_kept && kept.get(&name).is_some()
    }

    fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.0.lock().ok()?.get(name)
    }

    fn take(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut kept = self.0.lock().ok()?;
        let value = kept.get(name)?;
        let (lookup, _) = split_name(name)?;
        kept.places.remove(&lookup);
        kept.make_room();
        Some(value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(bytes_max: usize) -> Sessions {
        let sessions = Sessions::default();
        sessions.limit(bytes_max);
        sessions
    }

    fn name(n: u64) -> Vec<u8> {
        [&n.to_ne_bytes()[..], &[7; 24]].concat()
    }

    #[test]
    fn a_session_is_taken_once() {
        let sessions = sessions(1000);
        assert!(sessions.put(name(1), vec![5; 10]));
        assert_eq!(sessions.get(&name(1)), Some(vec![5; 10]));
        let other = [&1u64.to_ne_bytes()[..], &[8; 24]].concat();
        assert_eq!(sessions.take(&other), None);
        assert_eq!(sessions.take(b"short"), None);
        assert_eq!(sessions.take(&name(1)), Some(vec![5; 10]));
        assert_eq!(sessions.take(&name(1)), None);
        assert_eq!(sessions.bytes(), 0);
    }

    #[test]
    fn the_oldest_make_room() {
        let each = HEADER_BYTES + 24 + 100 + ENTRY_BYTES;
        let sessions = sessions(10 * each);
        for n in 0..1000u64 {
            let value = vec![n.to_le_bytes()[0]; 100];
            assert!(sessions.put(name(n), value));
            if n % 3 == 0 {
                assert!(sessions.take(&name(n)).is_some());
            }
            assert!(sessions.bytes() <= 10 * each);
        }
        assert_eq!(sessions.get(&name(998)), Some(vec![230; 100]));
        assert!(sessions.get(&name(900)).is_none());
        assert!(sessions.0.lock().unwrap().places.len() <= 10);
        assert!(!sessions.put(name(1), vec![0; 10 * each]), "too large");
        assert!(!sessions.put(name(1), vec![0; 1 << 17]), "far too large");
    }

    #[test]
    fn a_newer_session_of_the_same_name_counts() {
        let sessions = sessions(1000);
        for n in 0..50 {
            assert!(sessions.put(name(1), vec![n; 40]));
            assert_eq!(sessions.get(&name(1)), Some(vec![n; 40]));
        }
        assert!(sessions.bytes() <= 1000);
        sessions.limit(0);
        assert_eq!((sessions.get(&name(1)), sessions.bytes()), (None, 0));
        assert!(!sessions.put(name(2), vec![3; 4]));
        sessions.limit(1000);
        assert!(sessions.put(name(2), vec![3; 4]));
        assert_eq!(sessions.take(&name(2)), Some(vec![3; 4]));
    }
}
