//! An account is removed: whoever is given its name is nobody to the nodes it had to do with.
use crate::store::{Affiliation, NodeOwner, NodeRow, Related, StoreError, Tx};

/// Rows read at a time.
const ROWS_MAX: usize = 200;

/// Takes an address out of everybody's nodes; of the service's, those go that have no owner left.
pub fn forget(tx: &mut Tx, jid: &str) -> Result<(), StoreError> {
    for owner in tx.related_owners(jid)? {
        for name in tx.related_nodes(owner, jid)? {
            let Some(mut node) = tx.node(owner, &name)? else {
                continue;
            };
            let before = tx.related(&node, jid)?;
            tx.set_related(&mut node, jid, &Related::default())?;
            let owned = before.affiliation == Affiliation::Owner && owner == NodeOwner::SERVICE;
            match owned && !has_owner(tx, &node)? {
                true => tx.remove_node(&node)?,
                false => tx.set_node(&mut node)?,
            }
        }
    }
    Ok(())
}

fn has_owner(tx: &Tx, node: &NodeRow) -> Result<bool, StoreError> {
    let mut last = Box::<str>::default();
    loop {
        let rows = tx.related_behind(node, &last, ROWS_MAX)?;
        let Some((jid, _)) = rows.last() else {
            return Ok(false);
        };
        last = jid.clone();
        let mut rows = rows.iter();
        if rows.any(|(_, related)| related.affiliation == Affiliation::Owner) {
            return Ok(true);
        }
    }
}
