//! Cold start to the first login; logins a second, their CPU and their round trips.

use std::thread;
use std::time::{Duration, Instant};

use super::{MIB, MILLIS, Stage, percentile};
use crate::Outcome;
use crate::client::{Clients, Door, Security, Who};
use crate::report::Figure;
use crate::server::{Kind, user};
use crate::swarm::Flights;

const AT_ONCE: usize = 16;
const START_LIMIT: Duration = Duration::from_secs(60);
/// Until a server has noticed that its clients have left.
const LEAVING: Duration = Duration::from_secs(1);
const FRESH_PAUSE: Duration = Duration::from_secs(2);

pub fn start(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    // The first start is not counted: it may create what later starts find, and the client learns the salt.
    let first = stage.start()?;
    log_in_until_it_works(stage.clients, first.door)?;
    stage.clients.close_all();
    drop(first);
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..stage.pick(7, 3) {
        let begun = Instant::now();
        let server = stage.restart()?;
        log_in_until_it_works(stage.clients, server.door)?;
        times.push(begun.elapsed().as_secs_f64() * MILLIS);
        stage.clients.close_all();
        thread::sleep(FRESH_PAUSE);
        memory.push(server.family.pss_bytes() as f64 / MIB);
    }
    Ok(vec![
        Figure::less(
            "start",
            "cold start to first login",
            "ms",
            percentile(&mut times, 0.5),
        ),
        Figure::less(
            "start",
            "PSS after one login, idle",
            "MiB",
            percentile(&mut memory, 0.5),
        ),
    ])
}

fn log_in_until_it_works(clients: &mut Clients, door: Door) -> Outcome<()> {
    let until = Instant::now() + START_LIMIT;
    let who = [(user(0), "start".to_owned())];
    loop {
        match clients.log_in(door, &who, 1) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => {
                clients.forget_all();
                thread::sleep(Duration::from_micros(500));
            }
        }
    }
}

pub fn logins(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    if stage.kind == Kind::Relay {
        return handshakes(stage);
    }
    let server = stage.start()?;
    let users = stage.accounts.min(100);
    let who = |count: usize, resource: &str| -> Vec<Who> {
        (0..count)
            .map(|n| (user(n % users), format!("{resource}{n}")))
            .collect()
    };
    // Once for all, so that the client knows every salted password.
    stage
        .clients
        .log_in(server.door, &who(users, "first"), AT_ONCE)?;
    stage.clients.close_all();

    let many = who(stage.pick(500, 200), "many");
    let before = server.family.cpu();
    let begun = Instant::now();
    stage.clients.log_in(server.door, &many, AT_ONCE)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = server.family.cpu().since(before);
    stage.clients.close_all();
    thread::sleep(LEAVING);
    let with_end = server.family.cpu().since(before);

    let mut alone = Vec::new();
    let cpu_alone = server.family.cpu();
    for one in who(stage.pick(100, 40), "one") {
        let begun = Instant::now();
        stage.clients.log_in(server.door, &[one], 1)?;
        alone.push(begun.elapsed().as_secs_f64() * MILLIS);
        stage.clients.close_all();
    }
    let cpu_alone = server.family.cpu().since(cpu_alone) / alone.len() as f64;
    let count = many.len() as f64;
    let mut figures = vec![
        Figure::more("login", "logins, 16 at once", "1/s", count / seconds),
        Figure::less("login", "CPU per login", "ms", cpu / count * MILLIS),
        Figure::less(
            "login",
            "CPU per login, until it has left",
            "ms",
            with_end / count * MILLIS,
        ),
        Figure::less(
            "login",
            "one login alone, p50",
            "ms",
            percentile(&mut alone, 0.5),
        ),
        Figure::less(
            "login",
            "CPU per login, one alone",
            "ms",
            cpu_alone * MILLIS,
        ),
    ];
    for (security, name) in [
        (Security::Direct, "round trips, direct TLS"),
        (Security::StartTls, "round trips, STARTTLS"),
    ] {
        stage.clients.security = security;
        let flights = flights_of_one(stage.clients, server.door);
        stage.clients.security = Security::Direct;
        // TCP's own handshake is one more.
        figures.push(Figure::less(
            "login",
            name,
            "",
            f64::from(flights?.back) + 1.0,
        ));
    }
    Ok(figures)
}

fn flights_of_one(clients: &mut Clients, door: Door) -> Outcome<Flights> {
    let links = clients.log_in(door, &[(user(0), "flights".to_owned())], 1)?;
    let flights = links
        .first()
        .map(|link| clients.swarm.flights(*link))
        .unwrap_or_default();
    clients.close_all();
    Ok(flights)
}

/// What a connection costs before there is any XMPP.
fn handshakes(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let count = stage.pick(500, 200);
    let cpu = server.family.cpu();
    let begun = Instant::now();
    for first in (0..count).step_by(AT_ONCE) {
        for number in first..(first + AT_ONCE).min(count) {
            let link = stage.clients.connect_bare(server.door)?;
            let hello = format!("<hello from='h{number}' to='nobody'/>");
            stage.clients.swarm.send(link, hello.as_bytes());
        }
        let mut missing = AT_ONCE.min(count - first);
        let until = Instant::now() + START_LIMIT;
        while missing > 0 {
            if Instant::now() > until {
                return Err("the relay does not answer".into());
            }
            missing -= stage
                .clients
                .stanzas(Duration::from_secs(1), |_, _, _| Ok(()))?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = server.family.cpu().since(cpu);
    stage.clients.close_all();
    let count = count as f64;
    Ok(vec![
        Figure::more("login", "logins, 16 at once", "1/s", count / seconds),
        Figure::less("login", "CPU per login", "ms", cpu / count * MILLIS),
    ])
}
