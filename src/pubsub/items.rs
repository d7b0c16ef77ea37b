//! Items as they are read (XEP-0060 §6.5), in the order they were published in.
use crate::state::Cx;
use crate::store::{Item, Span, StoreError};

use super::node::Node;

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
    cx.tx.item(&node.row, id)
}

/// The one published last.
pub fn last_item(cx: &Cx<'_>, node: &Node) -> Result<Option<Item>, StoreError> {
    cx.tx.last_item(&node.row)
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
            bytes += item.payload.len();
            page.items.push(item);
        }
        if page.complete {
            break;
        }
    }
    if backward {
        page.items.reverse();
    }
    Ok(page)
}
