//! The same records, whatever they are, to our side and to a rustls server: the same is read, and the same is refused.
use std::io::Read;
use std::sync::Mutex;

use rustls::{AlertDescription, KeyLog, ServerConnection};

use super::*;
use crate::net::tls::records::Peer;

/// The secrets of a client.
#[derive(Debug, Default)]
struct Log(Mutex<[Vec<u8>; 3]>);

impl KeyLog for Log {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let place = match label {
            "CLIENT_TRAFFIC_SECRET_0" => 0,
            "SERVER_TRAFFIC_SECRET_0" => 1,
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => 2,
            _ => return,
        };
        self.0.lock().unwrap()[place] = secret.to_vec();
    }
}

/// What came of it all.
#[derive(Debug, Default, PartialEq)]
struct End {
    read: Vec<u8>,
    closed: bool,
    failed: bool,
    alert: Option<AlertDescription>,
}

/// A server of either kind.
trait Server {
    /// What is to be sent is appended.
    fn take(&mut self, wire: &[u8], sent: &mut Vec<u8>, end: &mut End);
}

impl Server for TlsSession {
    fn take(&mut self, wire: &[u8], sent: &mut Vec<u8>, end: &mut End) {
        match self.receive(&mut wire.to_vec(), sent, &mut end.read) {
            Ok(outcome) => end.closed |= outcome.peer_closed,
            Err(_) => end.failed = true,
        }
    }
}

impl Server for ServerConnection {
    fn take(&mut self, mut wire: &[u8], sent: &mut Vec<u8>, end: &mut End) {
        while !wire.is_empty() && !end.failed && !end.closed {
            self.read_tls(&mut wire).unwrap();
            match self.process_new_packets() {
                Ok(state) => end.closed |= state.peer_has_closed(),
                Err(_) => end.failed = true,
            }
            let _would_block = self.reader().read_to_end(&mut end.read);
            while self.wants_write() {
                self.write_tls(sent).unwrap();
            }
        }
    }
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, max: usize) -> usize {
        let step = self.0.wrapping_mul(6364136223846793005);
        self.0 = step.wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % max
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// One thing that a client does after its Finished.
fn act(dice: &mut Dice, peer: &mut Peer, wire: &mut Vec<u8>) {
    let sizes = [0, 1, 2, 100, 4000, 16_383, 16_384];
    let paddings = [0, 0, 0, 1, 255, 16_000, 16_383, 16_384, 16_385];
    match dice.below(20) {
        0..8 => {
            let content = vec![dice.below(256) as u8; dice.one(&sizes)];
            let padding = dice.one(&paddings);
            // Neither side seals what no length can tell.
            peer.record(DATA, &content, padding.min(16_640 - content.len()), wire);
        }
        8..12 => {
            let message = [24, 0, 0, 1, dice.below(2) as u8];
            let cut = dice.below(5);
            for piece in [&message[..cut], &message[cut..]] {
                if !piece.is_empty() {
                    peer.record(HANDSHAKE, piece, dice.one(&[0, 0, 40]), wire);
                }
            }
            peer.next_key();
        }
        12 => peer.record(ALERT, &dice.one(&[[1, 90], [1, 0], [2, 0]]), 0, wire),
        13 => {
            let cases: [&[u8]; 11] = [
                &[24, 0, 0, 1, 2],
                &[24, 0, 0, 0],
                &[24, 0, 0, 2, 0, 0],
                &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0],
                &[24, 0, 0, 1, 1, 24],
                &[20, 0, 0, 1, 0],
                &[1, 0, 0, 0],
                &[8, 0, 0, 2, 0, 0],
                &[4, 0, 0, 1, 0],
                &[254, 0, 0, 0],
                &[24],
            ];
            peer.record(HANDSHAKE, dice.one(&cases), 0, wire);
        }
        14 => {
            let cases: [&[u8]; 7] = [
                &[2, 40],
                &[1, 40],
                &[2],
                &[3, 40],
                &[2, 40, 0],
                &[2, 250],
                &[0, 0],
            ];
            peer.record(ALERT, dice.one(&cases), 0, wire);
        }
        15 => peer.record(dice.one(&[0, 20, 24, 99]), b"x", 3, wire),
        16 => {
            let start = wire.len();
            peer.record(DATA, b"damaged", 0, wire);
            // Not its length: whoever waits for more says nothing.
            let at = dice.one(&[0, 5, 12, 28]);
            wire[start + at] ^= 0x5a;
        }
        17 => peer.record(DATA, &vec![1; 16_385], 0, wire),
        18 => wire.extend([DATA, 3, 3, 0, 0]),
        _ => wire.extend([dice.one(&[20, 21, 22, DATA]), 3, 3, 0x48, 1]),
    }
}

/// Handshakes, and does what the seed says. The end of the handshake comes with it.
fn play(server: &mut dyn Server, seed: u64) -> End {
    let mut config = client_config(&rustls::version::TLS13);
    let log = Arc::new(Log::default());
    config.key_log = log.clone();
    let mut client = client(&Arc::new(config));
    let (mut wire, mut sent, mut end) = (Vec::new(), Vec::new(), End::default());
    client.write_tls(&mut wire).unwrap();
    server.take(&wire, &mut sent, &mut end);
    client.read_tls(&mut sent.as_slice()).unwrap();
    client.process_new_packets().unwrap();
    assert!(!client.is_handshaking());
    let suite = client.negotiated_cipher_suite().unwrap().suite();
    let [first, second, handshake] = log.0.lock().unwrap().clone();
    let mut peer = Peer::new(suite, &[first, second]).unwrap();
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    let mut dice = Dice(seed);
    // Behind the six bytes of ChangeCipherSpec: Finished, often in two records.
    let mut wire = flight[..6].to_vec();
    let cut = dice.one(&[usize::MAX, usize::MAX, 1, 2, 3, 4, 5, 20]);
    Peer::new(suite, &[handshake.clone(), handshake])
        .unwrap()
        .cut(&mut flight[6..], cut, &mut wire);
    for _ in 0..=dice.below(12) {
        act(&mut dice, &mut peer, &mut wire);
    }
    let mut sent = Vec::new();
    let most = dice.one(&[usize::MAX, 20_000, 300, 24]);
    let mut rest = wire.as_slice();
    while !rest.is_empty() && !end.failed && !end.closed {
        let (piece, later) = rest.split_at(rest.len().min(1 + dice.below(most)));
        server.take(piece, &mut sent, &mut end);
        rest = later;
    }
    end.alert = peer.alert(&mut sent);
    end
}

#[test]
fn ours_and_rustls_agree() {
    let (ours, theirs) = (identity(), identity());
    let mut failures = 0;
    for seed in 0..2000 {
        let mut session = TlsSession::new(Rc::clone(&ours), false).unwrap();
        let mut connection = ServerConnection::new(theirs.server_config(false)).unwrap();
        let end = play(&mut session, seed);
        let mut expected = play(&mut connection, seed);
        failures += usize::from(expected.failed);
        // rustls fails without a word at times, or with another than RFC 8446 §5.1, §5.2 and §5.4 have.
        let strict = [
            AlertDescription::UnexpectedMessage,
            AlertDescription::RecordOverflow,
        ];
        if end.failed
            && (expected.alert.is_none() || end.alert.is_some_and(|own| strict.contains(&own)))
        {
            expected.alert = end.alert;
        }
        assert!(
            end.read == expected.read,
            "seed {seed}: {} read, {} expected",
            end.read.len(),
            expected.read.len()
        );
        assert_eq!(
            (end.closed, end.failed, end.alert),
            (expected.closed, expected.failed, expected.alert),
            "seed {seed}"
        );
    }
    assert!(failures > 300, "{failures}");
}
