//! Writes XML text that is well-formed by construction.
use std::fmt;

/// Displays text with `& < > ' "` escaped: `write!(out, "<a b='{}'/>", Escaped(value))`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

/// Appends elements to a buffer; attributes are written until the first child or text.
/// `w.open("iq").attr("type", "result").open("ping")…close().close()`. Attribute quotes are `'`.
pub struct Writer<'b> {
    _out: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    pub fn new(out: &'b mut Vec<u8>) -> Writer<'b> {
        Writer { _out: out }
    }
    /// Opens `<name`. `name` may be prefixed (`stream:error`); it must be a valid name (ours, never a peer's).
    pub fn open(&mut self, _name: &'static str) -> &mut Self {
        todo!()
    }
    /// Like `open`, with a default namespace: `<name xmlns='ns'`.
    pub fn open_ns(&mut self, _name: &'static str, _namespace: &str) -> &mut Self {
        todo!()
    }
    pub fn attr(&mut self, _name: &'static str, _value: &str) -> &mut Self {
        todo!()
    }
    /// Writes the attribute when there is a value.
    pub fn attr_opt(&mut self, _name: &'static str, _value: Option<&str>) -> &mut Self {
        todo!()
    }
    /// Escaped text.
    pub fn text(&mut self, _text: &str) -> &mut Self {
        todo!()
    }
    /// XML that is already checked, as it stands.
    pub fn raw(&mut self, _xml: &str) -> &mut Self {
        todo!()
    }
    /// `<name>text</name>`.
    pub fn leaf(&mut self, _name: &'static str, _text: &str) -> &mut Self {
        todo!()
    }
    /// Closes the innermost open element (`/>` when nothing was put in it).
    pub fn close(&mut self) -> &mut Self {
        todo!()
    }
}
