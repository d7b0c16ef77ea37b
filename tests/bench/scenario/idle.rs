//! Memory of sessions that are there and do nothing: before, at the peak, and after all have left.

use std::thread;
use std::time::{Duration, Instant};

use super::{KIB, MIB, MILLIS, Stage};
use crate::client::{Clients, refuse_error};
use crate::report::Figure;
use crate::server::{CONTACTS_EACH, Kind, user};
use crate::swarm::LinkId;
use crate::{Outcome, scan};

const AT_ONCE: usize = 32;
/// Sessions that ask for their roster at the same time.
const ROSTERS_AT_ONCE: usize = 100;
const ROSTER: &[u8] =
    b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>";
const ENABLE: &[u8] = b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const ROSTER_LIMIT: Duration = Duration::from_secs(60);

pub fn idle(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for sessions in [1_000, 5_000] {
        if sessions <= stage.accounts {
            let of_all = with_sessions(stage, sessions, "", ROSTER)?;
            figures.extend(of_all);
        }
        // Others want to hear from clients that enable it, which these here do not know how to answer.
        if sessions == stage.accounts && stage.kind == Kind::Stonechat {
            let resumable =
                with_sessions(stage, sessions, "resumable ", &[ENABLE, ROSTER].concat())?;
            figures.extend(resumable);
        }
    }
    Ok(figures)
}

fn with_sessions(
    stage: &mut Stage<'_>,
    sessions: usize,
    kind: &str,
    arrival: &[u8],
) -> Outcome<Vec<Figure>> {
    let mut server = stage.start()?;
    let pause = Duration::from_secs(stage.pick(10, 3));
    thread::sleep(pause);
    let before = server.family.pss_bytes() as f64;

    let who: Vec<_> = (0..sessions)
        .map(|n| (user(n), "idle".to_owned()))
        .collect();
    let links = stage.clients.log_in(server.door, &who, AT_ONCE)?;
    for some in links.chunks(ROSTERS_AT_ONCE) {
        arrive(stage.clients, some, arrival)?;
    }
    stage
        .clients
        .settle(Duration::from_secs(1), Duration::from_secs(120))?;
    server.check()?;

    let cpu = server.family.cpu();
    thread::sleep(pause);
    let idle_cpu = server.family.cpu().since(cpu) / pause.as_secs_f64();
    let peak = server.family.pss_bytes() as f64;
    stage.clients.close_all();
    thread::sleep(pause);
    let after = server.family.pss_bytes() as f64;

    let named = |what: &str| format!("{what}, {sessions} {kind}sessions");
    let each = (peak - before) / sessions as f64 / KIB;
    Ok(vec![
        Figure::less("idle", named("PSS per session"), "KiB", each),
        Figure::less("idle", named("PSS before"), "MiB", before / MIB),
        Figure::less("idle", named("PSS at peak"), "MiB", peak / MIB),
        Figure::less("idle", named("PSS after all left"), "MiB", after / MIB),
        Figure::less(
            "idle",
            named("CPU in 10 s of nothing"),
            "ms",
            idle_cpu * 10.0 * MILLIS,
        ),
    ])
}

/// What a client does after login: roster, then presence.
fn arrive(clients: &mut Clients, links: &[LinkId], arrival: &[u8]) -> Outcome<()> {
    for link in links {
        clients.swarm.send(*link, arrival);
    }
    let until = Instant::now() + ROSTER_LIMIT;
    let mut missing = links.len();
    while missing > 0 {
        if Instant::now() > until {
            return Err(format!("{missing} rosters did not come").into());
        }
        clients.stanzas(Duration::from_secs(1), |_, _, stanza| {
            if scan::attribute(stanza, "id") == Some("roster") {
                refuse_error(stanza)?;
                let contacts = memchr::memmem::find_iter(stanza, "subscription=").count();
                if contacts != CONTACTS_EACH {
                    return Err(format!("a roster of {contacts} contacts").into());
                }
                missing -= 1;
            }
            Ok(())
        })?;
    }
    Ok(())
}
