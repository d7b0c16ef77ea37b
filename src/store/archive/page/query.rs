//! What is asked of an archive, and what it answers.
use crate::xmpp::words::Wanted;
use crate::xmpp::{Jid, Timestamp};

use super::super::reading::Parts;
use super::super::{ArchiveId, Stored};

/// XEP-0313 §4.1. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ArchiveQuery {
    /// The other side: any resource if bare, exactly this one if full.
    pub with: Option<Jid>,
    /// Those of type groupchat are left out.
    pub without_groupchat: bool,
    pub shows: Shows,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// Where in the archive these lie, if that was looked for already (`Tx::during`).
    pub during: Option<Parts>,
    /// XEP-0431.
    pub words: Option<Wanted>,
    /// `after-id`, `before-id` (exclusive), and `ids`, of `urn:xmpp:mam:2#extended`.
    pub after_id: Option<ArchiveId>,
    pub before_id: Option<ArchiveId>,
    /// RSM: page after / before this id (exclusive).
    pub page_after: Option<ArchiveId>,
    pub page_before: Option<ArchiveId>,
    /// The page is counted from the end (`<before/>`).
    pub backward: bool,
    pub max: usize,
    /// The page ends behind the stanza that passes so many bytes.
    pub bytes_max: Option<usize>,
}

/// Which kinds of stanzas (XEP-0427).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shows {
    #[default]
    All,
    /// What was said (`Kind::Said`, `Kind::Gone`).
    Said,
    /// And the last that was done to each that lies before the query's start.
    SaidAndDone(Before),
}

/// Stanzas of before a query's start: up to an id, or earlier than a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    pub up_to: Option<ArchiveId>,
    pub start: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivePage {
    /// In order of arrival.
    pub stanzas: Vec<Stored>,
    /// Nothing follows in the direction of paging.
    pub complete: bool,
    /// So much was passed over, or looked through for words, that the page ends here, whatever it holds.
    pub reached: Option<ArchiveId>,
    /// So many are damaged and passed over.
    pub damaged: u64,
}
