//! What the fuzzers do with bytes. `cargo test` replays the corpus through the same functions.
#![allow(dead_code)]

use stonechat::state::Settings;
use stonechat::xml::{Context, Frame, Framer, Limits, parse};
use stonechat::xmpp::Jid;

use crate::transcript::core::{Core, Cutting};
use crate::transcript::prng::Prng;

const LIMITS: Limits = Limits {
    bytes: 4096,
    depth: 16,
    attributes: 16,
    elements: 64,
};

/// However the bytes are cut, the same frames or the same error.
pub fn framing(data: &[u8]) {
    let whole = frames(data, data.len().max(1));
    assert_eq!(whole, frames(data, 1), "byte by byte");
    assert_eq!(whole, frames(data, 7), "by sevens");
}

fn frames(data: &[u8], piece: usize) -> Vec<String> {
    let mut framer = Framer::new(LIMITS);
    let mut seen = Vec::new();
    for mut input in data.chunks(piece) {
        loop {
            let frame = match framer.next(&mut input) {
                Ok(Some(Frame::Header(bytes))) => format!("header {bytes:?}"),
                Ok(Some(Frame::Element(bytes))) => format!("element {bytes:?}"),
                Ok(Some(Frame::End)) => "end".to_string(),
                // A run of white space may be told in pieces.
                Ok(Some(Frame::Whitespace)) => continue,
                Ok(None) => break,
                Err(error) => {
                    seen.push(format!("{error:?}"));
                    return seen;
                }
            };
            seen.push(frame);
        }
    }
    seen
}

/// What is accepted is the same when it is written alone and read again.
pub fn element(data: &[u8]) {
    let prefixes = vec![("stream".into(), "http://etherx.jabber.org/streams".into())];
    let context = Context {
        default_namespace: "jabber:client".into(),
        prefixes,
    };
    let Ok(element) = parse(data, &context) else {
        return;
    };
    let alone = element.root().to_xml().into_owned();
    let again =
        parse(alone.as_bytes(), &Context::default()).expect("what was accepted can be read again");
    assert_eq!(element.root().name(), again.root().name());
    assert_eq!(element.root().namespace(), again.root().namespace());
    assert_eq!(element.root().text(), again.root().text());
    assert_eq!(
        element.root().children().count(),
        again.root().children().count()
    );
    assert_eq!(again.root().to_xml(), alone, "writing is stable");
}

/// Preparation is stable: a prepared JID is its own preparation.
pub fn jid(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(jid) = Jid::parse(text) {
        assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid));
        assert!(jid.as_str().starts_with(jid.bare_str()));
    }
}

const HEADER: &[u8] = b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

fn core() -> Core {
    let mut settings = Settings::new("localhost");
    settings.scram_iterations = 1;
    Core::new(settings, Cutting::Random(Prng(1)))
}

/// Bytes before authentication.
pub fn sasl(data: &[u8]) {
    let mut core = core();
    core.connect("a", true);
    core.send("a", HEADER);
    core.send("a", data);
    core.wait(60_000);
}

/// Bytes after a resource was bound.
pub fn stanzas(data: &[u8]) {
    let mut core = core();
    crate::transcript::run::log_in_quietly(&mut core, "romeo/orchard");
    crate::transcript::run::log_in_quietly(&mut core, "juliet/balcony");
    core.send("romeo/orchard", data);
    core.wait(1000);
}
