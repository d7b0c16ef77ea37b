//! The real binary under a transcript: a process of its own, loopback TCP, TLS.
use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::client::{Client, Received};
use super::run::Stage;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A data directory that is removed at the end.
pub struct TestDir(pub PathBuf);

impl TestDir {
    pub fn new(name: &str) -> TestDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("stonechat-{}-{number}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        TestDir(path)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server.
pub struct Process {
    child: Child,
    pub access: Access,
}

/// How to reach a server, from any thread.
#[derive(Clone)]
pub struct Access {
    pub c2s: SocketAddr,
    pub c2s_tls: SocketAddr,
    /// Where components connect, if there are any.
    pub components: Option<SocketAddr>,
    pub certificate: CertificateDer<'static>,
}

impl Process {
    pub fn start(data: &Path) -> Process {
        let mut child = stonechat(data)
            .args([
                "--domain",
                "localhost",
                "--c2s",
                "127.0.0.1:0",
                "--c2s-tls",
                "127.0.0.1:0",
                "--log",
                "error",
            ])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("start stonechat");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut addresses: Vec<SocketAddr> = Vec::new();
        let mut seen = String::new();
        for line in stdout.lines() {
            let line = line.expect("a line");
            addresses.extend(
                line.split_whitespace()
                    .filter_map(|word| word.parse::<SocketAddr>().ok()),
            );
            seen.push_str(&line);
            seen.push('\n');
            // The certificate is named behind all addresses.
            if line.trim_start().starts_with("certificate") {
                break;
            }
        }
        let [c2s, c2s_tls, ref rest @ ..] = addresses[..] else {
            panic!("no addresses in: {seen}")
        };
        let components = rest.first().copied();
        let certificate =
            CertificateDer::from_pem_file(data.join("cert.pem")).expect("the certificate");
        let access = Access {
            c2s,
            c2s_tls,
            components,
            certificate,
        };
        Process { child, access }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and until it has ended.
    pub fn stop(&mut self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(id).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let status = self.child.wait().expect("the end of the process");
        assert!(status.success(), "{status}");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Access {
    /// A TLS connection to the direct port, the certificate pinned.
    pub fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let tcp = TcpStream::connect(self.c2s_tls).expect("connect");
        self.wrap(tcp)
    }

    pub fn wrap(&self, tcp: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        tcp.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
        tcp.set_nodelay(true).expect("no delay");
        let name = ServerName::try_from("localhost").expect("a name");
        let config = Arc::new(self.client_config());
        let connection = ClientConnection::new(config, name).expect("a client");
        StreamOwned::new(connection, tcp)
    }

    /// Trusts this server's certificate and no other.
    pub fn client_config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(self.certificate.clone(), provider)))
            .with_no_client_auth()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The binary with its data directory.
pub fn stonechat(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonechat"));
    command.arg("--data").arg(data);
    command
}

/// Runs an operator's command with something on its standard input.
pub fn operate(data: &Path, words: &[&str], input: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stonechat"));
    command.args(words).arg("--data").arg(data);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run stonechat");
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("wait");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// Trusts exactly one certificate.
#[derive(Debug)]
struct Pinned(CertificateDer<'static>, Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate".into()))
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.1.signature_verification_algorithms,
        )
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.1.signature_verification_algorithms,
        )
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

enum Link {
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Plain(Option<TcpStream>),
}

struct Connected {
    link: Link,
    client: Client,
    bound: bool,
    /// The domain of a component.
    component: Option<String>,
}

/// The stage of the real server.
pub struct Real {
    dir: TestDir,
    process: Option<Process>,
    clients: HashMap<String, Connected>,
    settles: u32,
}

impl Real {
    pub fn new(name: &str, settings: &[(String, String)]) -> Real {
        let dir = TestDir::new(&name.replace(['/', '.'], "-"));
        let mut file = String::new();
        let components = settings.iter().filter(|(key, _)| key == "component");
        let components: Vec<_> = components.map(|(_, value)| format!("{value:?}")).collect();
        if !components.is_empty() {
            file.push_str(&format!("component = [{}]\n", components.join(", ")));
            file.push_str("component_addresses = \"127.0.0.1:0\"\n");
        }
        for (key, value) in settings.iter().filter(|(key, _)| key != "component") {
            match value.parse::<u64>() {
                Ok(number) => file.push_str(&format!("{key} = {number}\n")),
                Err(_) => file.push_str(&format!("{key} = \"{value}\"\n")),
            }
        }
        if !file.is_empty() {
            std::fs::write(dir.0.join("stonechat.toml"), file).expect("write the settings");
        }
        let process = Some(Process::start(&dir.0));
        Real {
            dir,
            process,
            clients: HashMap::new(),
            settles: 0,
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    fn connected(&mut self, name: &str) -> &mut Connected {
        self.clients
            .get_mut(name)
            .unwrap_or_else(|| panic!("no client {name}"))
    }

    /// Asks for a sign of life behind everything sent before, and reads until it comes.
    fn round_trip(&mut self, name: &str) {
        self.settles += 1;
        let id = format!("settle-{}", self.settles);
        let connected = self.connected(name);
        if !connected.bound || connected.client.closed {
            return;
        }
        // Components say to whom.
        let to = connected
            .component
            .as_ref()
            .map_or("", |_| " to='localhost'");
        let ping = format!("<iq type='get' id='{id}'{to}><ping xmlns='urn:xmpp:ping'/></iq>");
        if connected.link.write(ping.as_bytes()).is_err() {
            connected.read_to_end();
            return;
        }
        while !connected.client.closed {
            let answered = connected.client.received.iter().position(
                |r| matches!(r, Received::Element(e) if e.root().attribute("id").as_deref() == Some(id.as_str())),
            );
            if let Some(position) = answered {
                connected.client.received.remove(position);
                return;
            }
            connected.read();
        }
    }
}

impl Link {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Link::Tls(tls) => {
                tls.write_all(bytes)?;
                tls.flush()
            }
            Link::Plain(Some(tcp)) => tcp.write_all(bytes),
            Link::Plain(None) => Ok(()),
        }
    }
}

impl Connected {
    /// Reads once; the end of the connection is remembered.
    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        let read = match &mut self.link {
            Link::Tls(tls) => tls.read(&mut buffer),
            Link::Plain(Some(tcp)) => tcp.read(&mut buffer),
            Link::Plain(None) => Ok(0),
        };
        match read {
            Ok(0) => self.client.closed = true,
            Ok(length) => self.client.take(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came within {PATIENCE:?}")
            }
            Err(_) => self.client.closed = true,
        }
    }

    fn read_to_end(&mut self) {
        while !self.client.closed {
            self.read();
        }
    }
}

impl Stage for Real {
    fn connect(&mut self, name: &str, tls: bool) {
        let link = if tls {
            Link::Tls(Box::new(self.process().access.connect()))
        } else {
            let tcp = TcpStream::connect(self.process().access.c2s).expect("connect");
            tcp.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
            Link::Plain(Some(tcp))
        };
        self.insert(name, link, None);
    }

    fn connect_component(&mut self, name: &str, domain: Option<&str>) {
        let address = self.process().access.components;
        let tcp = TcpStream::connect(address.expect("components are set")).expect("connect");
        tcp.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
        self.insert(name, Link::Plain(Some(tcp)), domain.map(str::to_string));
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        let connected = self.connected(name);
        let _ = connected.link.write(bytes);
        if bytes.ends_with(b"</stream:stream>") {
            connected.bound = false;
        }
        self.round_trip(name);
    }

    fn receive(&mut self, name: &str) -> Option<Received> {
        let connected = self.connected(name);
        let in_negotiation = !connected.bound;
        while connected.client.received.is_empty() && !connected.client.closed && in_negotiation {
            connected.read();
        }
        if connected.bound && connected.client.received.is_empty() {
            self.round_trip(name);
        }
        let connected = self.connected(name);
        let received = connected.client.received.pop_front();
        if let Some(Received::Element(element)) = &received {
            let root = element.root();
            if root
                .child("bind", "urn:ietf:params:xml:ns:xmpp-bind")
                .is_some_and(|b| b.children().any(|c| c.name() == "jid"))
            {
                connected.bound = true;
            }
            let inline = [("bound", "urn:xmpp:bind:0"), ("resumed", "urn:xmpp:sm:3")];
            if root.is("success", "urn:xmpp:sasl:2")
                && inline
                    .iter()
                    .any(|(name, ns)| root.child(name, ns).is_some())
            {
                connected.bound = true;
            }
            if root.name() == "handshake" {
                connected.bound = true;
            }
            if root.name() == "proceed" {
                let Link::Plain(tcp) = &mut connected.link else {
                    panic!("TLS in TLS")
                };
                let tcp = tcp.take().expect("a connection");
                let tls = self.process().access.wrap(tcp);
                let connected = self.connected(name);
                connected.link = Link::Tls(Box::new(tls));
                connected.client.restart();
            }
        }
        received
    }

    fn receive_expected(&mut self, name: &str) -> Option<Received> {
        loop {
            if let Some(received) = self.receive(name) {
                return Some(received);
            }
            let connected = self.connected(name);
            if connected.client.closed {
                return connected.client.received.pop_front();
            }
            connected.read();
        }
    }

    fn restart_stream(&mut self, name: &str) {
        self.connected(name).client.restart();
    }

    fn settle(&mut self, name: &str) {
        let all: Vec<String> = self
            .clients
            .keys()
            .filter(|other| *other != name)
            .cloned()
            .collect();
        for other in all {
            self.round_trip(&other);
        }
        self.round_trip(name);
    }

    fn is_closed(&mut self, name: &str) -> bool {
        self.connected(name).read_to_end();
        true
    }

    fn is_negotiating(&mut self, name: &str) -> bool {
        let connected = self.connected(name);
        !connected.bound && !connected.client.closed
    }

    fn cut(&mut self, name: &str) {
        let connected = self.connected(name);
        let tcp = match &connected.link {
            Link::Tls(tls) => Some(&tls.sock),
            Link::Plain(tcp) => tcp.as_ref(),
        };
        if let Some(tcp) = tcp {
            let _ = tcp.shutdown(std::net::Shutdown::Both);
        }
        connected.client.closed = true;
        if let Some(domain) = connected.component.clone() {
            return self.wait_for_end_of_component(&domain);
        }
        // The server learns of it through its own socket: wait until it has.
        let account = name.split('/').next().unwrap_or(name).to_string();
        self.wait_for_end_of(&account);
    }

    fn restart(&mut self) {
        self.process.as_mut().expect("the server runs").kill();
        self.process = None;
        for connected in self.clients.values_mut() {
            connected.client.closed = true;
        }
        self.process = Some(Process::start(&self.dir.0));
    }

    fn stop(&mut self) {
        self.process.as_mut().expect("the server runs").stop();
        self.process = None;
        for connected in self.clients.values_mut() {
            connected.read_to_end();
        }
        self.process = Some(Process::start(&self.dir.0));
    }

    fn wait(&mut self, _ms: u64) {
        panic!("the clock of a real server is not ours to move");
    }

    fn clock(&mut self, _off_ms: i64) {
        panic!("the clock of a real server is not ours to set");
    }

    fn set(&mut self, _key: &str, _value: &str) {}

    fn disk(&mut self, _low: bool) {
        panic!("the disk of a real server is not ours to fill");
    }

    fn operator(&mut self, words: &[String]) -> (u8, String) {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut input = String::new();
        if let ["user", "add" | "passwd", _, secret] = words[..] {
            input = format!("{secret}\n");
            words.truncate(3);
        }
        let (code, text) = operate(&self.dir.0, &words, &input);
        (code as u8, text)
    }

    fn clients(&self) -> Vec<String> {
        self.clients
            .iter()
            .filter(|(_, c)| !c.client.closed)
            .map(|(name, _)| name.clone())
            .collect()
    }
}

impl Real {
    fn insert(&mut self, name: &str, link: Link, component: Option<String>) {
        let connected = Connected {
            link,
            client: Client::new(),
            bound: false,
            component,
        };
        self.clients.insert(name.to_string(), connected);
    }

    fn wait_for_end_of_component(&self, domain: &str) {
        for _ in 0..200 {
            let (_, status) = operate(&self.dir.0, &["status"], "");
            if status.contains(&format!("{domain} away")) {
                return;
            }
        }
        panic!("the server still has {domain}");
    }

    /// Until the server has as many sessions of the account as we hold connections.
    fn wait_for_end_of(&mut self, account: &str) {
        let open = self
            .clients
            .iter()
            .filter(|(name, c)| {
                name.split('/').next() == Some(account) && !c.client.closed && c.bound
            })
            .count();
        for _ in 0..200 {
            let (_, list) = operate(&self.dir.0, &["user", "list"], "");
            let line = list
                .lines()
                .find(|line| line.starts_with(&format!("{account}@")))
                .unwrap_or_default();
            let sessions = match line.split('\t').nth(1) {
                Some("offline") | None => 0,
                Some(text) => text
                    .split(' ')
                    .next()
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0),
            };
            if sessions == open {
                return;
            }
        }
        panic!("the server still has a session of {account}");
    }
}
