//! How elements follow each other on a connection.

/// Known to whoever writes the stream's own beginning and end, and to the outbox; not to sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// An XML stream (RFC 6120 §4): what is sent are its bytes, cut anywhere.
    #[default]
    Bytes,
    /// Messages, each of one whole element (RFC 7395 §3.3). Whoever makes messages of them declares in each what the header
    /// of a stream declares for all, and makes a header of `<open/>` on the way in.
    Messages,
}

impl Framing {
    /// Our end of the stream (RFC 6120 §4.4, RFC 7395 §3.6).
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Framing::Bytes => b"</stream:stream>",
            Framing::Messages => b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        }
    }
}
