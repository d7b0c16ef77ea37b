//! XEP-0115, XEP-0390: what clients want to hear of, by verified hash. Bounded; shared by all sessions of the same client.
use std::collections::HashMap;
use std::rc::Rc;

/// Hashes remembered; the one not used for longest makes room.
pub const CAPABILITIES_MAX: usize = 512;
/// Nodes that one client is notified of (XEP-0163 §4.2: features that end with `+notify`).
pub const CLIENT_NODES_MAX: usize = 128;

/// One announced hash: the value of `ver` for a SHA-1 of XEP-0115, `ALGORITHM.HASH` for one of XEP-0390.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CapsId(pub Rc<str>);

/// What a client announced, and what that stands for once it was verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Caps {
    pub id: CapsId,
    /// In order.
    nodes: Option<Box<[Box<str>]>>,
}

impl Caps {
    pub fn unknown(id: CapsId) -> Caps {
        Caps { id, nodes: None }
    }

    pub fn known(id: CapsId, mut nodes: Vec<Box<str>>) -> Caps {
        nodes.sort_unstable();
        nodes.dedup();
        let nodes = Some(nodes.into());
        Caps { id, nodes }
    }

    pub fn is_known(&self) -> bool {
        self.nodes.is_some()
    }

    /// The nodes the client wants to be notified of and the features it has, in order; none as long as that is not verified.
    pub fn wanted(&self) -> &[Box<str>] {
        self.nodes.as_deref().unwrap_or_default()
    }

    /// Whether the client announces a feature that the server goes by.
    pub fn has(&self, feature: &str) -> bool {
        self.wants(&Caps::feature(feature))
    }

    /// How a feature stands among the nodes.
    pub fn feature(feature: &str) -> String {
        format!("={feature}")
    }

    pub fn wants(&self, node: &str) -> bool {
        let found = self.wanted().binary_search_by(|known| (**known).cmp(node));
        found.is_ok()
    }
}

#[derive(Debug)]
struct Known {
    caps: Rc<Caps>,
    used: u64,
}

/// Verified capabilities.
#[derive(Debug, Default)]
pub struct Capabilities {
    known: HashMap<CapsId, Known>,
    uses: u64,
}

impl Capabilities {
    /// What is known of an announced hash, or that nothing is.
    pub fn of(&mut self, id: CapsId) -> Rc<Caps> {
        self.uses += 1;
        match self.known.get_mut(&id) {
            Some(known) => {
                known.used = self.uses;
                Rc::clone(&known.caps)
            }
            None => Rc::new(Caps::unknown(id)),
        }
    }

    /// Keeps what was verified. Returns it, and what had to make room.
    pub fn learn(&mut self, caps: Caps) -> (Rc<Caps>, Option<CapsId>) {
        self.uses += 1;
        let mut dropped = None;
        if self.known.len() >= CAPABILITIES_MAX && !self.known.contains_key(&caps.id) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            dropped = oldest.map(|(id, _)| id.clone());
        }
        if let Some(dropped) = &dropped {
            self.known.remove(dropped);
        }
        let caps = Rc::new(caps);
        let known = Known {
            caps: Rc::clone(&caps),
            used: self.uses,
        };
        self.known.insert(caps.id.clone(), known);
        (caps, dropped)
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
        capabilities.learn(Caps::known(id(0), vec!["kept".into()]));
        let mut dropped = Vec::new();
        for n in 1..=CAPABILITIES_MAX {
            capabilities.of(id(0));
            dropped.extend(capabilities.learn(Caps::known(id(n), Vec::new())).1);
        }
        assert_eq!(capabilities.len(), CAPABILITIES_MAX);
        assert_eq!(dropped, [id(1)]);
        assert!(capabilities.of(id(0)).is_known() && !capabilities.of(id(1)).is_known());
        // The same again takes nobody's place.
        let again = Caps::known(id(2), vec!["new".into()]);
        assert_eq!(capabilities.learn(again).1, None);
        assert!(capabilities.of(id(2)).wants("new"));
    }

    #[test]
    fn only_what_is_verified_is_wanted() {
        let id = || CapsId("v".into());
        let caps = Caps::known(id(), vec!["b".into(), "a".into(), "b".into()]);
        assert!(caps.wants("a") && caps.wants("b") && !caps.wants("c"));
        assert_eq!(caps.wanted().len(), 2);
        assert!(!Caps::unknown(id()).wants("a"));
    }
}
