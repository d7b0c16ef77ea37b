//! How long messages take while many others are removed: those of an account that is deleted, and what there is no room for.
use std::process::Command;
use std::time::Duration;

use super::traffic::{Lane, Load, Plan, pairs, run};
use super::{Outcome, Stage};
use crate::report::Figure;
use crate::server::{Kind, Running, user};

/// Of the account that goes, and of the one whose messages are removed for want of room.
const PAIRS: usize = 21;
/// So many pairs leave the server time to wait, so many do not.
const CROWDS: [usize; 2] = [2, 20];

pub fn removal(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    if stage.kind != Kind::Stonechat {
        return Ok(Vec::new());
    }
    let mut server = stage.start()?;
    let removed = pairs(stage, &server, 0, 1)?;
    let fill = Plan {
        load: Load::Archived,
        window: 64,
        warm: Duration::ZERO,
        measure: Duration::from_secs(900),
        stanzas_max: stage.pick(100_000, 30_000),
    };
    run(stage.clients, &mut server, &removed, fill)?;
    stage.clients.close_all();
    let chatting = pairs(stage, &server, 1, PAIRS)?;
    let mut figures = latencies(stage, &mut server, "nothing removed", &chatting)?;
    let data = stage.dir.join("data");
    let deleted = Command::new(&stage.ground.stonechat)
        .args(["user", "del", &user(0), "--data"])
        .arg(&data)
        .output()?;
    if !deleted.status.success() {
        return Err(String::from_utf8_lossy(&deleted.stderr).into_owned().into());
    }
    figures.extend(latencies(
        stage,
        &mut server,
        "an account deleted",
        &chatting,
    )?);
    stage.clients.close_all();
    drop(server);
    std::fs::write(data.join("stonechat.toml"), "archive_bytes_max = 1048576\n")?;
    let mut server = stage.restart()?;
    server.wait_until_open(Duration::from_secs(30))?;
    let lanes = pairs(stage, &server, 1, PAIRS)?;
    figures.extend(latencies(stage, &mut server, "no room", &lanes)?);
    stage.clients.close_all();
    Ok(figures)
}

fn latencies(
    stage: &mut Stage<'_>,
    server: &mut Running,
    name: &str,
    lanes: &[Lane],
) -> Outcome<Vec<Figure>> {
    let chat = Plan {
        load: Load::Archived,
        window: 1,
        warm: Duration::from_millis(500),
        measure: Duration::from_secs(stage.pick(15, 6)),
        stanzas_max: u64::MAX,
    };
    let mut figures = Vec::new();
    for pairs in CROWDS {
        let mut measured = run(stage.clients, server, &lanes[..pairs], chat)?;
        for (share, of) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let name = format!("{name}, {pairs} pairs: latency {share}");
            let millis = measured.latency_millis(of);
            figures.push(Figure::less("removal", name, "ms", millis));
        }
    }
    Ok(figures)
}
