//! What is measured. Every scenario gets a server that starts from the same prepared data, and gives figures.

mod archive;
mod group;
mod idle;
mod login;
mod messages;
mod pages;
mod pubsub;
mod reconnect;
mod removal;
mod traffic;

use std::path::PathBuf;
use std::time::Instant;

use crate::Outcome;
use crate::client::Clients;
use crate::process::{Cpu, Family};
use crate::report::Figure;
use crate::server::{self, Ground, Kind, Running};

/// What a scenario works with.
pub struct Stage<'a> {
    pub kind: Kind,
    pub clients: &'a mut Clients,
    pub quick: bool,
    pub accounts: usize,
    pub prepared: PathBuf,
    pub dir: PathBuf,
    pub ground: Ground,
}

pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// Accounts it needs, in a full and in a quick run.
    accounts: (usize, usize),
    /// Whether the bare relay can take part.
    pub for_relay: bool,
    pub run: fn(&mut Stage<'_>) -> Outcome<Vec<Figure>>,
}

const FEW: (usize, usize) = (1_000, 200);

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "start",
        about: "cold start to the first login",
        accounts: FEW,
        for_relay: false,
        run: login::start,
    },
    Scenario {
        name: "login",
        about: "logins: how many, at what cost, in how many round trips",
        accounts: FEW,
        for_relay: true,
        run: login::logins,
    },
    Scenario {
        name: "reconnect",
        about: "clients that come back to their sessions",
        accounts: (5_000, 300),
        for_relay: false,
        run: reconnect::reconnect,
    },
    Scenario {
        name: "idle",
        about: "memory of sessions that do nothing",
        accounts: (5_000, 1_000),
        for_relay: false,
        run: idle::idle,
    },
    Scenario {
        name: "messages",
        about: "messages between pairs of users",
        accounts: FEW,
        for_relay: true,
        run: messages::messages,
    },
    Scenario {
        name: "ping",
        about: "IQs the server answers itself",
        accounts: FEW,
        for_relay: false,
        run: messages::pings,
    },
    Scenario {
        name: "archive",
        about: "pages of 50 from a long archive",
        accounts: FEW,
        for_relay: false,
        run: archive::archive,
    },
    Scenario {
        name: "pages",
        about: "pages of 50 from an archive of 1,000, 100,000, 1,000,000 messages",
        accounts: FEW,
        for_relay: false,
        run: pages::pages,
    },
    Scenario {
        name: "offline",
        about: "messages to somebody absent, who then comes",
        accounts: FEW,
        for_relay: false,
        run: archive::offline,
    },
    Scenario {
        name: "disk",
        about: "bytes written for an archived message",
        accounts: FEW,
        for_relay: false,
        run: messages::disk,
    },
    Scenario {
        name: "pubsub",
        about: "avatars, devices and bookmarks; pages of a long node",
        accounts: FEW,
        for_relay: false,
        run: pubsub::pubsub,
    },
    Scenario {
        name: "muc",
        about: "rooms: messages to all, entering, memory, history",
        accounts: FEW,
        for_relay: false,
        run: group::muc,
    },
    Scenario {
        name: "mix",
        about: "channels whose participants are mostly absent",
        accounts: FEW,
        for_relay: false,
        run: group::mix,
    },
    Scenario {
        name: "removal",
        about: "messages while many others are removed",
        accounts: FEW,
        for_relay: false,
        run: removal::removal,
    },
    Scenario {
        name: "pruning",
        about: "messages while a long archive is pruned, and while there is no room (Stonechat only)",
        accounts: FEW,
        for_relay: false,
        run: removal::pruning,
    },
];

impl Scenario {
    pub fn accounts(&self, quick: bool) -> usize {
        if quick {
            self.accounts.1
        } else {
            self.accounts.0
        }
    }
}

impl Stage<'_> {
    /// Starts the server on fresh data.
    pub fn start(&self) -> Outcome<Running> {
        server::start(
            self.kind,
            &self.prepared,
            &self.dir,
            self.accounts,
            &self.ground,
        )
    }

    /// Starts it on the data it left, without waiting until it answers.
    pub fn restart(&self) -> Outcome<Running> {
        server::restart(self.kind, &self.dir, self.accounts, &self.ground)
    }

    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// Time and CPU of what is done so many times.
pub struct Clock {
    scenario: &'static str,
    at: Instant,
    cpu: Cpu,
    family: Family,
}

impl Clock {
    pub fn start(scenario: &'static str, family: Family) -> Clock {
        Clock {
            scenario,
            at: Instant::now(),
            cpu: family.cpu(),
            family,
        }
    }

    pub fn figures(self, name: &str, count: f64) -> Vec<Figure> {
        let time = self.at.elapsed().as_secs_f64() / count * MILLIS;
        let cpu = self.family.cpu().since(self.cpu) / count * MILLIS;
        vec![
            Figure::less(self.scenario, format!("{name}: time"), "ms", time),
            Figure::less(self.scenario, format!("{name}: CPU"), "ms", cpu),
        ]
    }
}

/// The value below which this share of all lie.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (share * values.len() as f64) as usize;
    values
        .get(at.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

pub const MILLIS: f64 = 1e3;
pub const MICROS: f64 = 1e6;
pub const KIB: f64 = 1024.0;
pub const MIB: f64 = 1024.0 * 1024.0;
