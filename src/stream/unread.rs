//! Input kept while a stream waits for an answer (RFC 6120 leaves pipelining to both sides; here it is bounded).

/// Bytes that were taken in and not looked at yet; read from the front without moving the rest.
#[derive(Default)]
pub(super) struct Unread {
    bytes: Vec<u8>,
    read: usize,
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.read..).unwrap_or_default()
    }

    /// Takes all of `input`.
    pub(super) fn append(&mut self, input: &mut &[u8]) {
        self.bytes.extend_from_slice(input);
        *input = &[];
    }

    /// All but the last `left` bytes were read.
    pub(super) fn keep_last(mut self, left: usize) -> Unread {
        if left == 0 {
            return Unread::default();
        }
        self.read = self.bytes.len().saturating_sub(left);
        self
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}
