//! XEP-0060 §5: what there is, shown to those who may know it.
use crate::pubsub::config::field;
use crate::pubsub::{self, Node, Owner, What, access};
use crate::state::{Cx, Fault};
use crate::xmpp::{Condition, DataForm, Rsm, RsmStart, ns};

use super::super::disco::{Identity, Info, features, write_items};
use super::super::{Item, Reply, Request};
use super::{SERVICE, form};

/// Nodes, or items, of one answer.
const PAGE_MAX: usize = 500;
/// Nodes looked at for it, whether they are shown or not.
const LOOKED_AT_MAX: usize = 2000;

fn identity(kind: &str, name: &str) -> Identity {
    Identity {
        category: "pubsub".into(),
        kind: kind.into(),
        name: name.into(),
        ..Identity::default()
    }
}

/// §5.1, §5.3
pub fn info_of_service(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let node = request.payload.attribute("node");
    if let Some(node) = &node {
        let owner = Owner::service(cx);
        let info = info_of_node(cx, &owner, request, node)?;
        return Ok(info.ok_or(Condition::ItemNotFound)?.reply(Some(node)));
    }
    let info = Info {
        identities: vec![identity("service", "Publish-Subscribe")],
        features: features(&cx.state.settings, SERVICE),
        forms: Vec::new(),
    };
    Ok(info.reply(None))
}

/// §5.3, §5.4
pub fn info_of_accounts_node(
    cx: &Cx<'_>,
    request: &Request<'_>,
    name: &str,
) -> Result<Option<Info>, Fault> {
    let owner = Owner::account(request.account_jid(), request.account_id());
    info_of_node(cx, &owner, request, name)
}

/// `None`: there is no such node, or not for the one who asks.
fn info_of_node(
    cx: &Cx<'_>,
    owner: &Owner,
    request: &Request<'_>,
    name: &str,
) -> Result<Option<Info>, Fault> {
    let Some(node) = pubsub::node(cx, owner, name)? else {
        return Ok(None);
    };
    if !access::can(cx, owner, &node, request.from, What::See)? {
        return Ok(None);
    }
    let title = node.config.text(field::TITLE).unwrap_or_default();
    Ok(Some(Info {
        identities: vec![identity("leaf", title)],
        features: vec![ns::PUBSUB.into()],
        forms: vec![form::metadata(cx, owner, &node)?],
    }))
}

/// XEP-0050 §2.1: what can be called.
fn command(owner: &Owner) -> Item {
    Item {
        jid: owner.jid.to_string(),
        node: Some(super::decide::GET_PENDING.into()),
        name: Some("Requests that wait".into()),
    }
}

fn item_of(owner: &Owner, node: &Node) -> Item {
    Item {
        jid: owner.jid.to_string(),
        node: Some(node.name().into()),
        name: node.config.text(field::TITLE).map(str::to_string),
    }
}

/// The nodes of an account, or the items of one.
pub fn nodes_of_account(
    cx: &Cx<'_>,
    request: &Request<'_>,
    node: Option<&str>,
) -> Result<Option<Vec<Item>>, Fault> {
    let owner = Owner::account(request.account_jid(), request.account_id());
    match node {
        Some(ns::COMMANDS) if request.is_own() => Ok(Some(vec![command(&owner)])),
        Some(name) => items_of_node(cx, &owner, request, name),
        None => {
            let (nodes, _) = nodes(cx, &owner, request, ("", LOOKED_AT_MAX))?;
            let nodes = nodes.iter().take(PAGE_MAX);
            Ok(Some(nodes.map(|node| item_of(&owner, node)).collect()))
        }
    }
}

/// XEP-0462 §4: only nodes of these types, or of others; an empty one is that of nodes that have none.
enum Filter {
    None,
    Only(Vec<String>),
    But(Vec<String>),
}

impl Filter {
    fn of(request: &Request<'_>) -> Result<Filter, Condition> {
        let Some(filter) = request.payload.child("filter", ns::PUBSUB_FILTER) else {
            return Ok(Filter::None);
        };
        let form = filter
            .child("x", ns::DATA_FORM)
            .and_then(DataForm::parse)
            .filter(|form| form.form_type() == Some(ns::PUBSUB_FILTER))
            .ok_or(Condition::BadRequest)?;
        let types = |var| form.values(var).map(<[String]>::to_vec);
        match (types("included-types"), types("excluded-types")) {
            (Some(_), Some(_)) => Err(Condition::BadRequest),
            (Some(only), None) => Ok(Filter::Only(only)),
            (None, Some(but)) => Ok(Filter::But(but)),
            (None, None) => Ok(Filter::None),
        }
    }

    fn passes(&self, node: &Node) -> bool {
        let kind = node.config.text(field::TYPE).unwrap_or_default();
        let is_in = |types: &[String]| types.iter().any(|known| known == kind);
        match self {
            Filter::None => true,
            Filter::Only(types) => is_in(types),
            Filter::But(types) => !is_in(types),
        }
    }
}

/// Those the sender may know, and the last one looked at if there may be more.
fn nodes(
    cx: &Cx<'_>,
    owner: &Owner,
    request: &Request<'_>,
    (behind, count_max): (&str, usize),
) -> Result<(Vec<Node>, Option<String>), Fault> {
    let filter = Filter::of(request)?;
    let all = pubsub::node::behind(cx, owner, behind, count_max)?;
    let last = all.last().filter(|_| all.len() == count_max);
    let more = last.map(|node| node.name().to_string());
    let mut nodes = Vec::new();
    for node in all {
        if filter.passes(&node) && access::can(cx, owner, &node, request.from, What::See)? {
            nodes.push(node);
        }
    }
    Ok((nodes, more))
}

/// §5.5; `None`: there is no such node, or not for the one who asks.
fn items_of_node(
    cx: &Cx<'_>,
    owner: &Owner,
    request: &Request<'_>,
    name: &str,
) -> Result<Option<Vec<Item>>, Fault> {
    let Some(node) = pubsub::node(cx, owner, name)? else {
        return Ok(None);
    };
    if !access::can(cx, owner, &node, request.from, What::See)? {
        return Ok(None);
    }
    if !access::can(cx, owner, &node, request.from, What::Read)? {
        return Ok(Some(Vec::new()));
    }
    let page = pubsub::items_page(cx, &node, Default::default(), (true, PAGE_MAX))?;
    let items = page.items.into_iter().map(|item| Item {
        jid: owner.jid.to_string(),
        node: None,
        name: Some(item.id.into()),
    });
    Ok(Some(items.collect()))
}

/// §5.2, §5.5
pub fn items_of_service(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let owner = Owner::service(cx);
    let node = request.payload.attribute("node");
    if node.as_deref() == Some(ns::COMMANDS) {
        return Ok(write_items(&[command(&owner)], node.as_deref()));
    }
    if let Some(name) = &node {
        let items = items_of_node(cx, &owner, request, name)?;
        let items = items.ok_or(Condition::ItemNotFound)?;
        return Ok(write_items(&items, Some(name)));
    }
    let rsm = Rsm::parse(request.payload)?;
    let is_asked = request.payload.child("set", ns::RSM).is_some();
    let count_max = rsm.max.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let mut behind = match rsm.start {
        RsmStart::First | RsmStart::Index(0) => String::new(),
        RsmStart::After(name) => name,
        RsmStart::Before(_) | RsmStart::Index(_) => {
            return Err(Condition::FeatureNotImplemented.into());
        }
    };
    let mut shown = Vec::new();
    let mut is_cut = false;
    for _ in 0..LOOKED_AT_MAX / PAGE_MAX {
        let (nodes, more) = nodes(cx, &owner, request, (&behind, PAGE_MAX))?;
        shown.extend(nodes);
        is_cut = more.is_some();
        match more {
            Some(last) if shown.len() < count_max => behind = last,
            _ => break,
        }
    }
    is_cut |= shown.len() > count_max;
    shown.truncate(count_max);
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS);
        for node in &shown {
            item_of(&owner, node).write(w);
        }
        if is_cut || is_asked {
            let ends = shown.first().zip(shown.last());
            let ends = ends.map(|(first, last)| (first.name(), last.name()));
            Rsm::write_answer(w, ends, None, None);
        }
        w.close();
    }))
}
