//! What can be a password, and the one form of it that counts (RFC 4013).
use std::borrow::Cow;
use std::fmt;

use stringprep::tables;

/// Why something cannot be a password (RFC 4013).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// Of nothing, or of what is mapped to nothing.
    Empty,
    /// Which one, counted from 1, and what it is.
    Character {
        place: usize,
        character: char,
        kind: &'static str,
    },
    /// §2.4
    Direction,
}

impl PasswordError {
    /// What is wrong, without saying where.
    pub fn rule(self) -> &'static str {
        match self {
            PasswordError::Empty => "The password is empty.",
            PasswordError::Character { kind, .. } => kind,
            PasswordError::Direction => {
                "With letters written from right to left a password begins and ends with one, and has none of the other kind."
            }
        }
    }
}

/// For the operator.
impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let PasswordError::Character {
            place, character, ..
        } = self
        {
            let code = u32::from(*character);
            write!(f, "character {place} (U+{code:04X}): ")?;
        }
        f.write_str(self.rule())
    }
}

/// SASLprep (RFC 4013): the same for stored passwords, PLAIN and what clients do for SCRAM.
pub fn prepare_password(text: &str) -> Result<Cow<'_, str>, PasswordError> {
    let prepared = stringprep::saslprep(text).map_err(|_| refused_character(text))?;
    match prepared.is_empty() {
        true => Err(PasswordError::Empty),
        false => Ok(prepared),
    }
}

/// §2.3, §2.5: the first character that cannot be in a password; if none is that, it is how they stand together.
fn refused_character(text: &str) -> PasswordError {
    for (place, character) in (1..).zip(text.chars()) {
        let kind = if tables::ascii_control_character(character)
            || tables::non_ascii_control_character(character)
        {
            "The password holds a control character."
        } else if tables::private_use(character) {
            "The password holds a character for private use."
        } else if tables::unassigned_code_point(character) {
            "The password holds a character that was not in Unicode 3.2."
        } else if stringprep::saslprep(character.encode_utf8(&mut [0; 4])).is_err()
            && !tables::bidi_r_or_al(character)
        {
            "The password holds a character that is not for plain text."
        } else {
            continue;
        };
        return PasswordError::Character {
            place,
            character,
            kind,
        };
    }
    PasswordError::Direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_password_tells_why() {
        for (text, told) in [
            ("", "The password is empty."),
            ("\u{AD}", "The password is empty."),
            (
                "pass\tword",
                "character 5 (U+0009): The password holds a control character.",
            ),
            (
                "é\u{85}",
                "character 2 (U+0085): The password holds a control character.",
            ),
            (
                "\u{E000}",
                "character 1 (U+E000): The password holds a character for private use.",
            ),
            (
                "🦀\u{1FAE0}",
                "character 1 (U+1F980): The password holds a character that was not in Unicode 3.2.",
            ),
            (
                "a\u{202E}b",
                "character 2 (U+202E): The password holds a character that is not for plain text.",
            ),
            (
                "a\u{FFFD}",
                "character 2 (U+FFFD): The password holds a character that is not for plain text.",
            ),
        ] {
            assert_eq!(
                prepare_password(text).unwrap_err().to_string(),
                told,
                "{text:?}"
            );
        }
        assert_eq!(prepare_password("\u{5D0}1"), Err(PasswordError::Direction));
        assert_eq!(prepare_password("a\u{5D0}"), Err(PasswordError::Direction));
        assert_eq!(
            prepare_password("\u{5D0}1\u{5D1}").as_deref(),
            Ok("\u{5D0}1\u{5D1}")
        );
        assert_eq!(prepare_password("a\u{A0}b").as_deref(), Ok("a b"));
    }

    #[test]
    fn passwords_are_prepared() {
        assert_eq!(prepare_password("pencil").unwrap(), "pencil");
        // RFC 4013 §3: soft hyphen to nothing, compatibility forms, other spaces.
        assert_eq!(prepare_password("I\u{AD}X").unwrap(), "IX");
        assert_eq!(prepare_password("\u{2168}").unwrap(), "IX");
        assert_eq!(prepare_password("a\u{A0}b").unwrap(), "a b");
        for bad in ["", "\u{AD}", "\u{7}", "\u{627}1"] {
            assert!(prepare_password(bad).is_err(), "{bad:?}");
        }
    }
}
