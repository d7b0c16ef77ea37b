//! XEP-0060 §6.5, §7: items are read, published, retracted.
use crate::pubsub::config::OPTIONS_FORM_TYPE;
use crate::pubsub::{self, NewItem, Node, Page, What, access, notify, refusal};
use crate::state::{Cx, Fault};
use crate::store::{Item, Span};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, Rsm, RsmStart, ns};

use super::{Asked, Reply};
use crate::feature::pep;

/// Items of one answer.
const PAGE_MAX: usize = 2500;
/// Ids of one request.
const IDS_MAX: usize = 500;

/// Where the page lies.
struct Place {
    span: Span,
    backward: bool,
    count_max: usize,
    /// The answer tells of the whole (XEP-0059).
    told: bool,
}

/// §6.5
pub fn retrieve(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let owner = &asked.owner;
    let from = asked.request.from;
    let node = match pubsub::node(cx, owner, &name)? {
        Some(node) => node,
        // COMPAT(profanity, 0.13 to 0.15): it makes its first list of devices only if it hears the number.
        None if owner.is_self(from) => return Err(refusal::NO_NODE_OF_ONES_OWN.into()),
        None => return Err(Condition::ItemNotFound.into()),
    };
    access::may(cx, owner, &node, from, What::Read)?;
    require_subid(cx, asked, &node)?;
    if !node.config.persists() {
        return Err(refusal::unsupported("persistent-items").into());
    }
    let ids = ids(asked.child)?;
    if !ids.is_empty() {
        let mut items = Vec::new();
        for id in ids {
            items.extend(pubsub::item(cx, &node, &id)?);
        }
        return Ok(answer(&node, &items, None));
    }
    let place = place(cx, asked, &node)?;
    let how = (place.backward, place.count_max);
    let page = match place.count_max {
        0 => Page::default(),
        _ => pubsub::items_page(cx, &node, place.span, how)?,
    };
    let told = place.told || !page.complete;
    Ok(answer(&node, &page.items, told.then_some((&place, &page))))
}

/// §6.5.9.1, §6.5.9.2: there is one subscription of an address, so its id need not be said.
fn require_subid(cx: &Cx<'_>, asked: &Asked<'_>, node: &Node) -> Result<(), Fault> {
    let Some(subid) = asked.child.attribute("subid") else {
        return Ok(());
    };
    let from = asked.request.from.bare_str();
    let related = cx.tx.related(&node.row, from)?;
    let mut subscriptions = related.subscriptions.iter();
    let is_wrong = subscriptions.len() > 0 && !subscriptions.any(|one| *one.subid == *subid);
    match is_wrong {
        true => Err(refusal::INVALID_SUBID.into()),
        false => Ok(()),
    }
}

/// The items that are named.
fn ids(items: ElementRef<'_>) -> Result<Vec<String>, Fault> {
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

fn place(cx: &Cx<'_>, asked: &Asked<'_>, node: &Node) -> Result<Place, Fault> {
    let payload = asked.request.payload;
    let told = payload.child("set", ns::RSM).is_some();
    let rsm = Rsm::parse(payload)?;
    let mut place = Place {
        span: Span::default(),
        backward: false,
        count_max: rsm.max.unwrap_or(PAGE_MAX).min(PAGE_MAX),
        told,
    };
    let known = |id: &str| -> Result<Option<u64>, Fault> {
        let found = cx.tx.item_place(&node.row, id)?;
        Ok(Some(found.ok_or(Condition::ItemNotFound)?))
    };
    match rsm.start {
        RsmStart::First => {}
        RsmStart::After(id) => place.span.after = known(&id)?,
        RsmStart::Before(id) => {
            place.backward = true;
            place.span.before = id.map(|id| known(&id)).transpose()?.flatten();
        }
        // Items are not counted one by one.
        RsmStart::Index(_) => return Err(Condition::FeatureNotImplemented.into()),
    }
    // §6.5.7: the latest so many.
    if let Some(most) = asked.child.attribute("max_items") {
        let most: usize = most.trim().parse().map_err(|_| Condition::BadRequest)?;
        if !told {
            place.backward = true;
            place.count_max = most.min(PAGE_MAX);
            place.told = most > PAGE_MAX;
        }
    }
    Ok(place)
}

fn answer(node: &Node, items: &[Item], told: Option<(&Place, &Page)>) -> Reply {
    Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("items").attr("node", node.name());
        for item in items {
            notify::write_item(w, node, item, true);
        }
        w.close();
        if let Some((place, page)) = told {
            let first_last = items.first().zip(items.last());
            let first_last = first_last.map(|(first, last)| (&*first.id, &*last.id));
            let count = node.row.items;
            let held = u64::try_from(items.len()).unwrap_or(count);
            // Of what lies in the middle it would have to be counted.
            let reaches = page.complete;
            let index = match place.backward {
                false if place.span.after.is_none() => Some(0),
                false if reaches => Some(count.saturating_sub(held)),
                true if reaches => Some(0),
                true if place.span.before.is_none() => Some(count.saturating_sub(held)),
                _ => None,
            };
            Rsm::write_answer(w, first_last, index, Some(count));
        }
        w.close();
    })
}

/// §7.1
pub fn publish(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let mut items = Vec::new();
    let children = asked.child.children();
    for item in children.filter(|child| child.is("item", ns::PUBSUB)) {
        if items.len() >= pubsub::publish::ITEMS_MAX {
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
