//! XEP-0406 §3: what a channel is and who may take part is changed by publishing to its nodes (XEP-0060 §7.1, §7.2): one item at a
//! time, and what it does not name stays.
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field, form, set_texts};
use crate::channel::people::changed;
use crate::channel::people::standing::{self, By};
use crate::channel::{change, people};
use crate::feature::Reply;
use crate::pubsub::refusal;
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, ConfigRow, MemberRow};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, DataForm, Jid, ns};

use super::rules;
use super::{Node, avatar};
use crate::channel::mix::describe;
use crate::channel::people::rulers::Rulers;

pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    describe::require_seen(cx, asked)?;
    let payload = asked.payload;
    if let Some(publish) = payload.child("publish", ns::PUBSUB) {
        return self::publish(cx, asked, publish);
    }
    // XEP-0369 §7.1.1, §7.1.2: whoever takes part says so when they join, and nobody else hears of anything.
    let mut children = payload.children();
    if children.any(|child| matches!(child.name(), "subscribe" | "unsubscribe")) {
        return Err(refusal::unsupported("subscribe").into());
    }
    let retract = payload.child("retract", ns::PUBSUB);
    let retract = retract.ok_or(Condition::FeatureNotImplemented)?;
    self::retract(cx, asked, retract)
}

fn node_of(asked: &Asked<'_>, request: ElementRef<'_>) -> Result<Node, Fault> {
    let name = request.attribute("node").ok_or(Condition::BadRequest)?;
    let node = Node::parse(&name).filter(|node| node.is_there(&asked.channel));
    Ok(node.ok_or(Condition::ItemNotFound)?)
}

/// COMPAT(XEP-0406, 0.3.1): its examples have `<items/>` around the item.
fn item_of(request: ElementRef<'_>) -> Result<ElementRef<'_>, Fault> {
    let wrapped = request.child("items", ns::PUBSUB);
    let item = wrapped.unwrap_or(request).child("item", ns::PUBSUB);
    Ok(item.ok_or(Condition::BadRequest)?)
}

fn publish(
    cx: &mut Cx<'_>,
    asked: &mut Asked<'_>,
    request: ElementRef<'_>,
) -> Result<Reply, Fault> {
    let (node, item) = (node_of(asked, request)?, item_of(request)?);
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    match node {
        Node::Info | Node::Config => configure(cx, asked, (node, item), &member),
        Node::Allowed => {
            set_access(cx, asked, item, (&member, ChannelAffiliation::Member))?;
            Ok(published(node, None))
        }
        Node::Banned => {
            set_access(cx, asked, item, (&member, ChannelAffiliation::Outcast))?;
            Ok(published(node, None))
        }
        Node::AvatarData | Node::AvatarMetadata => {
            require_rights(asked, node, &member)?;
            let id = avatar::publish(cx, &asked.channel, &asked.who, (node, item))?;
            crate::channel::avatar::settle(cx, &mut asked.channel)?;
            Ok(published(node, Some(&id)))
        }
        // XEP-0369 §4.7.3, XEP-0404 §2.5: they follow from what people do.
        Node::Messages | Node::Participants | Node::Presence | Node::JidMap => {
            Err(Condition::NotAllowed.into())
        }
    }
}

/// XEP-0060 §7.1.2: the item has the name that the node gave it.
fn published(node: Node, id: Option<&str>) -> Reply {
    Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        if let Some(id) = id {
            w.open("publish").attr("node", node.as_str());
            w.open("item").attr("id", id).close();
            w.close();
        }
        w.close();
    })
}

/// §3.1, §3.2
fn configure(
    cx: &mut Cx<'_>,
    asked: &mut Asked<'_>,
    (node, item): (Node, ElementRef<'_>),
    member: &MemberRow,
) -> Result<Reply, Fault> {
    require_rights(asked, node, member)?;
    let x = item
        .child("x", ns::DATA_FORM)
        .ok_or(Condition::BadRequest)?;
    let given = DataForm::parse_answer(x).ok_or(Condition::BadRequest)?;
    cx.require_disk_space()?;
    let channel = &mut asked.channel;
    let before = channel.row.config.clone();
    let mut now = before.clone();
    let mut rulers = None;
    if node == Node::Info {
        info(&mut now, &given)?;
    } else {
        rules::apply(&mut now, &given, cx.now.wall)?;
        let by = vec![asked.who.as_str().to_string()];
        set_texts(&mut now, field::CHANGED_BY, by);
        rulers = Some(Rulers::read(
            cx,
            channel,
            (&given, ["Owner", "Administrator"]),
        )?);
    }
    let at = cx.now.wall;
    change(cx, channel, |_, row| {
        row.config = now;
        row.locked = false;
        row.configured = at;
        Ok(())
    })?;
    if let Some(rulers) = rulers {
        rulers.set(cx, channel)?;
    }
    changed::configured(cx, channel, &before)?;
    let id = channel.row.configured.to_string();
    Ok(published(node, Some(&id)))
}

/// §2.4: rights to change the information and the avatar; the configuration is the owners'.
fn require_rights(asked: &Asked<'_>, node: Node, member: &MemberRow) -> Result<(), Fault> {
    const PARTICIPANTS: u64 = 0;
    const ADMINS: u64 = 1;
    let rights = match node {
        Node::Info => Some(field::INFO_RIGHTS),
        Node::AvatarData | Node::AvatarMetadata => Some(field::AVATAR_RIGHTS),
        _ => None,
    };
    let least = match rights.map(|rights| asked.channel.row.number(rights)) {
        Some(PARTICIPANTS) if member.participation.is_some() => ChannelAffiliation::None,
        Some(PARTICIPANTS | ADMINS) => ChannelAffiliation::Admin,
        _ => ChannelAffiliation::Owner,
    };
    match member.affiliation >= least {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}

/// XEP-0369 §4.7.4
fn info(config: &mut ConfigRow, given: &DataForm) -> Result<(), Condition> {
    for (var, number) in [
        ("Name", field::NAME),
        ("Description", field::DESCRIPTION),
        ("Contact", field::CONTACTS),
    ] {
        if let Some(values) = given.values(var) {
            form::set(config, number, values)?;
        }
    }
    Ok(())
}

/// §3.3
fn retract(
    cx: &mut Cx<'_>,
    asked: &mut Asked<'_>,
    request: ElementRef<'_>,
) -> Result<Reply, Fault> {
    let (node, item) = (node_of(asked, request)?, item_of(request)?);
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    if matches!(node, Node::AvatarData | Node::AvatarMetadata) {
        require_rights(asked, node, &member)?;
        avatar::retract(cx, &asked.channel, (node, item))?;
        crate::channel::avatar::settle(cx, &mut asked.channel)?;
        return Ok(published(node, None));
    }
    if !matches!(node, Node::Allowed | Node::Banned) {
        return Err(Condition::NotAllowed.into());
    }
    if member.affiliation < ChannelAffiliation::Admin {
        return Err(Condition::Forbidden.into());
    }
    let jid = address(item)?;
    let now = people::member(cx, &asked.channel, jid.as_str())?;
    let is_in = match node {
        Node::Banned => now.affiliation == ChannelAffiliation::Outcast,
        _ => now.affiliation > ChannelAffiliation::None,
    };
    if !is_in {
        return Err(Condition::ItemNotFound.into());
    }
    set_access(cx, asked, item, (&member, ChannelAffiliation::None))?;
    Ok(published(node, None))
}

/// An item of `allowed` or `banned` is a bare JID, or a domain (§2.2, §2.3).
fn address(item: ElementRef<'_>) -> Result<Jid, Fault> {
    let id = item.attribute("id").ok_or(Condition::BadRequest)?;
    let jid = Jid::parse(&id).map_err(|_| Condition::JidMalformed)?;
    match jid.is_bare() {
        true => Ok(jid),
        false => Err(Condition::NotAcceptable.into()),
    }
}

/// §3.3, by those who administer, and not on those above them.
fn set_access(
    cx: &mut Cx<'_>,
    asked: &mut Asked<'_>,
    item: ElementRef<'_>,
    (by, affiliation): (&MemberRow, ChannelAffiliation),
) -> Result<(), Fault> {
    if by.affiliation < ChannelAffiliation::Admin {
        return Err(Condition::Forbidden.into());
    }
    let jid = address(item)?;
    let now = people::member(cx, &asked.channel, jid.as_str())?;
    // Whoever is more than a member is allowed already.
    if affiliation == ChannelAffiliation::Member && now.affiliation >= affiliation {
        return Ok(());
    }
    let is_owner = by.affiliation == ChannelAffiliation::Owner;
    if now.affiliation >= ChannelAffiliation::Admin && !is_owner {
        return Err(Condition::NotAllowed.into());
    }
    // Somebody must be left who owns it.
    if now.affiliation == ChannelAffiliation::Owner && asked.channel.row.owners <= 1 {
        return Err(Condition::Conflict.into());
    }
    if now == MemberRow::default() {
        people::require_room(cx, &asked.channel, 1)?;
    }
    cx.require_disk_space()?;
    let change = (affiliation, By::default());
    let channel = &mut asked.channel;
    Ok(standing::set_affiliation(
        cx,
        channel,
        jid.as_str(),
        change,
    )?)
}
