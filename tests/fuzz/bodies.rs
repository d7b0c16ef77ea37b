//! What the fuzzers do with bytes. `cargo test` replays the corpus through the same functions.
#![allow(dead_code)]

use stonechat::state::Settings;
use stonechat::xml::{Context, Frame, Framer, Limits, each_child, parse, parse_stored};
use stonechat::xmpp::Jid;
use stonechat::xmpp::words::{Wanted, each_term};

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

/// What the tags alone tell is what all of it says; where they do not tell all, it is the beginning.
pub fn outline(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut outlines = Vec::new();
    let is_whole = each_child(text, &mut |child| {
        outlines.push(child);
        true
    });
    let Ok(element) = parse_stored(text, "jabber:client") else {
        return;
    };
    let children: Vec<_> = element.root().children().collect();
    assert!(!is_whole || outlines.len() == children.len());
    // A prefix of the root is written into those of its children that have it.
    let is_as_it_came = !text.contains("xmlns:");
    for (outline, child) in outlines.iter().zip(children) {
        let local = outline.name.rsplit(':').next();
        assert_eq!(local, Some(child.name()));
        if is_as_it_came {
            let begin = format!("<{}{}", outline.name, outline.attributes);
            assert!(child.source().starts_with(&begin), "{begin}");
            assert_eq!(outline.inside, child.inner_source());
        }
    }
}

/// Of one text.
const TERMS_MAX: usize = 16;

/// A term is its own term, a text is found by each of its words and by what they begin with, and whatever is in a text is
/// looked up by its terms. The first line is what is wanted, too.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let terms = terms(text);
    for term in terms.iter().take(TERMS_MAX) {
        assert_eq!(self::terms(term).first(), Some(term), "{term:?}");
        let ends = term.char_indices().map(|(at, _)| at).skip(1);
        for end in ends.chain([term.len()]) {
            let begin = &term[..end];
            let wanted = Wanted::parse(begin).expect("part of a word can be wanted");
            assert!(wanted.is_in(text), "{begin:?}");
            is_looked_up(&wanted, &terms);
        }
    }
    let line = text.lines().next().unwrap_or_default();
    if let Ok(wanted) = Wanted::parse(line)
        && wanted.is_in(text)
    {
        is_looked_up(&wanted, &terms);
    }
}

fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    each_term(text, &mut |term| {
        terms.push(term.to_string());
        true
    });
    terms
}

fn is_looked_up(wanted: &Wanted, terms: &[String]) {
    for lookup in wanted.lookups() {
        let is_found = terms.iter().any(|term| match lookup.begins {
            true => term.starts_with(lookup.term),
            false => term == lookup.term,
        });
        assert!(is_found, "{lookup:?}");
    }
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
