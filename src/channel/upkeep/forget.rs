//! An account is gone: it belongs to no channel any more, so that whoever has its name later inherits nothing.
use crate::state::Cx;
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xmpp::BareJid;

use super::tombstone;
use crate::channel::mix::participants::registered;
use crate::channel::people::standing::{self, By};
use crate::channel::{each, people};

pub fn forget_account(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    registered::forget(cx, jid)?;
    tombstone::forget_owner(cx, jid)?;
    each(cx, &mut |cx, mut channel| {
        if channel.row.members == 0 || cx.tx.member(channel.id(), jid.as_str())?.is_none() {
            return Ok(());
        }
        // Those inside hear that it is nobody's any more.
        let none = (ChannelAffiliation::None, By::default());
        standing::set_affiliation(cx, &mut channel, jid.as_str(), none)?;
        people::set(cx, &mut channel, jid.as_str(), &MemberRow::default())
    })
}
