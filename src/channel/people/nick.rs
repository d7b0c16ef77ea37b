//! Nicks: one nick is one person's, in rooms and channels alike, compared by RFC 8266 §2.4.
use std::rc::Rc;

use crate::state::Cx;
use crate::store::{ChannelId, StoreError};
use crate::xmpp::{Condition, folded_nick};

use crate::channel::Channel;

/// Bytes of a nick.
pub const NICK_BYTES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nick {
    pub text: Rc<str>,
    /// As it is compared.
    pub key: Rc<str>,
}

impl Nick {
    pub fn parse(text: &str) -> Result<Nick, Condition> {
        let key = folded_nick(text).filter(|_| text.len() <= NICK_BYTES_MAX);
        let key = key.ok_or(Condition::NotAcceptable)?;
        let text: Rc<str> = text.into();
        // Most are the same, and kept once.
        let key = match *key == *text {
            true => Rc::clone(&text),
            false => key.into(),
        };
        Ok(Nick { text, key })
    }
}

/// Whose it is now: a bare JID.
pub fn holder(cx: &Cx<'_>, channel: &Channel, key: &str) -> Result<Option<String>, StoreError> {
    if let Some(held) = cx.tx.nick_holder(channel.id(), key)? {
        return Ok(Some(held));
    }
    let room = cx.state.rooms.get(channel.id());
    let occupant = room.and_then(|room| room.of_nick(key).next());
    Ok(occupant.map(|occupant| occupant.jid.bare_str().to_string()))
}

/// Whether somebody may have it.
pub fn is_free_for(
    cx: &Cx<'_>,
    channel: &Channel,
    key: &str,
    jid: &str,
) -> Result<bool, StoreError> {
    if is_registered_by_another(cx, key, jid)? {
        return Ok(false);
    }
    let holder = holder(cx, channel, key)?;
    Ok(holder.is_none_or(|holder| holder == jid))
}

/// XEP-0407 §3: a nick that is somebody's in all channels, given as it is compared.
pub fn is_registered_by_another(cx: &Cx<'_>, key: &str, jid: &str) -> Result<bool, StoreError> {
    let holder = cx.tx.nick_holder(ChannelId::SERVICE, key)?;
    Ok(holder.is_some_and(|holder| holder != jid))
}
