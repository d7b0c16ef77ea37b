//! The pure core with two users who are logged in, on a store in memory: what is left when sockets, TLS and disk are
//! taken away.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use redb::backends::InMemoryBackend;
use ring::digest;
use stonechat::server::{Command, Input, Moment, Port, Server};
use stonechat::state::{
    ComponentSettings, ConnectionId, HashJob, Hashed, JobId, Outbox, Output, Settings,
};
use stonechat::store::Store;
use stonechat::stream::{Entropy, Framing, TlsFacts, sasl};
use stonechat::xmpp::Timestamp;

pub const ROMEO: ConnectionId = ConnectionId(1);
pub const JULIET: ConnectionId = ConnectionId(2);
/// An external component.
pub const BRIDGE: ConnectionId = ConnectionId(3);

const START: Timestamp = Timestamp(1_790_000_000_000);
const SECRET: &str = "secret-of-the-bridge";
const CACHE_BYTES: usize = 8 << 20;
const HEADER: &str = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
xmlns:stream='http://etherx.jabber.org/streams'>";

pub struct World {
    pub store: Store,
    server: Server,
    out: Outbox,
}

/// Ids need not be hard to guess here, only to differ.
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 += 1;
            let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            for (byte, mixed) in chunk.iter_mut().zip(mixed) {
                *byte = mixed;
            }
        }
    }
}

impl World {
    /// Romeo and Juliet, both available.
    pub fn new() -> World {
        let backend = InMemoryBackend::new();
        World::on(Store::open_backend(backend, CACHE_BYTES).expect("a store"))
    }

    /// The same on a store, which they may be known to already.
    pub fn on(store: Store) -> World {
        let server = server(&store);
        let mut world = World {
            store,
            server,
            out: Outbox::default(),
        };
        for (connection, name) in [(ROMEO, "romeo"), (JULIET, "juliet")] {
            world.log_in(connection, name);
        }
        world
    }

    /// The component `bridge.localhost` comes.
    pub fn admit_bridge(&mut self) {
        self.one(Input::Opened {
            connection: BRIDGE,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: Port::Components,
            framing: Framing::Bytes,
        });
        let header = "<stream:stream to='bridge.localhost' xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        let answer = self.one(Input::Bytes {
            connection: BRIDGE,
            bytes: header.as_bytes(),
        });
        let answer = String::from_utf8(answer).expect("XML");
        let id = answer
            .split(" id='")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        let text = [id.expect("an id"), SECRET].concat();
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let digits: String = hash
            .as_ref()
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let proof = format!("<handshake>{digits}</handshake>");
        let answer = self.one(Input::Bytes {
            connection: BRIDGE,
            bytes: proof.as_bytes(),
        });
        assert!(answer.starts_with(b"<handshake/>"));
    }

    /// A user who is new, logged in, bound and available.
    pub fn log_in(&mut self, connection: ConnectionId, name: &str) {
        let command = Command::UserAdd {
            name: name.to_owned(),
            password: name.to_owned(),
        };
        self.one(Input::Command {
            job: JobId(u64::MAX),
            command,
        });
        self.one(Input::Opened {
            connection,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: Port::ClientsTls,
            framing: Framing::Bytes,
        });
        let facts = TlsFacts {
            exporter: Some([7; 32]),
            unique: None,
            finished: None,
            end_point: None,
            server_name: None,
            version_1_3: true,
            early: false,
        };
        self.one(Input::Secured { connection, facts });
        let plain = STANDARD.encode(format!("\0{name}\0{name}"));
        for text in [
            HEADER,
            &format!(
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
            ),
            HEADER,
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>",
            "<presence/>",
        ] {
            let bytes = text.as_bytes();
            self.one(Input::Bytes { connection, bytes });
        }
    }

    /// One input as a batch of its own, with what it leads to. What was sent.
    pub fn one(&mut self, input: Input<'_>) -> Vec<u8> {
        let mut tx = self.store.begin();
        let mut out = Outbox::default();
        self.server
            .step(now(), input, &mut tx, &mut out)
            .expect("a step");
        while let Some((connection, 0)) = out.unfinished.pop() {
            let bytes: &[u8] = &[];
            self.server
                .step(now(), Input::Bytes { connection, bytes }, &mut tx, &mut out)
                .expect("the rest of a step");
        }
        if let Some(commit) = tx.finish() {
            commit.run().expect("a commit");
        }
        for output in out.outputs {
            if let Output::Hash { job, work, .. } = output {
                let result = hash(&work);
                self.one(Input::Hashed { job, result });
            }
        }
        out.bytes
    }

    /// A batch of stanzas as the driver makes it: so many steps, one commit, the outputs at the end. How many bytes it
    /// sends to clients.
    pub fn batch<'b>(
        &mut self,
        from: ConnectionId,
        stanzas: impl Iterator<Item = &'b [u8]>,
    ) -> usize {
        let mut tx = self.store.begin();
        for bytes in stanzas {
            let input = Input::Bytes {
                connection: from,
                bytes,
            };
            self.server
                .step(now(), input, &mut tx, &mut self.out)
                .expect("a step");
        }
        tx.checkpoint_if_due().expect("a checkpoint");
        if let Some(commit) = tx.finish() {
            commit.run().expect("a commit");
        }
        let sent = self.out.bytes.len();
        self.out.clear();
        sent
    }
}

/// A server on a store that another one may have left.
pub fn server(store: &Store) -> Server {
    let mut settings = Settings::new("localhost");
    settings.scram_iterations = 1;
    settings.channels_open = true;
    settings.components.push(ComponentSettings {
        name: "bridge.localhost".into(),
        secret: SECRET.into(),
    });
    let mut tx = store.begin();
    let entropy = Box::new(Counter(1));
    let server = Server::new(settings, entropy, &mut tx, now(), &[5; 32]);
    if let Some(commit) = tx.finish() {
        commit.run().expect("a first commit");
    }
    server.expect("a server")
}

pub fn message(hint: &str) -> String {
    message_between("to='juliet@localhost/r'", hint)
}

pub fn message_between(addresses: &str, hint: &str) -> String {
    format!(
        "<message {addresses} type='chat' id='m1'><body>But, soft! what light through yonder window \
         breaks? It is the east, and Juliet is the sun.</body>{hint}</message>"
    )
}

pub const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";

fn now() -> Moment {
    Moment {
        monotonic_ms: 0,
        wall: START,
        sure: START,
    }
}

fn hash(work: &HashJob) -> Hashed {
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
