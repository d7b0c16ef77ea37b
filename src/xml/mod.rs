//! Bytes to elements and back: restricted XML (RFC 6120 §11). Knows nothing of XMPP but that a stream is one long
//! element. `frame` finds where a top-level element ends while bytes trickle in, `parse` turns it into an `Element`
//! or refuses it, `outline` reads only tags of what was checked, `write` makes text; `chars`, `names`, `tag` and `namespace` hold the grammar's parts.

mod alone;
mod chars;
mod context;
mod element;
mod frame;
mod names;
mod namespace;
mod outline;
mod parse;
mod parser;
mod rewrite;
mod tag;
mod write;

pub use context::Context;
pub use element::{Attribute, Element, ElementRef};
pub use frame::{Frame, Framer, first_element};
pub use outline::{Outline, each_child};
pub use parse::{parse, parse_header, parse_stored};
pub use write::{Escaped, Writer, escaped_len};

/// The namespace of `xml:lang`; its prefix needs no declaration (Namespaces in XML §3).
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// What a peer may send in one top-level element; every one is enforced while bytes trickle in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one top-level element, its tags included.
    pub bytes: usize,
    /// Elements inside one another, the top-level element counted as 1.
    pub depth: usize,
    /// Attributes of one tag.
    pub attributes: usize,
    /// Elements in one top-level element, at whatever depth.
    pub elements: usize,
}

/// Why XML was refused. The stream layer maps each to its stream error (RFC 6120 §4.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// Not well-formed XML: `not-well-formed`.
    NotWellFormed,
    /// DTD, processing instruction, comment, external or undeclared entity (§11.1): `restricted-xml`.
    Restricted,
    /// Bytes that are no UTF-8 (§11.6): `unsupported-encoding` for a declared other encoding, here `not-well-formed`.
    NotUtf8,
    /// The XML declaration names an encoding other than UTF-8: `unsupported-encoding`.
    UnsupportedEncoding,
    /// A prefix nobody declared, or two attributes of one name after namespaces (§11.2, Namespaces in XML): `not-well-formed`.
    BadNamespace,
    /// Another stream header within the stream: `unsupported-stanza-type`.
    SecondHeader,
    /// A limit of `Limits` was reached: `policy-violation`.
    TooLarge,
}
