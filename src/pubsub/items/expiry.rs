//! `item_expire` (XEP-0060 §16.4.4): items that are too old are read no more at once, and go in small steps without a word.
use crate::store::{AccountId, NodeOwner, NodeRow, Span, StoreError, Tx};
use crate::xmpp::Timestamp;

use crate::pubsub::config::{MAX, NodeConfig, field};
use crate::pubsub::owner::OwnerKind;

/// Removes up to `rows_max` items of a node that have expired; returns how many.
pub fn expire(
    tx: &mut Tx,
    mut row: NodeRow,
    now: Timestamp,
    rows_max: usize,
) -> Result<usize, StoreError> {
    let kind = match row.owner {
        NodeOwner::SERVICE => OwnerKind::Service,
        NodeOwner(account) => OwnerKind::Account(AccountId(account)),
    };
    let config = NodeConfig::stored(kind, &row.config);
    if row.items == 0 || config.number(field::ITEM_EXPIRE) == MAX {
        return Ok(0);
    }
    let oldest = tx.items_in(&row, Span::default(), (false, rows_max))?;
    let expired = oldest
        .into_iter()
        .take_while(|(_, item)| config.has_expired(item.at, now));
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
