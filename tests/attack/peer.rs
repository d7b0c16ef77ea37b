//! A client that does what it is told: over TLS, from an address of the loopback network of its choice.
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// Whoever waits longer than this waits for ever.
pub const PATIENCE: Duration = Duration::from_secs(30);
const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

pub struct Peer {
    pub tls: StreamOwned<ClientConnection, TcpStream>,
    seen: Vec<u8>,
}

/// A TCP connection from `127.0.0.last`.
pub fn connect(door: SocketAddr, last: u8) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    rustix::net::bind(&socket, &from)?;
    rustix::net::connect(&socket, &door)?;
    let tcp = TcpStream::from(socket);
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    Ok(tcp)
}

impl Peer {
    pub fn open(door: SocketAddr, last: u8) -> io::Result<Peer> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let client = ClientConnection::new(config(), name).map_err(io::Error::other)?;
        Ok(Peer {
            tls: StreamOwned::new(client, connect(door, last)?),
            seen: Vec::new(),
        })
    }

    /// Logged in and bound; the password is the account's name.
    pub fn log_in(door: SocketAddr, last: u8, account: &str, resource: &str) -> io::Result<Peer> {
        let mut peer = Peer::open(door, last)?;
        peer.send(HEADER)?;
        peer.until("</stream:features>")?;
        peer.send(&plain(account, account))?;
        peer.until("<success")?;
        peer.send(HEADER)?;
        peer.until("</stream:features>")?;
        peer.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ))?;
        peer.until("</iq>")?;
        Ok(peer)
    }

    pub fn send_header(&mut self) -> io::Result<()> {
        self.send(HEADER)
    }

    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.tls.write_all(text.as_bytes())?;
        self.tls.flush()
    }

    /// Reads until this came; what comes behind it is kept.
    pub fn until(&mut self, text: &str) -> io::Result<()> {
        let mut from = 0;
        loop {
            let rest = self.seen.get(from..).unwrap_or_default();
            if let Some(at) = memchr::memmem::find(rest, text.as_bytes()) {
                self.seen.drain(..from + at + text.len());
                return Ok(());
            }
            from = self.seen.len().saturating_sub(text.len());
            if from > 1 << 20 {
                self.seen.drain(..from);
                from = 0;
            }
            let mut buffer = [0; 64 << 10];
            match self.tls.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.seen.extend_from_slice(&buffer[..count]),
            }
        }
    }

    pub fn ping(&mut self, n: u64) -> io::Result<()> {
        self.send(&format!(
            "<iq type='get' id='ping{n}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))?;
        self.until(&format!("id='ping{n}'"))
    }
}

pub fn plain(account: &str, password: &str) -> String {
    let plain = STANDARD.encode(format!("\0{account}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>")
}

fn config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Arc::new(config)
    };
    Arc::clone(CONFIG.get_or_init(make))
}

/// Whose certificate it is does not matter here.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
