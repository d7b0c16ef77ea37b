//! The rows of one archive's index in order of arrival, or backward: those in the tables, and those that are in memory yet.
use super::super::index::tail::TailRow;
use super::super::span::Span;
use crate::store::engine::table::{Row, Walk, Way};
use crate::store::schema::{ARCHIVE, ARCHIVE_WITH};
use crate::store::{AccountId, StoreError, Tx};

/// Rows of the tables that a walk reads at a time: first these, for many walks end soon, and then so many.
const AHEAD_MIN: usize = 8;
const AHEAD_MAX: usize = 64;

/// A row of the index as a walk sees it.
#[derive(Clone, Copy)]
pub(in crate::store) struct IndexRow {
    pub sequence: u64,
    pub held: u8,
    /// Whose archive it is of: an account that reads channels sees theirs as well.
    pub archive: AccountId,
}

/// Called for each row; false ends the walk.
pub(in crate::store) type Visit<'v> = &'v mut dyn FnMut(IndexRow) -> Result<bool, StoreError>;

impl Tx {
    /// Walks an archive's rows in order of sequence, or backward; with `peer`, those of that hash only. False: `visit` said
    /// that it is enough.
    pub(in crate::store) fn visit(
        &self,
        account: AccountId,
        peer: Option<u64>,
        span: Span,
        backward: bool,
        visit: Visit<'_>,
    ) -> Result<bool, StoreError> {
        if span.from >= span.to {
            return Ok(true);
        }
        let memory = self.memory()?;
        let is_of_peer = |row: &&TailRow| peer.is_none_or(|peer| peer == row.peer);
        let mut tail = memory.tail(account, span).iter().filter(is_of_peer);
        let row = |row: &TailRow| IndexRow {
            sequence: row.sequence,
            held: row.held,
            archive: account,
        };
        if backward {
            while let Some(next) = tail.next_back() {
                if !visit(row(next))? {
                    return Ok(false);
                }
            }
            return self.visit_tables(account, peer, span, backward, visit);
        }
        if !self.visit_tables(account, peer, span, backward, visit)? {
            return Ok(false);
        }
        for next in tail {
            if !visit(row(next))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// False: the visitor has enough.
    fn visit_tables(
        &self,
        account: AccountId,
        peer: Option<u64>,
        span: Span,
        backward: bool,
        visit: Visit<'_>,
    ) -> Result<bool, StoreError> {
        let (number, Span { from, to }) = (account.0, span);
        let to = to.min(self.memory()?.checkpoint_at()).max(from);
        match peer {
            None => {
                let table = self.view(ARCHIVE)?;
                let rows = table.range((number, from)..(number, to))?.bytes();
                walk(account, rows, backward, visit)
            }
            Some(peer) => {
                let table = self.view(ARCHIVE_WITH)?;
                let rows = table.range((number, peer, from)..(number, peer, to))?;
                walk(account, rows.bytes(), backward, visit)
            }
        }
    }
}

/// Of keys that end with the sequence.
fn walk(
    archive: AccountId,
    mut rows: Walk<'_>,
    backward: bool,
    visit: Visit<'_>,
) -> Result<bool, StoreError> {
    let (way, mut max) = (Way::backward(backward), AHEAD_MIN);
    let mut ahead = Vec::with_capacity(AHEAD_MIN);
    loop {
        let is_more = rows.ahead((way, max), &mut |key, held| {
            let sequence = key.last_chunk().copied().map_or(0, u64::from_be_bytes);
            ahead.push((sequence, u8::decode(held)));
        })?;
        for (sequence, held) in ahead.drain(..) {
            let row = IndexRow {
                sequence,
                held,
                archive,
            };
            if !visit(row)? {
                return Ok(false);
            }
        }
        if !is_more {
            return Ok(true);
        }
        max = AHEAD_MAX;
    }
}
