//! XEP-0060 §7: items are published and retracted.
use crate::pubsub::config::OPTIONS_FORM_TYPE;
use crate::pubsub::{self, NewItem, refusal};
use crate::state::{Cx, Fault};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, ns};

use super::{Asked, Reply};
use crate::feature::pep;

/// Ids of one request.
const IDS_MAX: usize = 500;

/// The items that are named.
pub fn ids(items: ElementRef<'_>) -> Result<Vec<String>, Fault> {
    let mut ids = Vec::new();
    for item in items.children().filter(|child| child.name() == "item") {
        let id = item.attribute("id").ok_or(refusal::ITEM_REQUIRED)?;
        if ids.len() >= IDS_MAX {
            return Err(refusal::MAX_ITEMS_EXCEEDED.into());
        }
        ids.push(id.into_owned());
    }
    Ok(ids)
}

/// §7.1
pub fn publish(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let mut items = Vec::new();
    let children = asked.child.children();
    for item in children.filter(|child| child.is("item", ns::PUBSUB)) {
        if items.len() >= pubsub::items::publish::ITEMS_MAX {
            return Err(refusal::MAX_ITEMS_EXCEEDED.into());
        }
        items.push(read_item(item)?);
    }
    let options = asked.request.payload.child("publish-options", ns::PUBSUB);
    let options = match options {
        Some(options) => {
            let form = asked.form(options, OPTIONS_FORM_TYPE)?;
            Some(form.ok_or(Condition::BadRequest)?)
        }
        None => None,
    };
    let from = asked.request.from;
    let ids = pep::publish(cx, &asked.owner, &name, items, from, options.as_ref())?;
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("publish").attr("node", &name);
        for id in &ids {
            w.open("item").attr("id", id).close();
        }
        w.close().close();
    }))
}

/// §7.1.3.6: one payload at most.
fn read_item(item: ElementRef<'_>) -> Result<NewItem, Fault> {
    let mut payloads = item.children();
    let payload = payloads.next();
    if payloads.next().is_some() || item.has_text() {
        return Err(refusal::INVALID_PAYLOAD.into());
    }
    let id = item.attribute("id").filter(|id| !id.is_empty());
    Ok(NewItem {
        id: id.map(|id| id.into()),
        payload: payload.map_or_else(Default::default, |payload| payload.to_xml().into()),
    })
}

/// §7.2
pub fn retract(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let mut ids: Vec<Box<str>> = Vec::new();
    for id in self::ids(asked.child)? {
        if !ids.iter().any(|known| **known == *id) {
            ids.push(id.into());
        }
    }
    if ids.is_empty() || ids.iter().any(|id| id.is_empty()) {
        return Err(refusal::ITEM_REQUIRED.into());
    }
    let notify = asked.child.attribute("notify");
    let notify = match notify.as_deref() {
        Some("true" | "1") => true,
        Some("false" | "0") | None => false,
        Some(_) => return Err(Condition::BadRequest.into()),
    };
    let how = (asked.request.from, notify);
    pep::retract(cx, &asked.owner, &name, &ids, how)?;
    Ok(Reply::Empty)
}
