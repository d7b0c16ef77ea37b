//! XML 1.0 §2.2, §2.3, §4.1: which characters, names and references may stand where, and text as its reader means it.
use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::XmlError;

/// §2.3 S.
pub(super) const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

pub(super) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The frame as text: UTF-8, and every character one that XML allows, in markup as in text.
pub(super) fn checked_text(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    // Without an early exit this loop is vectorised.
    let control = bytes.iter().fold(false, |found, &byte| {
        found | (byte < b' ' && byte != b'\t' && byte != b'\n' && byte != b'\r')
    });
    let noncharacter =
        memchr_iter(0xEF, bytes).any(|at| is_noncharacter(bytes.get(at..).unwrap_or_default()));
    if control || noncharacter {
        return Err(XmlError::NotWellFormed);
    }
    Ok(text)
}

/// U+FFFE and U+FFFF, the only characters above the controls that UTF-8 can carry and XML refuses.
pub(super) fn is_noncharacter(utf8: &[u8]) -> bool {
    matches!(utf8, [0xEF, 0xBF, 0xBE | 0xBF, ..])
}

fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// A qualified name as prefix (empty for none) and local name (Namespaces in XML §4).
pub(super) fn qualified_name(name: &str) -> Result<(&str, &str), XmlError> {
    let (prefix, local) = split_name(name);
    if local.len() == name.len() {
        return is_nc_name(name)
            .then_some((prefix, local))
            .ok_or(XmlError::NotWellFormed);
    }
    if prefix.is_empty() || local.is_empty() || memchr(b':', local.as_bytes()).is_some() {
        return Err(XmlError::BadNamespace);
    }
    if !is_nc_name(prefix) || !is_nc_name(local) {
        return Err(XmlError::NotWellFormed);
    }
    Ok((prefix, local))
}

/// Splits at the colon, for names that have been checked.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    let colon = memchr(b':', name.as_bytes());
    let parts = colon.and_then(|at| Some((name.get(..at)?, name.get(at + 1..)?)));
    parts.unwrap_or(("", name))
}

fn is_nc_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    name.starts_with(is_name_start) && (name.bytes().all(plain) || name.chars().all(is_name_char))
}

/// §2.3 NameStartChar without the colon.
fn is_name_start(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '_')
        || (c >= '\u{C0}'
            && matches!(c, '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
                | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
                | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
                | '\u{10000}'..='\u{EFFFF}'))
}

/// §2.3 NameChar without the colon.
fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// The character that `&name;` stands for: a predefined entity or a character reference (§4.1, §4.6).
pub(super) fn reference(name: &str) -> Result<char, XmlError> {
    match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => {}
    }
    let Some(number) = name.strip_prefix('#') else {
        // RFC 6120 §11.1: an entity that only a DTD could have declared.
        let declared_elsewhere = is_nc_name(name);
        return Err(if declared_elsewhere {
            XmlError::Restricted
        } else {
            XmlError::NotWellFormed
        });
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(XmlError::NotWellFormed);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|&c| is_char(c))
        .ok_or(XmlError::NotWellFormed)
}

/// §3.1 AttValue between its quotes.
pub(super) fn check_value(raw: &str) -> Result<(), XmlError> {
    if memchr(b'<', raw.as_bytes()).is_some() {
        return Err(XmlError::NotWellFormed);
    }
    let mut pieces = raw.split('&');
    pieces.next();
    pieces.try_for_each(|piece| {
        let (name, _) = piece.split_once(';').ok_or(XmlError::NotWellFormed)?;
        reference(name).map(|_| ())
    })
}

/// §2.4: `]]>` may not stand in text.
pub(super) fn check_character_data(raw: &str) -> Result<(), XmlError> {
    let bytes = raw.as_bytes();
    let ends_cdata = |at: usize| {
        bytes
            .get(..at)
            .is_some_and(|before| before.ends_with(b"]]"))
    };
    match memchr_iter(b'>', bytes).any(ends_cdata) {
        true => Err(XmlError::NotWellFormed),
        false => Ok(()),
    }
}

/// Where raw text stands, which decides how white space and `&` in it read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Text,
    Cdata,
    Value,
}

/// Checked text as its reader means it: references resolved, line ends (§2.11) and white space in values (§3.3.3)
/// normalised.
pub(super) fn unescape(raw: &str, place: Place) -> Cow<'_, str> {
    let special = |byte: u8| match byte {
        b'&' => place != Place::Cdata,
        b'\r' => true,
        b'\n' | b'\t' => place == Place::Value,
        _ => false,
    };
    let mut rest = raw;
    let mut text = String::new();
    while let Some(at) = rest.bytes().position(special) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.reserve(rest.len());
        text.push_str(plain);
        rest = match tail.strip_prefix('&').and_then(|tail| tail.split_once(';')) {
            Some((name, tail)) => {
                text.extend(reference(name));
                tail
            }
            None => {
                let tab = tail.starts_with('\t');
                text.push(if place == Place::Value || tab {
                    ' '
                } else {
                    '\n'
                });
                tail.strip_prefix("\r\n")
                    .unwrap_or(tail.get(1..).unwrap_or_default())
            }
        };
    }
    match text.is_empty() && rest.len() == raw.len() {
        true => Cow::Borrowed(raw),
        false => {
            text.push_str(rest);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters() {
        for good in [
            "",
            "a\t\n\r",
            "\u{7F}\u{85}\u{D7FF}\u{E000}\u{FFFD}\u{10FFFF}\u{FF5E}",
        ] {
            assert_eq!(checked_text(good.as_bytes()), Ok(good));
        }
        for bad in ["\0", "a\u{1}b", "\u{B}", "\u{1F}", "\u{FFFE}", "x\u{FFFF}"] {
            assert_eq!(
                checked_text(bad.as_bytes()),
                Err(XmlError::NotWellFormed),
                "{bad:?}"
            );
        }
        for bad in [
            &b"\xC0\xAF"[..],
            b"\xED\xA0\x80",
            b"\xFF",
            b"\xF4\x90\x80\x80",
            b"\xE2\x82",
        ] {
            assert_eq!(checked_text(bad), Err(XmlError::NotUtf8), "{bad:?}");
        }
    }

    #[test]
    fn names() {
        for (name, parts) in [
            ("a", ("", "a")),
            ("_", ("", "_")),
            ("a-b.c1", ("", "a-b.c1")),
            ("p:l", ("p", "l")),
            ("é\u{B7}", ("", "é\u{B7}")),
            ("\u{10000}", ("", "\u{10000}")),
        ] {
            assert_eq!(qualified_name(name), Ok(parts));
        }
        for bad in [
            "",
            "1",
            "-a",
            ".a",
            "a b",
            "a'",
            "a=",
            "a/",
            "\u{B7}a",
            "\u{D7}",
            "a\u{37E}",
            "a:-b",
            "1:a",
            "\u{F0000}",
        ] {
            assert_eq!(qualified_name(bad), Err(XmlError::NotWellFormed), "{bad}");
        }
        for bad in [":", ":a", "a:", "a:b:c", "a::b"] {
            assert_eq!(qualified_name(bad), Err(XmlError::BadNamespace), "{bad}");
        }
    }

    #[test]
    fn references() {
        for (name, c) in [
            ("amp", '&'),
            ("#38", '&'),
            ("#x3C", '<'),
            ("#x0000000000041", 'A'),
            ("#x10FFFF", '\u{10FFFF}'),
            ("#9", '\t'),
        ] {
            assert_eq!(reference(name), Ok(c));
        }
        for bad in [
            "",
            "#",
            "#x",
            "#0",
            "#x1",
            "#xD800",
            "#xFFFE",
            "#x110000",
            "#X41",
            "#+65",
            "#-1",
            "#4A",
            "# 65",
            "a b",
            "#99999999999999999999",
        ] {
            assert_eq!(reference(bad), Err(XmlError::NotWellFormed), "{bad}");
        }
        for bad in ["nbsp", "AMP", "foo"] {
            assert_eq!(reference(bad), Err(XmlError::Restricted), "{bad}");
        }
    }

    #[test]
    fn unescaping() {
        for (raw, place, text) in [
            ("a&amp;b&#x26;&lt;", Place::Text, "a&b&<"),
            ("&amp;", Place::Text, "&"),
            ("&amp;amp;", Place::Text, "&amp;"),
            ("a\r\nb\rc\nd\te", Place::Text, "a\nb\nc\nd\te"),
            ("a\r\nb\rc\nd\te&#10;&#13;", Place::Value, "a b c d e\n\r"),
            ("&amp;\r\n\t", Place::Cdata, "&amp;\n\t"),
            ("\r", Place::Text, "\n"),
        ] {
            assert_eq!(unescape(raw, place), text, "{raw:?}");
        }
        assert!(matches!(unescape("plain\n", Place::Text), Cow::Borrowed(_)));
        assert!(matches!(unescape("", Place::Value), Cow::Borrowed(_)));
    }
}
