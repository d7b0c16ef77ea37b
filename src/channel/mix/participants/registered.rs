//! XEP-0407 §3: a nick that is somebody's in all channels: nobody else gets it, and where they take part they have it.
use crate::channel::people::nick::{self, Nick};
use crate::channel::service::asked::Asked;
use crate::channel::{each, people};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{ChannelId, MemberRow, StoreError};
use crate::xmpp::{BareJid, Condition, StanzaError, folded_nick, ns};

use super::told;

/// The nick of whoever registered one.
pub fn nick_of(cx: &Cx<'_>, jid: &str) -> Result<Option<String>, StoreError> {
    let row = cx.tx.member(ChannelId::SERVICE, jid)?;
    Ok(row.and_then(|row| row.nick))
}

pub fn register(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    // One each of those who have an account here: so it has an end.
    if !cx.state.domains.is_served(asked.who.as_jid()) {
        return Err(StanzaError::new(Condition::NotAllowed)
            .text("Only users of this server have a nick in all channels.")
            .into());
    }
    let who = asked.who.as_str();
    let wanted = asked.payload.child("nick", ns::MIX_MISC);
    let text = wanted.map(|nick| nick.text().trim().to_string());
    let nick = match text.filter(|text| !text.is_empty()) {
        Some(text) => Nick::parse(&text)?,
        None => Nick::parse(&cx.new_secret_id())?,
    };
    if nick::is_registered_by_another(cx, &nick.key, who)? || is_used_by_another(cx, &nick, who)? {
        return Err(Condition::Conflict.into());
    }
    cx.require_disk_space()?;
    set(cx, who, Some(&nick))?;
    use_everywhere(cx, &asked.who, &nick)?;
    Ok(Reply::payload(|w| {
        w.open_ns("register", ns::MIX_MISC)
            .leaf("nick", &nick.text)
            .close();
    }))
}

/// A channel does not take away what somebody has.
fn is_used_by_another(cx: &mut Cx<'_>, nick: &Nick, who: &str) -> Result<bool, StoreError> {
    let mut is_used = false;
    each(cx, &mut |cx, channel| {
        let holder = cx.tx.nick_holder(channel.id(), &nick.key)?;
        is_used |= holder.is_some_and(|holder| holder != who);
        Ok(())
    })?;
    Ok(is_used)
}

/// `None`: none any more.
fn set(cx: &mut Cx<'_>, jid: &str, nick: Option<&Nick>) -> Result<(), StoreError> {
    let before = nick_of(cx, jid)?;
    let held = before.as_deref().and_then(folded_nick);
    let holds = nick.map(|nick| &*nick.key);
    let row = MemberRow {
        nick: nick.map(|nick| nick.text.to_string()),
        ..MemberRow::default()
    };
    let nicks = (held.as_deref(), holds);
    cx.tx.write_member(ChannelId::SERVICE, jid, &row, nicks)
}

fn use_everywhere(cx: &mut Cx<'_>, jid: &BareJid, nick: &Nick) -> Result<(), StoreError> {
    each(cx, &mut |cx, mut channel| {
        let before = people::member(cx, &channel, jid.as_str())?;
        let has_it = before.nick.as_deref() == Some(&*nick.text);
        if before.participation.is_none() || has_it {
            return Ok(());
        }
        let now = MemberRow {
            nick: Some(nick.text.to_string()),
            ..before
        };
        people::set(cx, &mut channel, jid.as_str(), &now)?;
        told::nick_changed(cx, &channel, jid.as_str(), &now)
    })
}

/// Their account is gone.
pub fn forget(cx: &mut Cx<'_>, jid: &BareJid) -> Result<(), StoreError> {
    match nick_of(cx, jid.as_str())? {
        Some(_) => set(cx, jid.as_str(), None),
        None => Ok(()),
    }
}
