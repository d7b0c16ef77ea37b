//! XEP-0060 §6.5: items are read: by their ids, the latest, or in pages (XEP-0059), in the order that is asked for (XEP-0413).
use crate::pubsub::items::{REORDERED_MAX, items_at, places_by_birth};
use crate::pubsub::{self, Node, What, access, notify, refusal};
use crate::state::{Cx, Fault};
use crate::store::{Item, Span};
use crate::xmpp::{Condition, Rsm, RsmStart, StanzaError, ns};

use super::items::ids;
use super::{Asked, Reply};

/// Items of one answer.
const PAGE_MAX: usize = 2500;

/// Which page is wanted.
struct Wanted {
    start: RsmStart,
    count_max: usize,
    /// The answer tells of the whole (XEP-0059).
    told: bool,
    /// In the order in which their ids were new, not that of publication.
    by_birth: bool,
    /// Latest first.
    descending: bool,
}

/// A page in the order that was asked for.
#[derive(Default)]
struct Listed {
    items: Vec<Item>,
    index: Option<u64>,
    count: u64,
    complete: bool,
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
        let mut listed = Listed::default();
        for id in ids {
            listed.items.extend(pubsub::item(cx, &node, &id)?);
        }
        return Ok(answer(&node, &listed, false));
    }
    let wanted = wanted(asked)?;
    let listed = match wanted.by_birth {
        true => by_birth(cx, &node, &wanted)?,
        false => by_publication(cx, &node, &wanted)?,
    };
    let told = wanted.told || !listed.complete;
    Ok(answer(&node, &listed, told))
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

fn wanted(asked: &Asked<'_>) -> Result<Wanted, Fault> {
    let payload = asked.request.payload;
    let rsm = Rsm::parse(payload)?;
    let mut wanted = Wanted {
        start: rsm.start,
        count_max: rsm.max.unwrap_or(PAGE_MAX).min(PAGE_MAX),
        told: payload.child("set", ns::RSM).is_some(),
        by_birth: false,
        descending: false,
    };
    // XEP-0413 §4: what comes first decides, for no two items are alike in it.
    if let Some(order) = payload.child("order", ns::ORDER_BY) {
        wanted.by_birth = match order.attribute("by").as_deref() {
            Some("creation") => true,
            Some("modification") => false,
            _ => return Err(Condition::FeatureNotImplemented.into()),
        };
        wanted.descending = matches!(order.attribute("desc").as_deref(), Some("true" | "1"));
    }
    // §6.5.7, §6.5.4: the latest so many, or as many as there may be: of what was read where (XEP-0490) they are what counts.
    let most = match asked.child.attribute("max_items") {
        Some(most) => most.trim().parse().map_err(|_| Condition::BadRequest)?,
        None => PAGE_MAX,
    };
    if !wanted.told {
        wanted.count_max = most.min(PAGE_MAX);
        wanted.told = most > PAGE_MAX;
        if !wanted.descending {
            wanted.start = RsmStart::Before(None);
        }
    }
    // Items are not counted one by one.
    match wanted.start {
        RsmStart::Index(_) => Err(Condition::FeatureNotImplemented.into()),
        _ => Ok(wanted),
    }
}

fn place(cx: &Cx<'_>, node: &Node, id: &str) -> Result<u64, Fault> {
    let place = cx.tx.item_place(&node.row, id)?;
    Ok(place.ok_or(Condition::ItemNotFound)?)
}

fn by_publication(cx: &Cx<'_>, node: &Node, wanted: &Wanted) -> Result<Listed, Fault> {
    let mut span = Span::default();
    let mut backward = false;
    match &wanted.start {
        RsmStart::After(id) => span.after = Some(place(cx, node, id)?),
        RsmStart::Before(id) => {
            backward = true;
            let place = |id: &String| place(cx, node, id);
            span.before = id.as_ref().map(place).transpose()?;
        }
        RsmStart::First | RsmStart::Index(_) => {}
    }
    let count = node.row.items;
    if wanted.count_max == 0 {
        return Ok(Listed {
            count,
            ..Listed::default()
        });
    }
    let in_store = match wanted.descending {
        false => (span, backward),
        true => {
            let turned = Span {
                after: span.before,
                before: span.after,
            };
            (turned, !backward)
        }
    };
    let how = (in_store.1, wanted.count_max);
    let mut page = pubsub::items_page(cx, node, in_store.0, how)?;
    if wanted.descending {
        page.items.reverse();
    }
    let held = u64::try_from(page.items.len()).unwrap_or(count);
    // Of what lies in the middle it would have to be counted.
    let index = match backward {
        false if span.after.is_none() => Some(0),
        true if span.before.is_none() => Some(count.saturating_sub(held)),
        true if page.complete => Some(0),
        false if page.complete => Some(count.saturating_sub(held)),
        _ => None,
    };
    Ok(Listed {
        items: page.items,
        index,
        count,
        complete: page.complete,
    })
}

/// XEP-0413 §4
fn by_birth(cx: &Cx<'_>, node: &Node, wanted: &Wanted) -> Result<Listed, Fault> {
    if node.row.items > REORDERED_MAX {
        return Err(StanzaError::new(Condition::FeatureNotImplemented)
            .text("There are too many items to put them in another order.")
            .into());
    }
    let mut places = places_by_birth(cx, node)?;
    if wanted.descending {
        places.reverse();
    }
    let at = |id: &str| -> Result<usize, Fault> {
        let place = place(cx, node, id)?;
        let at = places.iter().position(|known| *known == place);
        Ok(at.ok_or(Condition::ItemNotFound)?)
    };
    let all = places.len();
    let from = match &wanted.start {
        RsmStart::After(id) => at(id)? + 1,
        RsmStart::Before(Some(id)) => at(id)?.saturating_sub(wanted.count_max),
        RsmStart::Before(None) => all.saturating_sub(wanted.count_max),
        RsmStart::First | RsmStart::Index(_) => 0,
    };
    let to = match &wanted.start {
        RsmStart::Before(Some(id)) => at(id)?,
        _ => from.saturating_add(wanted.count_max).min(all),
    };
    let page = items_at(cx, node, places.get(from..to).unwrap_or_default())?;
    Ok(Listed {
        items: page.items,
        index: u64::try_from(from).ok(),
        count: u64::try_from(all).unwrap_or(node.row.items),
        complete: page.complete && from == 0 && to == all,
    })
}

fn answer(node: &Node, listed: &Listed, told: bool) -> Reply {
    Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("items").attr("node", node.name());
        for item in &listed.items {
            notify::write_item(w, node, item, true);
        }
        w.close();
        if told {
            let ends = listed.items.first().zip(listed.items.last());
            let ends = ends.map(|(first, last)| (&*first.id, &*last.id));
            Rsm::write_answer(w, ends, listed.index, Some(listed.count));
        }
        w.close();
    })
}
