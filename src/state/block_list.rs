//! XEP-0191 §2: which JIDs a block list matches.
use std::rc::Rc;

use crate::xmpp::Jid;

/// The JIDs one account blocks. Cheap to clone; most accounts block nobody, which takes no memory.
#[derive(Clone, Debug, Default)]
pub struct BlockList(Option<Rc<[String]>>);

impl BlockList {
    pub fn new(jids: Vec<String>) -> BlockList {
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
        self.jids().iter().any(|blocked| blocks(blocked, jid))
    }
}

/// True if the list's item covers the JID.
fn blocks(item: &str, jid: &Jid) -> bool {
    if item == jid.as_str() || item == jid.bare_str() || item == jid.domain() {
        return true;
    }
    match (item.split_once('/'), jid.resource()) {
        (Some((domain, resource)), Some(of_jid)) => domain == jid.domain() && resource == of_jid,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_cover_what_is_below_them() {
        let blocks = |item: &str, jid: &str| blocks(item, &Jid::parse(jid).unwrap());
        assert!(blocks("a@x/r", "a@x/r") && !blocks("a@x/r", "a@x/s") && !blocks("a@x/r", "a@x"));
        assert!(blocks("a@x", "a@x/r") && blocks("a@x", "a@x") && !blocks("a@x", "b@x"));
        assert!(blocks("x/r", "a@x/r") && !blocks("x/r", "a@x/s"));
        assert!(blocks("x", "a@x/r") && blocks("x", "x") && !blocks("x", "a@y"));
    }
}
