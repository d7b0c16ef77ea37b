//! How long messages take while many others are removed: those of an account that is deleted, of a long archive that is
//! pruned, and what there is no room for.
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::traffic::{Lane, Load, Plan, pairs, run};
use super::{Outcome, Stage};
use crate::report::Figure;
use crate::server::{Kind, Running, user};

/// The pair whose messages go, and those who write meanwhile.
const PAIRS: usize = 21;
/// So many pairs leave the server time to wait, so many do not.
const CROWDS: [usize; 2] = [2, 20];

/// What begins beside a crowd, and what to wait for when it is over.
type Begin<'b> = &'b mut dyn FnMut(&mut Stage<'_>, usize) -> Outcome<Option<Child>>;

pub fn removal(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    // On Mnesia it takes hours to have something to remove.
    if stage.kind == Kind::Ejabberd {
        return Ok(Vec::new());
    }
    let mut server = stage.start()?;
    fill(stage, &mut server, stage.pick(100_000, 30_000))?;
    let chatting = pairs(stage, &server, 1, PAIRS)?;
    let mut figures = latencies(
        stage,
        &mut server,
        ("removal", "nothing removed"),
        &chatting,
        &mut idle,
    )?;
    // Both have all of the messages: one goes beside each crowd.
    let who: Vec<_> = (0..CROWDS.len())
        .map(|n| (user(n), "last".to_owned()))
        .collect();
    let leaving = stage.clients.log_in(server.door, &who, 1)?;
    figures.extend(latencies(
        stage,
        &mut server,
        ("removal", "an account deleted"),
        &chatting,
        &mut |stage, crowd| {
            let remove = "<iq type='set' id='remove'><query xmlns='jabber:iq:register'><remove/></query></iq>";
            stage.clients.send_last(leaving[crowd], remove);
            Ok(None)
        },
    )?);
    stage.clients.close_all();
    Ok(figures)
}

pub fn pruning(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    if stage.kind != Kind::Stonechat {
        return Ok(Vec::new());
    }
    let mut server = stage.start()?;
    fill(stage, &mut server, stage.pick(1_000_000, 50_000))?;
    let chatting = pairs(stage, &server, 1, PAIRS)?;
    let nothing = ("pruning", "nothing pruned");
    let mut figures = latencies(stage, &mut server, nothing, &chatting, &mut idle)?;
    figures.extend(latencies(
        stage,
        &mut server,
        ("pruning", "an archive pruned"),
        &chatting,
        &mut |stage, crowd| {
            let pruned = Command::new(&stage.ground.stonechat)
                .args(["archive", "prune", &user(crowd), "0", "--data"])
                .arg(stage.dir.join("data"))
                .stdout(Stdio::null())
                .spawn()?;
            Ok(Some(pruned))
        },
    )?);
    stage.clients.close_all();
    drop(server);
    let settings = stage.dir.join("data/stonechat.toml");
    std::fs::write(settings, "archive_bytes_max = 1048576\n")?;
    let mut server = stage.restart()?;
    server.wait_until_open(Duration::from_secs(30))?;
    let lanes = pairs(stage, &server, 1, PAIRS)?;
    let no_room = ("pruning", "no room");
    figures.extend(latencies(stage, &mut server, no_room, &lanes, &mut idle)?);
    stage.clients.close_all();
    Ok(figures)
}

/// The first pair's archives, then they leave.
fn fill(stage: &mut Stage<'_>, server: &mut Running, messages: u64) -> Outcome<()> {
    let lanes = pairs(stage, server, 0, 1)?;
    let fill = Plan {
        load: Load::Archived,
        window: 64,
        warm: Duration::ZERO,
        measure: Duration::from_secs(900),
        stanzas_max: messages,
    };
    run(stage.clients, server, &lanes, fill)?;
    stage.clients.close_all();
    Ok(())
}

fn idle(_stage: &mut Stage<'_>, _crowd: usize) -> Outcome<Option<Child>> {
    Ok(None)
}

fn latencies(
    stage: &mut Stage<'_>,
    server: &mut Running,
    (scenario, name): (&'static str, &str),
    lanes: &[Lane],
    begin: Begin<'_>,
) -> Outcome<Vec<Figure>> {
    let chat = Plan {
        load: Load::Archived,
        window: 1,
        warm: Duration::ZERO,
        measure: Duration::from_secs(stage.pick(15, 6)),
        stanzas_max: u64::MAX,
    };
    let mut figures = Vec::new();
    for (crowd, pairs) in CROWDS.into_iter().enumerate() {
        let begun = begin(stage, crowd)?;
        let mut measured = run(stage.clients, server, &lanes[..pairs], chat)?;
        if let Some(mut begun) = begun {
            let is_still_at_it = begun.try_wait()?.is_none();
            figures.push(Figure::note(
                scenario,
                format!("{name}, {pairs} pairs: it took longer than that"),
                "",
                f64::from(u8::from(is_still_at_it)),
            ));
            if !begun.wait()?.success() {
                return Err(format!("{name}: it failed").into());
            }
        }
        for (share, of) in [
            ("p50", 0.5),
            ("p99", 0.99),
            ("p99.9", 0.999),
            ("longest", 1.0),
        ] {
            let name = format!("{name}, {pairs} pairs: latency {share}");
            let millis = measured.latency_millis(of);
            figures.push(Figure::less(scenario, name, "ms", millis));
        }
    }
    Ok(figures)
}
