//! A flat tree: the text once, and one list of nodes. No box per element, no string per attribute; clones share.
use std::borrow::Cow;
use std::ops::Range;

/// One element with all below it. Cheap to clone. Invariant: the text of every child of the root is self-contained
/// but for the default namespace it inherits: prefixes declared further out were written in when it was parsed.
#[derive(Clone, Debug)]
pub struct Element {}

/// A borrowed element inside an `Element`.
#[derive(Clone, Copy, Debug)]
pub struct ElementRef<'a> {
    _marker: std::marker::PhantomData<&'a ()>,
}

/// One attribute, unescaped. Namespace declarations are not attributes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Namespace of a prefixed attribute; empty for the usual unprefixed one.
    pub namespace: &'a str,
    pub name: &'a str,
    pub value: Cow<'a, str>,
}

impl Element {
    pub fn root(&self) -> ElementRef<'_> {
        todo!()
    }
    /// The element's text, exactly as checked.
    pub fn source(&self) -> &str {
        todo!()
    }
    /// Where the text between the root's tags lies in `source()` (empty for an empty element).
    pub fn inner_range(&self) -> Range<usize> {
        todo!()
    }
    /// Bytes this element costs in memory, for the memory budget.
    pub fn cost_bytes(&self) -> usize {
        todo!()
    }
}

impl<'a> ElementRef<'a> {
    /// Local name.
    pub fn name(self) -> &'a str {
        todo!()
    }
    /// Namespace, empty when none.
    pub fn namespace(self) -> &'a str {
        todo!()
    }
    pub fn is(self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }
    /// Value of the unprefixed attribute `name`.
    pub fn attribute(self, _name: &str) -> Option<Cow<'a, str>> {
        todo!()
    }
    pub fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        std::iter::empty()
    }
    /// Child elements in order.
    pub fn children(self) -> impl Iterator<Item = ElementRef<'a>> {
        std::iter::empty()
    }
    /// First child with this name and namespace.
    pub fn child(self, name: &str, namespace: &str) -> Option<ElementRef<'a>> {
        self.children().find(|c| c.is(name, namespace))
    }
    /// Text directly in this element, pieces joined, unescaped.
    pub fn text(self) -> Cow<'a, str> {
        todo!()
    }
    /// True when the element holds text other than white space directly.
    pub fn has_text(self) -> bool {
        todo!()
    }
    /// This element's text in the whole, as it stands (inherits declarations from its parents).
    pub fn source(self) -> &'a str {
        todo!()
    }
    /// Text between this element's tags, as it stands.
    pub fn inner_source(self) -> &'a str {
        todo!()
    }
    /// This element alone: every declaration it uses written on it. Borrows when nothing had to be added.
    pub fn to_xml(self) -> Cow<'a, str> {
        todo!()
    }
    /// This element with all below it as an `Element` of its own.
    pub fn to_element(self) -> Element {
        todo!()
    }
}
