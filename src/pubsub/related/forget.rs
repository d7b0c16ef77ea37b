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
            if before.affiliation != Affiliation::Owner || owner != NodeOwner::SERVICE {
                tx.set_node(&mut node)?;
                continue;
            }
            match an_owner(tx, &node)? {
                None => tx.remove_node(&node)?,
                // Whose presence and roster the node goes by.
                Some(other) if *node.creator == *jid => {
                    node.creator = other;
                    tx.set_node(&mut node)?;
                }
                Some(_) => tx.set_node(&mut node)?,
            }
        }
    }
    Ok(())
}

fn an_owner(tx: &Tx, node: &NodeRow) -> Result<Option<Box<str>>, StoreError> {
    let mut last = Box::<str>::default();
    loop {
        let rows = tx.related_behind(node, &last, ROWS_MAX)?;
        let Some((jid, _)) = rows.last() else {
            return Ok(None);
        };
        last = jid.clone();
        let mut rows = rows.into_iter();
        let owner = rows.find(|(_, related)| related.affiliation == Affiliation::Owner);
        if let Some((jid, _)) = owner {
            return Ok(Some(jid));
        }
    }
}
