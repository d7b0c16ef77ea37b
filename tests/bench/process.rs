//! What the kernel says about a process and its children: CPU, memory, bytes written. And: where they may run, and that
//! they end.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

const STOP_WAIT: Duration = Duration::from_secs(15);
/// `sysconf(_SC_CLK_TCK)` on every Linux this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A started program and all it starts in turn; ended, with all of them, when this is dropped, also by a panic.
pub struct Guarded {
    child: Child,
    name: String,
}

/// CPU used by a family of processes; take two and subtract.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// From `schedstat`: nanoseconds, but only of threads still alive.
    precise: f64,
    /// From `stat`: in ticks, of all threads there ever were.
    coarse: f64,
}

#[derive(Clone, Copy)]
pub struct Family(u32);

impl Guarded {
    /// Starts `command` on one core. Should the benchmark be killed, the kernel ends what it started (`setpriv`).
    pub fn start(command: &Command, core: usize, log: &Path) -> Outcome<Guarded> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &core.to_string()]);
        pinned.args(["setpriv", "--pdeathsig", "TERM"]);
        pinned.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                pinned.env(name, value);
            }
        }
        if let Some(dir) = command.get_current_dir() {
            pinned.current_dir(dir);
        }
        // Its own group, so that a Ctrl-C reaches the benchmark, which then ends it in order.
        pinned.process_group(0);
        pinned.stdin(Stdio::null());
        pinned.stdout(log.try_clone()?).stderr(log);
        let name = command.get_program().to_string_lossy().into_owned();
        let child = pinned
            .spawn()
            .map_err(|error| format!("cannot start {name} through taskset and setpriv: {error}"))?;
        Ok(Guarded { child, name })
    }

    pub fn family(&self) -> Family {
        Family(self.child.id())
    }

    /// An error when the program has ended by itself.
    pub fn check(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("{} ended: {status}", self.name).into()),
            None => Ok(()),
        }
    }

    /// Waits for a program that is to end by itself.
    pub fn finish(mut self, limit: Duration) -> Outcome<()> {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("{} failed: {status}", self.name).into())
                };
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{} did not end in {limit:?}", self.name).into())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let family = self.family().pids();
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        signal(self.child.id(), Signal::TERM);
        let until = Instant::now() + STOP_WAIT;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            eprintln!("{} had to be killed", self.name);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for pid in family.into_iter().filter(|pid| *pid != self.child.id()) {
            signal(pid, Signal::KILL);
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended just now.
        let _ = kill_process(pid, signal);
    }
}

impl Family {
    /// The process and its descendants.
    fn pids(self) -> Vec<u32> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                continue;
            };
            if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok()) {
                parents.push((pid, parent));
            }
        }
        let mut family = vec![self.0];
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            family.extend(parents.iter().filter(|p| p.1 == parent).map(|p| p.0));
            at += 1;
        }
        family
    }

    pub fn cpu(self) -> Cpu {
        self.pids()
            .into_iter()
            .map(cpu_of)
            .fold(Cpu::default(), |sum, cpu| Cpu {
                precise: sum.precise + cpu.precise,
                coarse: sum.coarse + cpu.coarse,
            })
    }

    /// The whole process's proportional set size.
    pub fn pss_bytes(self) -> u64 {
        let kib: u64 = self
            .pids()
            .into_iter()
            .filter_map(|pid| field(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
            .sum();
        kib * 1024
    }

    /// Bytes the process has caused to be written to storage.
    pub fn written_bytes(self) -> u64 {
        self.pids()
            .into_iter()
            .filter_map(|pid| field(&format!("/proc/{pid}/io"), "write_bytes:"))
            .sum()
    }
}

/// CPU of this process alone, without what it started.
pub fn own_cpu() -> Cpu {
    cpu_of(std::process::id())
}

impl Cpu {
    /// Seconds since an earlier value.
    pub fn since(self, earlier: Cpu) -> f64 {
        let precise = self.precise - earlier.precise;
        let coarse = self.coarse - earlier.coarse;
        // A thread that ended took its nanoseconds with it; then the ticks know more.
        if coarse > precise + 4.0 / TICKS_PER_SECOND {
            coarse
        } else {
            precise
        }
    }
}

fn cpu_of(pid: u32) -> Cpu {
    let mut precise = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanos: f64 = text
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0.0);
        precise += nanos / 1e9;
    }
    let ticks: f64 = stat(pid)
        .map(|fields| {
            // proc(5): utime and stime are fields 14 and 15, counted from 1; `stat` starts at 3.
            let ticks = |at: usize| fields.get(at).and_then(|f| f.parse().ok()).unwrap_or(0.0);
            ticks(11) + ticks(12)
        })
        .unwrap_or(0.0);
    Cpu {
        precise,
        coarse: ticks / TICKS_PER_SECOND,
    }
}

/// The fields of `/proc/PID/stat` after the name, from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Binds the benchmark itself to a core.
pub fn pin_self(core: usize) -> Outcome<()> {
    let done = Command::new("taskset")
        .args(["-pc", &core.to_string(), &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()?;
    if done.success() {
        Ok(())
    } else {
        Err("taskset could not bind the load to its core".into())
    }
}

/// A program's full path, if it is installed.
pub fn installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/local/sbin"])
        .any(|dir| Path::new(dir).join(program).is_file())
}
