//! XEP-0405 §2.2, §2.9.2: what comes from a channel, addressed to the account.
use crate::feature::Storable;
use crate::state::{Cx, joined_channel};
use crate::store::{AccountId, JoinedChannel, StoreError};
use crate::xmpp::{BareJid, Jid, Message, MessageKind, ns};

use super::channel_left;

const PARTICIPANTS: &str = "urn:xmpp:mix:nodes:participants";
/// Between the participant and the channel, in addresses of participants (XEP-0403 §3.2).
const OF: char = '#';

/// What becomes of what a channel distributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromChannel {
    pub storable: Storable,
}

/// What a channel that the account is in distributes; `None`: it is something else. The roster follows where the channel tells
/// that it is over.
pub fn from_channel(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    message: &Message,
) -> Result<Option<FromChannel>, StoreError> {
    let event = match message.kind {
        MessageKind::Groupchat => None,
        MessageKind::Normal | MessageKind::Headline => {
            let event = message.child("event", ns::PUBSUB_EVENT);
            match event.and_then(|event| event.children().next()) {
                Some(what) => Some(what),
                None => return Ok(None),
            }
        }
        MessageKind::Chat | MessageKind::Error => return Ok(None),
    };
    let Some(channel) = message.envelope.from.as_ref().map(Jid::to_bare) else {
        return Ok(None);
    };
    let Some(joined) = joined_channel(cx, (own, account), &channel)? else {
        return Ok(None);
    };
    let Some(what) = event else {
        let storable = storable(message);
        return Ok(Some(FromChannel { storable }));
    };
    let is_participants = what.attribute("node").as_deref() == Some(PARTICIPANTS);
    let takes_away = |joined: &JoinedChannel| {
        let mut items = what.children().filter(|item| item.name() == "retract");
        items.any(|item| item.attribute("id").as_deref() == Some(&*joined.participant))
    };
    let is_over = match what.name() {
        "delete" | "purge" => true,
        "items" => takes_away(&joined),
        _ => false,
    };
    if is_participants && is_over {
        channel_left(cx, (own, account), &channel)?;
    }
    let storable = Storable::No;
    Ok(Some(FromChannel { storable }))
}

/// §2.11: all that says something, unless whoever sent it wants that it is not kept (XEP-0334).
fn storable(message: &Message) -> Storable {
    let has_hint = |name| message.child(name, ns::HINTS).is_some();
    let is_kept = || {
        let mut children = message.element.root().children();
        children.any(|child| {
            let is_transient = [ns::CHAT_STATES, ns::HINTS, ns::STANZA_ID, ns::MIX];
            !is_transient.contains(&child.namespace())
        })
    };
    let is_refused = has_hint("no-store") || has_hint("no-permanent-store");
    match !is_refused && (has_hint("store") || is_kept()) {
        true => Storable::Archive,
        false => Storable::No,
    }
}

/// The channel whose participant an address is, if the account is in it (XEP-0403 §3.2).
pub fn channel_of_presence(
    cx: &Cx<'_>,
    account: AccountId,
    from: &Jid,
) -> Result<Option<BareJid>, StoreError> {
    let local = from.local().and_then(|local| local.split_once(OF));
    let channel = local.and_then(|(_, name)| BareJid::from_parts(Some(name), from.domain()).ok());
    let Some(channel) = channel else {
        return Ok(None);
    };
    let joined = cx.tx.joined_channel(account, &channel)?;
    Ok(joined.map(|_| channel))
}
