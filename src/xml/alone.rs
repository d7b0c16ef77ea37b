//! One element among others by itself: with the declarations it has from around it.
use std::borrow::Cow;
use std::rc::Rc;

use super::chars::{Place, unescape};
use super::context::Context;
use super::element::{Element, ElementRef, Span, offset};
use super::names::split_name;
use super::parse::parse_checked;
use super::write::Escaped;

impl<'a> ElementRef<'a> {
    /// This element alone: every declaration it uses written on it (or, a prefix, on those of its children that use
    /// it). Borrows when nothing had to be added.
    pub fn to_xml(self) -> Cow<'a, str> {
        let around = self.declarations_around();
        let mut text = Cow::Borrowed(self.source());
        if !around.prefixes.is_empty() {
            let carried = parse_checked(self.source(), &around);
            if carried.source().len() != text.len() {
                text = Cow::Owned(carried.source().to_owned());
            }
        }
        if let Some(default) = self.inherited_default() {
            let after_name = offset(self.node.name.end) - offset(self.node.whole.start);
            text.to_mut()
                .insert_str(after_name, &format!(" xmlns='{}'", Escaped(default)));
        }
        text
    }

    /// This element with all below it as an `Element` of its own.
    pub fn to_element(self) -> Element {
        if self.parent().is_none() {
            return self.element.clone();
        }
        parse_checked(&self.to_xml(), &Context::default())
    }

    /// The default namespace from around it, when this element or one below is in it by that.
    fn inherited_default(self) -> Option<&'a str> {
        let default_of = |at: ElementRef<'a>| at.raw_attributes().find(|raw| raw.name == "xmlns");
        if default_of(self).is_some() {
            return None;
        }
        let nodes = std::iter::once(self.node).chain(self.below);
        let mut unprefixed =
            nodes.filter(|node| !node.is_attribute && node.name.start == node.whole.start + 1);
        match self.ancestors().find_map(default_of) {
            Some(raw) => {
                let namespace = unescape(raw.value, Place::Value);
                let user = unprefixed.find(|node| self.namespace_of(node) == namespace)?;
                Some(self.namespace_of(user))
            }
            None => {
                let default = self.element.default_namespace.as_ref();
                let used = unprefixed.any(|node| node.namespace == Span::INHERITED);
                Some(default).filter(|default| used && !default.is_empty())
            }
        }
    }

    /// Prefixes declared around it that are not written on it yet. The root's are: it and its children are
    /// self-contained.
    fn declarations_around(self) -> Context {
        let mut prefixes: Vec<(Box<str>, Box<str>)> = Vec::new();
        for outer in self
            .ancestors()
            .take_while(|outer| outer.parent().is_some())
        {
            for raw in outer.raw_attributes() {
                if let ("xmlns", prefix) = split_name(raw.name)
                    && prefixes.iter().all(|(known, _)| **known != *prefix)
                {
                    prefixes.push((prefix.into(), unescape(raw.value, Place::Value).into()));
                }
            }
        }
        Context {
            default_namespace: Rc::default(),
            prefixes,
        }
    }
}
