//! What TLS has to say, in the order in which it was said, however much a client sends at once.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection};

use crate::transcript::tls::{Access, Process, TestDir};

const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";
/// As much as the server takes from a socket at once.
const READ_BYTES: usize = 16 << 10;

struct Peer {
    socket: TcpStream,
    tls: ClientConnection,
    read: Vec<u8>,
}

impl Peer {
    fn new(access: &Access, config: &Arc<ClientConfig>) -> Peer {
        let socket = TcpStream::connect(access.c2s_tls).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        let name = "localhost".try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        tls.set_buffer_limit(None);
        let read = Vec::new();
        Peer { socket, tls, read }
    }

    /// Everything that waits, in one write.
    fn send(&mut self) {
        let mut wire = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut wire).unwrap();
        }
        self.socket.write_all(&wire).unwrap();
    }

    fn receive(&mut self) {
        assert!(self.tls.read_tls(&mut self.socket).unwrap() > 0, "ended");
        self.tls.process_new_packets().expect("records in order");
        let _would_block = self.tls.reader().read_to_end(&mut self.read);
    }

    fn receive_features(&mut self) {
        while !String::from_utf8_lossy(&self.read).contains("</stream:features>") {
            self.receive();
        }
    }
}

/// The answer to the update waited for nobody, the tickets for the answer to the header: they changed places.
#[test]
fn a_key_update_behind_a_long_first_flight() {
    let dir = TestDir::new("flights");
    let process = Process::start(&dir.0);
    let config = Arc::new(process.access.client_config());
    for bytes in [
        0,
        READ_BYTES - 300,
        READ_BYTES,
        READ_BYTES + 1,
        3 * READ_BYTES,
    ] {
        let mut peer = Peer::new(&process.access, &config);
        while peer.tls.is_handshaking() {
            peer.send();
            peer.receive();
        }
        // Finished waits; it leaves with all of this.
        peer.tls.writer().write_all(HEADER.as_bytes()).unwrap();
        let white = vec![b' '; bytes];
        peer.tls.writer().write_all(&white).unwrap();
        peer.tls.refresh_traffic_keys().unwrap();
        peer.send();
        peer.receive_features();
        peer.tls.writer().write_all(b"</stream:stream>").unwrap();
        peer.send();
        while !String::from_utf8_lossy(&peer.read).contains("</stream:stream>") {
            peer.receive();
        }
    }
}

/// Early data of a process that is no more is passed over, in however many records it comes.
#[test]
fn refused_early_data_in_many_records() {
    let dir = TestDir::new("refused");
    let mut process = Process::start(&dir.0);
    for (records, bytes) in [(1, 5000), (10, 300), (40, 50), (100, 10)] {
        let mut config = process.access.client_config();
        config.enable_early_data = true;
        let config = Arc::new(config);
        let mut first = Peer::new(&process.access, &config);
        while first.tls.is_handshaking() {
            first.send();
            first.receive();
        }
        first.tls.writer().write_all(HEADER.as_bytes()).unwrap();
        first.send();
        first.receive_features();
        process.stop();
        process = Process::start(&dir.0);
        let mut second = Peer::new(&process.access, &config);
        for _ in 0..records {
            let white = vec![b' '; bytes];
            second.tls.early_data().unwrap().write_all(&white).unwrap();
        }
        while second.tls.is_handshaking() {
            second.send();
            second.receive();
        }
        assert!(!second.tls.is_early_data_accepted());
        second.tls.writer().write_all(HEADER.as_bytes()).unwrap();
        second.send();
        second.receive_features();
    }
}
