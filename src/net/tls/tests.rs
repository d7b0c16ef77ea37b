//! Our side against a rustls client over in-memory pipes.
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, HandshakeKind, SignatureScheme, SupportedProtocolVersion};

mod differential;
mod early;
mod updates;

use super::identity::Loaded;
use super::*;
use crate::net::driver::ebb::TLS_BYTES_EACH;

/// Takes any certificate: which one it is, is not what these tests ask.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn identity() -> Rc<Identity> {
    identity_with(true)
}

fn identity_with(early_data: bool) -> Rc<Identity> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(vec!["pi.local".to_string()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let loaded = Loaded {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    };
    Rc::new(Identity::new(loaded, early_data).unwrap())
}

fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), "pi.local".try_into().unwrap()).unwrap()
}

/// Both ends and what the server read.
struct Pair {
    client: ClientConnection,
    server: TlsSession,
    /// How many bytes each delivery holds, in turn.
    cuts: Box<dyn FnMut() -> usize>,
    read: Vec<u8>,
    client_read: Vec<u8>,
    /// Position, among all bytes of the client, of one to damage.
    damage: Option<usize>,
    facts: Option<TlsFacts>,
    peer_closed: bool,
}

impl Pair {
    fn new(client: ClientConnection, server: TlsSession) -> Pair {
        Pair {
            client,
            server,
            cuts: Box::new(|| usize::MAX),
            read: Vec::new(),
            client_read: Vec::new(),
            damage: None,
            facts: None,
            peer_closed: false,
        }
    }

    /// Client to server, in pieces.
    fn deliver(&mut self) -> Result<bool, TlsError> {
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).unwrap();
        }
        let moved = !wire.is_empty();
        if let Some(position) = self.damage {
            match wire.get_mut(position) {
                Some(byte) => *byte ^= 0x55,
                None => self.damage = Some(position - wire.len()),
            }
        }
        let mut rest = wire.as_mut_slice();
        while !rest.is_empty() {
            let cut = (self.cuts)().clamp(1, rest.len());
            let (piece, later) = rest.split_at_mut(cut);
            rest = later;
            let mut outgoing = Vec::new();
            let received = self.server.receive(piece, &mut outgoing, &mut self.read);
            self.client_gets(&outgoing);
            let received = received?;
            self.peer_closed |= received.peer_closed;
            if received.secured.is_some() {
                assert!(self.facts.is_none(), "secured once");
                self.facts = received.secured;
            }
        }
        Ok(moved)
    }

    fn client_gets(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            self.client.read_tls(&mut wire).unwrap();
            // An alert of ours is an error there; WouldBlock ends the reading.
            let _ = self.client.process_new_packets();
            let _ = std::io::Read::read_to_end(&mut self.client.reader(), &mut self.client_read);
        }
    }

    fn settle(&mut self) {
        while self.deliver().unwrap() {}
    }

    fn send(&mut self, plaintext: &[u8]) {
        let mut outgoing = Vec::new();
        self.server.seal(plaintext, &mut outgoing).unwrap();
        self.client_gets(&outgoing);
    }

    fn client_reads(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.client_read)
    }

    fn client_writes(&mut self, plaintext: &[u8]) {
        std::io::Write::write_all(&mut self.client.writer(), plaintext).unwrap();
    }

    fn exported(&self) -> [u8; 32] {
        self.client
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            .unwrap()
    }
}

#[test]
fn there_is_room_for_the_tickets_of_every_session() {
    let identity = identity();
    let config = Arc::new(client_config(&rustls::version::TLS13));
    let server = TlsSession::new(Rc::clone(&identity), false).unwrap();
    let mut pair = Pair::new(client(&config), server);
    pair.settle();
    // A quarter more: the limit follows the number of sessions a little late.
    let bytes = identity.session_bytes();
    assert!(bytes > 0 && bytes * 5 / 4 <= TLS_BYTES_EACH, "{bytes}");
}

#[test]
fn the_exporter_is_the_clients_on_full_and_resumed_handshakes() {
    let identity = identity();
    let config = Arc::new(client_config(&rustls::version::TLS13));
    let mut values = Vec::new();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let server = TlsSession::new(Rc::clone(&identity), false).unwrap();
        let mut pair = Pair::new(client(&config), server);
        pair.settle();
        assert_eq!(pair.client.handshake_kind(), Some(kind));
        let facts = pair.facts.clone().expect("the handshake is complete");
        assert_eq!(facts.exporter, Some(pair.exported()));
        assert_eq!(facts.server_name.as_deref(), Some("pi.local"));
        assert!(facts.version_1_3);
        values.push(facts.exporter);
    }
    assert_ne!(values[0], values[1]);
}

#[test]
fn both_hashes_of_tls13_give_the_clients_exporter() {
    for suite in rustls::crypto::ring::ALL_CIPHER_SUITES {
        if suite.tls13().is_none() {
            continue;
        }
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites = vec![*suite];
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        let server = TlsSession::new(identity(), false).unwrap();
        let mut pair = Pair::new(client(&Arc::new(config)), server);
        pair.settle();
        assert_eq!(pair.facts.clone().unwrap().exporter, Some(pair.exported()));
    }
}

#[test]
fn tls12_has_the_end_point_and_is_unique_but_has_no_exporter() {
    let identity = identity();
    let config = Arc::new(client_config(&rustls::version::TLS12));
    let mut unique = Vec::new();
    for is_resumed in [false, true] {
        let server = TlsSession::new(Rc::clone(&identity), false).unwrap();
        let mut pair = Pair::new(client(&config), server);
        pair.settle();
        let facts = pair.facts.clone().expect("the handshake is complete");
        assert_eq!(facts.exporter, None);
        assert!(!facts.version_1_3);
        let kind = pair.client.handshake_kind();
        assert_eq!(kind == Some(HandshakeKind::Resumed), is_resumed);
        unique.push(facts.unique);
        let certificate = identity.observed_certificate();
        let hash = ring::digest::digest(&ring::digest::SHA256, &certificate);
        assert_eq!(facts.end_point.as_deref(), Some(hash.as_ref()));
        pair.client_writes(b"hello");
        pair.settle();
        pair.send(b"world");
        assert_eq!(pair.read, b"hello");
        assert_eq!(pair.client_reads(), b"world");
    }
    // What RFC 7627 wants of a session that is resumed is not known.
    assert!(matches!(unique[..], [Some(_), None]), "{unique:?}");
    let server = TlsSession::new(identity, false).unwrap();
    let mut pair = Pair::new(
        client(&Arc::new(client_config(&rustls::version::TLS12))),
        server,
    );
    pair.settle();
    let other = pair.facts.expect("the handshake is complete").unique;
    assert!(other.is_some() && other != unique[0]);
}

#[test]
fn any_cut_of_the_bytes_gives_the_same_plaintext() {
    let identity = identity();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = Arc::new(client_config(version));
        for seed in 1..40u64 {
            let server = TlsSession::new(Rc::clone(&identity), false).unwrap();
            let mut pair = Pair::new(client(&config), server);
            let mut state = seed;
            pair.cuts = Box::new(move || {
                if seed == 1 {
                    return 1;
                }
                state = state.wrapping_mul(6364136223846793005).wrapping_add(seed);
                (state >> 33) as usize % (1 << (seed % 14))
            });
            pair.settle();
            let text: Vec<u8> = (0..70_000u32).map(|i| (i % 251) as u8).collect();
            for part in text.chunks(20_011) {
                pair.client_writes(part);
                pair.settle();
                pair.send(part);
            }
            pair.client.send_close_notify();
            pair.settle();
            assert_eq!(pair.read, text, "seed {seed}");
            assert!(pair.peer_closed && pair.facts.is_some());
            assert_eq!(pair.client_reads(), text);
            assert!(pair.server.leftover.is_empty());
        }
    }
}

#[test]
fn close_notify_goes_both_ways() {
    let config = Arc::new(client_config(&rustls::version::TLS13));
    let mut pair = Pair::new(client(&config), TlsSession::new(identity(), false).unwrap());
    pair.settle();
    pair.client_writes(b"bye");
    pair.client.send_close_notify();
    pair.settle();
    assert!(pair.peer_closed);
    assert_eq!(pair.read, b"bye");
    pair.send(b"last words");
    let mut outgoing = Vec::new();
    pair.server.close(&mut outgoing).unwrap();
    pair.client_gets(&outgoing);
    let end = std::io::Read::read(&mut pair.client.reader(), &mut [0]);
    assert_eq!(end.expect("a regular end, not a truncation"), 0);
    assert_eq!(pair.client_reads(), b"last words");
}

#[test]
fn damage_is_answered_with_an_alert() {
    let config = Arc::new(client_config(&rustls::version::TLS13));
    let mut pair = Pair::new(client(&config), TlsSession::new(identity(), false).unwrap());
    pair.settle();
    pair.client_writes(b"hello");
    let mut wire = Vec::new();
    pair.client.write_tls(&mut wire).unwrap();
    *wire.last_mut().unwrap() ^= 1;
    let (mut outgoing, mut plaintext) = (Vec::new(), Vec::new());
    assert!(
        pair.server
            .receive(&mut wire, &mut outgoing, &mut plaintext)
            .is_err()
    );
    assert!(plaintext.is_empty());
    assert!(pair.server.seal(b"more", &mut Vec::new()).is_err());
    let mut rest = outgoing.as_slice();
    pair.client.read_tls(&mut rest).unwrap();
    assert_eq!(
        pair.client.process_new_packets().unwrap_err(),
        rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac)
    );
}

/// Nothing a peer sends may end the process: any one byte damaged, delivered in any way, is an error or nothing at all.
#[test]
fn damage_anywhere_is_an_error_and_no_panic() {
    let identity = identity();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = Arc::new(client_config(version));
        let mut errors = 0;
        for position in (0..900).step_by(3) {
            let server = TlsSession::new(Rc::clone(&identity), false).unwrap();
            let mut pair = Pair::new(client(&config), server);
            pair.damage = Some(position);
            pair.cuts = Box::new(move || 1 + position % 50);
            let mut result = Ok(true);
            for round in 0..6 {
                if round == 3 {
                    // Refused once the client knows of the damage.
                    let _ = std::io::Write::write(&mut pair.client.writer(), b"hello");
                }
                result = result.and_then(|_| pair.deliver());
            }
            errors += usize::from(result.is_err());
            let (mut outgoing, mut plaintext) = (Vec::new(), Vec::new());
            let mut more = [0x17; 64];
            let _ = pair
                .server
                .receive(&mut more, &mut outgoing, &mut plaintext);
            let _ = pair.server.close(&mut outgoing);
            let _ = pair.server.seal(b"more", &mut outgoing);
        }
        assert!(errors > 50, "{errors}");
    }
}

#[test]
fn what_is_no_tls_is_refused() {
    let mut server = TlsSession::new(identity(), true).unwrap();
    let (mut outgoing, mut plaintext) = (Vec::new(), Vec::new());
    let mut bytes = *b"<stream:stream to='pi.local'>";
    assert!(
        server
            .receive(&mut bytes, &mut outgoing, &mut plaintext)
            .is_err()
    );
    assert_eq!(outgoing.first(), Some(&21), "an alert record");
    assert!(matches!(
        server.close(&mut outgoing),
        Err(TlsError::NotReady)
    ));
}

#[test]
fn nothing_is_sealed_before_the_handshake_is_complete() {
    let mut server = TlsSession::new(identity(), true).unwrap();
    assert!(matches!(
        server.seal(b"early", &mut Vec::new()),
        Err(TlsError::NotReady)
    ));
}

/// XEP-0368 §4: `xmpp-client`, or no ALPN at all.
#[test]
fn the_direct_port_asks_for_its_protocol() {
    let identity = identity();
    let offers: [(&[&[u8]], bool); 4] = [
        (&[], true),
        (&[b"xmpp-client"], true),
        (&[b"h2", b"xmpp-client"], true),
        (&[b"h2"], false),
    ];
    for (offer, accepted) in offers {
        let mut config = client_config(&rustls::version::TLS13);
        config.alpn_protocols = offer.iter().map(|name| name.to_vec()).collect();
        let server = TlsSession::new(Rc::clone(&identity), true).unwrap();
        let mut pair = Pair::new(client(&Arc::new(config)), server);
        let mut result = Ok(true);
        while let Ok(true) = result {
            result = pair.deliver();
        }
        assert_eq!(result.is_ok(), accepted, "{offer:?}");
        assert_eq!(pair.facts.is_some(), accepted);
    }
}

#[test]
fn the_end_point_follows_the_signature() {
    for (algorithm, bytes) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
        (&rcgen::PKCS_ED25519, None),
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec!["pi.local".to_string()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let value = binding::end_point(certificate.der());
        assert_eq!(value.map(|value| value.len()), bytes);
    }
    assert_eq!(binding::end_point(b"\x30\x84\xff\xff\xff\xff"), None);
}
