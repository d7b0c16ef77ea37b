//! XML 1.0 §2.2, §2.3, §4.1: which characters, names and references may stand where, and text as its reader means it.
use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::XmlError;
use super::names::{Edition, is_nc_name};

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
        let declared_elsewhere = is_nc_name(name, Edition::Fifth);
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
