//! XEP-0163 §7.1.4: what somebody may not read any more, because of the account's roster, they are subscribed to no more.
use crate::pubsub::access::{self, What};
use crate::pubsub::node;
use crate::pubsub::owner::Owner;
use crate::state::Cx;
use crate::store::{AccountId, Related, StoreError};
use crate::xmpp::BareJid;

use super::told;

/// A contact is in the roster in another way than before, or not at all.
pub fn recheck(
    cx: &mut Cx<'_>,
    (jid, account): (&BareJid, AccountId),
    contact: &BareJid,
) -> Result<(), StoreError> {
    let owner = Owner::account(jid, account);
    for name in cx.tx.related_nodes(owner.number(), contact.as_str())? {
        let Some(mut node) = node::node(cx, &owner, &name)? else {
            continue;
        };
        let before = cx.tx.related(&node.row, contact.as_str())?;
        if before.subscriptions.is_empty()
            || access::can(cx, &owner, &node, contact, What::Subscribe)?
        {
            continue;
        }
        let after = Related {
            subscriptions: Vec::new(),
            ..before.clone()
        };
        cx.tx.set_related(&mut node.row, contact.as_str(), &after)?;
        cx.tx.set_node(&mut node.row)?;
        for ended in &before.subscriptions {
            told::subscriber(cx, &owner, &node, ended, false);
        }
    }
    Ok(())
}
