//! What of an archive is in memory only.
use super::super::span::Span;

#[derive(Default)]
pub struct Tail {
    /// In order of sequence.
    rows: Vec<TailRow>,
    /// Of their stanzas.
    pub bytes: u64,
}

/// A row that is not in the tables yet.
#[derive(Clone, Copy)]
pub struct TailRow {
    pub sequence: u64,
    pub peer: u64,
    /// Of the stanza.
    pub bytes: u32,
    pub held: u8,
}

impl Tail {
    pub fn push(&mut self, row: TailRow) {
        self.bytes += u64::from(row.bytes);
        self.rows.push(row);
    }

    pub fn within(&self, span: Span) -> &[TailRow] {
        let from = self.rows.partition_point(|row| row.sequence < span.from);
        let to = self.rows.partition_point(|row| row.sequence < span.to);
        self.rows.get(from..to).unwrap_or_default()
    }

    /// What a row says; `None`: it is not here.
    pub fn held(&self, sequence: u64) -> Option<u8> {
        let at = self.at(sequence).ok()?;
        self.rows.get(at).map(|row| row.held)
    }

    /// A row changes; false: it is not here.
    pub fn change(&mut self, sequence: u64, held: impl Fn(u8) -> u8, bytes: Option<u32>) -> bool {
        let Ok(at) = self.at(sequence) else {
            return false;
        };
        if let Some(row) = self.rows.get_mut(at) {
            row.held = held(row.held);
            if let Some(bytes) = bytes {
                self.bytes = self.bytes + u64::from(bytes) - u64::from(row.bytes);
                row.bytes = bytes;
            }
        }
        true
    }

    /// What is before a sequence is in the tables. Returns how many rows that is, and the bytes of their stanzas.
    pub fn leave(&mut self, before: u64) -> (usize, u64) {
        let left = self.rows.partition_point(|row| row.sequence < before);
        let stays = self.rows.split_off(left);
        let gone = std::mem::replace(&mut self.rows, stays);
        let bytes = gone.iter().map(|row| u64::from(row.bytes)).sum();
        self.bytes -= bytes;
        (left, bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn at(&self, sequence: u64) -> Result<usize, usize> {
        self.rows
            .binary_search_by_key(&sequence, |row| row.sequence)
    }
}
