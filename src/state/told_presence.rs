//! XEP-0356 §8: presence of contacts that was told lately, so that none is told twice.
use std::collections::VecDeque;

use crate::xmpp::Jid;

/// Contacts remembered; the oldest are forgotten, and may be told of again.
const TOLD_MAX: usize = 256;

/// What each said last, as a digest.
#[derive(Debug, Default)]
pub struct ToldPresence(VecDeque<(Jid, u64)>);

impl ToldPresence {
    /// Notes it; false: that is what the contact said last.
    pub fn is_new(&mut self, contact: &Jid, said: u64) -> bool {
        let known = self.0.iter_mut().find(|(jid, _)| jid == contact);
        if let Some((_, last)) = known {
            return std::mem::replace(last, said) != said;
        }
        if self.0.len() >= TOLD_MAX {
            self.0.pop_front();
        }
        self.0.push_back((contact.clone(), said));
        true
    }

    /// Somebody came who was told nothing.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new_once_and_few_are_remembered() {
        let jid = |n: usize| Jid::parse(&format!("a@b/{n}")).unwrap();
        let mut told = ToldPresence::default();
        assert!(told.is_new(&jid(0), 1) && !told.is_new(&jid(0), 1));
        assert!(told.is_new(&jid(0), 2) && told.is_new(&jid(0), 1));
        for n in 1..=TOLD_MAX {
            assert!(told.is_new(&jid(n), 1));
        }
        assert_eq!(told.0.len(), TOLD_MAX);
        assert!(told.is_new(&jid(0), 1));
        told.forget();
        assert!(told.is_new(&jid(1), 1));
    }
}
