//! What others wait, and what memory the server takes, while it is attacked: a real process and real sockets, loopback only.
//! `cargo bench --bench attack -- --help`; README.md beside this file says what is bounded.

// An attack is a test: its figures are floats.
#![allow(clippy::as_conversions, clippy::indexing_slicing)]

mod attacks;
mod bystanders;
mod ground;
mod peer;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use argh::FromArgs;

use attacks::{ACCOUNTS, ATTACKS, Attack, LAIR};
use bystanders::{Bystanders, HOME, Waited};
use ground::Ground;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// More than these do not come in.
pub const CONNECTIONS_MAX: usize = 4000;
const MEMORY_BYTES_MAX: usize = 64 << 20;
const MIB: f64 = (1 << 20) as f64;

/// Attacks the server and tells what bystanders waited.
#[derive(FromArgs)]
struct Options {
    /// only attacks whose name holds this
    #[argh(option)]
    only: Option<String>,
    /// the binary to attack (default: the one just built)
    #[argh(option)]
    stonechat: Option<PathBuf>,
    /// milliseconds that 99 of 100 pings of a bystander may take (default 500: the machine may be busy; what is meant is 50)
    #[argh(option, default = "500.0")]
    wait: f64,
    /// given by cargo
    #[argh(switch)]
    #[expect(dead_code, reason = "cargo bench gives it to every benchmark")]
    bench: bool,
}

fn main() -> ExitCode {
    let options: Options = argh::from_env();
    let only = options.only.as_deref().unwrap_or_default();
    println!(
        "{:<45} {:>6} {:>22} {:>22} {:>10}",
        "attack", "s", "member ms p50/p99/max", "login ms p50/p99/max", "MiB rose"
    );
    let mut failed = false;
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(only)) {
        if let Err(error) = attempt(attack, &options) {
            println!("{:<45} FAILED: {error}", attack.name);
            failed = true;
        }
    }
    ExitCode::from(u8::from(failed))
}

fn attempt(attack: &Attack, options: &Options) -> Outcome<()> {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_stonechat"));
    let binary = options.stonechat.as_ref().unwrap_or(&built);
    let settings =
        format!("memory_bytes_max = {MEMORY_BYTES_MAX}\nconnections_max = {CONNECTIONS_MAX}\n");
    let mut ground = Ground::new(binary, "attack", &settings, ACCOUNTS)?;
    for attack in ATTACKS {
        // Whatever another left there is there for this one, too.
        (attack.prepare)(&ground)?;
    }
    let home = if attack.next_door { LAIR } else { HOME };
    let bystanders = Bystanders::watch((ground.door, home), "bystander")?;
    ground.forget_peak()?;
    let [before, _] = ground.resident_bytes()?;
    let start = Instant::now();
    let outcome = (attack.run)(&ground);
    let seconds = start.elapsed().as_secs_f64();
    ground.is_alive()?;
    let waited = bystanders.end();
    let [_, most] = ground.resident_bytes()?;
    let rose = most.saturating_sub(before);
    let [member, newcomer] = waited?;
    let shown = |waited: &Waited| format!("{:.1}/{:.1}/{:.1}", waited.p50, waited.p99, waited.most);
    println!(
        "{:<45} {seconds:>6.1} {:>22} {:>22} {:>10.1}",
        attack.name,
        shown(&member),
        shown(&newcomer),
        rose as f64 / MIB
    );
    outcome?;
    if rose > MEMORY_BYTES_MAX {
        return Err("memory rose by more than memory_bytes_max".into());
    }
    if member.p99 > options.wait {
        return Err(format!("a member waited more than {} ms", options.wait).into());
    }
    // A login is some round trips, a handshake and a password's hash.
    if newcomer.p99 > 4.0 * options.wait || newcomer.count == 0 {
        return Err("a newcomer waited too long".into());
    }
    Ok(())
}
