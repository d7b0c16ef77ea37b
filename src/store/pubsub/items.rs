//! Items of a node in order of publication. One that is published again takes a new place, behind all others.
use std::ops::Bound;

use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::{PUBSUB_ITEM_IDS, PUBSUB_ITEMS};
use crate::store::{StoreError, Tx, Writing};
use crate::xmpp::Timestamp;

use super::nodes::NodeRow;

/// What a row takes beside its texts, about.
const ROW_BYTES: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: Box<str>,
    /// Who published it, as a bare JID.
    pub publisher: Box<str>,
    pub at: Timestamp,
    /// The place it had when its id was new (XEP-0413); given by `put_item`.
    pub born: u64,
    /// One element, checked; empty: there is none.
    pub payload: Box<str>,
}

impl Item {
    /// What it counts for.
    pub fn bytes(&self) -> u64 {
        let bytes = ROW_BYTES + 2 * self.id.len() + self.publisher.len() + self.payload.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Between these places, neither of which counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub after: Option<u64>,
    pub before: Option<u64>,
}

impl Tx {
    /// Where an item lies.
    pub fn item_place(&self, node: &NodeRow, id: &str) -> Result<Option<u64>, StoreError> {
        let table = self.view(PUBSUB_ITEM_IDS)?;
        let place = table.get((node.owner.0, node.contents, id))?;
        Ok(place.map(|place| place.value()))
    }

    pub fn item(&self, node: &NodeRow, id: &str) -> Result<Option<Item>, StoreError> {
        let Some(place) = self.item_place(node, id)? else {
            return Ok(None);
        };
        let table = self.view(PUBSUB_ITEMS)?;
        let row = table.get((node.owner.0, node.contents, place))?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// Up to so many items with their places, from the start of a span or, backward, from its end.
    pub fn items_in(
        &self,
        node: &NodeRow,
        span: Span,
        (backward, count_max): (bool, usize),
    ) -> Result<Vec<(u64, Item)>, StoreError> {
        let key = |place| (node.owner.0, node.contents, place);
        let first = match span.after {
            Some(after) => Bound::Excluded(key(after)),
            None => Bound::Included(key(0)),
        };
        let end = match span.before {
            Some(before) => Bound::Excluded(key(before)),
            None => Bound::Included(key(u64::MAX)),
        };
        let is_empty = span.after.zip(span.before);
        if is_empty.is_some_and(|(after, before)| after >= before) {
            return Ok(Vec::new());
        }
        let table = self.view(PUBSUB_ITEMS)?;
        let mut rows = table.range((first, end))?;
        let mut items = Vec::new();
        while items.len() < count_max {
            let row = match backward {
                true => rows.next_back(),
                false => rows.next(),
            };
            let Some((key, row)) = row.transpose()? else {
                break;
            };
            items.push((key.value().2, decode(row.value())?));
        }
        Ok(items)
    }

    /// The one published last.
    pub fn last_item(&self, node: &NodeRow) -> Result<Option<Item>, StoreError> {
        if node.items == 0 {
            return Ok(None);
        }
        let last = self.items_in(node, Span::default(), (true, 1))?;
        Ok(last.into_iter().next().map(|(_, item)| item))
    }

    /// Publishes an item in the place of the one of the same id, if there is one. The node is to be written down afterwards.
    pub fn put_item(&mut self, node: &mut NodeRow, item: &Item) -> Result<(), StoreError> {
        let place = node.next;
        let before = self.item_place(node, &item.id)?;
        let born = match before {
            Some(before) => self.born(node, before)?,
            None => place,
        };
        self.remove_item(node, &item.id)?;
        node.next += 1;
        node.items += 1;
        node.bytes += item.bytes();
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(PUBSUB_ITEMS)?
            .insert((node.owner.0, node.contents, place), &encode(item, born))?;
        txn.open_table(PUBSUB_ITEM_IDS)?
            .insert((node.owner.0, node.contents, &item.id), place)
    }

    /// Of a damaged one nobody knows.
    fn born(&self, node: &NodeRow, place: u64) -> Result<u64, StoreError> {
        let table = self.view(PUBSUB_ITEMS)?;
        match table.get((node.owner.0, node.contents, place)) {
            Ok(Some(row)) => Ok(decode(row.value())?.born),
            Ok(None) | Err(StoreError::Damaged { .. }) => Ok(place),
            Err(error) => Err(error),
        }
    }

    /// False: there is none of this id. The node is to be written down afterwards.
    pub fn remove_item(&mut self, node: &mut NodeRow, id: &str) -> Result<bool, StoreError> {
        let Some(place) = self.item_place(node, id)? else {
            return Ok(false);
        };
        let bytes = self.item_bytes(node, place)?;
        node.items = node.items.saturating_sub(1);
        node.bytes = node.bytes.saturating_sub(bytes);
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(PUBSUB_ITEMS)?
            .remove((node.owner.0, node.contents, place))?;
        txn.open_table(PUBSUB_ITEM_IDS)?
            .remove((node.owner.0, node.contents, id))?;
        Ok(true)
    }

    /// Of a damaged one nobody knows what it counted for.
    fn item_bytes(&self, node: &NodeRow, place: u64) -> Result<u64, StoreError> {
        let table = self.view(PUBSUB_ITEMS)?;
        match table.get((node.owner.0, node.contents, place)) {
            Ok(Some(row)) => Ok(decode(row.value())?.bytes()),
            Ok(None) | Err(StoreError::Damaged { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

pub(in crate::store) fn encode(item: &Item, born: u64) -> Vec<u8> {
    Encoder::default()
        .time(item.at)
        .number(born)
        .text(&item.id)
        .text(&item.publisher)
        .raw(item.payload.as_bytes())
        .done()
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Item, StoreError> {
    let mut row = Decoder::new(bytes);
    Ok(Item {
        at: row.time()?,
        born: row.number()?,
        id: row.text()?.into(),
        publisher: row.text()?.into(),
        payload: row.rest_text()?.into(),
    })
}
