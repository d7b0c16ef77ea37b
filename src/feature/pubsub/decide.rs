//! XEP-0060 §8.6, §8.8, §8.9: owners decide on others.
use crate::pubsub::related::decide::{self as engine, Change};
use crate::pubsub::related::told::FORM_TYPE;
use crate::pubsub::{Node, Owner, OwnerKind};
use crate::state::{Cx, Fault};
use crate::store::{Affiliation, SubscriptionState};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{Condition, DataForm, FormKind, Jid, Message, StanzaError, ns, open_form};

use super::own::{affiliation_text, state_text};
use super::{Asked, Reply, Request};

pub const GET_PENDING: &str = "http://jabber.org/protocol/pubsub#get-pending";
/// Changes of one request.
const CHANGES_MAX: usize = 500;
/// Nodes offered to choose from.
const NODES_MAX: usize = 1000;

const AFFILIATIONS: [Affiliation; 6] = [
    Affiliation::Owner,
    Affiliation::Publisher,
    Affiliation::PublishOnly,
    Affiliation::Member,
    Affiliation::None,
    Affiliation::Outcast,
];

/// §8.9.1
pub fn affiliations(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let node = engine::owned(cx, &asked.owner, &name, asked.request.from)?;
    let all = affiliated(cx, &asked.owner, &node)?;
    Ok(Reply::Payload(write_affiliations(&name, &all)))
}

/// The account owns its nodes without being written down.
fn affiliated(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
) -> Result<Vec<(String, Affiliation)>, Fault> {
    let mut all = Vec::new();
    if let OwnerKind::Account(_) = owner.kind {
        all.push((owner.jid.to_string(), Affiliation::Owner));
    }
    let rows = engine::all(cx, node)?.into_iter();
    let rows = rows.filter(|(_, related)| related.affiliation != Affiliation::None);
    all.extend(rows.map(|(jid, related)| (jid.into(), related.affiliation)));
    Ok(all)
}

fn write_affiliations(node: &str, all: &[(String, Affiliation)]) -> Vec<u8> {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("pubsub", ns::PUBSUB_OWNER);
    w.open("affiliations").attr("node", node);
    for (jid, affiliation) in all {
        w.open("affiliation")
            .attr("jid", jid)
            .attr("affiliation", affiliation_text(*affiliation))
            .close();
    }
    w.close().close();
    xml
}

/// What an owner wants changed: each address once, each with a value that exists.
fn changes<T>(
    list: ElementRef<'_>,
    name: &'static str,
    of: impl Fn(&str) -> Option<T>,
    address: impl Fn(Jid) -> Jid,
) -> Result<Vec<Change<T>>, Fault> {
    let mut changes: Vec<Change<T>> = Vec::new();
    for child in list
        .children()
        .filter(|child| child.is(name, ns::PUBSUB_OWNER))
    {
        let jid = child.attribute("jid").ok_or(Condition::BadRequest)?;
        let jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
        let jid = address(jid);
        let wanted = match name {
            "affiliation" => child.attribute("affiliation"),
            _ => child.attribute("subscription"),
        };
        // §8.8.2.1, §8.9.2.1: what is not said stays.
        let to = match wanted {
            Some(text) => Some(of(&text).ok_or(Condition::NotAcceptable)?),
            None => None,
        };
        if changes.iter().any(|known| known.jid == jid) {
            return Err(Condition::BadRequest.into());
        }
        if changes.len() >= CHANGES_MAX {
            return Err(Condition::ResourceConstraint.into());
        }
        changes.push(Change { jid, to });
    }
    match changes.is_empty() {
        true => Err(Condition::BadRequest.into()),
        false => Ok(changes),
    }
}

/// §8.9.2: where one cannot be, none is, and the error shows them as they are.
pub fn set_affiliations(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let from = asked.request.from;
    let node = engine::owned(cx, &asked.owner, &name, from)?;
    let of = |text: &str| {
        let mut all = AFFILIATIONS.into_iter();
        all.find(|known| affiliation_text(*known) == text)
    };
    // §4.1: affiliations are of bare JIDs.
    let changes = changes(asked.child, "affiliation", of, |jid| jid.to_bare().into());
    let set = changes
        .and_then(|changes| engine::set_affiliations(cx, &asked.owner, (&name, from), &changes));
    let Some(error) = not_acceptable(set)? else {
        return Ok(Reply::Empty);
    };
    let mut kept = Vec::new();
    for jid in addresses(asked.child) {
        let is = match asked.owner.is_self(&jid) {
            true => Affiliation::Owner,
            false => cx.tx.related(&node.row, jid.bare_str())?.affiliation,
        };
        kept.push((jid.bare_str().to_string(), is));
    }
    Ok(Reply::Refused(error, write_affiliations(&name, &kept)))
}

/// What the error of a list that cannot be shows; `None`: it was done.
fn not_acceptable(set: Result<(), Fault>) -> Result<Option<StanzaError>, Fault> {
    match set {
        Ok(()) => Ok(None),
        Err(Fault::Stanza(error)) if error.condition == Condition::NotAcceptable => Ok(Some(error)),
        Err(fault) => Err(fault),
    }
}

/// All that a list names.
fn addresses(list: ElementRef<'_>) -> impl Iterator<Item = Jid> {
    let jids = list.children().filter_map(|child| child.attribute("jid"));
    jids.filter_map(|jid| Jid::parse(&jid).ok())
        .take(CHANGES_MAX)
}

/// §8.8.1
pub fn subscriptions(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let node = engine::owned(cx, &asked.owner, &name, asked.request.from)?;
    let all = engine::all(cx, &node)?;
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB_OWNER);
        w.open("subscriptions").attr("node", &name);
        let all = all.iter().flat_map(|(_, related)| &related.subscriptions);
        for one in all.filter(|one| one.state == SubscriptionState::Subscribed) {
            w.open("subscription")
                .attr("jid", &one.jid)
                .attr("subscription", state_text(one.state))
                .attr("subid", &one.subid)
                .close();
        }
        w.close().close();
    }))
}

/// §8.8.2: where one cannot be, none is, and the error shows them as they are.
pub fn set_subscriptions(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let from = asked.request.from;
    let node = engine::owned(cx, &asked.owner, &name, from)?;
    let of = |text: &str| match text {
        "subscribed" => Some(true),
        "none" => Some(false),
        _ => None,
    };
    let changes = changes(asked.child, "subscription", of, |jid| jid);
    let set = changes
        .and_then(|changes| engine::set_subscriptions(cx, &asked.owner, (&name, from), &changes));
    let Some(error) = not_acceptable(set)? else {
        return Ok(Reply::Empty);
    };
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("pubsub", ns::PUBSUB_OWNER);
    w.open("subscriptions").attr("node", &name);
    for jid in addresses(asked.child) {
        let related = cx.tx.related(&node.row, jid.bare_str())?;
        let mut all = related.subscriptions.iter();
        let known = all.find(|one| *one.jid == *jid.as_str());
        w.open("subscription")
            .attr("jid", jid.as_str())
            .attr(
                "subscription",
                known.map_or("none", |one| state_text(one.state)),
            )
            .close();
    }
    w.close().close();
    Ok(Reply::Refused(error, xml))
}

/// §8.6.1: an owner's answer to what was asked of it; false: the message is none.
pub fn decision(cx: &mut Cx<'_>, owner: &Owner, message: &Message) -> Result<bool, Fault> {
    let form = message.element.root().child("x", ns::DATA_FORM);
    let form = form.and_then(DataForm::parse);
    let Some(form) = form.filter(|form| form.form_type() == Some(FORM_TYPE)) else {
        return Ok(false);
    };
    match form.kind {
        // It goes on waiting.
        FormKind::Cancel => return Ok(true),
        FormKind::Submit => {}
        // What we asked ourselves.
        FormKind::Form | FormKind::Result => return Ok(false),
    }
    let value = |var| form.value(var).ok_or(Condition::BadRequest);
    let jid = Jid::parse(value("pubsub#subscriber_jid")?).map_err(|_| Condition::JidMalformed)?;
    let allowed = match value("pubsub#allow")?.trim() {
        "1" | "true" => true,
        "0" | "false" => false,
        _ => return Err(Condition::BadRequest.into()),
    };
    let node = value("pubsub#node")?;
    let who = message
        .envelope
        .from
        .as_ref()
        .ok_or(Condition::BadRequest)?;
    let subid = form.value("pubsub#subid");
    engine::answer(cx, owner, (node, who), (&jid, subid), allowed)?;
    Ok(true)
}

/// §8.6.2: XEP-0050, in two steps: the nodes where somebody waits, then the requests of one.
pub fn get_pending(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let owner = super::owner_of(cx, request);
    let command = request.payload;
    if command.attribute("node").as_deref() != Some(GET_PENDING) {
        return Err(Condition::ItemNotFound.into());
    }
    let nodes = nodes_with_pending(cx, &owner, request.from)?;
    match command.attribute("action").as_deref() {
        None | Some("execute" | "next" | "complete") => {}
        Some("cancel") => return Ok(answer("canceled", None)),
        Some(_) => {
            return Err(StanzaError::new(Condition::BadRequest)
                .application("bad-action", ns::COMMANDS)
                .into());
        }
    }
    let Some(x) = command.child("x", ns::DATA_FORM) else {
        let nodes = nodes.ok_or(Condition::Forbidden)?;
        return Ok(answer("executing", Some(&nodes)));
    };
    let form = DataForm::parse(x).ok_or(Condition::BadRequest)?;
    if form.kind == FormKind::Cancel {
        return Ok(answer("canceled", None));
    }
    let node = form.value("pubsub#node").ok_or(Condition::BadRequest)?;
    engine::ask_again(cx, &owner, node, request.from)?;
    Ok(answer("completed", None))
}

/// `None`: the sender owns no node here.
fn nodes_with_pending(
    cx: &Cx<'_>,
    owner: &Owner,
    from: &Jid,
) -> Result<Option<Vec<String>>, Fault> {
    let names: Vec<Box<str>> = match owner.is_self(from) {
        true => {
            let nodes = crate::pubsub::node::behind(cx, owner, "", NODES_MAX)?;
            nodes.iter().map(|node| node.name().into()).collect()
        }
        false => cx.tx.related_nodes(owner.number(), from.bare_str())?,
    };
    let mut owns_some = owner.is_self(from);
    let mut waiting = Vec::new();
    for name in names.iter().take(NODES_MAX) {
        let Ok(node) = engine::owned(cx, owner, name, from) else {
            continue;
        };
        owns_some = true;
        if node.row.pending > 0 {
            waiting.push(name.to_string());
        }
    }
    Ok(owns_some.then_some(waiting))
}

fn answer(status: &str, nodes: Option<&[String]>) -> Reply {
    Reply::payload(|w| {
        w.open_ns("command", ns::COMMANDS)
            .attr("node", GET_PENDING)
            .attr("sessionid", "get-pending")
            .attr("status", status);
        if let Some(nodes) = nodes {
            w.open("actions").attr("execute", "complete");
            w.open("complete").close().close();
            open_form(w, FormKind::Form, FORM_TYPE);
            w.open("field")
                .attr("var", "pubsub#node")
                .attr("type", "list-single");
            for node in nodes {
                w.open("option").leaf("value", node).close();
            }
            w.close().close();
        }
        w.close();
    })
}
