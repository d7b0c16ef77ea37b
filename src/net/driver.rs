//! The one loop: take what has arrived, step it, hand what was written to the storage thread, perform what the steps wanted.
//! Nothing leaves before what it tells is durable (`horizon`); what tells of nothing new leaves at once.

pub mod answers;
pub mod batch;
pub mod budget;
pub mod ebb;
pub mod horizon;
mod perform;
pub mod turns;

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;

use super::connection::{Connection, Holds};
use super::hash_thread::HashThread;
use super::intake::census::Admission;
use super::intake::inbox::{Answer, Arrival};
use super::shell::Shell;
use super::tls::TlsSession;
use crate::server::{Command, Input, Port, Server};
use crate::state::{ConnectionId, JobId};
use crate::store::{RESERVE_BYTES, StorageThread, Store, StoreError, Tx};
use crate::stream::Framing;
use crate::xmpp::quoted_error;
use answers::Waiting;
use batch::{Action, Batch};
use budget::Looks;
use ebb::Ebb;
use horizon::Horizon;

/// How long inputs gather while the disk is at work; whoever waits for nothing of it does not wait longer than that.
const GATHERING: Duration = Duration::from_millis(2);
/// Time for the last bytes to leave at the end of the process.
const EXIT_SECONDS_MAX: u64 = 3;
/// Pages of the file overwritten at the end of the process (`store::scrub`): a second or two on a memory card. What is left is
/// done after the next start.
const SCRUB_PAGES_MAX: u64 = 4096;

type Committed = Result<(), StoreError>;

pub struct Driver {
    pub(super) shell: Rc<Shell>,
    pub(super) server: Server,
    pub(super) store: Store,
    pub(super) storage: StorageThread,
    /// Told by the storage thread.
    pub(super) committed: (Sender<Committed>, Receiver<Committed>),
    hashing: HashThread,
    pub(super) commands: HashMap<JobId, Waiting>,
    last_command: u64,
    pub(super) commits: u64,
    pub(super) batch: Batch,
    pub(super) horizon: Horizon,
    /// Used again from one batch to the next.
    actions: Vec<(ConnectionId, Action)>,
    joined: Vec<u8>,
    pub(super) ebb: Ebb,
    pub(super) looks: Looks,
    /// When the last input was stepped (`Clock::monotonic_ns`).
    pub(super) now_ns: u64,
    /// What arrived was stepped since it was last looked whether there is anything to do.
    pub(super) has_worked: bool,
}

impl Driver {
    pub fn new(shell: Rc<Shell>, server: Server, store: Store, hashing: HashThread) -> Driver {
        Driver {
            shell,
            server,
            store,
            storage: StorageThread::start(),
            committed: bounded(1),
            hashing,
            commands: HashMap::new(),
            last_command: 0,
            commits: 0,
            batch: Batch::default(),
            horizon: Horizon::default(),
            actions: Vec::new(),
            joined: Vec::new(),
            ebb: Ebb::default(),
            looks: Looks::default(),
            now_ns: 0,
            has_worked: true,
        }
    }

    /// Runs until `Output::Exit` is performed, or storage fails: then nothing of the batch was promised to anybody.
    pub async fn run(mut self: Box<Driver>) -> Result<(), StoreError> {
        let mut tx = self.store.begin();
        while !self.batch.exit {
            self.wait(&tx).await?;
            if !self.is_far_ahead(&tx) {
                self.step_batch(&mut tx)?;
                self.keep_budget(&mut tx)?;
                tx.checkpoint_if_due()?;
                self.read_on();
                self.set_aside();
            }
            tx = self.commit(tx)?;
            self.perform_batch();
            if !self.horizon.is_under_way() {
                self.watch_ebb().await?;
            }
        }
        drop(tx);
        let store = self.store.clone();
        self.exit().await;
        store.scrub(SCRUB_PAGES_MAX)?;
        store.settle()
    }

    /// Waits for the storage thread.
    pub(super) async fn until_done(&self) -> Result<(), StoreError> {
        let told = self.committed.1.recv().await;
        told.expect("the loop holds a sender of this channel")
    }

    /// Waits for something to do: what is stepped next, or the disk.
    async fn wait(&mut self, tx: &Tx) -> Result<(), StoreError> {
        if self.is_far_ahead(tx) {
            self.until_done().await?;
            self.landed();
            return Ok(());
        }
        let is_under_way = self.horizon.is_under_way();
        let landed = async {
            match is_under_way {
                true => Some(self.committed.1.recv().await),
                false => std::future::pending().await,
            }
        };
        let arrived = async {
            self.something_to_do().await;
            if is_under_way {
                // Most disks are done by then, and what comes meanwhile is less work together.
                self.shell.reactor.sleep(GATHERING).await;
            }
            None
        };
        if let Some(told) = landed.or(arrived).await {
            told.expect("the loop holds a sender of this channel")?;
            self.landed();
            // Whoever was answered, or is ready anyway, joins the batch.
            smol::future::yield_now().await;
        }
        Ok(())
    }

    async fn something_to_do(&self) {
        let arrived = self.shell.inbox.arrived();
        let next = [
            self.server.next_wake_ms(),
            self.ebb.wake_ms(),
            self.shell.resting.due_ms(),
            self.looks.soon_ms(),
        ];
        match next.into_iter().flatten().min() {
            None => arrived.await,
            Some(wake_ms) => {
                let rest_ms = wake_ms.saturating_sub(self.shell.clock.monotonic_ms());
                let due = async {
                    self.shell
                        .reactor
                        .sleep(Duration::from_millis(rest_ms))
                        .await;
                };
                arrived.or(due).await;
            }
        }
        // Whoever else is ready joins the batch.
        smol::future::yield_now().await;
    }

    pub(super) fn step(&mut self, input: Input<'_>, tx: &mut Tx) -> Result<(), StoreError> {
        let now = self.shell.clock.now();
        self.server.step(now, input, tx, &mut self.batch.out)
    }

    pub(super) fn take_arrival(&mut self, arrival: Arrival, tx: &mut Tx) -> Result<(), StoreError> {
        match arrival {
            Arrival::Accepted {
                socket,
                admission,
                port,
            } => self.accept(socket, admission, port, tx),
            Arrival::Bytes { connection, bytes } => self.take_bytes(connection, bytes, tx),
            Arrival::Alive { connection } => self.step(Input::Alive { connection }, tx),
            Arrival::Closed { connection } => {
                self.batch.gone.push(connection);
                self.step(Input::Closed { connection }, tx)
            }
            Arrival::Displaced { connection } => {
                self.batch.displaced.push(connection);
                self.step(Input::Displaced { connection }, tx)
            }
            Arrival::Secured { connection, facts } => {
                let facts = *facts;
                self.batch.flights.push(connection);
                self.step(Input::Secured { connection, facts }, tx)
            }
            Arrival::HandshakeDone { connection } => {
                self.batch.flights.push(connection);
                self.step(Input::HandshakeDone { connection }, tx)
            }
            Arrival::Drained { connection } => {
                if let Some(open) = self.open(connection) {
                    open.asks();
                }
                self.step(Input::Drained { connection }, tx)
            }
            Arrival::Hashed { job, result } => self.step(Input::Hashed { job, result }, tx),
            Arrival::Command { command, reply } => {
                self.last_command += 1;
                let job = JobId(self.last_command);
                if let Some(text) = self.refused(&command) {
                    let _gone = reply.try_send(Answer { code: 1, text });
                    return Ok(());
                }
                let is_status = command == Command::Status;
                self.commands.insert(job, Waiting { reply, is_status });
                self.step(Input::Command { job, command }, tx)
            }
            Arrival::Disk(disk) => {
                if tx.is_starved() && disk.free_bytes >= 2 * RESERVE_BYTES {
                    self.store.fill_reserve();
                }
                let disk = Input::Disk {
                    free_bytes: disk.free_bytes,
                    total_bytes: disk.total_bytes,
                };
                self.step(disk, tx)
            }
            Arrival::Shutdown => self.step(Input::Shutdown, tx),
        }
    }

    fn accept(
        &mut self,
        socket: std::net::TcpStream,
        admission: Admission,
        port: Port,
        tx: &mut Tx,
    ) -> Result<(), StoreError> {
        let id = admission.id();
        let address = admission.address();
        log::debug!(
            "connection.opened connection={} address={address} port={port:?}",
            id.0
        );
        let tls = match port == Port::ClientsTls {
            true => match TlsSession::new(self.shell.identities.current(), true) {
                Ok(session) => Some(Box::new(session)),
                Err(error) => {
                    log::error!(
                        "tls.failed connection={} error={}",
                        id.0,
                        quoted_error(&error)
                    );
                    return Ok(());
                }
            },
            false => None,
        };
        let holds = tls.as_deref().map_or(Holds::default(), Holds::of);
        let connection = Rc::new(Connection::new(id, socket, tls, admission));
        if let Err(error) = self.shell.sockets.add(Rc::clone(&connection)) {
            log::warn!(
                "connection.refused address={address} error={}",
                quoted_error(&error)
            );
            return Ok(());
        }
        self.shell.holds(Holds::default(), holds);
        let opened = Input::Opened {
            connection: id,
            address,
            port,
            framing: Framing::Bytes,
        };
        self.step(opened, tx)?;
        if port == Port::ClientsTls {
            // The ClientHello was waited for.
            connection.begin(&self.shell);
        }
        Ok(())
    }

    pub(super) fn open(&self, id: ConnectionId) -> Option<Rc<Connection>> {
        let connection = self.shell.sockets.get(id);
        connection.filter(|connection| connection.is_open())
    }

    /// Lets connections read on whose chunks were stepped, and those that had no room for theirs.
    fn read_on(&mut self) {
        for connection in self.batch.stepped.drain(..) {
            connection.chunk_done();
            connection.read_on(&self.shell);
        }
        while let Some(connection) = self.shell.inbox.next_hungry() {
            connection.fed(&self.shell);
        }
    }

    /// Everything was said: gives it time to leave.
    async fn exit(mut self: Box<Driver>) {
        for connection in self.shell.sockets.all() {
            self.close(connection.id);
        }
        while self.shell.inbox.pop().is_some() {}
        while self.shell.inbox.pop_of_stranger().is_some() {}
        let late = async {
            self.shell
                .reactor
                .sleep(Duration::from_secs(EXIT_SECONDS_MAX))
                .await;
        };
        self.shell.census.emptied().or(late).await;
    }
}
