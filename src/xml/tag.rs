//! XML 1.0 §3.1: parts of one tag. Its attributes one after the other, without copying or allocating; a name to be
//! remembered in four bytes.
use memchr::memchr;

use super::XmlError;
use super::chars::is_white;

/// One attribute as it stands. Offsets count from where the scan began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawAttribute<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub start: usize,
    pub value_start: usize,
    /// `name='value'`.
    pub whole: &'a str,
}

/// Reads what stands between a tag's name and its `>` or `/>`. Names and values are left for the caller to check.
/// After an error there is nothing more.
pub(super) struct Attributes<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(between: &'a str) -> Attributes<'a> {
        Attributes {
            rest: between,
            at: 0,
        }
    }

    fn attribute(&mut self) -> Option<RawAttribute<'a>> {
        let white = white_len(self.rest);
        // White space must come before every attribute, also between two of them.
        let text = self.rest.get(white..).filter(|_| white > 0)?;
        let name_end = text
            .bytes()
            .position(|byte| byte == b'=' || is_white(byte))?;
        let equals = name_end + white_len(text.get(name_end..)?);
        let after_equals = text.get(equals..)?.strip_prefix('=')?;
        let quote_at = equals + 1 + white_len(after_equals);
        let quote = text
            .as_bytes()
            .get(quote_at)
            .copied()
            .filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let value_start = quote_at + 1;
        let value_end = value_start + memchr(quote, text.as_bytes().get(value_start..)?)?;
        let attribute = RawAttribute {
            name: text.get(..name_end)?,
            value: text.get(value_start..value_end)?,
            start: self.at + white,
            value_start: self.at + white + value_start,
            whole: text.get(..=value_end)?,
        };
        self.at += white + value_end + 1;
        self.rest = text.get(value_end + 1..)?;
        Some(attribute)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<RawAttribute<'a>, XmlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if white_len(self.rest) == self.rest.len() {
            return None;
        }
        let attribute = self.attribute();
        if attribute.is_none() {
            self.rest = "";
        }
        Some(attribute.ok_or(XmlError::NotWellFormed))
    }
}

fn white_len(text: &str) -> usize {
    text.bytes().take_while(|&byte| is_white(byte)).count()
}

/// Stands for the header's name, which the end tag must repeat. Kept in place of the name, which would need memory: two
/// names taken for one would only end a stream that its peer ended wrongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameHash(u32);

impl NameHash {
    /// Of no byte yet (FNV-1a).
    pub(super) fn start() -> NameHash {
        NameHash(0x811C_9DC5)
    }

    pub(super) fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_in_order_with_their_places() {
        let text = " a='1'\n\tb:c = \"it's\"  ";
        let found: Vec<_> = Attributes::new(text)
            .map(|attribute| attribute.unwrap())
            .collect();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].name, found[0].value, found[0].whole),
            ("a", "1", "a='1'")
        );
        assert_eq!(
            (found[1].name, found[1].value, found[1].whole),
            ("b:c", "it's", "b:c = \"it's\"")
        );
        for attribute in found {
            assert!(text[attribute.start..].starts_with(attribute.whole));
            assert!(text[attribute.value_start..].starts_with(attribute.value));
        }
        assert_eq!(
            Attributes::new("").count() + Attributes::new(" \r\n").count(),
            0
        );
    }

    #[test]
    fn what_is_no_attribute_ends_the_scan() {
        for bad in [
            "a='1'",
            " a",
            " a=",
            " a=1",
            " a='",
            " a='1\"",
            " /",
            " a='1'b='2'",
            " a='1' b",
            " 'x'='y",
            " a 'b'",
            " a=='b'",
        ] {
            let last = Attributes::new(bad).last();
            assert_eq!(last, Some(Err(XmlError::NotWellFormed)), "{bad}");
        }
    }
}
