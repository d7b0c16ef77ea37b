//! XEP-0115: what clients can do, by verified hash. Bounded; shared by all sessions of the same client.
use std::collections::HashMap;
use std::rc::Rc;

/// Hash strings remembered; the one not used for longest makes room.
pub const CAPABILITIES_MAX: usize = 512;
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

/// Verified capabilities.
#[derive(Debug, Default)]
pub struct Capabilities {
    known: HashMap<CapsId, Known>,
    uses: u64,
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
}
