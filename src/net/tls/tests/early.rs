//! Data that comes before the handshake is complete (RFC 8446 §2.3, §4.2.10).
use super::*;

/// A client with a ticket that sends `early` with its hello, and what it sent.
fn early_client(config: &Arc<ClientConfig>, early: &[u8]) -> (ClientConnection, Vec<u8>) {
    let mut client = client(config);
    std::io::Write::write_all(&mut client.early_data().expect("a ticket"), early).unwrap();
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    (client, flight)
}

fn early_config(identity: &Rc<Identity>) -> Arc<ClientConfig> {
    let mut config = client_config(&rustls::version::TLS13);
    config.enable_early_data = true;
    let config = Arc::new(config);
    let server = TlsSession::new(Rc::clone(identity), false).unwrap();
    Pair::new(client(&config), server).settle();
    config
}

#[test]
fn early_data_is_answered_with_the_servers_first_flight() {
    let identity = identity();
    let config = early_config(&identity);
    for cut in [1, 100, usize::MAX] {
        let config = match cut {
            usize::MAX => Arc::clone(&config),
            _ => early_config(&identity),
        };
        let (client, flight) = early_client(&config, b"login");
        let server = TlsSession::new(Rc::clone(&identity), false).unwrap();
        let mut pair = Pair::new(client, server);
        let mut facts = None;
        let (mut wire, mut early) = (Vec::new(), 0);
        for piece in flight.chunks(cut.min(flight.len())) {
            let received = pair
                .server
                .receive(&mut piece.to_vec(), &mut wire, &mut pair.read)
                .unwrap();
            facts = facts.or(received.secured);
            early += received.early_bytes;
            assert!(!received.handshake_done);
        }
        let facts = facts.expect("as far as it has to be");
        assert!(facts.early && facts.exporter.is_some());
        assert_eq!((pair.read.as_slice(), early), (&b"login"[..], 5));
        // Handshake and answer in one flight.
        pair.server.seal(b"success", &mut wire).unwrap();
        pair.client_gets(&wire);
        assert_eq!(pair.client_reads(), b"success");
        assert!(pair.client.is_early_data_accepted());
        assert_eq!(facts.exporter, Some(pair.exported()));
        pair.client_writes(b"more");
        let mut wire = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut wire).unwrap();
        }
        pair.read.clear();
        let received = pair
            .server
            .receive(&mut wire, &mut Vec::new(), &mut pair.read)
            .unwrap();
        assert!(received.handshake_done && received.secured.is_none());
        assert_eq!(
            (pair.read.as_slice(), received.early_bytes),
            (&b"more"[..], 0)
        );
    }
}

#[test]
fn a_flight_that_was_caught_is_no_early_data_a_second_time() {
    let first = identity();
    let config = early_config(&first);
    let (_, flight) = early_client(&config, b"login");
    let receive = |identity: &Rc<Identity>| {
        let mut server = TlsSession::new(Rc::clone(identity), false).unwrap();
        let mut read = Vec::new();
        let received = server.receive(&mut flight.clone(), &mut Vec::new(), &mut read);
        (
            read,
            received.is_ok_and(|received| received.secured.is_some()),
        )
    };
    // As after a restart: other tickets.
    assert_eq!(receive(&identity()), (Vec::new(), false));
    assert_eq!(receive(&first), (b"login".to_vec(), true));
    assert_eq!(receive(&first), (Vec::new(), false));
}

#[test]
fn early_data_can_be_turned_off() {
    let identity = identity_with(false);
    let config = early_config(&identity);
    assert!(client(&config).early_data().is_none());
}
