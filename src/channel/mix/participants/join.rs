//! XEP-0369 §7.1.2: somebody joins, or subscribes to other nodes. Who does is a bare JID, whichever client asks.
use crate::channel::Channel;
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field};
use crate::channel::people::standing::{self, By};
use crate::channel::people::{self, access};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, MemberRow, Participation, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{BareJid, Condition, ns};

use super::{invitations, leave, nick, preferences, told};
use crate::channel::mix::between::presence;
use crate::channel::mix::nodes::Node;
use crate::channel::mix::{OLD, describe};

/// Nodes that are named in one request.
const NAMED_MAX: usize = 32;

pub fn join(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let who = asked.who.as_str();
    let member = people::member(cx, &asked.channel, who)?;
    leave::require_bare(cx, asked)?;
    let token = invitations::token(cx, &asked.channel, &asked.who, asked.payload)?;
    if token.is_none() {
        describe::require_seen(cx, asked)?;
    }
    let mut entering = people::with_domain(cx, &asked.channel.row, who)?;
    let is_closed = asked.channel.row.flag(field::MEMBERS_ONLY);
    let is_new = entering.affiliation == ChannelAffiliation::None && is_closed;
    let token = token.filter(|_| is_new);
    if token.is_some() {
        // XEP-0407 §6: whoever was invited is allowed.
        entering.affiliation = ChannelAffiliation::Member;
    }
    access::require_entry(&asked.channel, &entering)?;
    let wanted = match nodes_named(&asked.channel, &member, asked.payload, "subscribe")? {
        Named::These(nodes) => nodes,
        Named::None(refused) => return Ok(refused),
    };
    let before = member.participation.clone();
    let mut wants = before.clone().unwrap_or(Participation {
        shares_presence: true,
        ..Participation::default()
    });
    preferences::apply(&mut wants, asked.payload)?;
    preferences::require_suits(&asked.channel, &wants)?;
    let nick = nick::on_joining(cx, &asked.channel, (who, &member), asked.payload)?;
    cx.require_disk_space()?;
    if member == MemberRow::default() {
        people::require_room(cx, &asked.channel, 1)?;
    }
    if let Some(token) = &token {
        invitations::use_up(cx, &asked.channel, token)?;
        let made = (ChannelAffiliation::Member, By::default());
        standing::set_affiliation(cx, &mut asked.channel, who, made)?;
    }
    let member = people::member(cx, &asked.channel, who)?;
    let since = match &before {
        Some(known) => known.since,
        None => cx.tx.next_archive_id()?,
    };
    let now = MemberRow {
        nick: nick.clone(),
        participation: Some(Participation {
            nodes: wanted,
            since,
            is_old: asked.payload.namespace() == OLD,
            ..wants.clone()
        }),
        ..member.clone()
    };
    let id = people::id_of(cx, &asked.channel, who);
    if now != member {
        people::set(cx, &mut asked.channel, who, &now)?;
        cx.tx.note_id(asked.channel.id(), &id, who)?;
        let had = before.as_ref().map_or(0, |known| known.nodes);
        read_messages(cx, &asked.channel, &asked.who, (had, wanted))?;
        let is_shown = |of| access::shows_to_all(&asked.channel, of);
        let shown = (is_shown(before.as_ref()), is_shown(Some(&wants)));
        if before.is_none() || now.nick != member.nick || shown.0 != shown.1 {
            told::joined(cx, &asked.channel, who, &now)?;
        }
        if !wants.shares_presence {
            presence::all_went(cx, &mut asked.channel, who)?;
        }
    }
    Ok(answer(asked, (&id, nick.as_deref()), (wanted, &wants)))
}

/// What somebody is from now on.
fn answer(
    asked: &Asked<'_>,
    (id, nick): (&str, Option<&str>),
    (nodes, wants): (u16, &Participation),
) -> Reply {
    let payload = asked.payload;
    Reply::payload(|w| {
        w.open_ns("join", payload.namespace()).attr("id", id);
        if payload.namespace() == OLD {
            // Before version 0.14.
            let jid = format!("{id}#{}", asked.channel.jid);
            w.attr("jid", &jid);
        }
        write_nodes(w, nodes);
        if let Some(nick) = nick {
            w.leaf("nick", nick);
        }
        if payload.namespace() == ns::MIX_ANON || payload.child("x", ns::DATA_FORM).is_some() {
            preferences::write(w, wants);
        }
        w.close();
    })
}

/// What of the nodes in a request may be.
enum Named {
    These(u16),
    /// None of them, and that is the answer.
    None(Reply),
}

/// §7.1.2: what is granted is told; nothing granted is an error, that of the first, with all that have the same.
fn nodes_named(
    channel: &Channel,
    member: &MemberRow,
    payload: ElementRef<'_>,
    name: &'static str,
) -> Result<Named, Fault> {
    let namespace = payload.namespace();
    let named = payload.children().filter(|child| child.is(name, namespace));
    let (mut nodes, mut refused) = (0, Vec::new());
    for child in named.take(NAMED_MAX) {
        let text = child.attribute("node").ok_or(Condition::BadRequest)?;
        let node = Node::parse(&text).filter(|node| node.is_there(channel));
        match node {
            Some(node) if node.is_for(channel, member) => nodes |= node.bit(),
            Some(_) => refused.push((text, Condition::Forbidden)),
            None => refused.push((text, Condition::ItemNotFound)),
        }
    }
    let Some((_, reason)) = refused.first().filter(|_| nodes == 0) else {
        return Ok(Named::These(nodes));
    };
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    let wrapper = if payload.name() == "join" {
        "join"
    } else {
        "update-subscription"
    };
    w.open_ns(wrapper, namespace);
    for (node, condition) in &refused {
        if condition == reason {
            w.open("subscribe").attr("node", node).close();
        }
    }
    w.close();
    Ok(Named::None(Reply::Refused((*reason).into(), bytes)))
}

fn write_nodes(w: &mut Writer<'_>, nodes: u16) {
    for node in Node::ALL.into_iter().filter(|node| node.is_in(nodes)) {
        w.open("subscribe").attr("node", node.as_str()).close();
    }
}

/// What an account of ours reads of the channel's archive is what it subscribed to.
fn read_messages(
    cx: &mut Cx<'_>,
    channel: &Channel,
    who: &BareJid,
    (before, now): (u16, u16),
) -> Result<(), StoreError> {
    let Some(account) = cx.account(who)? else {
        return Ok(());
    };
    let (archive, next) = (channel.id().archive(), cx.tx.next_archive_id()?);
    match (Node::Messages.is_in(before), Node::Messages.is_in(now)) {
        (false, true) => cx.tx.begin_reading(account, archive, next),
        (true, false) => cx.tx.end_reading(account, archive, next),
        _ => Ok(()),
    }
}

/// §7.1.2
pub fn update(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let who = asked.who.as_str();
    let member = people::member(cx, &asked.channel, who)?;
    let Some(before) = member.participation.clone() else {
        return Err(Condition::Forbidden.into());
    };
    let (channel, payload) = (&asked.channel, asked.payload);
    let more = match nodes_named(channel, &member, payload, "subscribe")? {
        Named::These(nodes) => nodes,
        Named::None(refused) => return Ok(refused),
    };
    let less = match nodes_named(channel, &member, payload, "unsubscribe")? {
        Named::These(nodes) => nodes,
        Named::None(refused) => return Ok(refused),
    };
    let nodes = (before.nodes | more) & !less;
    let now = MemberRow {
        participation: Some(Participation {
            nodes,
            ..before.clone()
        }),
        ..member
    };
    people::set(cx, &mut asked.channel, who, &now)?;
    read_messages(cx, &asked.channel, &asked.who, (before.nodes, nodes))?;
    Ok(Reply::payload(|w| {
        w.open_ns("update-subscription", payload.namespace())
            .attr("jid", who);
        write_nodes(w, more & !less);
        for node in Node::ALL.into_iter().filter(|node| node.is_in(less)) {
            w.open("unsubscribe").attr("node", node.as_str()).close();
        }
        w.close();
    }))
}
