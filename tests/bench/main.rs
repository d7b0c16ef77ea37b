//! Stonechat beside Prosody and ejabberd on one machine, in one run: servers on one core, load on another, loopback only.
//! `cargo bench --bench compare -- --help`; README.md beside this file says what the figures mean.

// A benchmark is a test: its figures are floats, its tables are indexed by what it numbered itself.
#![allow(clippy::as_conversions, clippy::indexing_slicing)]

mod client;
mod disk;
#[path = "../transcript/phone.rs"]
mod phone;
mod process;
mod report;
mod scan;
mod scenario;
mod scram;
mod server;
mod swarm;

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use argh::FromArgs;

use client::Clients;
use report::Report;
use scenario::{Scenario, Stage};
use server::{Ground, Kind};

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Measures Stonechat beside Prosody and ejabberd.
#[derive(FromArgs)]
struct Options {
    /// shorter runs, fewer sessions: to see that it works, not for figures
    #[argh(switch)]
    quick: bool,
    /// only these scenarios: start,login,reconnect,idle,messages,ping,archive,offline,disk
    #[argh(option)]
    only: Option<String>,
    /// default: stonechat,prosody,ejabberd,relay; also prosody-sqlite, ejabberd-sqlite
    #[argh(option)]
    servers: Option<String>,
    /// write the figures to this file, too
    #[argh(option)]
    json: Option<PathBuf>,
    /// where data is put during the run; its disk is what is measured (default: in the target directory)
    #[argh(option)]
    dir: Option<PathBuf>,
    /// the binary to measure (default: the one just built)
    #[argh(option)]
    stonechat: Option<PathBuf>,
    /// keep the accounts' data here and take what is there already: for runs in a row (default: made anew each time)
    #[argh(option)]
    prepared: Option<PathBuf>,
    /// leave the servers' files and logs where they are
    #[argh(switch)]
    keep: bool,
    /// core for the servers (default 0)
    #[argh(option, default = "0")]
    server_core: usize,
    /// core for the load (default 1)
    #[argh(option, default = "1")]
    load_core: usize,
    /// cargo passes this to every bench target
    #[argh(switch, hidden_help)]
    #[expect(dead_code, reason = "only to be accepted")]
    bench: bool,
    /// be the relay: its port
    #[argh(option, hidden_help)]
    relay: Option<SocketAddr>,
    /// be the relay: a port that does nothing
    #[argh(option, hidden_help)]
    relay_plain: Option<SocketAddr>,
}

/// The run's directory, gone when the run is over.
struct Work {
    dir: PathBuf,
    keep: bool,
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept {}", self.dir.display());
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

fn main() -> ExitCode {
    let options: Options = argh::from_env();
    let done = match (options.relay, options.relay_plain) {
        (Some(address), Some(plain)) => server::run_relay(address, plain),
        _ => measure(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Outcome<()> {
    let ground = Ground {
        core: options.server_core,
        stonechat: options
            .stonechat
            .clone()
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_stonechat"))),
    };
    let scenarios = chosen_scenarios(options)?;
    let mut report = Report::default();
    let servers = chosen_servers(options, &ground, &mut report)?;
    let base = options.dir.clone().unwrap_or_else(default_dir);
    let work = Work {
        dir: base.join(format!("compare-{}", std::process::id())),
        keep: options.keep,
    };
    fs::create_dir_all(&work.dir)?;
    process::pin_self(options.load_core)?;
    describe_machine(options, &work.dir, &mut report)?;

    let mut run = Run {
        options,
        ground,
        work: &work.dir,
        prepared: HashMap::new(),
        clients: Clients::new(server::PASSWORD)?,
    };
    for scenario in scenarios {
        for kind in &servers {
            if *kind == Kind::Relay && !scenario.for_relay {
                continue;
            }
            run.one(scenario, *kind, &mut report);
        }
    }
    println!("{}", report.table());
    if let Some(path) = &options.json {
        fs::write(path, report.json())?;
    }
    if report.has_problems() {
        return Err("some scenarios failed".into());
    }
    Ok(())
}

struct Run<'r> {
    options: &'r Options,
    ground: Ground,
    work: &'r Path,
    prepared: HashMap<(&'static str, usize), PathBuf>,
    clients: Clients,
}

impl Run<'_> {
    fn one(&mut self, scenario: &Scenario, kind: Kind, report: &mut Report) {
        let begun = Instant::now();
        eprint!("{} {} ...", scenario.name, kind.name());
        match self.figures(scenario, kind) {
            Ok(figures) => {
                eprintln!(" {:.1} s", begun.elapsed().as_secs_f64());
                for figure in figures {
                    report.add(kind.name(), figure);
                }
            }
            Err(error) => {
                eprintln!(" failed: {error}");
                report.problem(format!("{} {}: {error}", scenario.name, kind.name()));
            }
        }
        self.clients.forget_all();
    }

    fn figures(&mut self, scenario: &Scenario, kind: Kind) -> Outcome<Vec<report::Figure>> {
        let accounts = scenario.accounts(self.options.quick);
        let prepared = self.prepare(kind, accounts)?;
        let mut stage = Stage {
            kind,
            clients: &mut self.clients,
            quick: self.options.quick,
            accounts,
            prepared,
            dir: self.work.join("running"),
            ground: self.ground.clone(),
        };
        (scenario.run)(&mut stage)
    }

    /// The data a server starts from; made once.
    fn prepare(&mut self, kind: Kind, accounts: usize) -> Outcome<PathBuf> {
        let key = (kind.name(), accounts);
        if let Some(path) = self.prepared.get(&key) {
            return Ok(path.clone());
        }
        let base = self.options.prepared.as_deref().unwrap_or(self.work);
        let path = base.join(format!("{}-{accounts}", kind.name()));
        if !path.exists() {
            let unfinished = path.with_extension("unfinished");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            server::prepare(kind, &unfinished, accounts, &self.ground, &mut self.clients)?;
            fs::rename(&unfinished, &path)?;
        }
        self.prepared.insert(key, path.clone());
        Ok(path)
    }
}

fn chosen_scenarios(options: &Options) -> Outcome<Vec<&'static Scenario>> {
    let Some(only) = &options.only else {
        return Ok(scenario::ALL.iter().collect());
    };
    only.split(',')
        .map(|name| {
            scenario::ALL
                .iter()
                .find(|scenario| scenario.name == name)
                .ok_or_else(|| {
                    let known: Vec<String> = scenario::ALL
                        .iter()
                        .map(|s| format!("  {:9} {}", s.name, s.about))
                        .collect();
                    format!("no scenario {name}; there are\n{}", known.join("\n")).into()
                })
        })
        .collect()
}

/// Those asked for must be there; those of the default need not.
fn chosen_servers(options: &Options, ground: &Ground, report: &mut Report) -> Outcome<Vec<Kind>> {
    let default = "stonechat,prosody,ejabberd,relay";
    let names = options.servers.as_deref();
    let mut kinds = Vec::new();
    for name in names.unwrap_or(default).split(',') {
        let kind = Kind::from_name(name).ok_or_else(|| format!("no server {name}"))?;
        match kind.version(ground) {
            Some(version) => {
                report.server(name, &version);
                kinds.push(kind);
            }
            None if names.is_some() => return Err(format!("{name} is not installed").into()),
            None => eprintln!("{name} is not installed: left out"),
        }
    }
    Ok(kinds)
}

fn default_dir() -> PathBuf {
    let in_target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    if in_target.is_dir() {
        in_target
    } else {
        std::env::temp_dir()
    }
}

fn describe_machine(options: &Options, dir: &Path, report: &mut Report) -> Outcome<()> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let named = |key: &str| {
        cpus.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.to_owned())
    };
    let cpu = named("model name")
        .or_else(|| named("Model"))
        .unwrap_or_else(|| "unknown".to_owned());
    report.fact("cpu", cpu);
    report.fact(
        "kernel",
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
    );
    report.fact(
        "run",
        if options.quick {
            "quick: not for figures"
        } else {
            "full"
        },
    );
    let mut times = disk::fdatasync_times(dir, if options.quick { 50 } else { 300 })?;
    let total: f64 = times.iter().sum();
    report.fact(
        "fdatasync per second",
        format!("{:.0}", times.len() as f64 / total),
    );
    report.fact(
        "fdatasync p50 ms",
        format!("{:.3}", scenario::percentile(&mut times, 0.5) * 1e3),
    );
    Ok(())
}
