//! A flat tree: the text once, and one list of nodes. No box per element, no string per attribute; clones share.
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use memchr::memchr;

use super::chars::{Place, WHITE, unescape};
use super::names::split_name;
use super::tag::{Attributes, RawAttribute};
use super::{XML_NAMESPACE, XmlError};

/// One element with all below it. Cheap to clone. Invariant: the text of every child of the root is self-contained
/// but for the default namespace it inherits: prefixes declared further out were written in when it was parsed.
#[derive(Clone)]
pub struct Element {
    /// The element's text, then the namespaces that stand in it escaped, unescaped.
    pub(super) text: Rc<str>,
    /// In document order; the root first.
    pub(super) nodes: Rc<[Node]>,
    /// What `Span::INHERITED` stands for.
    pub(super) default_namespace: Rc<str>,
}

/// A part of `Element::text`, or one of two namespaces that are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub(super) const EMPTY: Span = Span { start: 0, end: 0 };
    /// The default namespace around the root.
    pub(super) const INHERITED: Span = Span {
        start: u32::MAX,
        end: 0,
    };
    /// That of the prefix `xml`.
    pub(super) const XML: Span = Span {
        start: u32::MAX,
        end: 1,
    };

    pub(super) fn new(start: usize, end: usize) -> Result<Span, XmlError> {
        Ok(Span {
            start: narrow(start)?,
            end: narrow(end)?,
        })
    }

    pub(super) fn range(self) -> Range<usize> {
        offset(self.start)..offset(self.end)
    }
}

/// An element, or one of its prefixed attributes: they follow their element, because only the parser knows what
/// their prefix stood for. (Other attributes are read from the tag when asked for.)
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// All of it, tags included.
    pub whole: Span,
    /// What is between its tags; an empty span at its end for `<a/>`.
    pub inner: Span,
    /// Local name.
    pub name: Span,
    pub namespace: Span,
    /// How many of the nodes that follow are inside it.
    pub below: u32,
    /// Index of the element it is in; the root's own is out of range.
    pub parent: u32,
    pub is_attribute: bool,
}

/// A borrowed element inside an `Element`.
#[derive(Clone, Copy, Debug)]
pub struct ElementRef<'a> {
    pub(super) element: &'a Element,
    pub(super) node: &'a Node,
    pub(super) below: &'a [Node],
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
        let (node, below) = self
            .nodes
            .split_first()
            .expect("an element has a root node");
        ElementRef {
            element: self,
            node,
            below,
        }
    }

    /// The element's text, exactly as checked.
    pub fn source(&self) -> &str {
        self.root().source()
    }

    /// Where the text between the root's tags lies in `source()` (empty for an empty element).
    pub fn inner_range(&self) -> Range<usize> {
        let inner = self.root().node.inner;
        offset(inner.start)..offset(inner.end)
    }

    /// Bytes this element costs in memory, for the memory budget.
    pub fn cost_bytes(&self) -> usize {
        const COUNTS: usize = 2 * size_of::<usize>();
        size_of::<Element>() + 2 * COUNTS + self.text.len() + size_of_val(&*self.nodes)
    }

    fn span(&self, span: Span) -> &str {
        self.text
            .get(offset(span.start)..offset(span.end))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({})", self.source())
    }
}

impl<'a> ElementRef<'a> {
    /// Local name.
    pub fn name(self) -> &'a str {
        self.element.span(self.node.name)
    }

    /// Namespace, empty when none.
    pub fn namespace(self) -> &'a str {
        self.namespace_of(self.node)
    }

    pub fn is(self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// Value of the unprefixed attribute `name`.
    pub fn attribute(self, name: &str) -> Option<Cow<'a, str>> {
        let found = self
            .raw_attributes()
            .find(|raw| raw.name == name && !is_declaration(raw))?;
        Some(unescape(found.value, Place::Value))
    }

    /// The language it declares for itself (`xml:lang`).
    pub fn lang(self) -> Option<Cow<'a, str>> {
        let found = self.raw_attributes().find(|raw| raw.name == "xml:lang")?;
        Some(unescape(found.value, Place::Value))
    }

    pub fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        let mut prefixed = self.below.iter().take_while(|node| node.is_attribute);
        self.raw_attributes()
            .filter(|raw| !is_declaration(raw))
            .map(move |raw| {
                let (prefix, name) = split_name(raw.name);
                let namespace = match prefix {
                    "" => "",
                    "xml" => XML_NAMESPACE,
                    _ => prefixed.next().map_or("", |node| self.namespace_of(node)),
                };
                Attribute {
                    namespace,
                    name,
                    value: unescape(raw.value, Place::Value),
                }
            })
    }

    /// Child elements in order.
    pub fn children(self) -> impl Iterator<Item = ElementRef<'a>> {
        let mut rest = self.below;
        std::iter::from_fn(move || {
            loop {
                let (node, after) = rest.split_first()?;
                let (below, next) = after.split_at_checked(offset(node.below))?;
                rest = next;
                if !node.is_attribute {
                    return Some(ElementRef {
                        element: self.element,
                        node,
                        below,
                    });
                }
            }
        })
    }

    /// First child with this name and namespace.
    pub fn child(self, name: &str, namespace: &str) -> Option<ElementRef<'a>> {
        self.children().find(|child| child.is(name, namespace))
    }

    /// Text that is all there is in this element. `None`: elements are in it as well.
    pub fn only_text(self) -> Option<Cow<'a, str>> {
        self.children().next().is_none().then(|| self.text())
    }

    /// Text directly in this element, pieces joined, unescaped.
    pub fn text(self) -> Cow<'a, str> {
        let mut joined = Cow::Borrowed("");
        self.each_text(|piece| {
            if joined.is_empty() {
                joined = piece;
            } else if !piece.is_empty() {
                joined.to_mut().push_str(&piece);
            }
        });
        joined
    }

    /// True when the element holds text other than white space directly.
    pub fn has_text(self) -> bool {
        let mut found = false;
        self.each_text(|piece| found |= !piece.trim_matches(WHITE).is_empty());
        found
    }

    /// This element's text in the whole, as it stands (inherits declarations from its parents).
    pub fn source(self) -> &'a str {
        self.element.span(self.node.whole)
    }

    /// Text between this element's tags, as it stands.
    pub fn inner_source(self) -> &'a str {
        self.element.span(self.node.inner)
    }

    /// From its parent outwards to the root.
    pub(super) fn ancestors(self) -> impl Iterator<Item = ElementRef<'a>> {
        std::iter::successors(self.parent(), |outer| outer.parent())
    }

    pub(super) fn parent(self) -> Option<ElementRef<'a>> {
        let (node, after) = self
            .element
            .nodes
            .get(offset(self.node.parent)..)?
            .split_first()?;
        let below = after.get(..offset(node.below))?;
        Some(ElementRef {
            element: self.element,
            node,
            below,
        })
    }

    pub(super) fn raw_attributes(self) -> impl Iterator<Item = RawAttribute<'a>> {
        // Up to the inner text is up to behind the `>`, also for `<a/>`, whose inner text is at its end.
        let tag = Span {
            start: self.node.name.end,
            end: self.node.inner.start,
        };
        let tag = self.element.span(tag);
        let tag = tag
            .strip_suffix("/>")
            .or(tag.strip_suffix('>'))
            .unwrap_or(tag);
        Attributes::new(tag).map_while(Result::ok)
    }

    pub(super) fn namespace_of(self, node: &Node) -> &'a str {
        match node.namespace {
            Span::INHERITED => &self.element.default_namespace,
            Span::XML => XML_NAMESPACE,
            written => self.element.span(written),
        }
    }

    fn each_text(self, mut each: impl FnMut(Cow<'a, str>)) {
        let mut start = self.node.inner.start;
        for child in self.children() {
            self.each_piece(
                Span {
                    start,
                    end: child.node.whole.start,
                },
                &mut each,
            );
            start = child.node.whole.end;
        }
        self.each_piece(
            Span {
                start,
                end: self.node.inner.end,
            },
            &mut each,
        );
    }

    /// Between child elements the only markup is CDATA sections.
    fn each_piece(self, between: Span, each: &mut impl FnMut(Cow<'a, str>)) {
        let mut rest = self.element.span(between);
        while let Some(at) = memchr(b'<', rest.as_bytes()) {
            let (before, section) = rest.split_at_checked(at).unwrap_or((rest, ""));
            let section = section.strip_prefix("<![CDATA[").unwrap_or_default();
            let (content, after) = section.split_once("]]>").unwrap_or((section, ""));
            each(unescape(before, Place::Text));
            each(unescape(content, Place::Cdata));
            rest = after;
        }
        each(unescape(rest, Place::Text));
    }
}

fn is_declaration(raw: &RawAttribute<'_>) -> bool {
    raw.name == "xmlns" || raw.name.starts_with("xmlns:")
}

pub(super) fn narrow(position: usize) -> Result<u32, XmlError> {
    u32::try_from(position).map_err(|_| XmlError::TooLarge)
}

pub(super) fn offset(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_stored};
    use super::*;
    use crate::xml::Context;

    fn stored(text: &str) -> Element {
        parse_stored(text, "d").unwrap()
    }

    #[test]
    fn names_attributes_and_children() {
        let element = stored(
            "<m a='1&amp;2' xml:lang='de' p:a=\"'\" xmlns:p='pp'><b xmlns='n&amp;s'/>t<p:c p:x='1' y='2' q:z='3' xmlns:q='q&lt;'><d/></p:c ></m>",
        );
        let root = element.root();
        assert!(root.is("m", "d"));
        assert_eq!(root.attribute("a").as_deref(), Some("1&2"));
        assert_eq!(
            (
                root.attribute("lang"),
                root.attribute("xmlns"),
                root.attribute("p:b")
            ),
            (None, None, None)
        );
        assert_eq!(root.lang().as_deref(), Some("de"));
        let listed = |at: ElementRef<'_>| -> Vec<String> {
            at.attributes()
                .map(|a| format!("{}|{}|{}", a.namespace, a.name, a.value))
                .collect()
        };
        assert_eq!(
            listed(root),
            ["|a|1&2", &format!("{XML_NAMESPACE}|lang|de"), "pp|a|'"]
        );
        let children: Vec<_> = root.children().map(|c| (c.name(), c.namespace())).collect();
        assert_eq!(children, [("b", "n&s"), ("c", "pp")]);
        let c = root.child("c", "pp").unwrap();
        assert_eq!(listed(c), ["pp|x|1", "|y|2", "q<|z|3"]);
        assert!(c.child("d", "d").is_some() && c.child("d", "").is_none());
        assert_eq!(c.inner_source(), "<d/>");
        assert_eq!(root.child("b", "n&s").unwrap().inner_source(), "");
        assert!(element.source().ends_with("</m>"));
        assert!(element.cost_bytes() > element.source().len());
    }

    #[test]
    fn text_is_joined_and_unescaped() {
        for (xml, text, has_text) in [
            ("<a/>", "", false),
            ("<a></a>", "", false),
            ("<a> \n</a>", " \n", false),
            ("<a>x<b>no</b>y<c/></a>", "xy", true),
            ("<a>&lt;<![CDATA[<b>&amp;]]>&#x21;</a>", "<<b>&amp;!", true),
            ("<a><![CDATA[]]></a>", "", false),
            ("<a><![CDATA[]]]]><![CDATA[>]]></a>", "]]>", true),
            ("<a> <b/>\r\n<![CDATA[x]]> </a>", " \nx ", true),
        ] {
            let element = stored(xml);
            assert_eq!(
                (&*element.root().text(), element.root().has_text()),
                (text, has_text),
                "{xml}"
            );
        }
        assert!(matches!(
            stored("<a>plain<b/></a>").root().text(),
            Cow::Borrowed("plain")
        ));
    }

    #[test]
    fn alone_it_carries_what_it_uses() {
        for (xml, alone) in [
            ("<r><a/></r>", "<a xmlns='d'/>"),
            ("<r xmlns='n'><a><b/></a></r>", "<a xmlns='n'><b/></a>"),
            ("<r xmlns='n&lt;'><a/></r>", "<a xmlns='n&lt;'/>"),
            ("<r xmlns=''><a/></r>", "<a xmlns=''/>"),
            ("<r><a xmlns='n'/></r>", "<a xmlns='n'/>"),
            ("<r><p:a xmlns:p='n'/></r>", "<p:a xmlns:p='n'/>"),
            (
                "<r><p:a xmlns:p='n'><b/></p:a></r>",
                "<p:a xmlns='d' xmlns:p='n'><b/></p:a>",
            ),
            (
                "<r><p:a xmlns:p='n'><b xmlns='x'/></p:a></r>",
                "<p:a xmlns:p='n'><b xmlns='x'/></p:a>",
            ),
        ] {
            assert_eq!(
                stored(xml).root().children().next().unwrap().to_xml(),
                alone,
                "{xml}"
            );
        }
        assert_eq!(stored("<r/>").root().to_xml(), "<r xmlns='d'/>");
        assert!(matches!(
            stored("<r xmlns='n'><a/></r>").root().to_xml(),
            Cow::Borrowed(_)
        ));
        assert_eq!(
            parse_stored("<r><a/></r>", "")
                .unwrap()
                .root()
                .children()
                .next()
                .unwrap()
                .to_xml(),
            "<a/>"
        );
    }

    #[test]
    fn deep_inside_prefixes_come_along() {
        let element = stored(
            "<r xmlns:o='o'><a xmlns:p='1&amp;' xmlns:q='q'><b xmlns:q=\"q'\"><c q:x=''><p:d><p:e/></p:d><o:f/></c></b></a></r>",
        );
        let down = |at: ElementRef<'_>| at.children().next().unwrap().to_element();
        let b = element
            .root()
            .children()
            .next()
            .unwrap()
            .children()
            .next()
            .unwrap();
        let c = b.children().next().unwrap().to_element();
        assert!(c.root().is("c", "d"));
        let x = c.root().attributes().next().unwrap();
        assert_eq!((x.namespace, x.name), ("q'", "x"));
        let d = down(c.root());
        assert_eq!(
            d.source(),
            "<p:d xmlns:p='1&amp;'><p:e xmlns:p='1&amp;'/></p:d>"
        );
        let e = down(d.root());
        assert!(e.root().is("e", "1&"));
        assert_eq!(down(stored(c.source()).root()).source(), d.source());
        assert_eq!(
            c.root().children().nth(1).unwrap().to_element().source(),
            "<o:f xmlns:o='o'/>"
        );
        let same = element.root().to_element();
        assert!(Rc::ptr_eq(&same.text, &element.text));
        assert!(parse(b"<a/>", &Context::default()).is_ok());
    }
}
