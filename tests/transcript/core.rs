//! The pure core under a transcript: no socket, no clock, no thread.
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use stonechat::server::{Command, Input, Moment, Port, Server};
use stonechat::state::{ConnectionId, HashJob, Hashed, JobId, Outbox, Output, Piece, Settings};
use stonechat::store::{Epoch, Flush, Store, Tx};
use stonechat::stream::{Framing, TlsFacts, sasl};
use stonechat::xml::{Context, parse};
use stonechat::xmpp::Timestamp;

use super::client::Client;
use super::prng::Prng;

/// A file in memory that outlives the store.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Vec<u8>>>, Arc<Mutex<Failing>>);

/// What a disk that fails does.
#[derive(Debug, Default)]
struct Failing {
    /// Writes until it fails; `None`: it does not.
    writes_left: Option<usize>,
    has_failed: bool,
}

impl Memory {
    fn writes(&self) -> Result<(), io::Error> {
        let mut failing = self.1.lock().unwrap();
        match &mut failing.writes_left {
            None => return Ok(()),
            Some(0) => failing.has_failed = true,
            Some(left) => {
                *left -= 1;
                return Ok(());
            }
        }
        Err(io::Error::other("the disk was told to fail"))
    }
}

impl redb::StorageBackend for Memory {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let data = self.0.lock().unwrap();
        let start = offset as usize;
        out.copy_from_slice(&data[start..start + out.len()]);
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.writes()?;
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.writes()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.writes()?;
        let mut all = self.0.lock().unwrap();
        let start = offset as usize;
        all[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// How what clients send is cut before it reaches the server.
#[derive(Clone, Debug)]
pub enum Cutting {
    Whole,
    ByteByByte,
    Random(Prng),
}

/// When what was written is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Quick,
    /// When somebody waits for it and for nothing else, or `Core::land` says so.
    Slow,
}

/// What a slow disk keeps waiting.
#[derive(Default)]
struct Behind {
    tx: Option<Tx>,
    under_way: Option<Flush>,
    held: Vec<(Epoch, Output, Vec<u8>)>,
}

pub struct Core {
    pub speed: Disk,
    behind: Behind,
    memory: Memory,
    store: Option<Store>,
    server: Option<Server>,
    pub settings: Settings,
    cutting: Cutting,
    now_ms: u64,
    /// How far the wall clock is off.
    clock_off_ms: i64,
    seed: u64,
    last_connection: u64,
    pub clients: HashMap<String, (ConnectionId, Client)>,
    names: HashMap<ConnectionId, String>,
    pub answers: Vec<(u8, String)>,
    /// Batches that wrote something.
    pub commits: usize,
    /// Passwords are hashed when `hash_held` says so; these wait.
    pub holds_hashes: bool,
    /// Passwords that were hashed, or wait for that.
    pub hashed: usize,
    /// Where new connections come from.
    pub address: IpAddr,
    /// How elements follow each other on those of clients.
    pub framing: Framing,
    /// What was sent of messages that are not whole yet.
    beginnings: HashMap<ConnectionId, Vec<u8>>,
    pub held: Vec<(JobId, HashJob)>,
    /// By the last piece of an input.
    pub queued_bytes: usize,
    /// Where they lie: what is sent to many lies there once.
    pub buffered_bytes: usize,
    /// Written to the store so far.
    pub written_bytes: usize,
    /// Since something was last sent.
    pub pressure: u64,
}

/// The clock of transcripts starts here.
pub const START: Timestamp = Timestamp(1_790_000_000_000);

impl Core {
    pub fn new(settings: Settings, cutting: Cutting) -> Core {
        Core::on(Disk::Quick, settings, cutting)
    }

    pub fn on(disk: Disk, settings: Settings, cutting: Cutting) -> Core {
        let mut core = Core {
            speed: disk,
            behind: Behind::default(),
            memory: Memory::default(),
            store: None,
            server: None,
            settings,
            cutting,
            now_ms: 0,
            clock_off_ms: 0,
            seed: 1,
            last_connection: 0,
            clients: HashMap::new(),
            names: HashMap::new(),
            answers: Vec::new(),
            commits: 0,
            holds_hashes: false,
            hashed: 0,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            held: Vec::new(),
            queued_bytes: 0,
            buffered_bytes: 0,
            written_bytes: 0,
            framing: Framing::Bytes,
            beginnings: HashMap::new(),
            pressure: 0,
        };
        core.start();
        core
    }

    fn start(&mut self) {
        let store = Store::open_backend(self.memory.clone(), 1 << 20).expect("open the store");
        let mut tx = store.begin();
        self.seed += 1;
        let entropy = Box::new(Prng(self.seed));
        let mut server = Server::new(
            self.settings.clone(),
            entropy,
            &mut tx,
            self.now(),
            &[5; 32],
        )
        .expect("start the server");
        server.begin(self.now(), &mut tx).expect("begin to serve");
        if let Some(commit) = tx.finish() {
            commit.run().expect("first commit");
        }
        self.store = Some(store);
        self.server = Some(server);
    }

    /// The process stops in order and starts again; its last words arrive.
    pub fn stop(&mut self) {
        self.step(Input::Shutdown);
        self.land_all();
        self.restart();
    }

    /// The same, with something done to the store meanwhile.
    pub fn stop_and(&mut self, work: impl FnOnce(&mut Tx)) {
        self.step(Input::Shutdown);
        self.server = None;
        let mut tx = self.store.as_ref().expect("open").begin();
        work(&mut tx);
        if let Some(commit) = tx.finish() {
            commit.run().expect("commit");
        }
        self.restart();
    }

    /// From now on so many changes of the disk succeed, and none after them until the process has died.
    pub fn fail_after(&mut self, writes: usize) {
        self.memory.1.lock().unwrap().writes_left = Some(writes);
    }

    /// Somewhere in the file's bytes.
    pub fn holds(&self, text: &str) -> bool {
        let bytes = self.memory.0.lock().unwrap();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    }

    pub fn has_failed(&self) -> bool {
        self.memory.1.lock().unwrap().has_failed
    }

    /// The process dies and starts again; all connections are gone.
    pub fn restart(&mut self) {
        self.behind = Behind::default();
        self.server = None;
        self.store = None;
        *self.memory.1.lock().unwrap() = Failing::default();
        for (_, client) in self.clients.values_mut() {
            client.closed = true;
        }
        self.names.clear();
        self.start();
    }

    pub fn now(&self) -> Moment {
        Moment {
            monotonic_ms: self.now_ms,
            wall: Timestamp(START.0 + self.now_ms as i64 + self.clock_off_ms),
            sure: Timestamp(START.0 + self.now_ms as i64 + self.clock_off_ms),
        }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs")
    }

    /// What this client sends now comes as TLS early data.
    pub fn connect_early(&mut self, name: &str) {
        let id = self.open(name, Port::ClientsTls);
        self.secure(id, true);
    }

    pub fn handshake_done(&mut self, name: &str) {
        let connection = self.clients[name].0;
        self.step(Input::HandshakeDone { connection });
    }

    pub fn connect(&mut self, name: &str, tls: bool) {
        match tls {
            true => {
                let id = self.open(name, Port::ClientsTls);
                self.secure(id, false);
            }
            false => _ = self.open(name, Port::Clients),
        }
    }

    pub fn connect_component(&mut self, name: &str) {
        self.open(name, Port::Components);
    }

    fn open(&mut self, name: &str, port: Port) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        self.clients.insert(name.to_string(), (id, Client::new()));
        self.names.insert(id, name.to_string());
        let address = self.address;
        self.step(Input::Opened {
            connection: id,
            address,
            port,
            framing: match port {
                Port::Components => Framing::Bytes,
                _ => self.framing,
            },
        });
        id
    }

    fn secure(&mut self, connection: ConnectionId, early: bool) {
        let facts = TlsFacts {
            exporter: Some([7; 32]),
            unique: None,
            finished: None,
            end_point: Some(vec![9; 32].into()),
            server_name: None,
            version_1_3: true,
            early,
        };
        self.step(Input::Secured { connection, facts });
    }

    pub fn send(&mut self, name: &str, bytes: &[u8]) {
        let id = self.clients[name].0;
        self.pressure = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match &mut self.cutting {
                Cutting::Whole => rest.len(),
                Cutting::ByteByByte => 1,
                Cutting::Random(prng) => 1 + prng.below(rest.len().min(40)),
            };
            let (piece, more) = rest.split_at(size);
            self.step(Input::Bytes {
                connection: id,
                bytes: piece,
            });
            rest = more;
        }
    }

    pub fn cut(&mut self, name: &str) {
        let id = self.clients[name].0;
        self.clients.get_mut(name).unwrap().1.closed = true;
        self.step(Input::Closed { connection: id });
    }

    pub fn wait(&mut self, ms: u64) {
        self.land_all();
        let end = self.now_ms + ms;
        while let Some(at) = self.server().next_wake_ms().filter(|at| *at <= end) {
            self.now_ms = self.now_ms.max(at);
            self.step(Input::Tick);
            self.land_all();
        }
        self.now_ms = end;
    }

    pub fn clock(&mut self, off_ms: i64) {
        self.clock_off_ms = off_ms;
    }

    pub fn disk(&mut self, low: bool) {
        self.land_all();
        self.step(Input::Disk {
            free_bytes: if low { 1 } else { 90 },
            total_bytes: 100,
        });
    }

    pub fn command(&mut self, command: Command) -> (u8, String) {
        self.step(Input::Command {
            job: stonechat::state::JobId(u64::MAX),
            command,
        });
        self.land_all();
        self.answers.pop().expect("commands are answered")
    }

    /// One batch: a step, its commit, its outputs; then what the outputs lead to, and what was left of the input.
    pub fn step(&mut self, input: Input<'_>) {
        let bytes: &[u8] = match &input {
            Input::Bytes { bytes, .. } => bytes,
            _ => &[],
        };
        for (connection, rest) in self.piece(input) {
            let bytes = &bytes[bytes.len() - rest..];
            self.step(Input::Bytes { connection, bytes });
        }
    }

    /// The same, without what was left: that is returned.
    pub fn piece(&mut self, input: Input<'_>) -> Vec<(ConnectionId, usize)> {
        let now = self.now();
        let mut out = Outbox::default();
        let store = self.store.as_ref().expect("open");
        let mut tx = self.behind.tx.take().unwrap_or_else(|| store.begin());
        self.server
            .as_mut()
            .expect("running")
            .step(now, input, &mut tx, &mut out)
            .expect("step");
        tx.checkpoint_if_due().expect("checkpoint");
        self.written_bytes += tx.written_bytes();
        let unfinished = std::mem::take(&mut out.unfinished);
        (self.queued_bytes, self.buffered_bytes) = (out.queued_bytes, out.bytes.len());
        self.pressure = self.pressure.max(out.pressure);
        if self.speed == Disk::Slow {
            self.behind.tx = Some(tx);
            self.hold(&mut out);
        } else if let Some(commit) = tx.finish() {
            self.commits += 1;
            commit.run().expect("commit");
        }
        self.perform(out);
        unfinished
    }

    /// Keeps back what has to wait for the disk, and hands it the next commit if it has nothing to do.
    fn hold(&mut self, out: &mut Outbox) {
        let durable = self.store.as_ref().expect("open").durable();
        for (at, output) in std::mem::take(&mut out.outputs).into_iter().enumerate() {
            let until = out.until.get(at).copied().unwrap_or_default();
            if until <= durable {
                out.outputs.push(output);
                continue;
            }
            let bytes = match &output {
                Output::Send { bytes, .. } => out.bytes[bytes.clone()].to_vec(),
                _ => Vec::new(),
            };
            self.behind.held.push((until, output, bytes));
        }
        self.commit();
    }

    fn commit(&mut self) {
        if self.behind.under_way.is_none()
            && let Some(commit) = self.behind.tx.take().and_then(Tx::finish)
        {
            self.commits += 1;
            self.behind.under_way = Some(commit.begin().expect("commit"));
        }
    }

    /// The slow disk is done with what it was given. False: it had nothing to do.
    pub fn land(&mut self) -> bool {
        let Some(flush) = self.behind.under_way.take() else {
            return false;
        };
        let epoch = flush.epoch();
        flush.run().expect("a flush");
        self.store.as_ref().expect("open").is_durable(epoch);
        let is_due = |held: &mut (Epoch, Output, Vec<u8>)| held.0 <= epoch;
        for (_, output, bytes) in self.behind.held.extract_if(.., is_due).collect::<Vec<_>>() {
            let mut out = Outbox::default();
            out.outputs.push(match output {
                Output::Send {
                    connection, piece, ..
                } => Output::Send {
                    connection,
                    bytes: 0..bytes.len(),
                    piece,
                },
                other => other,
            });
            out.bytes = bytes;
            self.perform(out);
        }
        self.commit();
        true
    }

    /// Does something on a quick disk.
    pub fn quickly<T>(&mut self, work: impl FnOnce(&mut Core) -> T) -> T {
        self.land_all();
        self.behind = Behind::default();
        let speed = std::mem::replace(&mut self.speed, Disk::Quick);
        let done = work(self);
        self.speed = speed;
        done
    }

    pub fn land_all(&mut self) {
        while self.land() {}
    }

    /// What was kept back is hashed now.
    pub fn hash_held(&mut self) {
        for (job, work) in std::mem::take(&mut self.held) {
            let result = hash(&work);
            self.step(Input::Hashed { job, result });
        }
    }

    fn deliver(&mut self, connection: ConnectionId, bytes: &[u8], piece: Piece) {
        let bytes = match piece {
            Piece::OfStream => bytes.to_vec(),
            Piece::Beginning => {
                let before = self.beginnings.insert(connection, bytes.to_vec());
                assert!(before.is_none(), "an element begins within another");
                return;
            }
            Piece::Element => {
                let mut message = self.beginnings.remove(&connection).unwrap_or_default();
                message.extend_from_slice(bytes);
                of_message(&message)
            }
        };
        let name = self.names.get(&connection);
        if let Some((_, client)) = name.and_then(|name| self.clients.get_mut(name)) {
            client.take(&bytes);
        }
    }

    fn perform(&mut self, out: Outbox) {
        for output in out.outputs {
            self.hashed += usize::from(matches!(output, Output::Hash { .. }));
            match output {
                Output::Send {
                    connection,
                    bytes,
                    piece,
                } => self.deliver(connection, &out.bytes[bytes], piece),
                Output::StartTls { connection } => {
                    if let Some((_, client)) = self
                        .names
                        .get(&connection)
                        .and_then(|n| self.clients.get_mut(n))
                    {
                        client.restart();
                    }
                    self.secure(connection, false);
                }
                Output::Close { connection } => {
                    if let Some((_, client)) = self
                        .names
                        .get(&connection)
                        .and_then(|n| self.clients.get_mut(n))
                    {
                        client.closed = true;
                    }
                }
                Output::Hash { job, work, .. } if self.holds_hashes => self.held.push((job, *work)),
                Output::Hash { job, work, .. } => {
                    let result = hash(&work);
                    self.step(Input::Hashed { job, result });
                }
                Output::ReportDrained { connection } => self.step(Input::Drained { connection }),
                Output::CommandDone { code, text, .. } => self.answers.push((code, text)),
                Output::Cancel { job } => self.held.retain(|(held, _)| *held != job),
                Output::Exit | Output::LoggedIn { .. } => {}
            }
        }
    }
}

/// What a stream would have in place of a message (RFC 7395 §3), which is one element.
fn of_message(message: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(message).expect("UTF-8");
    let context = Context {
        default_namespace: "jabber:client".into(),
        prefixes: vec![("stream".into(), "http://etherx.jabber.org/streams".into())],
    };
    let element = parse(message, &context).unwrap_or_else(|e| panic!("{e:?} in {text}"));
    let root = element.root();
    if root.namespace() != "urn:ietf:params:xml:ns:xmpp-framing" {
        return message.to_vec();
    }
    match text.strip_prefix("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'") {
        Some(open) => format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'{}>",
            open.strip_suffix("/>").expect("it is empty")
        )
        .into_bytes(),
        None => {
            assert_eq!(root.name(), "close");
            b"</stream:stream>".to_vec()
        }
    }
}

pub fn hash(work: &HashJob) -> Hashed {
    match work {
        HashJob::Compare {
            password,
            hash,
            salt,
            iterations,
        } => Hashed::Compare(sasl::derive(password, salt, *iterations, *hash)),
        HashJob::New {
            password,
            salt,
            iterations,
        } => Hashed::New(sasl::new_credentials(password, *salt, *iterations)),
    }
}
