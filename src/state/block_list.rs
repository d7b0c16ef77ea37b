//! XEP-0191 §2: which JIDs a block list matches.
use std::rc::Rc;

use crate::xmpp::Jid;

/// The JIDs one account blocks, in order. Cheap to clone; most accounts block nobody, which takes no memory.
#[derive(Clone, Debug, Default)]
pub struct BlockList(Option<Rc<[String]>>);

impl BlockList {
    pub fn new(mut jids: Vec<String>) -> BlockList {
        jids.sort_unstable();
        BlockList((!jids.is_empty()).then(|| jids.into()))
    }

    pub fn jids(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `user@domain/resource`, `user@domain`, `domain/resource` and `domain` in this order (§2).
    pub fn matches(&self, jid: &Jid) -> bool {
        !self.is_empty()
            && (self.contains(&[jid.as_str()])
                || self.contains(&[jid.bare_str()])
                || self.contains(&[jid.domain()])
                || jid
                    .resource()
                    .is_some_and(|resource| self.contains(&[jid.domain(), "/", resource])))
    }

    /// Whether it has an item that reads like these parts together.
    pub fn contains(&self, parts: &[&str]) -> bool {
        let wanted = || parts.iter().flat_map(|part| part.bytes());
        let found = self
            .jids()
            .binary_search_by(|item| item.bytes().cmp(wanted()));
        found.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_cover_what_is_below_them() {
        let blocks = |item: &str, jid: &str| {
            let others = ["zz@zz", "a", "x/a", "a@x/a"].map(str::to_string);
            let list = BlockList::new([&others[..], &[item.to_string()]].concat());
            list.matches(&Jid::parse(jid).unwrap())
        };
        assert!(blocks("a@x/r", "a@x/r") && !blocks("a@x/r", "a@x/s") && !blocks("a@x/r", "a@x"));
        assert!(blocks("a@x", "a@x/r") && blocks("a@x", "a@x") && !blocks("a@x", "b@x"));
        assert!(blocks("x/r", "a@x/r") && !blocks("x/r", "a@x/s"));
        assert!(blocks("x", "a@x/r") && blocks("x", "x") && !blocks("x", "a@y"));
    }
}
