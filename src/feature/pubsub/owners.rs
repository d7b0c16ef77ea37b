//! XEP-0060 §8.1 to §8.5: what owners do to nodes.
use std::collections::BTreeSet;

use crate::pubsub::config::FORM_TYPE;
use crate::pubsub::{self, NodeConfig, Owner, OwnerKind, What, access, refusal};
use crate::state::{Cx, Fault};
use crate::xmpp::{Condition, DataForm, FormKind, ns};

use super::{Asked, Reply};
use crate::feature::pep;

/// Bytes of the URI of what takes a node's place.
const URI_BYTES_MAX: usize = 3071;
/// Groups of a roster that a form offers.
const GROUPS_SHOWN_MAX: usize = 100;

/// §8.1
pub fn create(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let owner = &asked.owner;
    let given = asked.child.attribute("node");
    let given = given.filter(|node| !node.is_empty());
    let configure = configure_behind(asked)?;
    let kind = asked.child.attribute("type");
    if kind.is_some_and(|kind| kind != "leaf") {
        return Err(refusal::unsupported("collections").into());
    }
    let name = match &given {
        Some(name) => name.clone().into_owned(),
        // §8.1.2: instant nodes; an account's have names that others know.
        None if owner.kind == OwnerKind::Service => cx.new_id(),
        None => return Err(refusal::NODEID_REQUIRED_TO_CREATE.into()),
    };
    let mut config = pubsub::known::usual(owner.kind, &name);
    if let Some(form) = configure {
        config.apply(&form, cx.state)?;
    }
    pubsub::create(cx, owner, &name, asked.request.from, config)?;
    if given.is_some() {
        return Ok(Reply::Empty);
    }
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("create").attr("node", &name).close().close();
    }))
}

/// §8.1.3: it stands behind the other and names no node.
fn configure_behind(asked: &Asked<'_>) -> Result<Option<DataForm>, Fault> {
    let payload = asked.request.payload;
    let Some(configure) = payload.child("configure", ns::PUBSUB) else {
        return Ok(None);
    };
    let mut names = payload.children().map(|child| child.name());
    let is_first = names.find(|name| matches!(*name, "create" | "configure")) == Some("configure");
    if configure.attribute("node").is_some() || is_first {
        return Err(Condition::BadRequest.into());
    }
    asked.form(configure, FORM_TYPE)
}

/// §8.2.1
pub fn configuration(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let node = pubsub::node::known(cx, &asked.owner, &name)?;
    access::may(cx, &asked.owner, &node, asked.request.from, What::Own)?;
    let groups = match asked.owner.is_self(asked.request.from) {
        true => groups(cx, &asked.owner)?,
        false => Vec::new(),
    };
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB_OWNER);
        w.open("configure").attr("node", &name);
        node.config.write(w, FormKind::Form, &groups);
        w.close().close();
    }))
}

/// §16.4.4: of the roster of the account whose nodes they are; whoever else owns one of them does not hear of them.
fn groups(cx: &Cx<'_>, owner: &Owner) -> Result<Vec<String>, Fault> {
    let OwnerKind::Account(account) = owner.kind else {
        return Ok(Vec::new());
    };
    let contacts = cx.tx.contacts(account)?;
    let all = contacts.into_iter().flat_map(|(_, contact)| contact.groups);
    let all: BTreeSet<String> = all.collect();
    Ok(all.into_iter().take(GROUPS_SHOWN_MAX).collect())
}

/// §8.2.4
pub fn configure(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let node = pubsub::node::known(cx, &asked.owner, &name)?;
    access::may(cx, &asked.owner, &node, asked.request.from, What::Own)?;
    let is_there = asked.child.child("x", ns::DATA_FORM).is_some();
    match asked.form(asked.child, FORM_TYPE)? {
        Some(form) => pep::configure(cx, &asked.owner, &name, asked.request.from, &form)?,
        // Cancelled: all stays as it is.
        None if is_there => {}
        None => return Err(Condition::BadRequest.into()),
    }
    Ok(Reply::Empty)
}

/// §8.3
pub fn usual(_cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    if asked
        .child
        .attribute("type")
        .is_some_and(|kind| kind != "leaf")
    {
        return Err(refusal::unsupported("collections").into());
    }
    let config = NodeConfig::usual(asked.owner.kind);
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB_OWNER);
        w.open("default");
        config.write(w, FormKind::Form, &[]);
        w.close().close();
    }))
}

/// §8.4
pub fn delete(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let redirect = asked.child.child("redirect", ns::PUBSUB_OWNER);
    let uri = redirect.and_then(|redirect| redirect.attribute("uri"));
    if redirect.is_some() && uri.as_ref().is_none_or(|uri| uri.is_empty()) {
        return Err(Condition::BadRequest.into());
    }
    if uri.as_ref().is_some_and(|uri| uri.len() > URI_BYTES_MAX) {
        return Err(Condition::NotAcceptable.into());
    }
    let from = asked.request.from;
    pep::delete(cx, &asked.owner, &name, from, uri.as_deref())?;
    Ok(Reply::Empty)
}

/// §8.5
pub fn purge(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    pep::purge(cx, &asked.owner, &name, asked.request.from)?;
    Ok(Reply::Empty)
}
