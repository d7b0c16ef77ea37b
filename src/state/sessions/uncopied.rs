//! XEP-0280 §6.1: an error is copied if what it answers was; so the messages of a session that were not are remembered.
use std::hash::{DefaultHasher, Hash, Hasher};

/// Messages remembered of one session; the oldest make room.
const UNCOPIED_MAX: usize = 32;

/// Ids of the messages that a session sent last and that were not copied, as hashes, the newest last.
#[derive(Debug, Default)]
pub struct Uncopied(Option<Box<[u64; UNCOPIED_MAX]>>);

impl Uncopied {
    pub fn remember(&mut self, id: &str) {
        let hashes = self.0.get_or_insert_default();
        hashes.rotate_left(1);
        if let Some(last) = hashes.last_mut() {
            *last = hash(id);
        }
    }

    pub fn contains(&self, id: &str) -> bool {
        let hashes = self.0.as_ref();
        hashes.is_some_and(|hashes| hashes.contains(&hash(id)))
    }

    pub fn forget(&mut self) {
        self.0 = None;
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last() {
        let mut uncopied = Uncopied::default();
        (0..=UNCOPIED_MAX).for_each(|n| uncopied.remember(&n.to_string()));
        assert!(!uncopied.contains("0") && uncopied.contains("1"));
        assert!(uncopied.contains(&UNCOPIED_MAX.to_string()) && !uncopied.contains("x"));
        uncopied.forget();
        assert!(!uncopied.contains("1"));
    }
}
