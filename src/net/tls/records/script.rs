//! Bytes as what a peer does with its records, for a fuzzer: whatever it is, what is read is what was sent, in order and from
//! the beginning, and all of it as long as nothing was wrong.
use super::message::KeyUpdate;
use super::peer::Peer;
use super::side::{Side, Suite};
use super::{
    ALERT, APPLICATION_DATA, HANDSHAKE, HEADER_BYTES, RECORD_BYTES_MAX, Received, Records,
};

struct Script<'d> {
    data: &'d [u8],
    peer: Peer,
    wire: Vec<u8>,
    /// The contents of the records of data, one behind the other.
    sent: Vec<u8>,
    /// It may be refused, and need not.
    is_wrong: bool,
    /// It may end before the end.
    is_over: bool,
    /// Records without data, one after the other: so many are borne.
    idle: usize,
}

/// Below every bound on what carries nothing.
const IDLE_MAX: usize = 30;

pub fn play(data: &[u8]) {
    let suite = match data.first().map(|byte| byte % 3) {
        Some(1) => Suite::Aes256Gcm,
        Some(2) => Suite::ChaCha20Poly1305,
        _ => Suite::Aes128Gcm,
    };
    let length = if suite == Suite::Aes256Gcm { 48 } else { 32 };
    let side = |n: u8| Side::of_secret(suite, &vec![n; length], 0).expect("a secret");
    let mut records = Records::with(suite, side(1), side(2));
    let mut script = Script {
        data,
        peer: Peer::with(suite, side(2), side(1)),
        wire: Vec::new(),
        sent: Vec::new(),
        is_wrong: false,
        is_over: false,
        idle: 0,
    };
    let cut = usize::from(script.next()) * 64 + 1;
    while !script.data.is_empty() && script.wire.len() < 8 * RECORD_BYTES_MAX {
        script.act();
    }
    let (mut read, mut answers, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let mut outcome = Received::default();
    for piece in script.wire.chunks(cut) {
        kept.extend_from_slice(piece);
        let (used, result) = records.process(&mut kept, &mut answers, &mut read, &mut outcome);
        kept.drain(..used);
        if result.is_err() {
            assert!(script.is_wrong, "refused for nothing");
            break;
        }
    }
    assert!(script.sent.starts_with(&read), "read what was not sent");
    if !script.is_wrong && !script.is_over {
        assert!(read.len() == script.sent.len(), "not all was read");
    }
    script.peer.alert(&mut answers);
}

impl Script<'_> {
    fn next(&mut self) -> u8 {
        match self.data.split_first() {
            Some((byte, rest)) => {
                self.data = rest;
                *byte
            }
            None => 0,
        }
    }

    fn count(&mut self, is_idle: bool) {
        self.idle = if is_idle { self.idle + 1 } else { 0 };
        self.is_wrong |= self.idle > IDLE_MAX;
    }

    fn act(&mut self) {
        match self.next() % 8 {
            0..=2 => {
                let length = usize::from(self.next()) * usize::from(self.next());
                let padding = usize::from(self.next()) * 64;
                let content = vec![self.next(); length.min(RECORD_BYTES_MAX)];
                self.is_wrong |= content.len() + padding > RECORD_BYTES_MAX;
                let padding = padding.min(RECORD_BYTES_MAX + 200 - content.len());
                self.peer
                    .record(APPLICATION_DATA, &content, padding, &mut self.wire);
                self.count(content.is_empty());
                self.sent.extend(content);
            }
            3 | 4 => {
                let kind = match self.next() % 2 {
                    0 => KeyUpdate::NotRequested,
                    _ => KeyUpdate::Requested,
                };
                let message = kind.message();
                let cut = usize::from(self.next()).min(message.len());
                let (first, second) = message.split_at_checked(cut).unwrap_or((&message, &[]));
                for piece in [first, second]
                    .into_iter()
                    .filter(|piece| !piece.is_empty())
                {
                    self.peer.record(HANDSHAKE, piece, 0, &mut self.wire);
                }
                self.peer.next_key();
                self.count(true);
            }
            5 => {
                // RFC 8446 §5.4: 0 is no kind, but padding behind one.
                let kind = self.next().max(1);
                let length = usize::from(self.next() % 8).min(self.data.len());
                let data = self.data;
                let (content, rest) = data.split_at_checked(length).unwrap_or((data, &[]));
                self.is_over |= kind == ALERT;
                self.is_wrong |= kind != APPLICATION_DATA;
                self.count(content.is_empty());
                self.peer.record(kind, content, 0, &mut self.wire);
                if kind == APPLICATION_DATA {
                    self.sent.extend_from_slice(content);
                }
                self.data = rest;
            }
            6 => {
                let (at, change) = (usize::from(self.next()), self.next());
                let at = self.wire.len().saturating_sub(1 + at);
                if let Some(byte) = self.wire.get_mut(at) {
                    *byte ^= change;
                    self.is_wrong |= change != 0;
                }
            }
            _ => {
                let length = usize::from(self.next() % 8).min(self.data.len());
                let data = self.data;
                let (raw, rest) = data.split_at_checked(length).unwrap_or((data, &[]));
                self.wire.extend_from_slice(raw);
                self.wire.extend(vec![0; HEADER_BYTES]);
                self.is_wrong = true;
                self.data = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::play;

    #[test]
    fn the_corpus_and_more() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/tls_records");
        for file in std::fs::read_dir(corpus).unwrap() {
            play(&std::fs::read(file.unwrap().path()).unwrap());
        }
        let mut random: u64 = 7;
        for length in 0..3000 {
            let data: Vec<u8> = (0..length % 60)
                .map(|_| {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                    (random >> 40) as u8
                })
                .collect();
            play(&data);
        }
    }
}
