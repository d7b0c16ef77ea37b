//! Messages a second between pairs, archived and not, in a crowd and alone; pings; bytes written to disk.

use std::thread;
use std::time::Duration;

use super::traffic::{Load, Measured, Plan, pairs, run};
use super::{KIB, MILLIS, Stage, percentile};
use crate::disk::Meter;
use crate::report::Figure;
use crate::server::{Kind, Running};
use crate::{Outcome, disk};

const NO_LIMIT: u64 = u64::MAX;
/// Lets late writes reach the kernel before they are counted.
const DISK_PAUSE: Duration = Duration::from_secs(4);

pub fn messages(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut server = stage.start()?;
    let mut lanes = pairs(stage, &server, 0, 50)?;
    let mut figures = Vec::new();
    let alone = stage.pick(2_000, 300);
    figures.push(fdatasync(stage)?);
    let runs: &[(&str, Load, usize, usize)] = &[
        ("alone, archived", Load::Archived, 1, 1),
        ("alone, no-store", Load::Unstored, 1, 1),
        ("50 pairs window 32, archived", Load::Archived, 50, 32),
        ("50 pairs window 32, no-store", Load::Unstored, 50, 32),
        ("50 pairs window 1, archived", Load::Archived, 50, 1),
        ("50 pairs window 1, no-store", Load::Unstored, 50, 1),
        ("500 pairs window 32, archived", Load::Archived, 500, 32),
        ("500 pairs window 32, no-store", Load::Unstored, 500, 32),
    ];
    for (name, load, count, window) in runs {
        let is_bare = stage.kind == Kind::Relay;
        if (is_bare && *load == Load::Archived) || 2 * count > stage.accounts {
            continue;
        }
        if *count > lanes.len() {
            let more = pairs(stage, &server, lanes.len(), *count)?;
            lanes.extend(more);
        }
        let stanzas_max = if *count == 1 { alone } else { NO_LIMIT };
        let plan = plan(stage, *load, *window, stanzas_max);
        let measured = run(stage.clients, &mut server, &lanes[..*count], plan)?;
        figures.extend(rates("messages", name, measured));
    }
    stage.clients.close_all();
    Ok(figures)
}

/// Measured again beside each server, for what else uses the disk slows both.
fn fdatasync(stage: &Stage<'_>) -> Outcome<Figure> {
    let mut times = disk::fdatasync_times(&stage.dir, stage.pick(300, 50))?;
    let millis = percentile(&mut times, 0.5) * MILLIS;
    Ok(Figure::note(
        "messages",
        "the disk's fdatasync before, p50",
        "ms",
        millis,
    ))
}

pub fn pings(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut server = stage.start()?;
    let mut lanes = pairs(stage, &server, 0, 50)?;
    for lane in &mut lanes {
        lane.receiver = lane.sender;
    }
    let plan = plan(stage, Load::Ping, 32, NO_LIMIT);
    let measured = run(stage.clients, &mut server, &lanes, plan)?;
    stage.clients.close_all();
    Ok(rates("ping", "50 clients window 32", measured))
}

pub fn disk(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut server = stage.start()?;
    let lanes = pairs(stage, &server, 0, 64)?;
    let mut figures = Vec::new();
    for senders in [1, 8, 64] {
        let (measured, written) = written_by(stage, &mut server, &lanes[..senders])?;
        let named = |what: &str| format!("{what}, {senders} senders");
        let ways = [
            ("written per message", written.to_disk),
            ("handed to the system per message", Some(written.handed)),
        ];
        for (way, bytes) in ways {
            figures.extend(bytes.map(|bytes| {
                let each = bytes / measured.stanzas / KIB;
                Figure::less("disk", named(way), "KiB", each)
            }));
        }
        figures.push(Figure::more(
            "disk",
            named("messages"),
            "1/s",
            measured.per_second(),
        ));
    }
    stage.clients.close_all();
    Ok(figures)
}

/// Bytes, counted in two ways.
struct Written {
    /// What reached the disk, whoever wrote it, with what the file system writes of its own; `None`: it cannot be told.
    to_disk: Option<f64>,
    /// What the kernel holds the server to account for. That may be more: a page that lies in a larger piece of the page
    /// cache counts as the whole piece.
    handed: f64,
}

fn written_by(
    stage: &mut Stage<'_>,
    server: &mut Running,
    lanes: &[super::traffic::Lane],
) -> Outcome<(Measured, Written)> {
    let meter = Meter::new(&stage.dir);
    let family = server.family;
    let written = || Written {
        to_disk: meter.as_ref().and_then(Meter::written_bytes),
        handed: family.written_bytes() as f64,
    };
    let before = written();
    let plan = Plan {
        warm: Duration::ZERO,
        ..plan(stage, Load::Archived, 1, NO_LIMIT)
    };
    let measured = run(stage.clients, server, lanes, plan)?;
    thread::sleep(DISK_PAUSE);
    let after = written();
    let since = Written {
        to_disk: after.to_disk.zip(before.to_disk).map(|(a, b)| a - b),
        handed: after.handed - before.handed,
    };
    Ok((measured, since))
}

fn plan(stage: &Stage<'_>, load: Load, window: usize, stanzas_max: u64) -> Plan {
    Plan {
        load,
        window,
        warm: Duration::from_millis(stage.pick(2_000, 500)),
        measure: Duration::from_millis(stage.pick(6_000, 1_500)),
        stanzas_max,
    }
}

fn rates(scenario: &'static str, name: &str, mut measured: Measured) -> Vec<Figure> {
    let named = |what: &str| format!("{name}: {what}");
    vec![
        Figure::more(scenario, named("rate"), "1/s", measured.per_second()),
        Figure::less(
            scenario,
            named("CPU each"),
            "us",
            measured.cpu_micros_each(),
        ),
        Figure::less(
            scenario,
            named("latency p50"),
            "ms",
            measured.latency_millis(0.5),
        ),
        Figure::less(
            scenario,
            named("latency p99"),
            "ms",
            measured.latency_millis(0.99),
        ),
        Figure::note(
            scenario,
            named("load's core busy"),
            "%",
            measured.load_busy_percent(),
        ),
    ]
}
