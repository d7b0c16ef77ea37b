//! Replays the fuzzers' corpus.
use std::path::Path;

#[path = "fuzz/bodies.rs"]
mod bodies;

fn replay(name: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut count = 0;
    for file in std::fs::read_dir(&folder).expect("a corpus") {
        body(&std::fs::read(file.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count > 0, "no corpus for {name}");
}

#[test]
fn framing() {
    replay("framing", bodies::framing);
}

#[test]
fn element() {
    replay("element", bodies::element);
}

#[test]
fn jid() {
    replay("jid", bodies::jid);
}

#[test]
fn sasl() {
    replay("sasl", bodies::sasl);
}

#[test]
fn stanzas() {
    replay("stanzas", bodies::stanzas);
}

#[test]
fn outline() {
    replay("outline", bodies::outline);
}

#[test]
fn words() {
    replay("words", bodies::words);
}
