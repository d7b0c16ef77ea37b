//! What one input's step is handed: when it is, where it stores, and what it wants done.
use crate::state::{Moment, Outbox};
use crate::store::Tx;

/// Whoever handles an input passes it on; the handlers of features see it as part of `Cx`.
pub struct Step<'a> {
    pub now: Moment,
    pub tx: &'a mut Tx,
    pub out: &'a mut Outbox,
}
