//! The order of things: one step per input, no waiting. `step` dispatches; each way of a stanza is a function of its own
//! file that reads from top to bottom.

mod component;
mod connection;
mod honesty;
mod input;
mod login;
mod operator;
mod outlet;
mod route;
mod session;
mod step;
mod timers;
mod upkeep;

use std::rc::Rc;

pub use crate::state::Moment;
pub use input::{Input, Port};
pub use operator::command::{ArchiveAction, ArchiveAsk, ChannelAction, Command};
pub use step::Step;

use crate::feature;
use crate::state::{
    ArchiveIds, Belief, Capabilities, Caps, CapsId, Cx, Domains, Effects, Outbox, Output,
    ParticipantIds, Questions, Redirects, Rights, Rooms, SERVICES, Sessions, Settings, State,
    Throttle, Tokens,
};
use crate::store::{StoreError, Tx};
use crate::stream::{Entropy, StreamSettings};
use crate::xmpp::{StreamCondition, StreamError, quoted};
use component::rounds::Rounds;
use connection::connections::Connections;
use login::jobs::Jobs;
use timers::{Timer, Timers};
use upkeep::Upkeep;
use upkeep::expiring::Expiring;
use upkeep::forgetting::Forgetting;

/// The whole server but its sockets, clock, threads and files.
pub struct Server {
    state: State,
    entropy: Box<dyn Entropy>,
    stream_settings: Rc<StreamSettings>,
    connections: Connections,
    timers: Timers,
    jobs: Jobs,
    rounds: Rounds,
    throttle: Throttle,
    /// Of what is told about names without an account.
    fake_salt_key: [u8; 32],
    /// Less of the disk is free than must be.
    disk_full: bool,
    shutting_down: bool,
    /// A timer is set to write what was acknowledged.
    seen_set: bool,
    /// When tokens are looked at that may have expired.
    expiry_due_ms: u64,
    upkeep: Upkeep,
    forgetting: Forgetting,
    expiring: Expiring,
    belief: Belief,
}

impl Server {
    /// `settings.domain` must be prepared. `start`: the moment the process started. `token_key`: lies outside the store,
    /// so that nobody who has only that can make tokens (XEP-0484). Before it serves, `begin`.
    pub fn new(
        settings: Settings,
        mut entropy: Box<dyn Entropy>,
        tx: &mut Tx,
        start: Moment,
        token_key: &[u8; 32],
    ) -> Result<Server, StoreError> {
        let mut belief = Belief::new(start, tx.noted_time()?);
        let start = belief.judge(start);
        let clients = tx.secret("clients", &mut |bytes| entropy.fill(bytes))?;
        let fake_salt_key = tx.secret("fake-salt", &mut |bytes| entropy.fill(bytes))?;
        let archive_ids = tx.secret("archive-ids", &mut |bytes| entropy.fill(bytes))?;
        let participant_ids = tx.secret("participant-ids", &mut |bytes| entropy.fill(bytes))?;
        let own_caps = feature::own_caps(&settings);
        let domains = Domains::new(&settings, SERVICES);
        let stream_settings = Rc::new(stream_settings(&settings, &domains, &own_caps));
        let mut capabilities = Capabilities::default();
        for (id, nodes) in tx.capabilities()? {
            let nodes = nodes.into_iter().map(String::into_boxed_str).collect();
            capabilities.learn(Caps::known(CapsId(id.into()), nodes));
        }
        let mut server = Server {
            state: State {
                settings,
                domains,
                started: start,
                sessions: Sessions::default(),
                capabilities,
                questions: Questions::default(),
                under_way: Default::default(),
                told_presence: Default::default(),
                archive_ids: ArchiveIds::new(&archive_ids),
                participant_ids: ParticipantIds::new(&participant_ids),
                rooms: Rooms::default(),
                activity: Default::default(),
                watchers: Default::default(),
                tokens: Tokens::new(token_key, &clients),
                own_caps,
                disk_low: false,
                memory: Default::default(),
                shared_bytes: Default::default(),
                handling: None,
                effects: Effects::default(),
                rights: Rights::default(),
                redirects: Redirects::new(tx.moved()?),
            },
            entropy,
            stream_settings,
            connections: Connections::default(),
            timers: Timers::default(),
            jobs: Jobs::default(),
            rounds: Rounds::default(),
            throttle: Throttle::default(),
            fake_salt_key,
            disk_full: false,
            shutting_down: false,
            seen_set: false,
            expiry_due_ms: start.monotonic_ms,
            upkeep: Upkeep::due(start.monotonic_ms),
            forgetting: Forgetting::default(),
            expiring: Expiring::default(),
            belief,
        };
        server.timers.set(start.monotonic_ms, Timer::Upkeep);
        server.load_suspended(start, tx)?;
        Ok(server)
    }

    /// Takes one input. An error is of the store: nothing of the batch may be promised to anybody. What is damaged harms only
    /// whose it is: the others go on.
    pub fn step(
        &mut self,
        now: Moment,
        input: Input<'_>,
        tx: &mut Tx,
        out: &mut Outbox,
    ) -> Result<(), StoreError> {
        let connection = input.concerns().0;
        out.begin_step();
        tx.fresh().take_met();
        let step = &mut Step {
            now: self.belief.judge(now),
            tx,
            out,
        };
        self.try_step(step, input)?;
        self.hold(step, connection);
        Ok(())
    }

    fn try_step(&mut self, step: &mut Step<'_>, input: Input<'_>) -> Result<(), StoreError> {
        // A commit found the disk full before anybody looked at it.
        self.state.disk_low |= step.tx.is_starved();
        let (connection, job) = input.concerns();
        let taken = self.take(step, input);
        let Err(damage @ StoreError::Damaged { .. }) = taken else {
            return taken;
        };
        log::error!("step.failed error={}", quoted(&damage.to_string()));
        if let Some(id) = job {
            let (code, text) = (1, damage.to_string());
            step.out.push(Output::CommandDone {
                job: id,
                code,
                text,
            });
        }
        if let Some(id) = connection {
            let error = StreamError::new(StreamCondition::InternalServerError)
                .text("What is stored of this account is damaged.");
            self.state.effects.ending.push((id, error));
        }
        match self.end_streams(step) {
            Err(StoreError::Damaged { .. }) => Ok(()),
            ended => ended,
        }
    }

    fn take(&mut self, step: &mut Step<'_>, input: Input<'_>) -> Result<(), StoreError> {
        match input {
            Input::Opened {
                connection,
                address,
                port,
                framing,
            } => {
                self.opened(step, connection, address, (port, framing));
            }
            Input::Secured { connection, facts } => self.secured(connection, facts),
            Input::HandshakeDone { connection } => self.handshake_done(step, connection)?,
            Input::Bytes { connection, bytes } => self.bytes(step, connection, bytes)?,
            Input::Alive { connection } => self.is_alive(step.now, connection),
            Input::Drained { connection } => self.drained(step, connection)?,
            Input::Closed { connection } => self.closed(step, connection, true)?,
            Input::Displaced { connection } => self.displaced(connection),
            Input::Hashed { job, result } => self.hashed(step, job, result)?,
            Input::Command { job, command } => self.command(step, job, command)?,
            Input::Disk {
                free_bytes,
                total_bytes,
            } => self.disk(free_bytes, total_bytes, step.tx)?,
            Input::Memory { outside_bytes } => self.keep_budget(step, outside_bytes)?,
            Input::MemoryOver { bytes } => self.end_half_sent_of_members(step, bytes)?,
            Input::Tick => self.tick(step)?,
            Input::Shutdown => self.shutdown(step)?,
        }
        self.change_accounts(step)?;
        self.end_streams(step)?;
        self.spill_queues(step)?;
        self.watch_unacknowledged(step.now);
        self.watch_questions();
        self.watch_seen(step)
    }

    /// `Moment::monotonic_ms` at which `Input::Tick` is wanted.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// What the tests and `status` may look at.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Connections whose stream has not ended.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Most of a crowd has left: what grew with it goes back.
    pub fn resettle(&mut self) {
        self.connections.resettle();
        self.state.sessions.resettle();
    }

    /// Splits the borrow: a step's view for handlers, beside the connections.
    fn cx<'a>(&'a mut self, step: &'a mut Step<'_>) -> Cx<'a> {
        Cx {
            now: step.now,
            state: &mut self.state,
            tx: step.tx,
            out: step.out,
            entropy: self.entropy.as_mut(),
        }
    }
}

/// What streams need to know of the settings.
fn stream_settings(settings: &Settings, domains: &Domains, own_caps: &Rc<str>) -> StreamSettings {
    StreamSettings {
        domain: domains.served().as_str().into(),
        components: domains
            .components
            .all()
            .map(|known| known.jid.as_str().into())
            .collect(),
        lang: "en",
        limits_before_authentication: settings.limits_before_authentication,
        limits: settings.limits,
        idle_seconds_max: settings.idle_seconds_max,
        client_state: settings.client_state,
        failures_max: settings.authentication_failures_max,
        scram_iterations: settings.scram_iterations,
        early_data: settings.early_data,
        x_oauth: settings.x_oauth,
        caps: Rc::clone(own_caps),
        last_written: Default::default(),
    }
}
