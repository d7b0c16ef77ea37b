//! Load from some to all: so many messages on their way, each seen to arrive at everybody, once and in order, before the
//! next one of its sender leaves.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use memchr::memmem;

use super::super::{MICROS, MILLIS, percentile};
use crate::Outcome;
use crate::client::{Clients, refuse_error};
use crate::process::{Cpu, own_cpu};
use crate::report::Figure;
use crate::server::Running;
use crate::swarm::{LinkId, Swarm};

const STALLED: Duration = Duration::from_secs(60);
/// What a message's body begins with; then come its sender and its number.
const MARK: &str = "<body>m";
const BODY: &str =
    "But, soft! what light through yonder window breaks? It is the east, and Juliet is the sun.";

pub struct Crowd<'c> {
    pub to: &'c str,
    /// Each has one message on its way.
    pub senders: &'c [LinkId],
    /// All who get it, its sender too.
    pub receivers: &'c [LinkId],
}

#[derive(Clone, Copy)]
pub struct Plan {
    pub warm: Duration,
    pub measure: Duration,
    /// Time from one message to the next, of all senders together; none: as fast as they arrive.
    pub pace: Option<Duration>,
}

pub struct Measured {
    deliveries: f64,
    messages: f64,
    seconds: f64,
    server_cpu: f64,
    load_cpu: f64,
    latencies: Vec<f64>,
}

impl Measured {
    pub fn figures(mut self, scenario: &'static str, name: &str) -> Vec<Figure> {
        let named = |what: &str| format!("{name}: {what}");
        let each = |count: f64| self.server_cpu / count * MICROS;
        let (delivery, message) = (each(self.deliveries), each(self.messages));
        let rate = self.deliveries / self.seconds;
        let busy = self.load_cpu / self.seconds * 100.0;
        let latency = percentile(&mut self.latencies, 0.5) * MILLIS;
        let late = percentile(&mut self.latencies, 0.99) * MILLIS;
        vec![
            Figure::more(scenario, named("deliveries"), "1/s", rate),
            Figure::less(scenario, named("CPU per delivery"), "us", delivery),
            Figure::less(scenario, named("CPU per message"), "us", message),
            Figure::less(scenario, named("until all have it, p50"), "ms", latency),
            Figure::less(scenario, named("until all have it, p99"), "ms", late),
            Figure::note(scenario, named("load's core busy"), "%", busy),
        ]
    }
}

pub fn run(
    clients: &mut Clients,
    server: &mut Running,
    crowd: &Crowd<'_>,
    plan: Plan,
) -> Outcome<Measured> {
    let mut traffic = Traffic::new(crowd);
    let begun = Instant::now();
    let mut next_at = begun;
    let mut progress = (0, begun);
    let mut first: Option<Mark> = None;
    let mut last: Option<Mark> = None;
    while last.is_none() || traffic.is_under_way() {
        let now = Instant::now();
        if last.is_none() {
            match plan.pace {
                None => while traffic.send_next(&mut clients.swarm) {},
                Some(pace) if now >= next_at && traffic.send_next(&mut clients.swarm) => {
                    next_at += pace;
                }
                Some(_) => {}
            }
        }
        let wait = plan.pace.map_or(Duration::from_millis(100), |_| {
            next_at
                .saturating_duration_since(now)
                .min(Duration::from_millis(100))
        });
        clients.stanzas(wait, |_, link, stanza| traffic.received(link, stanza))?;
        let now = Instant::now();
        if traffic.deliveries > progress.0 {
            progress = (traffic.deliveries, now);
        } else if now - progress.1 > STALLED {
            server.check()?;
            return Err("a message did not reach all".into());
        }
        match &first {
            None if now - begun >= plan.warm => {
                traffic.latencies.clear();
                first = Some(Mark::now(server, &traffic));
            }
            Some(first) if last.is_none() && now - first.at >= plan.measure => {
                last = Some(Mark::now(server, &traffic));
            }
            _ => {}
        }
    }
    let (first, last) = first.zip(last).ok_or("the load never ended")?;
    Ok(Measured {
        deliveries: (last.deliveries - first.deliveries) as f64,
        messages: (last.deliveries - first.deliveries) as f64 / crowd.receivers.len() as f64,
        seconds: (last.at - first.at).as_secs_f64(),
        server_cpu: last.server.since(first.server),
        load_cpu: last.load.since(first.load),
        latencies: traffic.latencies,
    })
}

struct Mark {
    at: Instant,
    deliveries: u64,
    server: Cpu,
    load: Cpu,
}

impl Mark {
    fn now(server: &Running, traffic: &Traffic<'_>) -> Mark {
        Mark {
            at: Instant::now(),
            deliveries: traffic.deliveries,
            server: server.family.cpu(),
            load: own_cpu(),
        }
    }
}

struct Traffic<'c> {
    crowd: &'c Crowd<'c>,
    /// A receiver's place among all.
    places: HashMap<LinkId, usize>,
    lanes: Vec<Lane>,
    deliveries: u64,
    latencies: Vec<f64>,
}

/// What one sender has on its way.
struct Lane {
    number: u64,
    missing: usize,
    sent_at: Instant,
    /// The last number that each receiver has.
    heard: Vec<u64>,
}

impl<'c> Traffic<'c> {
    fn new(crowd: &'c Crowd<'c>) -> Traffic<'c> {
        let receivers = crowd.receivers;
        let lane = || Lane {
            number: 0,
            missing: 0,
            sent_at: Instant::now(),
            heard: vec![0; receivers.len()],
        };
        Traffic {
            crowd,
            places: (0..).zip(receivers).map(|(n, link)| (*link, n)).collect(),
            lanes: crowd.senders.iter().map(|_| lane()).collect(),
            deliveries: 0,
            latencies: Vec::new(),
        }
    }

    fn is_under_way(&self) -> bool {
        self.lanes.iter().any(|lane| lane.missing > 0)
    }

    /// False: every sender has one on its way.
    fn send_next(&mut self, swarm: &mut Swarm) -> bool {
        let idle = (0..).zip(&mut self.lanes).find(|(_, l)| l.missing == 0);
        let Some((at, lane)) = idle else {
            return false;
        };
        lane.number += 1;
        lane.missing = self.crowd.receivers.len();
        lane.sent_at = Instant::now();
        let number = lane.number;
        let message = format!(
            "<message type='groupchat' to='{}' id='m{at}-{number}'>{MARK}{at}-{number} {BODY}</body></message>",
            self.crowd.to
        );
        swarm.send(self.crowd.senders[at], message.as_bytes());
        true
    }

    fn received(&mut self, link: LinkId, stanza: &[u8]) -> Outcome<()> {
        refuse_error(stanza)?;
        let Some((lane, number)) = mark_of(stanza) else {
            return Ok(());
        };
        let Some(place) = self.places.get(&link) else {
            return Ok(());
        };
        let lane = self.lanes.get_mut(lane).ok_or("a message of nobody")?;
        if number != lane.number || lane.heard[*place] + 1 != number {
            let got = String::from_utf8_lossy(stanza);
            return Err(format!("twice or out of order: {got}").into());
        }
        lane.heard[*place] = number;
        lane.missing -= 1;
        self.deliveries += 1;
        if lane.missing == 0 {
            self.latencies.push(lane.sent_at.elapsed().as_secs_f64());
        }
        Ok(())
    }
}

fn mark_of(stanza: &[u8]) -> Option<(usize, u64)> {
    if !stanza.starts_with(b"<message") {
        return None;
    }
    let start = memmem::find(stanza, MARK.as_bytes())? + MARK.len();
    let rest = &stanza[start..];
    let end = memchr::memchr(b' ', rest)?;
    let (lane, number) = std::str::from_utf8(&rest[..end]).ok()?.split_once('-')?;
    Some((lane.parse().ok()?, number.parse().ok()?))
}
