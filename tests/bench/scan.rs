//! Where a stanza ends, for a client that trusts the server it measures: counts tags, checks nothing else.

use memchr::{memchr, memchr3, memmem};

/// The first complete top-level piece of `bytes` and how many bytes it takes with the white space before it: a stanza, a
/// stream header, a stream's end.
pub fn piece(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut start = 0;
    loop {
        start += bytes[start..]
            .iter()
            .position(|b| !b.is_ascii_whitespace())?;
        if !bytes[start..].starts_with(b"<?") {
            break;
        }
        start += memmem::find(&bytes[start..], b"?>")? + 2;
    }
    let mut at = start;
    let mut depth = 0usize;
    loop {
        at += memchr(b'<', &bytes[at..])?;
        let is_end = *bytes.get(at + 1)? == b'/';
        let is_header = depth == 0 && bytes[at..].starts_with(b"<stream:stream");
        let close = tag_end(bytes, at + 1)?;
        let is_empty = bytes[close - 1] == b'/';
        at = close + 1;
        if is_end {
            depth = depth.saturating_sub(1);
        } else if !is_empty && !is_header {
            depth += 1;
        }
        if depth == 0 {
            return Some((&bytes[start..at], at));
        }
    }
}

fn tag_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr3(b'>', b'\'', b'"', &bytes[at..])?;
        let found = bytes[at];
        if found == b'>' {
            return Some(at);
        }
        at += 1;
        at += memchr(found, &bytes[at..])? + 1;
    }
}

pub fn has(stanza: &[u8], text: &str) -> bool {
    memmem::find(stanza, text.as_bytes()).is_some()
}

/// The value of the first attribute of this name, wherever it is.
pub fn attribute<'a>(stanza: &'a [u8], name: &str) -> Option<&'a str> {
    for quote in ['\'', '"'] {
        let key = format!(" {name}={quote}");
        if let Some(at) = memmem::find(stanza, key.as_bytes()) {
            let rest = &stanza[at + key.len()..];
            let end = memchr(quote as u8, rest)?;
            return std::str::from_utf8(&rest[..end]).ok();
        }
    }
    None
}

/// The text of the first element of this name that has no attributes but a namespace.
pub fn text<'a>(stanza: &'a [u8], element: &str) -> Option<&'a str> {
    let open = memmem::find(stanza, format!("<{element}").as_bytes())?;
    let start = open + memchr(b'>', &stanza[open..])? + 1;
    let end = start + memchr(b'<', &stanza[start..])?;
    std::str::from_utf8(&stanza[start..end]).ok()
}
