//! XEP-0369 §7.1.4: the nick of a participant is one of the channel: nobody else has it, in rooms neither.
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field};
use crate::channel::muc::register::hold;
use crate::channel::people::nick::{Nick, is_free_for};
use crate::channel::{Channel, people};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::MemberRow;
use crate::xml::ElementRef;
use crate::xmpp::{Condition, ns};

use super::{registered, told};

pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let who = asked.who.as_str();
    let member = people::member(cx, &asked.channel, who)?;
    if member.participation.is_none() {
        return Err(Condition::Forbidden.into());
    }
    let namespace = asked.payload.namespace();
    let wanted = asked.payload.child("nick", namespace);
    let text = wanted.ok_or(Condition::BadRequest)?.text().into_owned();
    let nick = match text.trim().is_empty() {
        true => made_up(cx, &asked.channel, who),
        false => text,
    };
    let nick = taken(cx, &asked.channel, who, &nick)?;
    if member.nick.as_deref() != Some(&*nick) {
        let now = MemberRow {
            nick: Some(nick.clone()),
            ..member
        };
        people::set(cx, &mut asked.channel, who, &now)?;
        told::nick_changed(cx, &asked.channel, who, &now)?;
    }
    Ok(Reply::payload(|w| {
        w.open_ns("setnick", namespace).leaf("nick", &nick).close();
    }))
}

/// XEP-0407 §3, of one channel: a nick that is held for whoever asks, as a room holds it.
pub fn register(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let wanted = asked.payload.child("nick", ns::MIX_MISC);
    let text = wanted.map(|nick| nick.text().trim().to_string());
    let text = text.filter(|text| !text.is_empty());
    let made_up = || made_up(cx, &asked.channel, asked.who.as_str());
    let nick = Nick::parse(&text.unwrap_or_else(made_up))?;
    hold(cx, asked, &nick)?;
    Ok(Reply::payload(|w| {
        w.open_ns("register", ns::MIX_MISC)
            .leaf("nick", &nick.text)
            .close();
    }))
}

/// The nick that somebody who joins has; `None`: they have none, and need none.
pub fn on_joining(
    cx: &Cx<'_>,
    channel: &Channel,
    (who, member): (&str, &MemberRow),
    join: ElementRef<'_>,
) -> Result<Option<String>, Fault> {
    let wanted = join.child("nick", join.namespace());
    let text = wanted.map(|nick| nick.text().into_owned());
    let everywhere = registered::nick_of(cx, who)?;
    match text {
        Some(text) if text.trim().is_empty() => Ok(Some(made_up(cx, channel, who))),
        Some(text) => Ok(Some(taken(cx, channel, who, &text)?)),
        // It was registered.
        None if member.nick.is_some() => Ok(member.nick.clone()),
        None if everywhere.is_some() => Ok(everywhere),
        None if channel.row.flag(field::NICK_MANDATORY) => Err(Condition::NotAcceptable.into()),
        None => Ok(None),
    }
}

/// §7.1.4: left to the channel.
fn made_up(cx: &Cx<'_>, channel: &Channel, who: &str) -> String {
    people::id_of(cx, channel, who).to_string()
}

fn taken(cx: &Cx<'_>, channel: &Channel, who: &str, text: &str) -> Result<String, Fault> {
    let nick = Nick::parse(text)?;
    match is_free_for(cx, channel, &nick.key, who)? {
        true => Ok(nick.text.to_string()),
        false => Err(Condition::Conflict.into()),
    }
}
