//! XEP-0280 §6.1: an error is copied if what it answers was; so the messages of a session that were not are remembered.
use std::hash::{DefaultHasher, Hash, Hasher};

/// Messages remembered of one session; the oldest make room.
const UNCOPIED_MAX: usize = 32;

/// Ids of the messages that a session sent last and that were not copied, as hashes.
#[derive(Debug, Default)]
pub struct Uncopied(Vec<u64>);

impl Uncopied {
    pub fn remember(&mut self, id: &str) {
        if self.0.len() >= UNCOPIED_MAX {
            self.0.remove(0);
        }
        self.0.push(hash(id));
    }

    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(&hash(id))
    }

    pub fn forget(&mut self) {
        self.0 = Vec::new();
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
