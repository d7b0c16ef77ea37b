//! Whole sessions with some bytes changed: however the bytes are cut, the same happens, and nothing panics.
use super::*;

const ROUNDS: u32 = 400;

/// xorshift32
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        usize::try_from(self.0).unwrap() % sides
    }
}

fn session() -> String {
    let scram = base64("n,,n=romeo,r=abc");
    let sasl = crate::xmpp::ns::SASL;
    format!(
        "{HEADER}<auth xmlns='{sasl}' mechanism='SCRAM-SHA-1'>{scram}</auth><abort xmlns='{sasl}'/>\
        {PLAIN_ROMEO}{HEADER}{BIND}<message to='a' xml:lang='en'><body>x &amp; y</body></message> \
        <presence/><iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq></stream:stream>"
    )
}

/// What comes back and what happens, without the white space that a cut may split.
fn outcome(text: &[u8], cut: usize) -> (Vec<u8>, String, bool) {
    let mut peer = Peer::with_facts(cut, facts());
    let mut out = Vec::new();
    for mut input in text.chunks(cut.min(text.len())) {
        peer.poll(&mut input, &mut out);
    }
    peer.events.retain(|event| event != "whitespace");
    (out, peer.happened(), peer.stream.is_bound())
}

#[test]
fn the_session_is_a_good_one() {
    let (_, happened, _) = outcome(session().as_bytes(), 1);
    assert!(happened.ends_with("closed regularly"), "{happened}");
    assert!(happened.contains("<presence/>"), "{happened}");
}

#[test]
fn cuts_change_nothing() {
    let session = session();
    let parts = [
        &b"<"[..],
        b">",
        b"'",
        b"/",
        b"&",
        b" ",
        b"\0",
        b"\xff",
        b"=",
        b"xmlns:a='b' ",
    ];
    let mut dice = Dice(0x5EED);
    for _ in 0..ROUNDS {
        let mut text = session.clone().into_bytes();
        for _ in 0..=dice.roll(2) {
            let at = dice.roll(text.len());
            match dice.roll(4) {
                0 => text[at] = u8::try_from(dice.roll(256)).unwrap(),
                1 => _ = text.remove(at),
                2 => text.truncate(at.max(1)),
                _ => _ = text.splice(at..at, parts[dice.roll(parts.len())].iter().copied()),
            }
        }
        let whole = outcome(&text, usize::MAX);
        let cut = 1 + dice.roll(40);
        for cut in [1, cut] {
            assert_eq!(
                outcome(&text, cut),
                whole,
                "{}",
                String::from_utf8_lossy(&text)
            );
        }
    }
}
