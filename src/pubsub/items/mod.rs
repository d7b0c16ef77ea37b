//! Items as they are read (XEP-0060 §6.5), in the order they were published in.
pub mod expiry;
pub mod publish;
pub mod room;

use crate::state::Cx;
use crate::store::{Item, Span, StoreError};

use super::node::Node;

/// Items of a node of which those that were overwritten are put in another order (XEP-0413).
pub const REORDERED_MAX: u64 = 2500;
/// Bytes of a page; it ends behind the item that passes them.
pub const PAGE_BYTES_MAX: usize = 1 << 20;
/// Items read at a time, so that a page of large ones is not held in memory before it is cut.
const READ_MAX: usize = 16;

/// Some of a node's items, oldest first.
#[derive(Debug, Default)]
pub struct Page {
    pub items: Vec<Item>,
    /// Nothing was left out at the end from which it was read.
    pub complete: bool,
}

pub fn item(cx: &Cx<'_>, node: &Node, id: &str) -> Result<Option<Item>, StoreError> {
    let item = cx.tx.item(&node.row, id)?;
    Ok(item.filter(|item| is_there(cx, node, item)))
}

/// The one published last.
pub fn last_item(cx: &Cx<'_>, node: &Node) -> Result<Option<Item>, StoreError> {
    let item = cx.tx.last_item(&node.row)?;
    Ok(item.filter(|item| is_there(cx, node, item)))
}

/// What has expired may not be removed yet.
fn is_there(cx: &Cx<'_>, node: &Node, item: &Item) -> bool {
    !node.config.has_expired(item.at, cx.now.wall)
}

/// Up to so many items of a span; backward: the latest of them.
pub fn items_page(
    cx: &Cx<'_>,
    node: &Node,
    span: Span,
    (backward, count_max): (bool, usize),
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut rest = span;
    let mut bytes = 0;
    while page.items.len() < count_max && bytes < PAGE_BYTES_MAX {
        let wanted = READ_MAX.min(count_max - page.items.len());
        let read = cx.tx.items_in(&node.row, rest, (backward, wanted))?;
        page.complete = read.len() < wanted;
        for (place, item) in read {
            match backward {
                true => rest.before = Some(place),
                false => rest.after = Some(place),
            }
            if bytes >= PAGE_BYTES_MAX {
                page.complete = false;
                break;
            }
            if is_there(cx, node, &item) {
                bytes += item.payload.len();
                page.items.push(item);
            }
        }
        if page.complete {
            break;
        }
    }
    if !page.complete {
        let more = cx.tx.items_in(&node.row, rest, (backward, 1))?;
        page.complete = more.is_empty();
    }
    if backward {
        page.items.reverse();
    }
    Ok(page)
}

/// All places in the order in which the items' ids were new (XEP-0413 §4).
pub fn places_by_birth(cx: &Cx<'_>, node: &Node) -> Result<Vec<u64>, StoreError> {
    let all = usize::try_from(node.row.items).unwrap_or(usize::MAX);
    let items = cx.tx.items_in(&node.row, Span::default(), (false, all))?;
    let there = items.iter().filter(|(_, item)| is_there(cx, node, item));
    let mut places: Vec<_> = there.map(|(place, item)| (item.born, *place)).collect();
    places.sort_unstable();
    Ok(places.into_iter().map(|(_, place)| place).collect())
}

/// The items at these places, as many as a page holds.
pub fn items_at(cx: &Cx<'_>, node: &Node, places: &[u64]) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut bytes = 0;
    for place in places {
        if bytes >= PAGE_BYTES_MAX {
            return Ok(page);
        }
        let span = Span {
            after: place.checked_sub(1),
            before: Some(place + 1),
        };
        for (_, item) in cx.tx.items_in(&node.row, span, (false, 1))? {
            bytes += item.payload.len();
            page.items.push(item);
        }
    }
    page.complete = true;
    Ok(page)
}
