//! Namespaces in XML 1.0 for one text being parsed: what prefixes stand for where, and which declarations from further
//! out must be written into the root or its children so that each can stand alone.
use std::borrow::Cow;

use super::chars::{Place, unescape};
use super::context::Context;
use super::element::Span;
use super::names::Edition;
use super::rewrite::Piece;
use super::tag::RawAttribute;
use super::{Escaped, XML_NAMESPACE, XmlError};

/// The namespace of declarations themselves (§3).
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// One namespace; Java's own parsers take no longer ones.
pub(super) const NAMESPACE_BYTES_MAX: usize = 1000;

/// Declarations in force at one place: each prefixed name searches them.
pub(super) const DECLARATIONS_MAX: usize = 256;

/// What the text would grow by if every declaration were written wherever it is used: bounds what carrying prefixes
/// in, here or later for a child taken out, can cost.
pub(super) const EXPANSION_BYTES_MAX: usize = 256 * 1024;

pub(super) struct Namespaces<'a> {
    text: &'a str,
    context: &'a Context,
    /// False for text that was within the limits when it came.
    limited: bool,
    declarations: Vec<Declaration<'a>>,
    /// Namespaces that stand in the text with references; a `Span` counts on from the text's end.
    unescaped: String,
    /// Behind the name of the root or of its child that is being read.
    anchor: usize,
    carried: Vec<Carried<'a>>,
    expansion_bytes: usize,
}

struct Declaration<'a> {
    prefix: &'a str,
    namespace: Span,
    /// The attribute as it stands.
    whole: &'a str,
    /// Of the element it stands on; 1 is the root.
    depth: usize,
}

/// A declaration to write in at `at`.
struct Carried<'a> {
    at: usize,
    prefix: &'a str,
    attribute: Cow<'a, str>,
}

impl<'a> Namespaces<'a> {
    pub(super) fn new(text: &'a str, context: &'a Context, limited: bool) -> Namespaces<'a> {
        Namespaces {
            text,
            context,
            limited,
            declarations: Vec::new(),
            unescaped: String::new(),
            anchor: 0,
            carried: Vec::new(),
            expansion_bytes: 0,
        }
    }

    /// Which names are taken.
    pub(super) fn edition(&self) -> Edition {
        match self.limited {
            true => Edition::Fourth,
            false => Edition::Fifth,
        }
    }

    /// An element at this depth begins, its name ending here. Returns what `leave` wants back.
    pub(super) fn enter(&mut self, depth: usize, name_end: usize) -> usize {
        if depth <= 2 {
            self.anchor = name_end;
        }
        self.declarations.len()
    }

    pub(super) fn leave(&mut self, in_force: usize) {
        self.declarations.truncate(in_force);
    }

    /// Takes note of the declaration of `prefix` (empty: the default namespace) by an attribute whose value begins at
    /// `value_start`, and says what it declares (§3, §5).
    pub(super) fn declare(
        &mut self,
        prefix: &'a str,
        raw: &RawAttribute<'a>,
        value_start: usize,
        depth: usize,
    ) -> Result<Span, XmlError> {
        let namespace = unescape(raw.value, Place::Value);
        if self.limited && !is_understood(&namespace) {
            return Err(XmlError::BadNamespace);
        }
        let is_xml = namespace == XML_NAMESPACE;
        match prefix {
            "xml" if is_xml => return Ok(Span::XML),
            "xml" | "xmlns" => return Err(XmlError::BadNamespace),
            _ if is_xml || namespace == XMLNS_NAMESPACE => return Err(XmlError::BadNamespace),
            "" => return self.keep(namespace, value_start),
            _ if namespace.is_empty() => return Err(XmlError::BadNamespace),
            _ => {}
        }
        if self.limited && self.declarations.len() >= DECLARATIONS_MAX {
            return Err(XmlError::TooLarge);
        }
        let namespace = self.keep(namespace, value_start)?;
        self.declarations.push(Declaration {
            prefix,
            namespace,
            whole: raw.whole,
            depth,
        });
        Ok(namespace)
    }

    fn keep(&mut self, namespace: Cow<'a, str>, value_start: usize) -> Result<Span, XmlError> {
        let start = match &namespace {
            Cow::Borrowed(_) => value_start,
            Cow::Owned(unescaped) => {
                let start = self.text.len() + self.unescaped.len();
                self.unescaped.push_str(unescaped);
                start
            }
        };
        Span::new(start, start + namespace.len())
    }

    /// What a prefix stands for at the element of this depth. `Span::EMPTY` for one from around the text: it is
    /// carried in and the text read again.
    pub(super) fn resolve(&mut self, prefix: &'a str, depth: usize) -> Result<Span, XmlError> {
        match prefix {
            "xml" => return Ok(Span::XML),
            "xmlns" => return Err(XmlError::BadNamespace),
            _ => {}
        }
        if let Some(found) = self
            .declarations
            .iter()
            .rfind(|known| known.prefix == prefix)
        {
            let (namespace, whole, declared_at) = (found.namespace, found.whole, found.depth);
            if declared_at < depth {
                self.expand(whole.len())?;
            }
            if declared_at == 1 && depth > 1 {
                self.carry(prefix, || Cow::Borrowed(whole));
            }
            return Ok(namespace);
        }
        let around = self
            .context
            .prefixes
            .iter()
            .find(|(known, _)| **known == *prefix);
        let (_, namespace) = around.ok_or(XmlError::BadNamespace)?;
        self.expand(prefix.len() + namespace.len())?;
        self.carry(prefix, || {
            Cow::Owned(format!("xmlns:{prefix}='{}'", Escaped(namespace)))
        });
        Ok(Span::EMPTY)
    }

    pub(super) fn expand(&mut self, bytes: usize) -> Result<(), XmlError> {
        self.expansion_bytes += bytes;
        match self.limited && self.expansion_bytes > EXPANSION_BYTES_MAX {
            true => Err(XmlError::TooLarge),
            false => Ok(()),
        }
    }

    fn carry(&mut self, prefix: &'a str, attribute: impl FnOnce() -> Cow<'a, str>) {
        let at = self.anchor;
        let mut here = self
            .carried
            .iter()
            .rev()
            .take_while(|carried| carried.at == at);
        if here.all(|carried| carried.prefix != prefix) {
            self.carried.push(Carried {
                at,
                prefix,
                attribute: attribute(),
            });
        }
    }

    pub(super) fn written(&self, span: Span) -> &str {
        let range = span.range();
        let text = self.text.len();
        let written = match range.start < text {
            true => self.text.get(range),
            false => self
                .unescaped
                .get(range.start - text..range.end.saturating_sub(text)),
        };
        written.unwrap_or_default()
    }

    /// What is in force now, for what follows.
    pub(super) fn declared(&self, default: Span) -> Context {
        let declarations = self.declarations.iter();
        let pair =
            |known: &Declaration<'_>| (known.prefix.into(), self.written(known.namespace).into());
        Context {
            default_namespace: self.written(default).into(),
            prefixes: declarations.map(pair).collect(),
        }
    }

    /// What is to be carried in, in order.
    pub(super) fn carried(&self) -> impl Iterator<Item = Piece<'_>> {
        self.carried.iter().map(|carried| Piece {
            range: carried.at..carried.at,
            text: Cow::Owned(format!(" {}", carried.attribute)),
        })
    }

    /// The text with what spans of it refer to.
    pub(super) fn into_text(self) -> std::rc::Rc<str> {
        match self.unescaped.is_empty() {
            true => self.text.into(),
            false => [self.text, &self.unescaped].concat().into(),
        }
    }
}

/// A URI reference (RFC 3986 §4.1) of characters that none takes for anything else: libxml2 refuses others, expat what it
/// is told to put between namespace and name, and `&` is unescaped by some twice. In UTF-8 it is as long as in UTF-16.
fn is_understood(namespace: &str) -> bool {
    namespace.len() <= NAMESPACE_BYTES_MAX
        && has_plain_bytes(namespace.as_bytes())
        && namespace.bytes().filter(|byte| *byte == b'#').count() <= 1
        && has_plain_start(namespace)
}

/// Unreserved characters, delimiters but for `&`, `'`, `[` and `]`, and whole percent encodings (§2).
fn has_plain_bytes(mut rest: &[u8]) -> bool {
    while let Some((byte, behind)) = rest.split_first() {
        rest = match byte {
            b'%' => match behind.split_at_checked(2) {
                Some((code, behind)) if code.iter().all(u8::is_ascii_hexdigit) => behind,
                _ => return false,
            },
            byte if byte.is_ascii_alphanumeric() || b"-._~!$()*+,;=:@/?#".contains(byte) => behind,
            _ => return false,
        };
    }
    true
}

/// A scheme, if there is a colon, and behind `//` a host with a port, if there is one (§3.1, §3.2).
fn has_plain_start(namespace: &str) -> bool {
    let ends = |c: char| matches!(c, '/' | '?' | '#');
    let first = namespace.split(ends).next().unwrap_or_default();
    let behind = match first.split_once(':') {
        Some((scheme, _)) if !is_scheme(scheme) => return false,
        Some((scheme, _)) => namespace.get(scheme.len() + 1..).unwrap_or_default(),
        None => namespace,
    };
    let Some(authority) = behind.strip_prefix("//") else {
        return true;
    };
    let authority = authority.split(ends).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    host.bytes().all(is_in_host)
        && (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_scheme(scheme: &str) -> bool {
    let is_further = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_further)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_plain_uris() {
        for good in [
            "",
            "jabber:client",
            "vcard-temp",
            "http://jabber.org/protocol/disco#info",
            "urn:ietf:params:xml:ns:xmpp-sasl",
            "eu.siacs.conversations.axolotl",
            "http://etherx.jabber.org:5222/streams?a=b;c#(d)",
            "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0",
            "google:mobile:data",
            "a/b:c",
            "%20",
            "http://a",
            "//h:1",
            &"x".repeat(NAMESPACE_BYTES_MAX),
        ] {
            assert!(is_understood(good), "{good}");
        }
        for bad in [
            "é",
            "a b",
            "a}b",
            "{a",
            "a|b",
            "a\\b",
            "a^",
            "`",
            "a\"b",
            "a'b",
            "a&b",
            "<a>",
            "%",
            "%2",
            "%zz",
            "a[b]",
            "a#b#c",
            ":a",
            "1:a",
            "http://a:b/",
            "http://a:123456/",
            "http://a@b/",
            "http://a:/",
            "\u{7f}",
            "\t",
            &"x".repeat(NAMESPACE_BYTES_MAX + 1),
        ] {
            assert!(!is_understood(bad), "{bad}");
        }
    }
}
