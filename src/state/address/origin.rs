//! Where a stanza came from, and so where what answers it goes.
use crate::state::{ComponentId, SessionId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One of our clients.
    Session(SessionId),
    /// An external component.
    Component(ComponentId),
    /// An account or the server itself, in whose name the server speaks: what is answered goes to who asked it to
    /// (`Questions`), if anybody did.
    Own,
}

impl Origin {
    /// The session, if it was one.
    pub fn session(self) -> Option<SessionId> {
        match self {
            Origin::Session(session) => Some(session),
            Origin::Component(_) | Origin::Own => None,
        }
    }
}
