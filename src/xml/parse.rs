//! The strict pass: one frame to one `Element`, or the reason it is refused (RFC 6120 §11).
use std::rc::Rc;

use super::{Element, XmlError};

/// What the stream header declared for its children: default namespace and prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub default_namespace: Rc<str>,
    /// (prefix, namespace); a child that uses one gets its own declaration written in.
    pub prefixes: Vec<(Box<str>, Box<str>)>,
}

/// Parses one whole element, which must be all of `frame` (no text before or after).
pub fn parse(_frame: &[u8], _context: &Context) -> Result<Element, XmlError> {
    todo!()
}

/// Parses a stream header (an open tag with an optional XML declaration before it): the element without children and
/// what it declares for its children.
pub fn parse_header(_frame: &[u8]) -> Result<(Element, Context), XmlError> {
    todo!()
}
