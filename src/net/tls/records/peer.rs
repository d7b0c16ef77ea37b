//! A client after its handshake that sends whatever it likes, sealed with the right keys.
use rustls::AlertDescription;
#[cfg(test)]
use rustls::CipherSuite;

use super::message::KeyUpdate;
use super::side::{Side, Suite};
use super::{ALERT, FATAL, HANDSHAKE, whole_record};

pub struct Peer {
    suite: Suite,
    read: Side,
    write: Side,
}

impl Peer {
    /// With the first secrets of client and server.
    #[cfg(test)]
    pub fn new(suite: CipherSuite, [client, server]: &[Vec<u8>; 2]) -> Option<Peer> {
        let suite = match suite {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => Suite::Aes128Gcm,
            CipherSuite::TLS13_AES_256_GCM_SHA384 => Suite::Aes256Gcm,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Suite::ChaCha20Poly1305,
            _ => return None,
        };
        let side = |secret| Side::of_secret(suite, secret, 0);
        Some(Peer::with(suite, side(server)?, side(client)?))
    }

    pub fn with(suite: Suite, read: Side, write: Side) -> Peer {
        Peer { suite, read, write }
    }

    /// One record of any kind, with so many zeros behind it.
    pub fn record(&mut self, kind: u8, content: &[u8], padding: usize, wire: &mut Vec<u8>) {
        let mut inner = content.to_vec();
        inner.push(kind);
        inner.resize(inner.len() + padding, 0);
        let last = inner.pop().unwrap_or_default();
        let key = self.write.cipher(self.suite).expect("a key");
        self.write.seal(&key, last, &inner, wire).expect("room");
    }

    /// The first record of `flight`, sealed for the side that is read, anew in pieces: the first `cut` bytes, and the rest.
    #[cfg(test)]
    pub fn cut(&mut self, flight: &mut [u8], cut: usize, wire: &mut Vec<u8>) {
        let key = self.read.cipher(self.suite).expect("a key");
        let record = whole_record(flight).expect("a record").expect("all of it");
        let (kind, content) = self.read.open(&key, record).expect("its seal");
        let (kind, content) = (kind, content.to_vec());
        let (first, second) = content.split_at(cut.min(content.len()));
        for piece in [first, second] {
            if !piece.is_empty() {
                self.record(kind, piece, 0, wire);
            }
        }
    }

    /// A KeyUpdate was sent.
    pub fn next_key(&mut self) {
        self.write.update(self.suite).expect("a key");
    }

    /// The fatal alert among what the server sent.
    pub fn alert(&mut self, mut sent: &mut [u8]) -> Option<AlertDescription> {
        let mut told = None;
        while let Ok(Some(record)) = whole_record(sent) {
            let length = record.len();
            let key = self.read.cipher(self.suite).expect("a key");
            let (kind, content) = self.read.open(&key, record).expect("the server's seal");
            match (kind, content) {
                (HANDSHAKE, update) if *update == KeyUpdate::NotRequested.message() => {
                    self.read.update(self.suite).expect("a key");
                }
                (ALERT, [FATAL, description]) => told = Some((*description).into()),
                _ => {}
            }
            sent = sent.get_mut(length..).unwrap_or_default();
        }
        told
    }
}
