//! A part of the archive, by its ids.
use crate::store::ArchiveId;

/// Sequences from `from` up to but without `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    pub const ALL: Span = Span {
        from: 0,
        to: u64::MAX,
    };

    pub fn holds(self, sequence: u64) -> bool {
        self.from <= sequence && sequence < self.to
    }

    /// What lies after one id and before another.
    pub fn cut(&mut self, after: Option<ArchiveId>, before: Option<ArchiveId>) {
        let from = after.map_or(0, |id| id.0.saturating_add(1));
        self.from = self.from.max(from);
        self.to = self.to.min(before.map_or(u64::MAX, |id| id.0));
    }
}
