//! Load with a window: every lane keeps so many stanzas on their way from a sender to a receiver, and each is seen to
//! arrive, once and in order, before it counts.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::{MICROS, MILLIS, Stage, percentile};
use crate::client::{Clients, refuse_error};
use crate::process::{Cpu, own_cpu};
use crate::server::{Kind, Running, user};
use crate::swarm::{LinkId, Swarm};
use crate::{Outcome, scan};

const STALLED: Duration = Duration::from_secs(120);
/// A slow server with many senders answers in bursts further apart than a phase is long; then it lasts until half of what
/// is on its way has come, so much longer at most.
const PHASE_MAX: Duration = Duration::from_secs(90);
const LATENCIES_MAX: usize = 4_000_000;
const BODY: &str =
    "But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Archived,
    /// XEP-0334: not to be archived.
    Unstored,
    Ping,
}

pub struct Lane {
    pub sender: LinkId,
    pub receiver: LinkId,
    pub to: String,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub load: Load,
    pub window: usize,
    pub warm: Duration,
    pub measure: Duration,
    /// Ends earlier, when so many were sent.
    pub stanzas_max: u64,
}

pub struct Measured {
    pub stanzas: f64,
    pub seconds: f64,
    pub server_cpu: f64,
    pub load_cpu: f64,
    latencies: Vec<f64>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.stanzas / self.seconds
    }

    pub fn cpu_micros_each(&self) -> f64 {
        self.server_cpu / self.stanzas * MICROS
    }

    pub fn load_busy_percent(&self) -> f64 {
        self.load_cpu / self.seconds * 100.0
    }

    pub fn latency_millis(&mut self, share: f64) -> f64 {
        percentile(&mut self.latencies, share) * MILLIS
    }
}

/// So many pairs of users, `u0` to `u1`, `u2` to `u3`, starting from a given pair; on the relay, of connections.
pub fn pairs(
    stage: &mut Stage<'_>,
    server: &Running,
    from: usize,
    to: usize,
) -> Outcome<Vec<Lane>> {
    if stage.kind == Kind::Relay {
        return (from..to)
            .map(|pair| relay_pair(stage.clients, server, pair))
            .collect();
    }
    let who: Vec<_> = (2 * from..2 * to)
        .map(|n| (user(n), "load".to_owned()))
        .collect();
    let links = stage.clients.log_in(server.door, &who, 16)?;
    for link in &links {
        stage.clients.swarm.send(*link, b"<presence/>");
    }
    stage
        .clients
        .settle(Duration::from_millis(500), Duration::from_secs(60))?;
    Ok(links
        .chunks_exact(2)
        .zip(from..)
        .map(|(link, pair)| Lane {
            sender: link[0],
            receiver: link[1],
            to: format!("{}@localhost", user(2 * pair + 1)),
        })
        .collect())
}

fn relay_pair(clients: &mut Clients, server: &Running, pair: usize) -> Outcome<Lane> {
    let receiver = clients.connect_bare(server.door)?;
    clients.ask(
        receiver,
        &format!("<hello from='r{pair}' to='s{pair}'/>"),
        "hello",
    )?;
    let sender = clients.connect_bare(server.door)?;
    clients.ask(
        sender,
        &format!("<hello from='s{pair}' to='r{pair}'/>"),
        "hello",
    )?;
    Ok(Lane {
        sender,
        receiver,
        to: format!("{}@localhost", user(2 * pair + 1)),
    })
}

/// Runs the load; returns when nothing is on its way any more.
pub fn run(
    clients: &mut Clients,
    server: &mut Running,
    lanes: &[Lane],
    plan: Plan,
) -> Outcome<Measured> {
    let mut traffic = Traffic::new(lanes, plan);
    for lane in 0..lanes.len() {
        for _ in 0..plan.window {
            traffic.send(&mut clients.swarm, lane);
        }
    }
    let begun = Instant::now();
    let mut first = Mark::now(server, &traffic);
    let mut is_warm = plan.warm.is_zero();
    let mut last: Option<Mark> = None;
    let mut progress = (traffic.received, Instant::now());
    while last.is_none() || traffic.on_their_way() > 0 {
        clients.stanzas(Duration::from_millis(100), |swarm, link, stanza| {
            traffic.received(swarm, link, stanza)
        })?;
        let now = Instant::now();
        if traffic.received > progress.0 {
            progress = (traffic.received, now);
        } else if now - progress.1 > STALLED {
            server.check()?;
            return Err(format!("{} stanzas never arrived", traffic.on_their_way()).into());
        }
        let turnover = (lanes.len() * plan.window / 2) as u64;
        let phase_over = |since: Instant, length: Duration, received: u64| {
            let lasted = now - since;
            lasted >= length && (received >= turnover || lasted >= length + PHASE_MAX)
        };
        if !is_warm && phase_over(begun, plan.warm, traffic.received) {
            is_warm = true;
            traffic.latencies.clear();
            first = Mark::now(server, &traffic);
        }
        let all_there = traffic.is_full() && traffic.on_their_way() == 0;
        let measured = traffic.received - first.received;
        if last.is_none() && (all_there || is_warm && phase_over(first.at, plan.measure, measured))
        {
            traffic.is_over = true;
            last = Some(Mark::now(server, &traffic));
        }
    }
    let last = last.ok_or("the load never ended")?;
    Ok(Measured {
        stanzas: (last.received - first.received) as f64,
        seconds: (last.at - first.at).as_secs_f64(),
        server_cpu: last.server.since(first.server),
        load_cpu: last.load.since(first.load),
        latencies: traffic.latencies,
    })
}

struct Mark {
    at: Instant,
    received: u64,
    server: Cpu,
    load: Cpu,
}

impl Mark {
    fn now(server: &Running, traffic: &Traffic<'_>) -> Mark {
        Mark {
            at: Instant::now(),
            received: traffic.received,
            server: server.family.cpu(),
            load: own_cpu(),
        }
    }
}

struct Traffic<'l> {
    lanes: &'l [Lane],
    plan: Plan,
    by_receiver: HashMap<LinkId, usize>,
    progress: Vec<Progress>,
    sent: u64,
    received: u64,
    is_over: bool,
    latencies: Vec<f64>,
    stanza: String,
}

#[derive(Default)]
struct Progress {
    next: u64,
    on_their_way: VecDeque<(u64, Instant)>,
}

impl<'l> Traffic<'l> {
    fn new(lanes: &'l [Lane], plan: Plan) -> Traffic<'l> {
        Traffic {
            lanes,
            plan,
            by_receiver: lanes
                .iter()
                .enumerate()
                .map(|(n, lane)| (lane.receiver, n))
                .collect(),
            progress: lanes.iter().map(|_| Progress::default()).collect(),
            sent: 0,
            received: 0,
            is_over: false,
            latencies: Vec::new(),
            stanza: String::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.is_over || self.sent >= self.plan.stanzas_max
    }

    fn on_their_way(&self) -> u64 {
        self.sent - self.received
    }

    fn send(&mut self, swarm: &mut Swarm, lane: usize) {
        if self.is_full() {
            return;
        }
        let progress = &mut self.progress[lane];
        let Lane { sender, to, .. } = &self.lanes[lane];
        let id = Id(lane, progress.next);
        self.stanza.clear();
        let hint = match self.plan.load {
            Load::Unstored => "<no-store xmlns='urn:xmpp:hints'/>",
            _ => "",
        };
        let written = match self.plan.load {
            Load::Ping => write!(
                self.stanza,
                "<iq type='get' to='localhost' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ),
            _ => write!(
                self.stanza,
                "<message type='chat' to='{to}' id='{id}'><body>{BODY}</body>{hint}</message>"
            ),
        };
        written.expect("a String takes all text");
        swarm.send(*sender, self.stanza.as_bytes());
        progress
            .on_their_way
            .push_back((progress.next, Instant::now()));
        progress.next += 1;
        self.sent += 1;
    }

    fn received(&mut self, swarm: &mut Swarm, link: LinkId, stanza: &[u8]) -> Outcome<()> {
        refuse_error(stanza)?;
        let Some(&lane) = self.by_receiver.get(&link) else {
            return Ok(());
        };
        let is_ours = match self.plan.load {
            Load::Ping => stanza.starts_with(b"<iq"),
            _ => stanza.starts_with(b"<message") && scan::has(stanza, "<body>"),
        };
        if !is_ours {
            return Ok(());
        }
        let (number, sent_at) = self.progress[lane]
            .on_their_way
            .pop_front()
            .ok_or("a stanza came twice")?;
        self.stanza.clear();
        write!(self.stanza, "{}", Id(lane, number))?;
        if !scan::has(stanza, &self.stanza) {
            let got = String::from_utf8_lossy(stanza);
            return Err(format!("expected {}, got {got}", self.stanza).into());
        }
        self.received += 1;
        if self.latencies.len() < LATENCIES_MAX {
            self.latencies.push(sent_at.elapsed().as_secs_f64());
        }
        self.send(swarm, lane);
        Ok(())
    }
}

/// A stanza's id: its lane and number, with an end so that 1 is not found in 12.
struct Id(usize, u64);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "m{}-{}.", self.0, self.1)
    }
}
