//! XEP-0369 §6.6, §6.7, XEP-0404 §2.5, XEP-0406 §2: what nodes hold is read off what the channel knows (XEP-0060 §6.5); nothing is
//! stored twice.
use crate::channel::Channel;
use crate::channel::asked::Asked;
use crate::channel::config::table::Shape;
use crate::channel::config::{Config, FIELDS, field, private, whois};
use crate::channel::people::{self, access};
use crate::feature::Reply;
use crate::state::{Cx, Fault, Role};
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{Condition, DataForm, FormKind, Rsm, RsmStart, ns};

use super::{Node, avatar, rules};
use crate::channel::mix::{OLD, describe};

/// Items of one answer.
const ITEMS_MAX: usize = 250;
/// XEP-0406 §2.4
const ADMIN: &str = "urn:xmpp:mix:admin:0";

pub fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    describe::require_seen(cx, asked)?;
    let items = asked.payload.child("items", ns::PUBSUB);
    let items = items.ok_or(Condition::FeatureNotImplemented)?;
    let name = items.attribute("node").ok_or(Condition::BadRequest)?;
    let node = Node::parse(&name).filter(|node| node.is_there(&asked.channel));
    let node = node.ok_or(Condition::ItemNotFound)?;
    let member = people::member(cx, &asked.channel, asked.who.as_str())?;
    require_reader(cx, asked, node, &member)?;
    let shows_all = access::shows_jid(&asked.channel, rank(&member));
    let is_old = member.participation.as_ref().is_some_and(|it| it.is_old);
    let channel = &asked.channel;
    match node {
        Node::Info => one(node, channel, &info_form(channel), is_old),
        Node::Config => one(node, channel, &config_form(cx, channel)?, is_old),
        Node::Participants | Node::JidMap | Node::Allowed | Node::Banned => {
            people_page(cx, asked, (node, items), (shows_all, is_old))
        }
        Node::AvatarData | Node::AvatarMetadata => {
            avatar::read(cx, channel, (node, &wanted(items)))
        }
        // Messages are read from the archive, presence is sent as presence.
        Node::Messages => Ok(page(node, &[], 0, None)),
        Node::Presence => Err(Condition::NotAllowed.into()),
    }
}

fn rank(member: &MemberRow) -> Role {
    match member.affiliation >= ChannelAffiliation::Admin {
        true => Role::Moderator,
        false => Role::None,
    }
}

/// Whether somebody may read a node: it is for them, and they belong to the channel.
pub fn require_reader(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    node: Node,
    member: &MemberRow,
) -> Result<(), Fault> {
    let is_known =
        access::belongs(member) || people::is_inside(cx, &asked.channel, asked.who.as_str());
    let may = node.is_for(&asked.channel, member) && (is_known || node == Node::Info);
    match may {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}

fn one(node: Node, channel: &Channel, form: &DataForm, is_old: bool) -> Result<Reply, Fault> {
    let id = channel.row.configured.to_string();
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("items").attr("node", node.as_str());
        write_form_item(w, &id, form, is_old);
        w.close().close();
    }))
}

/// XEP-0369 §4.7.4: its name is the time it was changed at.
pub fn write_form_item(w: &mut Writer<'_>, id: &str, form: &DataForm, is_old: bool) {
    w.open("item").attr("id", id);
    match is_old && form.form_type() == Some(ns::MIX) {
        true => {
            let mut older = form.clone();
            for field in older.fields.iter_mut().filter(|it| it.var == "FORM_TYPE") {
                field.values = vec![OLD.into()];
            }
            older.write(w);
        }
        false => form.write(w),
    }
    w.close();
}

pub fn write_participant(
    w: &mut Writer<'_>,
    (id, nick, jid): (&str, Option<&str>, Option<&str>),
    is_old: bool,
) {
    let namespace = if is_old { OLD } else { ns::MIX };
    w.open("item").attr("id", id);
    w.open_ns("participant", namespace);
    for (name, text) in [("nick", nick), ("jid", jid)] {
        if let Some(text) = text {
            w.leaf(name, text);
        }
    }
    w.close().close();
}

pub fn write_mapping(w: &mut Writer<'_>, id: &str, jid: &str) {
    w.open("item").attr("id", id);
    w.open_ns("participant", ns::MIX_ANON).leaf("jid", jid);
    w.close().close();
}

/// An item, and what stands in it.
struct Item {
    id: String,
    xml: String,
}

/// A page of the people of a node, in order of JID. Ids of its ends are what XEP-0059 pages by.
fn people_page(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    (node, items): (Node, ElementRef<'_>),
    (shows_all, is_old): (bool, bool),
) -> Result<Reply, Fault> {
    let channel = &asked.channel;
    let wanted = wanted(items);
    let rsm = Rsm::parse(asked.payload)?;
    let max = rsm.max.unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
    let behind = match &rsm.start {
        RsmStart::First => String::new(),
        RsmStart::After(id) => jid_of(cx, channel, node, id)?.ok_or(Condition::ItemNotFound)?,
        _ => return Err(Condition::FeatureNotImplemented.into()),
    };
    let mut found = Vec::new();
    let mut behind = behind;
    while found.len() <= max {
        let rows = cx.tx.members_behind(channel.id(), &behind, ITEMS_MAX)?;
        let Some((last, _)) = rows.last() else { break };
        behind.clone_from(last);
        for (jid, row) in &rows {
            if let Some(item) = item(cx, channel, (node, jid, row), (shows_all, is_old))?
                && (wanted.is_empty() || wanted.contains(&item.id))
            {
                found.push(item);
            }
        }
    }
    let is_cut = found.len() > max;
    found.truncate(max);
    let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let paged = asked.payload.child("set", ns::RSM).is_some() || is_cut;
    // Of a page that is not all that there is, it is not known how much there is.
    let is_whole = !is_cut && rsm.start == RsmStart::First;
    Ok(page(node, &found, count, paged.then_some(is_whole)))
}

/// XEP-0060 §6.5.8: some are named.
fn wanted(items: ElementRef<'_>) -> Vec<String> {
    let named = items.children().filter(|item| item.is("item", ns::PUBSUB));
    let ids = named.filter_map(|item| item.attribute("id"));
    ids.take(ITEMS_MAX).map(|id| id.into_owned()).collect()
}

fn jid_of(
    cx: &Cx<'_>,
    channel: &Channel,
    node: Node,
    id: &str,
) -> Result<Option<String>, StoreError> {
    match node {
        Node::Participants | Node::JidMap => cx.tx.behind_id(channel.id(), id),
        _ => Ok(Some(id.to_string())),
    }
}

/// What a node holds of one person.
fn item(
    cx: &Cx<'_>,
    channel: &Channel,
    (node, jid, row): (Node, &str, &MemberRow),
    (shows_all, is_old): (bool, bool),
) -> Result<Option<Item>, StoreError> {
    let is_in = match node {
        Node::Allowed => row.affiliation > ChannelAffiliation::None,
        Node::Banned => row.affiliation == ChannelAffiliation::Outcast,
        _ => row.participation.is_some(),
    };
    if !is_in {
        return Ok(None);
    }
    let id = match node {
        Node::Allowed | Node::Banned => jid.to_string(),
        _ => people::id_of(cx, channel, jid).to_string(),
    };
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    match node {
        Node::Participants => {
            let shows = shows_all || access::shows_to_all(channel, row.participation.as_ref());
            let jid = Some(jid).filter(|_| shows);
            write_participant(&mut w, (&id, row.nick.as_deref(), jid), is_old);
        }
        Node::JidMap => write_mapping(&mut w, &id, jid),
        _ => {
            w.open("item").attr("id", &id).close();
        }
    }
    let xml = String::from_utf8(bytes).expect("the writer writes UTF-8");
    Ok(Some(Item { id, xml }))
}

fn page(node: Node, items: &[Item], count: u64, paged: Option<bool>) -> Reply {
    Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("items").attr("node", node.as_str());
        for item in items {
            w.raw(&item.xml);
        }
        w.close();
        if let Some(is_whole) = paged {
            let ends = items.first().zip(items.last());
            let ends = ends.map(|(first, last)| (&*first.id, &*last.id));
            Rsm::write_answer(w, ends, None, is_whole.then_some(count));
        }
        w.close();
    })
}

/// XEP-0369 §4.7.4
pub fn info_form(channel: &Channel) -> DataForm {
    let row = &channel.row;
    let text = |field| [row.text(field).to_string()];
    let contacts = row.texts(field::CONTACTS).iter().cloned();
    DataForm::new(FormKind::Result, ns::MIX)
        .field("Name", "text-single", text(field::NAME))
        .field("Description", "text-single", text(field::DESCRIPTION))
        .field("Contact", "jid-multi", contacts)
}

/// XEP-0406 §2.4, of what can be configured.
pub fn config_form(cx: &Cx<'_>, channel: &Channel) -> Result<DataForm, StoreError> {
    let row = &channel.row;
    let (owners, admins) = rulers(cx, channel)?;
    let visibility = match row.number(field::WHOIS) {
        whois::ANYONE => rules::VISIBLE,
        whois::MAYBE => rules::MAYBE,
        _ => rules::HIDDEN,
    };
    let present = [
        ("participants", Node::Participants),
        ("presence", Node::Presence),
        ("information", Node::Info),
        ("allowed", Node::Allowed),
        ("banned", Node::Banned),
        ("jidmap-visible", Node::JidMap),
        ("avatar", Node::AvatarData),
    ];
    let present = present
        .into_iter()
        .filter(|(_, node)| node.is_there(channel));
    let private = row.number(field::PRIVATE) != private::NONE;
    let text = |field| row.texts(field).iter().cloned();
    let mut form = DataForm::new(FormKind::Result, ADMIN)
        .field("Last Change Made By", "jid-single", text(field::CHANGED_BY))
        .field("Owner", "jid-multi", owners)
        .field("Administrator", "jid-multi", admins)
        .field("End of Life", "text-single", text(field::END_OF_LIFE))
        .field(
            "Nodes Present",
            "list-multi",
            present.map(|(name, _)| name.to_string()),
        )
        .field("JID Visibility", "list-single", [visibility.to_string()])
        .field("Private Messages", "boolean", [private.to_string()]);
    for (var, number) in rules::SAME {
        let value = row.number(*number);
        let shape = FIELDS.get(usize::from(*number)).map(|field| field.shape);
        let (kind, value) = match shape {
            Some(Shape::Choice(names)) => {
                let at = usize::try_from(value).unwrap_or(usize::MAX);
                let name = names.get(at).copied().unwrap_or_default();
                ("list-single", name.to_string())
            }
            _ => ("boolean", (value != 0).to_string()),
        };
        form = form.field(var, kind, [value]);
    }
    Ok(form)
}

/// Owners and administrators.
fn rulers(cx: &Cx<'_>, channel: &Channel) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let (mut owners, mut admins) = (Vec::new(), Vec::new());
    people::each(cx, channel, &mut |jid, row| match row.affiliation {
        ChannelAffiliation::Owner => owners.push(jid),
        ChannelAffiliation::Admin => admins.push(jid),
        _ => {}
    })?;
    Ok((owners, admins))
}
