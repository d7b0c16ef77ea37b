//! TLS sessions that clients may resume (RFC 8446 §2.2), each once: a ticket that was used is gone, so that what it
//! carried as early data cannot be sent again to this process (§8.1). Nothing outlives the process.
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use rustls::server::StoresServerSessions;

/// Bytes of all sessions together; the oldest makes room.
pub const SESSIONS_BYTES_MAX: usize = 512 << 10;
/// What a session takes beside its own bytes, roughly.
const ENTRY_BYTES: usize = 80;
/// Bytes of a session's name that it is looked up by; the rest is compared.
const LOOKUP_BYTES: usize = 8;

#[derive(Debug)]
pub struct Sessions {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_name: HashMap<u64, Session>,
    /// Oldest first; some of them are gone already.
    order: VecDeque<u64>,
    bytes: usize,
}

/// The rest of a session's name and its value, in one piece.
#[derive(Debug)]
struct Session {
    name_bytes: usize,
    whole: Box<[u8]>,
}

impl Session {
    fn split(&self) -> (&[u8], &[u8]) {
        self.whole
            .split_at_checked(self.name_bytes)
            .unwrap_or_default()
    }
}

impl Sessions {
    pub fn new(bytes_max: usize) -> Sessions {
        Sessions {
            bytes_max,
            kept: Mutex::default(),
        }
    }

    /// Bytes of all sessions together.
    pub fn bytes(&self) -> usize {
        self.kept.lock().map_or(0, |kept| kept.bytes)
    }
}

impl Kept {
    fn remove(&mut self, lookup: u64) -> Option<Session> {
        let session = self.by_name.remove(&lookup)?;
        self.bytes -= session.whole.len() + ENTRY_BYTES;
        Some(session)
    }

    fn make_room(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.remove(oldest);
        }
        // Names of used sessions must not pile up.
        if self.order.len() > 2 * self.by_name.len() + 16 {
            let by_name = &self.by_name;
            self.order.retain(|name| by_name.contains_key(name));
        }
    }
}

fn split_name(name: &[u8]) -> Option<(u64, &[u8])> {
    let (lookup, rest) = name.split_first_chunk::<LOOKUP_BYTES>()?;
    Some((u64::from_ne_bytes(*lookup), rest))
}

impl StoresServerSessions for Sessions {
    fn put(&self, name: Vec<u8>, value: Vec<u8>) -> bool {
        let (Some((lookup, rest)), Ok(mut kept)) = (split_name(&name), self.kept.lock()) else {
            return false;
        };
        kept.remove(lookup);
        let session = Session {
            name_bytes: rest.len(),
            whole: [rest, &value].concat().into(),
        };
        kept.bytes += session.whole.len() + ENTRY_BYTES;
        kept.by_name.insert(lookup, session);
        kept.order.push_back(lookup);
        kept.make_room(self.bytes_max);
        kept.by_name.contains_key(&lookup)
    }

    fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        let (lookup, rest) = split_name(name)?;
        let kept = self.kept.lock().ok()?;
        let (found, value) = kept.by_name.get(&lookup)?.split();
        (found == rest).then(|| value.to_vec())
    }

    fn take(&self, name: &[u8]) -> Option<Vec<u8>> {
        let value = self.get(name)?;
        let (lookup, _) = split_name(name)?;
        self.kept.lock().ok()?.remove(lookup);
        Some(value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u64) -> Vec<u8> {
        [&n.to_ne_bytes()[..], &[7; 24]].concat()
    }

    #[test]
    fn a_session_is_taken_once() {
        let sessions = Sessions::new(1000);
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
        let each = 24 + 100 + ENTRY_BYTES;
        let sessions = Sessions::new(10 * each);
        for n in 0..1000 {
            assert!(sessions.put(name(n), vec![0; 100]));
            if n % 3 == 0 {
                sessions.take(&name(n));
            }
        }
        assert!(sessions.bytes() <= 10 * each);
        assert!(sessions.get(&name(998)).is_some());
        assert!(sessions.get(&name(900)).is_none());
        assert!(sessions.kept.lock().unwrap().order.len() <= 40);
    }
}
