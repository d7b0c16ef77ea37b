//! What kind of picture some bytes are, told by themselves. Nothing is decoded.

use crate::xmpp::hashing::digest;
use crate::xmpp::{base64, from_careless_base64};

/// How far into a text its root is looked for.
const TEXT_BYTES: usize = 1024;

/// The media type; `None`: none that is known.
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    let has_at = |at: usize, what: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(what));
    Some(match bytes {
        _ if begins(b"\x89PNG\r\n\x1a\n") => "image/png",
        _ if begins(b"\xff\xd8\xff") => "image/jpeg",
        _ if begins(b"GIF87a") || begins(b"GIF89a") => "image/gif",
        _ if begins(b"RIFF") && has_at(8, b"WEBP") => "image/webp",
        _ if has_at(4, b"ftypavif") => "image/avif",
        _ if is_svg(bytes) => "image/svg+xml",
        _ => return None,
    })
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = bytes.get(..TEXT_BYTES).unwrap_or(bytes);
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    head.starts_with(b"<svg")
        || (head.starts_with(b"<?xml") && memchr::memmem::find(head, b"<svg").is_some())
}

/// Width and height, where they stand in the first bytes (PNG).
pub fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    if media_type(bytes) != Some("image/png") || bytes.get(12..16) != Some(b"IHDR") {
        return None;
    }
    let number = |at: usize| {
        let octets = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(octets))
    };
    Some((number(16)?, number(20)?)).filter(|(width, height)| *width > 0 && *height > 0)
}

/// Base64 with white space anywhere; `None`: it is none, or longer than `bytes_max` when decoded.
pub fn decode(text: &str, bytes_max: usize) -> Option<Vec<u8>> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    let dense: Vec<u8> = text.bytes().filter(|byte| !is_space(byte)).collect();
    if dense.len() / 4 > bytes_max / 3 + 1 {
        return None;
    }
    let bytes = from_careless_base64(dense).ok()?;
    (bytes.len() <= bytes_max && !bytes.is_empty()).then_some(bytes)
}

pub fn encode(bytes: &[u8]) -> String {
    base64(bytes)
}

/// XEP-0084 §4.1, XEP-0153 §3.1: the name of a picture is the SHA-1 of its bytes.
pub fn id(bytes: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let octets = hash.as_ref().iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\x01\x02\x08";

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        for (bytes, kind) in [
            (PNG, Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a;", Some("image/gif")),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"\0\0\0\x20ftypavif", Some("image/avif")),
            (
                b"\xef\xbb\xbf <svg xmlns='http://www.w3.org/2000/svg'/>",
                Some("image/svg+xml"),
            ),
            (b"<?xml version='1.0'?>\n<svg/>", Some("image/svg+xml")),
            (b"<html><svg/></html>", None),
            (b"RIFF\x24\0\0\0WAVE", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), kind, "{bytes:?}");
            for end in 0..bytes.len() {
                size(&bytes[..end]);
            }
        }
    }

    #[test]
    fn how_large_it_is() {
        assert_eq!(size(PNG), Some((64, 258)));
        assert_eq!(size(&PNG[..20]), None);
        assert_eq!(size(b"GIF89a\x10\0\x10\0"), None);
    }

    #[test]
    fn base64_as_clients_write_it() {
        assert_eq!(decode(" aGVs\r\n bG8= \t", 5).unwrap(), b"hello");
        assert_eq!(decode("aGVsbG8", 5).unwrap(), b"hello");
        assert_eq!(decode("aGVsbG9=", 5).unwrap(), b"hello");
        for (text, most) in [("aGVsbG8=", 4), ("", 5), ("  ", 5), ("a", 5), ("!!!!", 5)] {
            assert_eq!(decode(text, most), None, "{text}");
        }
        assert_eq!(decode(&"A".repeat(400), 99), None);
        assert_eq!(encode(b"hello"), "aGVsbG8=");
        assert_eq!(id(b"hello"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
    }
}
