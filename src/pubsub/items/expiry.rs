//! `item_expire` (XEP-0060 §16.4.4): items that are too old are read no more at once, and go in small steps without a word. So
//! do those that are too many since their node was configured otherwise.
use crate::state::State;
use crate::store::{AccountId, Item, NodeOwner, NodeRow, Span, StoreError, Tx};
use crate::xmpp::Timestamp;

use crate::pubsub::config::{MAX, NodeConfig, field};
use crate::pubsub::owner::OwnerKind;

/// Removes up to `rows_max` items of a node that have expired, or are too many; returns how many.
pub fn expire(
    (state, tx): (&State, &mut Tx),
    mut row: NodeRow,
    now: Timestamp,
    rows_max: usize,
) -> Result<usize, StoreError> {
    let kind = match row.owner {
        NodeOwner::SERVICE => OwnerKind::Service,
        NodeOwner(account) => OwnerKind::Account(AccountId(account)),
    };
    let config = NodeConfig::stored(kind, &row.config);
    let over = row.items.saturating_sub(config.items_max(state));
    let over = usize::try_from(over).unwrap_or(usize::MAX);
    if row.items == 0 || (over == 0 && config.number(field::ITEM_EXPIRE) == MAX) {
        return Ok(0);
    }
    let oldest = tx.items_in(&row, Span::default(), (false, rows_max))?;
    let is_due = |at: &usize, item: &Item| *at < over || config.has_expired(item.at, now);
    let oldest = oldest.into_iter().enumerate();
    let expired = oldest
        .take_while(|(at, (_, item))| is_due(at, item))
        .map(|(_, row)| row);
    let mut count = 0;
    for (_, item) in expired {
        tx.remove_item(&mut row, &item.id)?;
        count += 1;
    }
    if count > 0 {
        tx.set_node(&mut row)?;
    }
    Ok(count)
}
