//! Finds the frames of a stream: header, top-level elements, closing tag. Resumable at any byte, enforces `Limits` as
//! bytes arrive, never copies a frame that lies whole in one read.
use super::{Limits, XmlError};

/// One piece of a stream, as bytes that `parse`/`parse_header` then check strictly.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `<stream:stream …>` with an XML declaration before it, if there was one.
    Header(&'a [u8]),
    /// One whole first-level element.
    Element(&'a [u8]),
    /// `</stream:stream>`.
    End,
    /// White space between elements (a keep-alive, RFC 6120 §4.6.1). Reported once for a run.
    Whitespace,
}

/// The resumable scan of one stream in one direction.
pub struct Framer {}

impl Framer {
    pub fn new(_limits: Limits) -> Framer {
        todo!()
    }
    /// The next frame of `input`; what was looked at is cut off its front. `None`: all of `input` was taken (an
    /// unfinished frame is kept, at most `limits.bytes`). Call again until `None`.
    pub fn next<'a>(&'a mut self, _input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, XmlError> {
        todo!()
    }
    /// Changes the limits for what comes next (after authentication).
    pub fn set_limits(&mut self, _limits: Limits) {
        todo!()
    }
    /// Expects a stream header again (RFC 6120 §4.3.3); forgets the old header, keeps nothing unread.
    pub fn restart(&mut self) {
        todo!()
    }
    /// Bytes held for an unfinished frame.
    pub fn held_bytes(&self) -> usize {
        todo!()
    }
}
