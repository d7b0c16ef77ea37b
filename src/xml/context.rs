//! What surrounds an element that is parsed.
use std::rc::Rc;

/// What the stream header declared for its children: default namespace and prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub default_namespace: Rc<str>,
    /// (prefix, namespace); a child that uses one gets its own declaration written in.
    pub prefixes: Vec<(Box<str>, Box<str>)>,
}
