//! XEP-0115: what clients can do, by verified hash. Bounded; shared by all sessions of the same client.
use std::collections::HashMap;
use std::rc::Rc;

use super::SessionId;

/// Hash strings remembered; the one not used for longest makes room.
pub const CAPABILITIES_MAX: usize = 512;
/// Sessions asked about the same hash at a time, so that one that never answers keeps nobody from learning it.
const ASKED_OF_MAX: usize = 3;
/// Questions to one session at a time; what it announces beyond that is asked at its next presence.
const ASKED_BY_MAX: usize = 4;
/// Features kept of one client.
pub const CLIENT_FEATURES_MAX: usize = 128;

/// The value of `ver`, of hash `sha-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CapsId(pub Rc<str>);

#[derive(Debug)]
struct Known {
    features: Rc<[Box<str>]>,
    used: u64,
}

/// Verified capabilities, and the questions that are on their way.
#[derive(Debug, Default)]
pub struct Capabilities {
    known: HashMap<CapsId, Known>,
    /// Our disco#info requests that are not answered yet, by stanza id.
    asked: HashMap<Box<str>, Asked>,
    uses: u64,
}

#[derive(Debug)]
struct Asked {
    session: SessionId,
    id: CapsId,
}

impl Capabilities {
    pub fn features(&mut self, id: &CapsId) -> Option<Rc<[Box<str>]>> {
        self.uses += 1;
        let known = self.known.get_mut(id)?;
        known.used = self.uses;
        Some(Rc::clone(&known.features))
    }

    /// The same id, in the memory that others have it in.
    pub fn shared(&self, id: CapsId) -> CapsId {
        let known = self.known.get_key_value(&id);
        known.map_or(id, |(known, _)| known.clone())
    }

    /// Keeps features whose hash was verified.
    pub fn learn(&mut self, id: CapsId, features: Vec<Box<str>>) {
        self.uses += 1;
        if self.known.len() >= CAPABILITIES_MAX
            && let Some(oldest) = self
                .known
                .iter()
                .min_by_key(|(_, k)| k.used)
                .map(|(id, _)| id.clone())
        {
            self.known.remove(&oldest);
        }
        self.known.insert(
            id,
            Known {
                features: features.into(),
                used: self.uses,
            },
        );
    }

    /// Whether this may be asked: not when it is being asked already, or too much is.
    pub fn may_ask(&self, session: SessionId, id: &CapsId) -> bool {
        let to_session = self.asked.values().filter(|asked| asked.session == session);
        let of_id = self.asked.values().filter(|asked| asked.id == *id);
        self.asked.len() < CAPABILITIES_MAX
            && to_session.clone().count() < ASKED_BY_MAX
            && to_session.clone().all(|asked| asked.id != *id)
            && of_id.count() < ASKED_OF_MAX
    }

    /// Notes a question under an id that no other has.
    pub fn ask(&mut self, stanza_id: &str, session: SessionId, id: &CapsId) {
        let id = id.clone();
        self.asked.insert(stanza_id.into(), Asked { session, id });
    }

    /// What a session answers with this stanza id; the question is over.
    pub fn answered(&mut self, stanza_id: &str, session: SessionId) -> Option<CapsId> {
        self.asked
            .get(stanza_id)
            .filter(|asked| asked.session == session)?;
        self.asked.remove(stanza_id).map(|asked| asked.id)
    }

    /// The session answers no more.
    pub fn forget(&mut self, session: SessionId) {
        self.asked.retain(|_, asked| asked.session != session);
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_than_its_limit_and_drops_the_unused() {
        let mut capabilities = Capabilities::default();
        let id = |n: usize| CapsId(n.to_string().into());
        capabilities.learn(id(0), vec!["kept".into()]);
        for n in 1..=CAPABILITIES_MAX {
            capabilities.features(&id(0));
            capabilities.learn(id(n), Vec::new());
        }
        assert_eq!(capabilities.len(), CAPABILITIES_MAX);
        assert!(capabilities.features(&id(0)).is_some() && capabilities.features(&id(1)).is_none());
    }

    #[test]
    fn questions_are_bounded_and_each_is_its_own() {
        let mut capabilities = Capabilities::default();
        let id = |n: usize| CapsId(n.to_string().into());
        let session = SessionId(1);
        for n in 0..ASKED_BY_MAX {
            assert!(capabilities.may_ask(session, &id(n)));
            capabilities.ask(&n.to_string(), session, &id(n));
            assert!(!capabilities.may_ask(session, &id(n)), "asked already");
        }
        assert!(!capabilities.may_ask(session, &id(9)));
        // Nobody answers for another, nobody twice.
        assert_eq!(capabilities.answered("1", SessionId(2)), None);
        assert_eq!(capabilities.answered("1", session), Some(id(1)));
        assert_eq!(capabilities.answered("1", session), None);
        assert!(capabilities.may_ask(session, &id(9)));
        for n in 2..=ASKED_OF_MAX as u64 {
            assert!(capabilities.may_ask(SessionId(n), &id(0)));
            capabilities.ask(&format!("other {n}"), SessionId(n), &id(0));
        }
        assert!(!capabilities.may_ask(SessionId(99), &id(0)));
        capabilities.forget(session);
        assert!(capabilities.may_ask(SessionId(99), &id(0)));
        for n in 0..2 * CAPABILITIES_MAX {
            let (session, id) = (SessionId(100 + n as u64), id(1000 + n));
            if capabilities.may_ask(session, &id) {
                capabilities.ask(&format!("many {n}"), session, &id);
            }
        }
        assert_eq!(capabilities.asked.len(), CAPABILITIES_MAX);
    }
}
