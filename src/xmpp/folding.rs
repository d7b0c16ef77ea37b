//! What is the same word, however it is written.
use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Marks that no word is told apart by, and what is not seen. Vowels that Indian scripts write as marks stay.
fn is_dropped(char: char) -> bool {
    matches!(char,
        '\u{AD}' | '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05C7}'
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{06D6}'..='\u{06ED}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}' | '\u{FEFF}'
        | '\u{1F3FB}'..='\u{1F3FF}')
}

/// Letters that are written with others, or without their stroke, by who has no key for them.
const PLAIN: &[(char, &str)] = &[
    ('ß', "ss"),
    ('æ', "ae"),
    ('œ', "oe"),
    ('ø', "o"),
    ('ł', "l"),
    ('đ', "d"),
    ('ð', "d"),
    ('ħ', "h"),
    ('ı', "i"),
    ('ς', "σ"),
];

/// Lower case without accents, compatibility forms as what they stand for.
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => text.to_ascii_lowercase().into(),
            false => text.into(),
        };
    }
    let mut folded = String::with_capacity(text.len());
    for char in text.nfkd().filter(|char| !is_dropped(*char)) {
        for low in char.to_lowercase().filter(|char| !is_dropped(*char)) {
            match PLAIN.iter().find(|(of, _)| *of == low) {
                Some((_, plain)) => folded.push_str(plain),
                None => folded.push(low),
            }
        }
    }
    // What was taken apart and has no marks left is as it was: Hangul, Kana, Indian scripts.
    match folded.chars().any(|char| char >= '\u{0900}') {
        true => folded.nfc().collect::<String>().into(),
        false => folded.into(),
    }
}
