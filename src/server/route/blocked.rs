//! XEP-0191: who is kept from whom, for every kind of stanza.
use crate::feature;
use crate::state::{Cx, Fault, Local};
use crate::store::StoreError;
use crate::xmpp::{BareJid, Jid};

/// XEP-0191 §3.2: whom I block I cannot write to either.
pub fn require_not_blocked_by_sender(cx: &Cx<'_>, own: &BareJid, to: &Jid) -> Result<(), Fault> {
    let blocked = cx
        .state
        .sessions
        .online(own)
        .is_some_and(|online| online.blocked.matches(to));
    if blocked && to.bare_str() != own.as_str() {
        return Err(feature::blocked_error().into());
    }
    Ok(())
}

/// §3.2: the account blocks whom this came from, which is not itself.
pub fn is_blocked_by(cx: &Cx<'_>, local: &Local, from: &Jid) -> Result<bool, StoreError> {
    if local.jid.as_str() == from.bare_str() {
        return Ok(false);
    }
    Ok(cx.block_list(&local.jid, local.account)?.matches(from))
}
