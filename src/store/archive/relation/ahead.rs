//! What stanzas do to one that is not there yet: whoever sends anew what was lost on the way may send the correction first
//! (XEP-0308), and then what it corrects. The latest of them are known while the server runs.
use std::collections::VecDeque;

use super::names;
use crate::xml::Escaped;
use crate::xmpp::relation::Act;

/// Stanzas that are known to be ahead of what they are about.
const AHEAD_MAX: usize = 256;
/// And so much ahead: whoever counts their messages from the start again later means another one.
pub const AHEAD_MS_MAX: u64 = 10 * 60_000;

/// Their sequences, and hashes of the names of what they are about.
#[derive(Default)]
pub struct Ahead(VecDeque<(u64, u32)>);

impl Ahead {
    /// A stanza names one that is not there. Marks are of what was seen.
    pub fn add(&mut self, sequence: u64, act: Act, name: &str) {
        if !matches!(act, Act::Corrects | Act::Retracts | Act::Reacts) {
            return;
        }
        if self.0.len() >= AHEAD_MAX {
            self.0.pop_front();
        }
        let hash = names::hash(&Escaped(name).to_string());
        self.0.push_back((sequence, hash));
    }

    /// Some of them may be about this one.
    pub fn knows(&self, xml: &str) -> bool {
        let is_awaited = |hash| self.0.iter().any(|(_, of_it)| *of_it == hash);
        !self.0.is_empty() && names::hashes(xml).any(is_awaited)
    }

    /// Those that may be about this one, in order; they are ahead of nothing any more.
    pub fn take(&mut self, xml: &str) -> Vec<u64> {
        let hashes: Vec<u32> = names::hashes(xml).collect();
        let mut taken = Vec::new();
        self.0.retain(|(sequence, of_it)| {
            let is_it = hashes.contains(of_it);
            if is_it {
                taken.push(*sequence);
            }
            !is_it
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        format!("<message from='a@x' to='b@x' id='{name}'><body>b</body></message>")
    }

    #[test]
    fn only_the_latest_are_known_and_each_once() {
        let mut ahead = Ahead::default();
        assert!(!ahead.knows(&named("0")));
        for n in 0..=AHEAD_MAX {
            ahead.add(u64::try_from(n).unwrap(), Act::Corrects, &n.to_string());
        }
        assert!(!ahead.knows(&named("0")) && ahead.knows(&named("1")));
        ahead.add(1000, Act::Reacts, "5");
        assert_eq!(ahead.take(&named("5")), [5, 1000]);
        assert!(!ahead.knows(&named("5")));
        ahead.add(1001, Act::Displays, "seen");
        assert!(!ahead.knows(&named("seen")));
    }
}
