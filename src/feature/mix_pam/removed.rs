//! A channel that is taken out of the roster is left (XEP-0405 §2.9).
use std::rc::Rc;

use crate::state::Cx;
use crate::store::{AccountId, StoreError};
use crate::xml::parse_stored;
use crate::xmpp::{BareJid, Envelope, Iq, IqKind, ns};

/// An account that will be gone leaves them all.
pub fn leave_channels(cx: &mut Cx<'_>, whose: (&BareJid, AccountId)) -> Result<(), StoreError> {
    for (channel, _) in cx.tx.joined_channels(whose.1)? {
        removed_from_roster(cx, whose, &channel)?;
    }
    Ok(())
}

/// A client took the channel out of the roster: the account leaves it. What the channel answers changes nothing.
pub fn removed_from_roster(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    channel: &BareJid,
) -> Result<(), StoreError> {
    if cx.tx.joined_channel(account, channel)?.is_none() {
        return Ok(());
    }
    cx.tx.set_joined_channel(account, channel, None)?;
    let text = format!("<iq><leave xmlns='{}'/></iq>", ns::MIX);
    let Ok(element) = parse_stored(&text, ns::CLIENT) else {
        return Ok(());
    };
    let id = cx.new_id();
    cx.state.effects.own_requests.push(Iq {
        envelope: Envelope {
            from: Some(own.clone().into()),
            to: Some(channel.clone().into()),
            id: Some(Rc::from(id)),
            lang: None,
        },
        kind: IqKind::Set,
        element,
    });
    Ok(())
}
