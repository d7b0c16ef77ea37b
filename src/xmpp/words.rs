//! The words of a text as they are looked for (XEP-0431): case, accents and compatibility forms are folded; whatever is no
//! letter, digit or mark stands between two words, apostrophes as well, so that `l'eau` is found by `eau`. Pictures are
//! words of their own.
//!
//! Scripts that put nothing between words (Han, Kana, Thai, Lao, Khmer, Burmese) have runs instead: what is looked for may
//! stand anywhere in one. Their terms are pairs of neighbours, and the last character alone: one character begins a pair or
//! is the last, more of them are pairs, and whether these are neighbours the text itself tells.
use unicode_normalization::char::is_combining_mark;

use super::folding::folded;

/// Bytes of a term; of a longer word it is the beginning.
const TERM_BYTES_MAX: usize = 40;
/// What is asked for at once.
pub const WANTED_MAX: usize = 16;
/// Bytes of it.
pub const WANTED_BYTES_MAX: usize = 1024;
/// Pairs of one run that are looked up.
const PAIRS_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Between,
    Word,
    Run,
    Picture,
}

/// What somebody looks for: all of it must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted(Vec<Want>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Want {
    /// A word, or a picture.
    Word(String),
    /// The beginning of one: whoever looks for something is not done writing.
    Begin(String),
    Run(String),
}

/// Why something cannot be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWanted {
    NoWord,
    TooMany,
}

/// A term by which something is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'a> {
    pub term: &'a str,
    /// All that begin so.
    pub begins: bool,
}

impl Wanted {
    pub fn parse(text: &str) -> Result<Wanted, NotWanted> {
        if text.len() > WANTED_BYTES_MAX {
            return Err(NotWanted::TooMany);
        }
        let text = folded(text);
        let mut wanted: Vec<Want> = Vec::new();
        for (kind, part) in (Parts { text: &text }) {
            let part = part.to_string();
            wanted.push(match kind {
                Kind::Run => Want::Run(part),
                _ => Want::Word(part),
            });
        }
        if let Some(Want::Word(last)) = wanted.last() {
            let last = Want::Begin(last.clone());
            wanted.pop();
            wanted.push(last);
        }
        match wanted.len() {
            0 => Err(NotWanted::NoWord),
            1..=WANTED_MAX => Ok(Wanted(wanted)),
            _ => Err(NotWanted::TooMany),
        }
    }

    /// What every text that is wanted has among its terms; those that find least come first.
    pub fn lookups(&self) -> Vec<Lookup<'_>> {
        let mut lookups = Vec::new();
        for want in &self.0 {
            match want {
                Want::Word(word) => lookups.push(Lookup {
                    term: cut(word),
                    begins: false,
                }),
                Want::Begin(word) => lookups.push(Lookup {
                    term: cut(word),
                    begins: word.len() <= TERM_BYTES_MAX,
                }),
                Want::Run(run) => {
                    let pairs = pairs(run).take(PAIRS_MAX);
                    let whole = pairs.filter(|pair| pair.chars().count() > 1);
                    lookups.extend(whole.map(|term| Lookup {
                        term,
                        begins: false,
                    }));
                    if run.chars().count() == 1 {
                        lookups.push(Lookup {
                            term: run,
                            begins: true,
                        });
                    }
                }
            }
        }
        let (begins, mut lookups): (Vec<_>, Vec<_>) =
            lookups.into_iter().partition(|lookup| lookup.begins);
        lookups.extend(begins);
        lookups
    }

    /// All of it is in a text.
    pub fn is_in(&self, text: &str) -> bool {
        let text = folded(text);
        let mut left: Vec<&Want> = self.0.iter().collect();
        for (_, part) in (Parts { text: &text }) {
            left.retain(|want| match want {
                Want::Word(word) => word != part,
                Want::Begin(word) => !part.starts_with(word.as_str()),
                Want::Run(run) => !part.contains(run.as_str()),
            });
            if left.is_empty() {
                return true;
            }
        }
        false
    }
}

/// Calls `visit` with the terms by which a text is found, some of them more than once, until it says false.
pub fn each_term(text: &str, visit: &mut dyn FnMut(&str) -> bool) {
    let text = folded(text);
    for (kind, part) in (Parts { text: &text }) {
        let goes_on = match kind {
            Kind::Run => pairs(part).all(&mut *visit),
            _ => visit(cut(part)),
        };
        if !goes_on {
            return;
        }
    }
}

/// Each character with the one behind it, the last alone.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let mut starts = run.char_indices().map(|(at, _)| at);
    let mut ends = run
        .char_indices()
        .map(|(at, _)| at)
        .skip(2)
        .chain([run.len(), run.len()]);
    let count = run.chars().count();
    (0..count).filter_map(move |_| run.get(starts.next()?..ends.next()?))
}

fn cut(word: &str) -> &str {
    let mut end = word.len().min(TERM_BYTES_MAX);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word.get(..end).unwrap_or(word)
}

/// Words, runs and pictures, in order.
struct Parts<'t> {
    text: &'t str,
}

impl<'t> Iterator for Parts<'t> {
    type Item = (Kind, &'t str);

    fn next(&mut self) -> Option<(Kind, &'t str)> {
        let mut chars = self.text.char_indices();
        let (start, first, kind) = loop {
            let (at, char) = chars.next()?;
            match kind_of(char) {
                Kind::Between => {}
                kind => break (at, char, kind),
            }
        };
        let end = match kind {
            Kind::Picture => start + first.len_utf8(),
            _ => {
                let mut behind = chars.skip_while(|(_, char)| kind_of(*char) == kind);
                behind.next().map_or(self.text.len(), |(at, _)| at)
            }
        };
        let part = self.text.get(start..end)?;
        self.text = self.text.get(end..)?;
        Some((kind, part))
    }
}

fn kind_of(char: char) -> Kind {
    if char.is_ascii() {
        return match char.is_ascii_alphanumeric() {
            true => Kind::Word,
            false => Kind::Between,
        };
    }
    if matches!(char, '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1FAFF}') {
        return Kind::Picture;
    }
    if !char.is_alphanumeric() && !is_combining_mark(char) {
        return Kind::Between;
    }
    match is_run(char) {
        true => Kind::Run,
        false => Kind::Word,
    }
}

/// It is of a script that puts nothing between words.
fn is_run(char: char) -> bool {
    matches!(char,
        // Thai, Lao, Burmese, Khmer, and their relatives.
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{1950}'..='\u{19DF}' | '\u{1A20}'..='\u{1AAF}' | '\u{A9E0}'..='\u{A9FF}'
        | '\u{AA60}'..='\u{AADF}'
        // Kana, Bopomofo, Han.
        | '\u{2E80}'..='\u{312F}' | '\u{31A0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{1B000}'..='\u{1B16F}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        each_term(text, &mut |term| {
            terms.push(term.to_string());
            true
        });
        terms
    }

    #[test]
    fn words_are_folded() {
        for (text, expected) in [
            ("Hello, WORLD!", &["hello", "world"][..]),
            ("l'eau de la cañería", &["l", "eau", "de", "la", "caneria"]),
            ("Straße STRASSE ﬁne", &["strasse", "strasse", "fine"]),
            ("Ærøskøbing İstanbul", &["aeroskobing", "istanbul"]),
            ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ", &["οδυσσευσ", "οδυσσευσ"]),
            ("Ёлка ёлка Ёлка", &["елка", "елка", "елка"]),
            ("foo_bar 3.14 a-b", &["foo", "bar", "3", "14", "a", "b"]),
            ("שָׁלוֹם مَرْحَبًا", &["שלום", "مرحبا"]),
            ("हिन्दी में", &["हिन्दी", "में"]),
            ("한국어 사전", &["한국어", "사전"]),
            ("👍🏽 ok❤️", &["👍", "ok", "❤"]),
            ("so\u{AD}ft", &["soft"]),
            ("... ?!", &[]),
        ] {
            assert_eq!(terms(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_words_between_it_is_pairs() {
        assert_eq!(terms("東京都x"), ["東京", "京都", "都", "x"]);
        assert_eq!(terms("ｶﾞ"), ["ガ"]);
        assert_eq!(terms("日"), ["日"]);
        assert_eq!(terms("ไทย"), ["ไท", "ทย", "ย"]);
    }

    #[test]
    fn a_long_word_is_found_by_all_of_it() {
        let long = "é".repeat(3) + &"x".repeat(TERM_BYTES_MAX);
        assert_eq!(terms(&long), [format!("eee{}", "x".repeat(37))]);
        for (text, is_in) in [(format!("{long}y"), true), ("eeexx".into(), false)] {
            let wanted = Wanted::parse(&long).unwrap();
            assert_eq!(wanted.is_in(&text), is_in, "{text}");
            let [lookup] = wanted.lookups()[..] else {
                panic!("one")
            };
            assert!(!lookup.begins && lookup.term.len() == TERM_BYTES_MAX);
        }
    }

    #[test]
    fn all_is_wanted_and_the_last_word_may_go_on() {
        for (wanted, text, is_in) in [
            ("Café", "un cafe noir", true),
            ("ca", "un café noir", true),
            ("ca noir", "un café noir", false),
            ("noir caf", "un café noir", true),
            ("noir café tard", "un café noir", false),
            ("京都", "東京都", true),
            ("東都", "東京都", false),
            ("都", "東京都", true),
            ("ガ", "メガネ", true),
            ("カ", "メガネ", false),
            ("กิน", "ฉันกินข้าว", true),
            ("👍", "well 👍🏻", true),
        ] {
            assert_eq!(
                Wanted::parse(wanted).unwrap().is_in(text),
                is_in,
                "{wanted}"
            );
        }
    }

    /// Whatever is in a text is found by its terms.
    #[test]
    fn what_is_in_a_text_is_looked_up_by_its_terms() {
        let texts = [
            "Zürich liegt am See",
            "東京都に行く",
            "ok 👍 ภาษาไทย",
            "x".repeat(99).leak(),
        ];
        for text in texts {
            let terms = terms(text);
            let ends: Vec<usize> = text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect();
            for from in &ends {
                for to in ends.iter().filter(|to| *to > from) {
                    let Ok(wanted) = Wanted::parse(&text[*from..*to]) else {
                        continue;
                    };
                    let is_found = wanted.lookups().iter().all(|lookup| {
                        terms.iter().any(|term| match lookup.begins {
                            true => term.starts_with(lookup.term),
                            false => term == lookup.term,
                        })
                    });
                    assert!(is_found || !wanted.is_in(text), "{wanted:?} in {text}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_wanted() {
        let many = "a ".repeat(WANTED_MAX);
        assert!(Wanted::parse(&many).is_ok());
        for (text, reason) in [
            ("", NotWanted::NoWord),
            ("?!", NotWanted::NoWord),
            (&format!("{many} a"), NotWanted::TooMany),
            (&"x".repeat(WANTED_BYTES_MAX + 1), NotWanted::TooMany),
        ] {
            assert_eq!(Wanted::parse(text), Err(reason), "{text}");
        }
        let long = Wanted::parse(&"日本語".repeat(100)).unwrap();
        assert_eq!(long.lookups().len(), PAIRS_MAX);
    }
}
