//! Writes XML text that is well-formed by construction.
use std::fmt;

use super::chars::is_noncharacter;

/// Displays text with `& < > ' "` escaped: `write!(out, "<a b='{}'/>", Escaped(value))`. Characters that XML cannot
/// carry in any way are shown as U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, Quoting::Everywhere, |piece| f.write_str(piece))
    }
}

/// How long a text is when it is escaped.
pub fn escaped_len(text: &str) -> usize {
    let mut len = 0;
    // It fails only if this does.
    let _never = escape(text, Quoting::Everywhere, |piece| {
        len += piece.len();
        Ok(())
    });
    len
}

/// Appends elements to a buffer; attributes are written until the first child or text.
/// `w.open("iq").attr("type", "result").open("ping")…close().close()`. Attribute quotes are `'`.
/// An element left open (a stream header) gets its `>` by `raw("")`.
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    open: Vec<&'static str>,
    in_tag: bool,
}

impl<'b> Writer<'b> {
    pub fn new(out: &'b mut Vec<u8>) -> Writer<'b> {
        Writer {
            out,
            open: Vec::new(),
            in_tag: false,
        }
    }

    /// Opens `<name`. `name` may be prefixed (`stream:error`); it must be a valid name (ours, never a peer's).
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.end_tag();
        self.put("<").put(name);
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// Like `open`, with a default namespace: `<name xmlns='ns'`.
    pub fn open_ns(&mut self, name: &'static str, namespace: &str) -> &mut Self {
        self.open(name).attr("xmlns", namespace)
    }

    pub fn attr(&mut self, name: &'static str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attributes come before children and text");
        self.put(" ")
            .put(name)
            .put("='")
            .put_escaped(value, Quoting::Value)
            .put("'")
    }

    /// Writes the attribute when there is a value.
    pub fn attr_opt(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Escaped text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.end_tag();
        self.put_escaped(text, Quoting::Text)
    }

    /// XML that is already checked, as it stands.
    pub fn raw(&mut self, xml: &str) -> &mut Self {
        self.end_tag();
        self.put(xml)
    }

    /// `<name>text</name>`.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.open(name).text(text).close()
    }

    /// Closes the innermost open element (`/>` when nothing was put in it).
    pub fn close(&mut self) -> &mut Self {
        let name = self.open.pop();
        debug_assert!(name.is_some(), "every close has its open");
        if std::mem::take(&mut self.in_tag) {
            return self.put("/>");
        }
        self.put("</").put(name.unwrap_or_default()).put(">")
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.put(">");
        }
    }

    fn put(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    fn put_escaped(&mut self, text: &str, quoting: Quoting) -> &mut Self {
        // A buffer in memory takes every piece.
        let _ = escape(text, quoting, |piece| {
            self.out.extend_from_slice(piece.as_bytes());
            Ok(())
        });
        self
    }
}

/// Fit to stand between tags.
pub(super) fn escaped_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // A string takes every piece.
    let _ = escape(text, Quoting::Text, |piece| {
        escaped.push_str(piece);
        Ok(())
    });
    escaped
}

/// What is escaped beside `&`, `<`, `>` and carriage returns (which would be read as line feeds, XML 1.0 §2.11).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Text,
    /// Quotes, and the white space that would be read as spaces (XML 1.0 §3.3.3).
    Value,
    /// Quotes: fit for both places.
    Everywhere,
}

fn escape(text: &str, quoting: Quoting, mut put: impl FnMut(&str) -> fmt::Result) -> fmt::Result {
    let mut plain_from = 0;
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        if byte > b'>' && byte != 0xEF {
            continue;
        }
        let (replacement, len) = match byte {
            b'&' => ("&amp;", 1),
            b'<' => ("&lt;", 1),
            b'>' => ("&gt;", 1),
            b'\'' if quoting != Quoting::Text => ("&apos;", 1),
            b'"' if quoting != Quoting::Text => ("&quot;", 1),
            b'\r' => ("&#13;", 1),
            b'\n' if quoting == Quoting::Value => ("&#10;", 1),
            b'\t' if quoting == Quoting::Value => ("&#9;", 1),
            b'\n' | b'\t' => continue,
            0..b' ' => ("\u{FFFD}", 1),
            0xEF if is_noncharacter(text.as_bytes().get(at..).unwrap_or_default()) => {
                ("\u{FFFD}", 3)
            }
            _ => continue,
        };
        put(text.get(plain_from..at).unwrap_or_default())?;
        put(replacement)?;
        plain_from = at + len;
    }
    put(text.get(plain_from..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::parse_stored;
    use super::*;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Writer::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escaped_text_is_plain_text_again() {
        assert_eq!(
            Escaped("a<b>&'\"\n").to_string(),
            "a&lt;b&gt;&amp;&apos;&quot;\n"
        );
        assert_eq!(Escaped("").to_string(), "");
        assert_eq!(
            Escaped("\0é\u{FFFE}x\u{FFFF}").to_string(),
            "\u{FFFD}é\u{FFFD}x\u{FFFD}"
        );
        let hard = "]]> <![CDATA[ &amp; \t\r\n ' \" \u{FF5E}";
        let xml = written(|w| {
            w.open("a").attr("b", hard).text(hard).close();
        });
        let element = parse_stored(&xml, "").unwrap();
        assert_eq!(element.root().attribute("b").unwrap(), hard);
        assert_eq!(element.root().text(), hard);
    }

    #[test]
    fn elements_nest_and_empty_ones_are_short() {
        let xml = written(|w| {
            w.open("iq")
                .attr("type", "result")
                .attr_opt("to", None)
                .attr_opt("id", Some("1"));
            w.open_ns("query", "a&b")
                .leaf("name", "it's")
                .open("x")
                .close()
                .close();
            w.raw("<y/>").text("t").close();
        });
        assert_eq!(
            xml,
            "<iq type='result' id='1'><query xmlns='a&amp;b'><name>it's</name><x/></query><y/>t</iq>"
        );
        assert_eq!(
            written(|w| _ = w.open("stream:stream").attr("to", "a").raw("")),
            "<stream:stream to='a'>"
        );
        assert_eq!(written(|w| _ = w.leaf("a", "")), "<a></a>");
    }
}
