//! Items of nodes that are kept for so long only (XEP-0060 `item_expire`), and those that are too many.
use crate::pubsub::items::expiry::expire;
use crate::server::{Server, Step};
use crate::store::{NodeOwner, StoreError};

/// Time between looks at all nodes.
const LOOK_EVERY_MS: u64 = 600_000;
/// Nodes looked at in one step, and items removed.
const STEP_NODES_MAX: usize = 200;
const STEP_ITEMS_MAX: usize = 50;

/// How far the look at all nodes has come.
#[derive(Default)]
pub struct Expiring {
    /// When it goes on.
    due_ms: u64,
    last: Option<(NodeOwner, Box<str>)>,
}

impl Server {
    /// One small step. True: there is more.
    pub(super) fn expire_items(&mut self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let now_ms = step.now.monotonic_ms;
        if now_ms < self.expiring.due_ms {
            return Ok(false);
        }
        let last = self.expiring.last.take();
        let behind = last
            .as_ref()
            .map_or((NodeOwner(0), ""), |(owner, name)| (*owner, name));
        let nodes = step.tx.all_nodes_behind(behind, STEP_NODES_MAX)?;
        let more = nodes.len() == STEP_NODES_MAX;
        let mut passed = last;
        let mut left = STEP_ITEMS_MAX;
        for node in nodes {
            let place = (node.owner, node.name.clone());
            left -= expire((&self.state, step.tx), node, step.now.sure, left)?;
            // Its next ones in the next step.
            if left == 0 {
                self.expiring.last = passed;
                return Ok(true);
            }
            passed = Some(place);
        }
        self.expiring = match more {
            true => Expiring {
                due_ms: now_ms,
                last: passed,
            },
            false => Expiring {
                due_ms: now_ms + LOOK_EVERY_MS,
                last: None,
            },
        };
        Ok(more)
    }
}
