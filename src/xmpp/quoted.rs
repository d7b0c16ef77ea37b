//! Text from outside as it stands in the log and in an operator's listings: one field, on one line, that shows what it is.
use std::fmt;

/// Characters of one text that are shown; more is cut off, and that is shown.
pub const QUOTED_CHARACTERS_MAX: usize = 256;

/// Writes a text so that it can pass for nothing else: as it is where it is one plain word, else between quotes, with
/// escapes for what would end them and for what cannot be seen or moves what stands beside it.
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// The same for what is written by `Display`, which may hold something from outside.
pub fn quoted_error(error: &dyn fmt::Display) -> String {
    quoted(&error.to_string()).to_string()
}

/// A text on one line, as it is to be read: what would move the cursor, or what stands beside it, is written as an escape.
pub fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            match character.is_control() || is_turning(character) {
                true => line.extend(character.escape_unicode()),
                false => line.push(character),
            }
        }
    }
    line
}

/// Changes the direction of text.
fn is_turning(character: char) -> bool {
    matches!(
        u32::from(character),
        0x61c | 0x200e..=0x200f | 0x202a..=0x202e | 0x2066..=0x2069
    )
}

#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(QUOTED_CHARACTERS_MAX);
        let shown = end.map_or(self.0, |(end, _)| self.0.get(..end).unwrap_or_default());
        if end.is_none() && !shown.is_empty() && shown.chars().all(is_plain) {
            return f.write_str(shown);
        }
        f.write_str("\"")?;
        for character in shown.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                _ if is_hidden(character) => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                _ => write!(f, "{character}")?,
            }
        }
        f.write_str(if end.is_some() { "\"…" } else { "\"" })
    }
}

/// Nothing that begins or ends a field, or a quoted text.
fn is_plain(character: char) -> bool {
    match character {
        '"' | '\'' | '`' | '\\' | '=' => false,
        _ if is_hidden(character) || is_right_to_left(character) => false,
        _ => character.is_ascii_graphic() || character.is_alphanumeric(),
    }
}

/// Letters that are read from the right: what stands between two of them may show in another order.
fn is_right_to_left(character: char) -> bool {
    matches!(
        u32::from(character),
        0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff | 0x10800..=0x10fff | 0x1e800..=0x1efff
    )
}

/// Controls (C0, C1), separators of lines and all white space but the space itself, what changes the direction of text or
/// shows nothing, what has no meaning of its own.
fn is_hidden(character: char) -> bool {
    const HIDDEN: &[(u32, u32)] = &[
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x600, 0x605),
        (0x61c, 0x61c),
        (0x6dd, 0x6dd),
        (0x70f, 0x70f),
        (0x890, 0x891),
        (0x8e2, 0x8e2),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xe000, 0xf8ff),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xffff),
        (0x110bd, 0x110bd),
        (0x110cd, 0x110cd),
        (0x13430, 0x1345f),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0x10_ffff),
    ];
    let code = u32::from(character);
    let listed = || {
        HIDDEN
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&code))
    };
    character.is_control() || (character.is_whitespace() && character != ' ') || listed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_plain_word_stays_as_it_is() {
        for plain in [
            "romeo@localhost/orchard",
            "Gajim.7XS/*(1)+~",
            "jürgen@пример.рф/東京",
            "2001:db8::1",
        ] {
            assert_eq!(quoted(plain).to_string(), plain);
        }
    }

    #[test]
    fn a_line_is_one_and_reads_as_it_is_written() {
        for (text, shown) in [
            ("two\nlines\t and\u{2028}more ", "two lines and more"),
            ("\u{1b}[31m\u{9b}0m", r"\u{1b}[31m\u{9b}0m"),
            ("a\u{202e}b\u{2066}c", r"a\u{202e}b\u{2066}c"),
            ("\u{2764}\u{fe0f} שלום", "\u{2764}\u{fe0f} שלום"),
        ] {
            assert_eq!(on_one_line(text), shown);
        }
    }

    #[test]
    fn nothing_forges_a_field_a_line_or_a_direction() {
        for (text, shown) in [
            ("", r#""""#),
            ("door bell", r#""door bell""#),
            ("x resumed=1", r#""x resumed=1""#),
            ("a=b", r#""a=b""#),
            (r#"a" b="c"#, r#""a\" b=\"c""#),
            (r"a\", r#""a\\""#),
            ("it's", r#""it's""#),
            ("a\tb\nc\rd", r#""a\u{9}b\u{a}c\u{d}d""#),
            ("\u{1b}[31m\u{9b}0m\u{7f}", r#""\u{1b}[31m\u{9b}0m\u{7f}""#),
            (
                "a\u{202e}b\u{2066}c\u{200f}",
                r#""a\u{202e}b\u{2066}c\u{200f}""#,
            ),
            (
                "\u{2028}\u{2029}\u{85}\u{a0}\u{3000}",
                r#""\u{2028}\u{2029}\u{85}\u{a0}\u{3000}""#,
            ),
            (
                "\u{feff}\u{200b}\u{e0041}\u{f0000}",
                r#""\u{feff}\u{200b}\u{e0041}\u{f0000}""#,
            ),
            ("–😀", r#""–😀""#),
            ("שלום@localhost", "\"שלום@localhost\""),
        ] {
            assert_eq!(quoted(text).to_string(), shown);
        }
    }

    #[test]
    fn every_character_stays_on_its_line_and_in_its_field() {
        for character in '\0'..=char::MAX {
            let shown = quoted(&format!("a{character}b")).to_string();
            let inside = shown.strip_prefix('"').and_then(|s| s.strip_suffix('"'));
            let bare = inside.unwrap_or(&shown);
            assert!(!bare.chars().any(is_hidden), "{character:?}");
            if inside.is_none() {
                assert!(!shown.contains([' ', '"', '=']), "{character:?}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = "é".repeat(QUOTED_CHARACTERS_MAX + 1);
        let shown = quoted(&long).to_string();
        assert_eq!(shown.chars().count(), QUOTED_CHARACTERS_MAX + 3);
        assert!(shown.ends_with("\"…"));
        let most = "é".repeat(QUOTED_CHARACTERS_MAX);
        assert_eq!(quoted(&most).to_string(), most);
    }
}
