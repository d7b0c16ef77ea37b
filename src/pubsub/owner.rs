//! Whose nodes they are: an account's (XEP-0163), or those of the server's service.
use crate::state::Cx;
use crate::store::{AccountId, NodeOwner};
use crate::xmpp::{BareJid, Jid};

/// What stands before the domain in the service's name.
pub const SERVICE: &str = "pubsub";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    Account(AccountId),
    Service,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The address of its nodes.
    pub jid: BareJid,
    pub kind: OwnerKind,
}

impl Owner {
    pub fn account(jid: &BareJid, account: AccountId) -> Owner {
        Owner {
            jid: jid.clone(),
            kind: OwnerKind::Account(account),
        }
    }

    pub fn service(cx: &Cx<'_>) -> Owner {
        let name = format!("{SERVICE}.{}", cx.state.domains.served());
        let jid = BareJid::stored(&name);
        Owner {
            jid: jid.unwrap_or_else(|| cx.state.domains.served().clone()),
            kind: OwnerKind::Service,
        }
    }

    /// What keys of its rows begin with.
    pub fn number(&self) -> NodeOwner {
        match self.kind {
            OwnerKind::Account(account) => account.into(),
            OwnerKind::Service => NodeOwner::SERVICE,
        }
    }

    /// The account itself, by whatever resource: it owns all its nodes.
    pub fn is_self(&self, who: &Jid) -> bool {
        matches!(self.kind, OwnerKind::Account(_)) && who.bare_str() == self.jid.as_str()
    }
}
