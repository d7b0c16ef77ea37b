//! Nodes of accounts whose specifications say how they are configured: so they are made where their publisher says nothing.
use crate::xmpp::Condition;

use super::config::{MAX, NodeConfig, field};
use super::owner::OwnerKind;

struct Known {
    name: &'static str,
    /// So are all whose names begin with it.
    is_prefix: bool,
    usual: &'static [(usize, u64)],
    /// Nobody but the owner may ever read it, whatever a client asks for: one that is careless gives away whom somebody
    /// talks to.
    is_private: bool,
}

const OPEN: (usize, u64) = (field::ACCESS_MODEL, 0);
const WHITELIST: (usize, u64) = (field::ACCESS_MODEL, 4);
const ALL: (usize, u64) = (field::MAX_ITEMS, MAX);
const NEVER: (usize, u64) = (field::SEND_LAST, 0);
const WITHOUT_PAYLOADS: (usize, u64) = (field::DELIVER_PAYLOADS, 0);

const fn row(name: &'static str, usual: &'static [(usize, u64)]) -> Known {
    Known {
        name,
        is_prefix: false,
        usual,
        is_private: false,
    }
}

impl Known {
    const fn private(self) -> Known {
        Known {
            is_private: true,
            ..self
        }
    }

    const fn prefix(self) -> Known {
        Known {
            is_prefix: true,
            ..self
        }
    }
}

const KNOWN: &[Known] = &[
    // XEP-0402 §3, §5; XEP-0048 §2.
    row("urn:xmpp:bookmarks:1", &[WHITELIST, ALL, NEVER]).private(),
    row("storage:bookmarks", &[WHITELIST]).private(),
    // XEP-0490 §4.2.2
    row("urn:xmpp:mds:displayed:0", &[WHITELIST, ALL, NEVER]).private(),
    // XEP-0292 §5.2, §3.2
    row("urn:xmpp:contacts", &[WHITELIST, ALL]),
    row("urn:xmpp:vcard4", &[OPEN, WITHOUT_PAYLOADS]),
    // XEP-0384 §5.3, and as it was in its version 0.3, with a node for each device.
    row("urn:xmpp:omemo:2:devices", &[OPEN]),
    row("urn:xmpp:omemo:2:bundles", &[OPEN, ALL]),
    row("eu.siacs.conversations.axolotl.devicelist", &[OPEN]),
    row("eu.siacs.conversations.axolotl.bundles:", &[OPEN]).prefix(),
    // XEP-0373 §4.1, §5.2
    row("urn:xmpp:openpgp:0:public-keys", &[OPEN]).prefix(),
    row("urn:xmpp:openpgp:0:secret-key", &[WHITELIST]),
];

fn find(kind: OwnerKind, name: &str) -> Option<&'static Known> {
    let is_it = |known: &&Known| match known.is_prefix {
        true => name.starts_with(known.name),
        false => name == known.name,
    };
    let found = KNOWN.iter().find(is_it);
    found.filter(|_| matches!(kind, OwnerKind::Account(_)))
}

/// How a node of this name begins.
pub fn usual(kind: OwnerKind, name: &str) -> NodeConfig {
    let mut config = NodeConfig::usual(kind);
    let known = find(kind, name);
    for (field, number) in known.into_iter().flat_map(|known| known.usual) {
        config.set_number(*field, *number);
    }
    config
}

/// Refuses what would open a node that is its owner's alone.
pub fn require_private(kind: OwnerKind, name: &str, config: &NodeConfig) -> Result<(), Condition> {
    let (model, whitelist) = WHITELIST;
    let is_open = config.number(model) != whitelist;
    match find(kind, name) {
        Some(known) if known.is_private && is_open => Err(Condition::NotAcceptable),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::AccessModel;
    use crate::store::AccountId;

    #[test]
    fn nodes_are_as_their_specifications_want_them() {
        let account = OwnerKind::Account(AccountId(7));
        for (name, access, items_max) in [
            ("urn:xmpp:bookmarks:1", AccessModel::Whitelist, MAX),
            (
                "eu.siacs.conversations.axolotl.bundles:1",
                AccessModel::Open,
                1,
            ),
            ("urn:xmpp:omemo:2:bundles", AccessModel::Open, MAX),
            ("urn:xmpp:omemo:2:bundles:1", AccessModel::Presence, 1),
            ("http://jabber.org/protocol/nick", AccessModel::Presence, 1),
        ] {
            let config = usual(account, name);
            assert_eq!(config.access(), access, "{name}");
            assert_eq!(config.number(field::MAX_ITEMS), items_max, "{name}");
            assert!(require_private(account, name, &config).is_ok());
        }
        let open = usual(account, "urn:xmpp:omemo:2:devices");
        assert!(require_private(account, "urn:xmpp:bookmarks:1", &open).is_err());
        let service = OwnerKind::Service;
        let there = usual(service, "urn:xmpp:bookmarks:1");
        assert_eq!(there, NodeConfig::usual(service));
        assert!(require_private(service, "urn:xmpp:bookmarks:1", &there).is_ok());
    }
}
