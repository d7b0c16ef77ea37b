//! An account that is being given what waited for it.
use crate::state::{Keep, SessionId};
use crate::store::{ArchiveId, Kept};

/// What waited is being delivered.
#[derive(Debug, Default)]
pub struct CatchingUp {
    /// Up to here so far.
    pub up_to: ArchiveId,
    /// What arrives meanwhile and is in no archive, in order.
    pub behind: Vec<Behind>,
}

/// A message that waits its turn.
#[derive(Debug)]
pub struct Behind {
    pub session: SessionId,
    pub stanza: Kept,
    pub keep: Keep,
}
