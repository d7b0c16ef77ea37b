//! What is written in another way before it is passed on: it is right, and read wrongly by some of those who may get it.
//! XPP3 and kXML2, Smack's on Android and elsewhere, lose characters beyond the BMP in references, put `]]>` where an empty CDATA
//! section stood, keep line ends and tabs that XML 1.0 §2.11 and §3.3.3 take away; libxml2 ends a stream in which an
//! `xml:id` comes twice.
use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use super::chars::{Place, reference, unescape};
use super::tag::RawAttribute;
use super::write::escaped_text;

/// A range of the text, and what stands there instead.
pub(super) struct Piece<'a> {
    pub range: Range<usize>,
    pub text: Cow<'a, str>,
}

impl Piece<'_> {
    /// How many bytes are added.
    pub(super) fn growth(&self) -> usize {
        self.text.len().saturating_sub(self.range.len())
    }
}

/// A character reference that is not read everywhere; `start` is where its `&` stands.
pub(super) fn of_reference(name: &str, start: usize) -> Option<Piece<'static>> {
    let character = reference(name).ok().filter(|c| u32::from(*c) > 0xFFFF)?;
    Some(Piece {
        range: start..start + name.len() + "&;".len(),
        text: Cow::Owned(character.into()),
    })
}

/// A CDATA section (§2.7) as text.
pub(super) fn of_cdata(section: &str, start: usize) -> Option<Piece<'static>> {
    let content = section.strip_prefix("<![CDATA[")?.strip_suffix("]]>")?;
    Some(Piece {
        range: start..start + section.len(),
        text: Cow::Owned(escaped_text(&unescape(content, Place::Cdata))),
    })
}

/// `xml:id` with the white space before it; `start` is where the attribute stands.
pub(super) fn without(raw: &RawAttribute<'_>, start: usize) -> Piece<'static> {
    Piece {
        range: start - 1..start + raw.whole.len(),
        text: Cow::Borrowed(""),
    }
}

/// What is to be changed of a checked value that begins at `start`.
pub(super) fn of_value(value: &str, start: usize) -> Vec<Piece<'static>> {
    let mut pieces = Vec::new();
    let mut put = |at: usize, length: usize, text: &'static str| {
        let range = start + at..start + at + length;
        let text = Cow::Borrowed(text);
        pieces.push(Piece { range, text });
    };
    for (at, _) in value.match_indices('\t') {
        put(at, 1, " ");
    }
    for at in memmem::find_iter(value.as_bytes(), b"]]>") {
        put(at, 3, "]]&gt;");
    }
    for (at, _) in value.match_indices('&') {
        let name = value.get(at + 1..).and_then(|rest| rest.split_once(';'));
        pieces.extend(name.and_then(|(name, _)| of_reference(name, start + at)));
    }
    pieces
}

/// Whether `of_value` may find something.
pub(super) fn is_suspect(value: &str) -> bool {
    value
        .bytes()
        .any(|byte| matches!(byte, b'\t' | b'>' | b'&'))
}

/// The text with its pieces put in. They do not overlap.
pub(super) fn apply(text: &str, mut pieces: Vec<Piece<'_>>) -> String {
    // What is put in at a place comes before what is taken away from there on.
    pieces.sort_by_key(|piece| (piece.range.start, piece.range.end));
    let growth: usize = pieces.iter().map(Piece::growth).sum();
    let mut written = String::with_capacity(text.len() + growth);
    let mut copied = 0;
    for piece in pieces {
        let before = text.get(copied..piece.range.start);
        written.push_str(before.unwrap_or_default());
        written.push_str(&piece.text);
        copied = piece.range.end;
    }
    written.push_str(text.get(copied..).unwrap_or_default());
    written
}
