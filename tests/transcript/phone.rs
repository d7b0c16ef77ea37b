//! A client that comes back as quickly as the protocol lets it: TLS ticket, early data, token (XEP-0484), resumption
//! (XEP-0198) in its first flight. It counts flights and bytes. Uses nothing of the server's code.
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

const MECHANISM: &str = "HT-SHA-256-ENDP";
/// How long it waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What it keeps between connections.
pub struct Phone {
    config: Arc<ClientConfig>,
    /// `tls-server-end-point` (RFC 5929 §4.1) of a certificate signed with SHA-256.
    end_point: Vec<u8>,
    pub domain: String,
    account: String,
    agent: String,
    pub token: Option<String>,
    pub count: u32,
    pub session: Option<Session>,
    /// Whether what it can send early is sent early.
    pub early: bool,
}

/// A session that may be resumed.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: String,
    /// Stanzas it received.
    pub h: u32,
}

/// What went over the wire until the login was through, TCP's own handshake not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flights {
    /// Turns: the client sends, the server answers.
    pub round_trips: u32,
    pub bytes_sent: usize,
    pub bytes_received: usize,
}

/// One connection.
pub struct Call {
    pub tcp: TcpStream,
    pub tls: ClientConnection,
    pub received: String,
    pub flights: Flights,
    /// All it sent, as it went over the wire.
    pub sent: Vec<u8>,
    has_read: bool,
}

impl Phone {
    /// `config` decides whom it trusts; early data and a store for tickets are turned on here.
    pub fn new(mut config: ClientConfig, (domain, account): (&str, &str)) -> Phone {
        config.enable_early_data = true;
        config.resumption = rustls::client::Resumption::in_memory_sessions(4);
        let name = digest::digest(&digest::SHA256, account.as_bytes());
        let hex: String = name.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        Phone {
            config: Arc::new(config),
            end_point: Vec::new(),
            domain: domain.into(),
            account: account.into(),
            agent: format!(
                "{}-{}-4{}-8{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[13..16],
                &hex[17..20],
                &hex[20..32]
            ),
            token: None,
            count: 0,
            session: None,
            early: true,
        }
    }

    fn header(&self) -> String {
        format!(
            "<stream:stream from='{}@{}' to='{}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>",
            self.account, self.domain, self.domain
        )
    }

    fn authenticate(&self, mechanism: &str, message: &[u8], more: &str) -> String {
        format!(
            "{}<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{}</initial-response>\
             <user-agent id='{}'><software>phone</software></user-agent>{more}</authenticate>",
            self.header(),
            STANDARD.encode(message),
            self.agent
        )
    }

    fn bind() -> &'static str {
        "<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
    }

    /// With the password; asks for a token and a session that can be resumed.
    pub fn sign_in(&mut self, address: SocketAddr, password: &str) -> io::Result<Call> {
        let message = format!("\0{}\0{password}", self.account);
        let more = format!(
            "{}<request-token xmlns='urn:xmpp:fast:0' mechanism='{MECHANISM}'/>",
            Phone::bind()
        );
        let login = self.authenticate("PLAIN", message.as_bytes(), &more);
        let mut call = self.call(address)?;
        call.say(&login)?;
        call.read_until(&ended)?;
        let certificates = call.tls.peer_certificates().unwrap_or_default();
        if let Some(certificate) = certificates.first() {
            let hash = digest::digest(&digest::SHA256, certificate);
            self.end_point = hash.as_ref().into();
        }
        self.take(&call.received);
        Ok(call)
    }

    /// With the token: the first flight holds everything.
    pub fn come_back(&mut self, address: SocketAddr) -> io::Result<Call> {
        let token = self.token.clone().unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
        let tag = hmac::sign(&key, &[&b"Initiator"[..], &self.end_point].concat());
        let message = [self.account.as_bytes(), b"\0", tag.as_ref()].concat();
        self.count += 1;
        let mut more = format!("<fast xmlns='urn:xmpp:fast:0' count='{}'/>", self.count);
        if let Some(session) = &self.session {
            more.push_str(&format!(
                "<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{}'/>",
                session.id, session.h
            ));
        }
        more.push_str(Phone::bind());
        let login = self.authenticate(MECHANISM, &message, &more);
        let mut call = self.call(address)?;
        let early = self.early && call.tls.early_data().is_some();
        match early {
            true => {
                let mut writer = call.tls.early_data().expect("asked above");
                writer.write_all(login.as_bytes())?;
            }
            false => call.tls.writer().write_all(login.as_bytes())?,
        }
        if early {
            call.handshake()?;
            if !call.tls.is_early_data_accepted() {
                // Nobody read it.
                call.say(&login)?;
            }
        }
        call.read_until(&ended)?;
        if call.received.contains("<failure") || call.received.contains("<stream:error") {
            return Err(io::Error::other(call.received));
        }
        self.take(&call.received);
        Ok(call)
    }

    fn call(&self, address: SocketAddr) -> io::Result<Call> {
        Call::new(address, Arc::clone(&self.config), &self.domain)
    }

    /// Notes what a success holds.
    fn take(&mut self, received: &str) {
        if let Some(token) = value(received, "token xmlns='urn:xmpp:fast:0'", "token") {
            self.token = Some(token);
            self.count = 0;
        }
        if let Some(id) = value(received, "enabled xmlns='urn:xmpp:sm:3'", "id") {
            self.session = Some(Session { id, h: 0 });
        }
    }
}

impl Call {
    /// TLS from the first byte; the handshake goes with what is said first.
    pub fn new(address: SocketAddr, config: Arc<ClientConfig>, domain: &str) -> io::Result<Call> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(domain.to_string()).map_err(io::Error::other)?;
        Ok(Call {
            tcp,
            tls: ClientConnection::new(config, name).map_err(io::Error::other)?,
            received: String::new(),
            flights: Flights::default(),
            sent: Vec::new(),
            has_read: true,
        })
    }

    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.tls.writer().write_all(text.as_bytes())?;
        self.write()
    }

    /// Reads until `text` has come.
    pub fn until(&mut self, text: &str) -> io::Result<()> {
        self.read_until(&|received| received.contains(text))
    }

    /// The connection breaks; nobody says good-bye.
    pub fn cut(self) {
        let _ = self.tcp.shutdown(std::net::Shutdown::Both);
    }

    fn read_until(&mut self, done: &dyn Fn(&str) -> bool) -> io::Result<()> {
        while !done(&self.received) {
            self.exchange()?;
        }
        Ok(())
    }

    /// Until it is known what became of early data.
    fn handshake(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.exchange()?;
        }
        Ok(())
    }

    /// Writes what there is to write, reads once.
    fn exchange(&mut self) -> io::Result<()> {
        self.write()?;
        let mut wire = [0; 16 << 10];
        let count = self.tcp.read(&mut wire)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.flights.bytes_received += count;
        self.has_read = true;
        let mut rest = &wire[..count];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
        }
        let mut plain = Vec::new();
        match self.tls.reader().read_to_end(&mut plain) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        self.received.push_str(&String::from_utf8_lossy(&plain));
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let mut wire = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut wire)?;
        }
        if wire.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.has_read) {
            self.flights.round_trips += 1;
        }
        self.flights.bytes_sent += wire.len();
        self.tcp.write_all(&wire)?;
        self.sent.extend_from_slice(&wire);
        Ok(())
    }
}

fn ended(received: &str) -> bool {
    ["</success>", "</failure>", "</stream:error>"]
        .iter()
        .any(|end| received.contains(end))
}

/// An attribute of the first element that begins like this.
pub fn value(text: &str, element: &str, attribute: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{element}"))?;
    let (tag, _) = rest.split_once('>')?;
    let (_, rest) = tag.split_once(&format!(" {attribute}='"))?;
    Some(rest.split_once('\'')?.0.to_string())
}
