//! What participants are told of when the channel changes, whichever protocol it was changed by. Whoever changes a row of a
//! member writes it first (`people::set`), and calls this then.
use crate::channel::{Channel, people};
use crate::feature;
use crate::state::{Cx, Taker};
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xml::Writer;
use crate::xmpp::BareJid;

use crate::channel::mix::nodes::events;
use crate::channel::mix::nodes::read::{self, write_mapping, write_participant};
use crate::channel::mix::nodes::{Form, Node};
use crate::channel::mix::sent::deliver::takers;
use crate::channel::mix::sent::fan_out::shows_author;
use crate::channel::mix::sent::shown;

/// How somebody's participation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// They asked for it.
    Themselves,
    /// They were put out, and nobody asked them.
    PutOut,
}

/// Somebody joined. `now`: their row.
pub fn joined(
    cx: &mut Cx<'_>,
    channel: &Channel,
    jid: &str,
    now: &MemberRow,
) -> Result<(), StoreError> {
    if let Some(nick) = &now.nick {
        shown::renamed(cx, channel, jid, nick);
    }
    participant_changed(cx, channel, jid, now)?;
    let id = people::id_of(cx, channel, jid);
    events::tell(cx, channel, Node::JidMap, true, &|w, _| {
        w.open("items").attr("node", Node::JidMap.as_str());
        write_mapping(w, &id, jid);
        w.close();
    })
}

pub fn participant_changed(
    cx: &mut Cx<'_>,
    channel: &Channel,
    jid: &str,
    now: &MemberRow,
) -> Result<(), StoreError> {
    let id = people::id_of(cx, channel, jid);
    let is_public = shows_author(cx, channel, jid)?;
    let nick = now.nick.as_deref();
    events::tell(cx, channel, Node::Participants, is_public, &|w, form| {
        w.open("items").attr("node", Node::Participants.as_str());
        let jid = Some(jid).filter(|_| form.shows_jid);
        write_participant(w, (&id, nick, jid), form.is_old);
        w.close();
    })
}

/// The participation of somebody is over. `before`: their row while they took part.
pub fn left(
    cx: &mut Cx<'_>,
    channel: &Channel,
    jid: &str,
    before: &MemberRow,
    how: Left,
) -> Result<(), StoreError> {
    let id = people::id_of(cx, channel, jid);
    for node in [Node::Participants, Node::JidMap] {
        let retract = retracting(node, &id);
        events::tell(cx, channel, node, true, &retract)?;
    }
    shown::gone(cx, channel, jid);
    let Some(bare) = BareJid::stored(jid) else {
        return Ok(());
    };
    if how == Left::PutOut {
        // Their server hears of it by this.
        let taker = taker(&bare, before);
        let retract = retracting(Node::Participants, &id);
        events::tell_those(cx, channel, true, std::iter::once(&taker), &retract);
    }
    let Some(account) = cx.account(&bare)? else {
        return Ok(());
    };
    let now = cx.tx.next_archive_id()?;
    cx.tx.end_reading(account, channel.id().archive(), now)?;
    if how == Left::PutOut {
        feature::channel_left(cx, (&bare, account), &channel.jid)?;
    }
    Ok(())
}

fn retracting<'a>(node: Node, id: &'a str) -> impl Fn(&mut Writer<'_>, Form) + 'a {
    move |w, _| {
        w.open("items").attr("node", node.as_str());
        w.open("retract").attr("id", id).close();
        w.close();
    }
}

fn taker(jid: &BareJid, row: &MemberRow) -> Taker {
    Taker {
        jid: jid.clone(),
        nodes: row.participation.as_ref().map_or(0, |it| it.nodes),
        is_old: row.participation.as_ref().is_some_and(|it| it.is_old),
        rules: row.affiliation >= ChannelAffiliation::Admin,
    }
}

/// Somebody who takes part has another nick.
pub fn nick_changed(
    cx: &mut Cx<'_>,
    channel: &Channel,
    jid: &str,
    now: &MemberRow,
) -> Result<(), StoreError> {
    if let Some(nick) = &now.nick {
        shown::renamed(cx, channel, jid, nick);
    }
    if now.participation.is_none() {
        return Ok(());
    }
    participant_changed(cx, channel, jid, now)
}

/// The affiliation of somebody changed (nodes `allowed`, `banned` and `config`).
pub fn access_changed(
    cx: &mut Cx<'_>,
    channel: &Channel,
    jid: &str,
    before: &MemberRow,
    now: &MemberRow,
) -> Result<(), StoreError> {
    let was_is = |is: fn(ChannelAffiliation) -> bool| (is(before.affiliation), is(now.affiliation));
    let banned = was_is(|it| it == ChannelAffiliation::Outcast);
    let allowed = was_is(|it| it > ChannelAffiliation::None);
    for (node, (was, is)) in [(Node::Banned, banned), (Node::Allowed, allowed)] {
        if was == is || !node.is_there(channel) {
            continue;
        }
        events::tell(cx, channel, node, true, &|w, _| {
            w.open("items").attr("node", node.as_str());
            let name = if is { "item" } else { "retract" };
            w.open(name).attr("id", jid).close();
            w.close();
        })?;
    }
    let rules = was_is(|it| it >= ChannelAffiliation::Admin);
    if rules.0 || rules.1 {
        let row = read::config_form(cx, channel)?;
        changed(cx, channel, Node::Config, &row)?;
    }
    Ok(())
}

/// The configuration changed (nodes `info` and `config`).
pub fn configured(cx: &mut Cx<'_>, channel: &Channel) -> Result<(), StoreError> {
    let info = read::info_form(channel);
    changed(cx, channel, Node::Info, &info)?;
    let config = read::config_form(cx, channel)?;
    changed(cx, channel, Node::Config, &config)
}

fn changed(
    cx: &mut Cx<'_>,
    channel: &Channel,
    node: Node,
    form: &crate::xmpp::DataForm,
) -> Result<(), StoreError> {
    let id = channel.row.configured.to_string();
    events::tell(cx, channel, node, true, &|w, to| {
        w.open("items").attr("node", node.as_str());
        read::write_form_item(w, &id, form, to.is_old);
        w.close();
    })
}

/// The channel goes; it is still there. For the rows of its members to be read, call it before `remove`.
pub fn destroyed(cx: &mut Cx<'_>, channel: &Channel) -> Result<(), StoreError> {
    let takers = takers(cx, channel)?;
    events::tell_those(cx, channel, true, takers.iter(), &|w, _| {
        w.open("delete")
            .attr("node", Node::Participants.as_str())
            .close();
    });
    for taker in takers.iter() {
        if let Some(account) = cx.account(&taker.jid)? {
            feature::channel_left(cx, (&taker.jid, account), &channel.jid)?;
        }
    }
    Ok(())
}
