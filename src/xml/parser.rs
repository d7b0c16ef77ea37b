//! Builds the nodes of one text: the tokenizer finds the pieces and pairs the tags, what it lets through is checked
//! here against XML 1.0.
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::chars::{check_character_data, check_value, reference};
use super::context::Context;
use super::element::{Node, Span, narrow};
use super::names::{Edition, qualified_name};
use super::namespace::Namespaces;
use super::rewrite::{self, Piece};
use super::tag::{Attributes, RawAttribute};
use super::{Element, XmlError};

pub(super) struct Parser<'a> {
    text: &'a str,
    context: &'a Context,
    nodes: Vec<Node>,
    open: Vec<Open>,
    namespaces: Namespaces<'a>,
    /// Of the current tag; kept to be filled again.
    attributes: Vec<Named<'a>>,
    /// What is written in another way.
    pieces: Vec<Piece<'a>>,
}

/// An element whose end tag is still to come.
struct Open {
    node: usize,
    /// How many declarations were in force around it.
    declarations: usize,
    /// The default namespace inside it.
    default: Span,
}

struct Named<'a> {
    prefix: &'a str,
    local: &'a str,
    raw: RawAttribute<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        text: &'a str,
        context: &'a Context,
        limited: bool,
    ) -> Result<Parser<'a>, XmlError> {
        // The tokenizer would skip a byte order mark.
        if !text.starts_with('<') {
            return Err(XmlError::NotWellFormed);
        }
        Ok(Parser {
            text,
            context,
            nodes: Vec::with_capacity(8),
            open: Vec::with_capacity(8),
            namespaces: Namespaces::new(text, context, limited),
            attributes: Vec::with_capacity(8),
            pieces: Vec::new(),
        })
    }

    /// The whole text as one element. `Err` holds the text to parse instead: this one with prefixes carried in, and pieces
    /// that are written in another way.
    pub(super) fn element(mut self) -> Result<Result<Element, String>, XmlError> {
        let mut reader = Reader::from_str(self.text);
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|_| self.refusal(&reader))?;
            let end = position(&reader);
            let before = self.nodes.is_empty();
            let outside = self.open.is_empty();
            match event {
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {
                    return Err(XmlError::Restricted);
                }
                Event::Start(tag) if before || !outside => self.start_tag(&tag, start, end)?,
                Event::Empty(tag) if before || !outside => {
                    self.start_tag(&tag, start, end)?;
                    self.end_tag(end, end)?;
                }
                Event::Eof if outside && !before => break,
                _ if outside => return Err(XmlError::NotWellFormed),
                Event::End(_) => self.end_tag(start, end)?,
                Event::Text(_) => {
                    check_character_data(self.text.get(start..end).unwrap_or_default())?
                }
                Event::GeneralRef(name) => {
                    reference(name.as_ref())?;
                    self.rewrite(rewrite::of_reference(name.as_ref(), start))?;
                }
                Event::CData(_) => {
                    let section = self.text.get(start..end).unwrap_or_default();
                    self.rewrite(rewrite::of_cdata(section, start))?;
                }
                _ => return Err(XmlError::NotWellFormed),
            }
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.extend(self.namespaces.carried());
        match pieces.is_empty() {
            true => Ok(Ok(self.finish())),
            false => Ok(Err(rewrite::apply(self.text, pieces))),
        }
    }

    /// Notes what is to be written in another way; what was stored was written so.
    fn rewrite(&mut self, pieces: impl IntoIterator<Item = Piece<'a>>) -> Result<(), XmlError> {
        if self.namespaces.edition() == Edition::Fifth {
            return Ok(());
        }
        for piece in pieces {
            self.namespaces.expand(piece.growth())?;
            self.pieces.push(piece);
        }
        Ok(())
    }

    /// The attributes of one tag, counted from `base`.
    fn rewrite_attributes(
        &mut self,
        attributes: &[Named<'a>],
        base: usize,
    ) -> Result<(), XmlError> {
        for Named { prefix, local, raw } in attributes {
            if (*prefix, *local) == ("xml", "id") {
                self.rewrite([rewrite::without(raw, base + raw.start)])?;
            } else if rewrite::is_suspect(raw.value) {
                self.rewrite(rewrite::of_value(raw.value, base + raw.value_start))?;
            }
        }
        Ok(())
    }

    /// The whole text as one open tag, and what that declares.
    pub(super) fn header(mut self) -> Result<(Element, Context), XmlError> {
        let mut reader = Reader::from_str(self.text);
        let event = reader.read_event().map_err(|_| self.refusal(&reader))?;
        let end = self.text.len();
        match event {
            Event::Start(tag) if position(&reader) == end => self.start_tag(&tag, 0, end)?,
            _ => return Err(XmlError::NotWellFormed),
        }
        let declared = self.namespaces.declared(self.default());
        self.end_tag(end, end)?;
        Ok((self.finish(), declared))
    }

    /// What the tokenizer stumbled over.
    fn refusal(&self, reader: &Reader<&[u8]>) -> XmlError {
        let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
        let rest = self.text.get(at..).unwrap_or_default();
        let declares = rest.starts_with("<!") && !rest.starts_with("<![");
        match declares || rest.starts_with("<?") {
            true => XmlError::Restricted,
            false => XmlError::NotWellFormed,
        }
    }

    /// Takes the tag at `start..end` for an open element.
    fn start_tag(
        &mut self,
        tag: &BytesStart<'_>,
        start: usize,
        end: usize,
    ) -> Result<(), XmlError> {
        let name_start = start + 1;
        let name_end = name_start + tag.name().as_ref().len();
        let tag_end = name_start + tag.len();
        let name = self.text.get(name_start..name_end).unwrap_or_default();
        let edition = self.namespaces.edition();
        let (prefix, local) = qualified_name(name, edition)?;
        let mut attributes = std::mem::take(&mut self.attributes);
        let between = self.text.get(name_end..tag_end).unwrap_or_default();
        read_attributes(between, edition, &mut attributes)?;
        self.rewrite_attributes(&attributes, name_end)?;

        let parent = self
            .open
            .last()
            .map_or(Ok(u32::MAX), |open| narrow(open.node))?;
        let mut default = self.default();
        let depth = self.open.len() + 1;
        let declarations = self.namespaces.enter(depth, name_end);
        for Named { prefix, local, raw } in &attributes {
            let value_start = name_end + raw.value_start;
            match (*prefix, *local) {
                ("", "xmlns") => {
                    default = self.namespaces.declare("", raw, value_start, depth)?;
                }
                ("xmlns", declared) => {
                    self.namespaces.declare(declared, raw, value_start, depth)?;
                }
                _ => {}
            }
        }
        self.open.push(Open {
            node: self.nodes.len(),
            declarations,
            default,
        });
        let namespace = match prefix {
            "" => default,
            _ => self.namespaces.resolve(prefix, depth)?,
        };
        self.nodes.push(Node {
            whole: Span::new(start, end)?,
            inner: Span::new(end, end)?,
            name: Span::new(name_end - local.len(), name_end)?,
            namespace,
            below: 0,
            parent,
            is_attribute: false,
        });
        self.push_prefixed(&attributes, name_end)?;
        self.attributes = attributes;
        Ok(())
    }

    /// The default namespace at this place.
    fn default(&self) -> Span {
        self.open
            .last()
            .map_or(Span::INHERITED, |open| open.default)
    }

    /// Adds nodes for prefixed attributes; no two may be one after namespaces (Namespaces in XML §6.3).
    fn push_prefixed(&mut self, attributes: &[Named<'a>], base: usize) -> Result<(), XmlError> {
        let first = self.nodes.len();
        let depth = self.open.len();
        for Named { prefix, local, raw } in attributes {
            if matches!(*prefix, "" | "xml" | "xmlns") {
                continue;
            }
            let namespace = self.namespaces.resolve(prefix, depth)?;
            let names = &self.namespaces;
            let same = |other: &Node| {
                namespace != Span::EMPTY
                    && names.written(other.namespace) == names.written(namespace)
                    && names.written(other.name) == *local
            };
            if self.nodes.get(first..).unwrap_or_default().iter().any(same) {
                return Err(XmlError::BadNamespace);
            }
            let start = base + raw.start;
            let value_start = base + raw.value_start;
            let name_end = start + raw.name.len();
            self.nodes.push(Node {
                whole: Span::new(start, start + raw.whole.len())?,
                inner: Span::new(value_start, value_start + raw.value.len())?,
                name: Span::new(name_end - local.len(), name_end)?,
                namespace,
                below: 0,
                parent: u32::MAX,
                is_attribute: true,
            });
        }
        Ok(())
    }

    /// The innermost element ends with the tag at `start..end`, whose name the tokenizer has compared.
    fn end_tag(&mut self, start: usize, end: usize) -> Result<(), XmlError> {
        let open = self.open.pop().ok_or(XmlError::NotWellFormed)?;
        self.namespaces.leave(open.declarations);
        let below = self.nodes.len() - open.node - 1;
        if let Some(node) = self.nodes.get_mut(open.node) {
            node.inner.end = narrow(start)?;
            node.whole.end = narrow(end)?;
            node.below = narrow(below)?;
        }
        Ok(())
    }

    fn finish(self) -> Element {
        Element {
            text: self.namespaces.into_text(),
            nodes: self.nodes.into(),
            default_namespace: self.context.default_namespace.clone(),
        }
    }
}

/// Every attribute with its name and value checked, and none there twice.
fn read_attributes<'a>(
    between: &'a str,
    edition: Edition,
    found: &mut Vec<Named<'a>>,
) -> Result<(), XmlError> {
    found.clear();
    for raw in Attributes::new(between) {
        let raw = raw?;
        let (prefix, local) = qualified_name(raw.name, edition)?;
        check_value(raw.value)?;
        if found.iter().any(|other| other.raw.name == raw.name) {
            return Err(XmlError::NotWellFormed);
        }
        found.push(Named { prefix, local, raw });
    }
    Ok(())
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}
