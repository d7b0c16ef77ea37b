//! XEP-0191: who is kept from whom, for every kind of stanza.
use crate::feature;
use crate::state::{Cx, Fault, Local};
use crate::store::StoreError;
use crate::xmpp::{BareJid, Jid};

/// §3.2: whom I block I cannot write to either.
pub fn require_not_blocked_by_sender(cx: &Cx<'_>, own: &BareJid, to: &Jid) -> Result<(), Fault> {
    match blocks(cx, own, to) {
        true => Err(feature::blocked_error().into()),
        false => Ok(()),
    }
}

/// An account with sessions blocks this address, which is not its own.
pub fn blocks(cx: &Cx<'_>, own: &BareJid, other: &Jid) -> bool {
    let online = cx.state.sessions.online(own);
    online.is_some_and(|online| online.blocked.matches(other)) && other.bare_str() != own.as_str()
}

/// The account, with sessions or without, blocks whom this came from.
pub fn is_blocked_by(cx: &Cx<'_>, local: &Local, from: &Jid) -> Result<bool, StoreError> {
    if local.jid.as_str() == from.bare_str() {
        return Ok(false);
    }
    Ok(cx.block_list(&local.jid, local.account)?.matches(from))
}
