//! New keys at every moment (RFC 8446 §4.6.3).
use super::*;

fn paired() -> Pair {
    let config = Arc::new(client_config(&rustls::version::TLS13));
    Pair::new(client(&config), TlsSession::new(identity(), false).unwrap())
}

#[test]
fn key_updates_are_followed_and_answered() {
    let mut pair = paired();
    pair.settle();
    for round in 0..5u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client_writes(&[round]);
        pair.settle();
        pair.send(&[round]);
    }
    assert_eq!(pair.read, [0, 1, 2, 3, 4]);
    assert_eq!(pair.client_reads(), [0, 1, 2, 3, 4]);
}

/// They were rustls' to read then, and ours to go on with.
#[test]
fn key_updates_come_with_the_end_of_the_handshake() {
    for updates in 1..4u8 {
        for cut in [1, 30, 64, 100, usize::MAX] {
            let mut pair = paired();
            // To the server's flight: the client is done, its Finished waits.
            pair.deliver().unwrap();
            assert!(!pair.client.is_handshaking() && pair.facts.is_none());
            for update in 0..updates {
                pair.client.refresh_traffic_keys().unwrap();
                pair.client_writes(&[update]);
            }
            pair.cuts = Box::new(move || cut);
            pair.settle();
            assert_eq!(pair.read, [0, 1, 2][..updates.into()], "{updates} {cut}");
            pair.send(b"answer");
            assert_eq!(pair.client_reads(), b"answer", "{updates} {cut}");
            pair.client.refresh_traffic_keys().unwrap();
            pair.client_writes(b"more");
            pair.settle();
            pair.send(b"answers");
            assert!(pair.read.ends_with(b"more"));
            assert_eq!(pair.client_reads(), b"answers");
        }
    }
}

#[test]
fn updates_cross_each_other() {
    let mut pair = paired();
    pair.settle();
    for round in 0..20u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client_writes(&[round]);
        let mut wire = Vec::new();
        pair.client.write_tls(&mut wire).unwrap();
        // Sent before the update was there.
        pair.send(&[round]);
        let mut outgoing = Vec::new();
        let cut = usize::from(round) * 2;
        for piece in [&wire[..cut], &wire[cut..]] {
            let mut piece = piece.to_vec();
            let read = &mut pair.read;
            pair.server
                .receive(&mut piece, &mut outgoing, read)
                .unwrap();
        }
        pair.client_gets(&outgoing);
    }
    let rounds: Vec<u8> = (0..20).collect();
    assert_eq!(pair.read, rounds);
    assert_eq!(pair.client_reads(), rounds);
}
