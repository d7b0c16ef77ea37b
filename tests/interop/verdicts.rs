//! Tells of stanzas on standard input (u32 little-endian length, bytes) what the strict pass makes of them, each behind a
//! stream header: `1` and what would be passed on (length and bytes again), `0` for refused, `?` when more must come.
use std::io::{self, Read, Write};

use stonechat::xml::{Context, Frame, Framer, Limits, XmlError, parse, parse_header};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    xmlns:hp='urn:hp' to='localhost' version='1.0'>";
/// As the settings have them.
const LIMITS: Limits = Limits {
    bytes: 512 << 10,
    depth: 64,
    attributes: 64,
    elements: 8192,
};

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut stanza = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap_or(0)];
        input.read_exact(&mut stanza)?;
        match verdict(&stanza) {
            Ok(Some(relayed)) => {
                let length = u32::try_from(relayed.len()).expect("stanzas are not so long");
                output.write_all(b"1")?;
                output.write_all(&length.to_le_bytes())?;
                output.write_all(relayed.as_bytes())?;
            }
            Ok(None) => output.write_all(b"?")?,
            Err(_) => output.write_all(b"0")?,
        }
        output.flush()?;
    }
    Ok(())
}

/// What would be passed on; `None`: more must come.
fn verdict(stanza: &[u8]) -> Result<Option<String>, XmlError> {
    let mut framer = Framer::new(LIMITS);
    let mut context = Context::default();
    let mut relayed = String::new();
    let bytes = [HEADER, stanza].concat();
    let mut rest = bytes.as_slice();
    loop {
        match framer.next(&mut rest)? {
            Some(Frame::Header(header)) => context = parse_header(header)?.1,
            Some(Frame::Element(element)) => {
                let element = parse(element, &context)?;
                relayed.push_str(&element.root().to_xml());
            }
            Some(Frame::Whitespace) => {}
            Some(Frame::End) => return Err(XmlError::NotWellFormed),
            None => break,
        }
    }
    match (framer.held_bytes(), relayed.is_empty()) {
        (0, true) => Err(XmlError::NotWellFormed),
        (0, false) => Ok(Some(relayed)),
        _ => Ok(None),
    }
}
