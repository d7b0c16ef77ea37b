//! XEP-0045: messages to a hundred, entering a room of a thousand, what occupants and rooms take in memory, history.

use std::thread;
use std::time::Duration;

use super::super::{Clock, KIB, Stage};
use super::crowd::{self, Crowd, Plan};
use super::{history, room};
use crate::Outcome;
use crate::report::Figure;
use crate::server::{Running, user};
use crate::swarm::LinkId;

const NAME: &str = "muc";
const TALKING: usize = 100;
const WINDOW: usize = 8;
/// Who enter at the same time.
const ENTERING: usize = 25;
/// With so many more the memory of an occupant is measured: one room is lost in the noise of a heap.
const ROOMS_MORE: usize = 4;
/// One user may make only so many.
const MAKERS: usize = 100;
/// So many times as many idle rooms are there before their memory is measured.
const WARMING: usize = 7;
const QUIET: Duration = Duration::from_secs(1);
const QUIET_LIMIT: Duration = Duration::from_secs(120);

pub fn muc(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut figures = talk(stage)?;
    stage.clients.close_all();
    figures.extend(occupants(stage)?);
    stage.clients.close_all();
    figures.extend(rooms(stage)?);
    stage.clients.close_all();
    Ok(figures)
}

fn talk(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut server = stage.start()?;
    let links = log_in(stage, &server, TALKING)?;
    let room = fill(stage, &links, "bench")?;
    let crowd = Crowd {
        to: &room,
        senders: &links[..WINDOW],
        receivers: &links,
    };
    let plan = Plan {
        warm: Duration::from_millis(stage.pick(2_000, 500)),
        measure: Duration::from_millis(stage.pick(6_000, 2_000)),
        pace: None,
    };
    let measured = crowd::run(stage.clients, &mut server, &crowd, plan)?;
    Ok(measured.figures(NAME, &format!("{TALKING} occupants window {WINDOW}")))
}

fn occupants(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let count = stage.accounts;
    let links = log_in(stage, &server, count)?;
    let pause = Duration::from_secs(stage.pick(10, 3));
    thread::sleep(pause);
    // The first one takes what the sessions left of the heap.
    let room = fill(stage, &links, "bench")?;
    let last = *links.last().ok_or("nobody")?;
    let nick = nick(count - 1);
    let rounds = stage.pick(20, 5);
    let (mut entering, mut leaving) = (Vec::new(), Vec::new());
    let mut figures = Vec::new();
    for _ in 0..rounds {
        for (enters, clocks) in [(false, &mut leaving), (true, &mut entering)] {
            let clock = Clock::start(NAME, server.family);
            room::seen_by_all(stage.clients, (last, &nick), &room, count - 1, enters)?;
            clocks.push(clock.figures("", 1.0));
            stage
                .clients
                .settle(Duration::from_millis(50), QUIET_LIMIT)?;
        }
    }
    for (name, clocks) in [("enters", entering), ("leaves", leaving)] {
        for at in 0..2 {
            let mut of_one: Vec<Figure> = clocks.iter().map(|f| f[at].clone()).collect();
            of_one.sort_by(|a, b| a.value.total_cmp(&b.value));
            let mut median = of_one.swap_remove(of_one.len() / 2);
            median.name = format!("the last of {count} {name}{}", median.name);
            figures.push(median);
        }
    }
    thread::sleep(pause);
    let before = server.family.pss_bytes() as f64;
    for number in 0..ROOMS_MORE {
        fill(stage, &links, &format!("more{number}"))?;
    }
    thread::sleep(pause);
    let each = (server.family.pss_bytes() as f64 - before) / (ROOMS_MORE * count) as f64;
    let name = format!("memory per occupant of {count}, {ROOMS_MORE} rooms more");
    figures.push(Figure::less(NAME, name, "byte", each));
    Ok(figures)
}

/// What rooms take that nobody is in; pages of long ones.
fn rooms(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let links = log_in(stage, &server, MAKERS)?;
    let link = *links.first().ok_or("nobody")?;
    let service = room::service(stage.clients, link)?;
    let count: usize = stage.pick(500, 100);
    // The first ones bring what a server needs once, and fill the cache of its database.
    let mut before = 0.0;
    for number in 0..(WARMING + 1) * count {
        if number == WARMING * count {
            thread::sleep(Duration::from_secs(3));
            before = server.family.pss_bytes() as f64;
        }
        let room = format!("idle{number}@{service}");
        let maker = links[number % links.len()];
        room::make(stage.clients, maker, &room, "maker")?;
        room::leave(stage.clients, maker, &room, "maker")?;
    }
    thread::sleep(Duration::from_secs(3));
    let each = (server.family.pss_bytes() as f64 - before) / count as f64 / KIB;
    let mut figures = vec![Figure::less(NAME, "memory per idle room", "KiB", each)];
    let pages = history::pages(stage, NAME, link, &service, server.family)?;
    figures.extend(pages);
    Ok(figures)
}

fn log_in(stage: &mut Stage<'_>, server: &Running, count: usize) -> Outcome<Vec<LinkId>> {
    let who: Vec<_> = (0..count).map(|n| (user(n), "group".to_owned())).collect();
    let links = stage.clients.log_in(server.door, &who, 16)?;
    stage.clients.settle(QUIET, QUIET_LIMIT)?;
    Ok(links)
}

/// A room with all of them in it.
fn fill(stage: &mut Stage<'_>, links: &[LinkId], name: &str) -> Outcome<String> {
    let maker = *links.first().ok_or("nobody")?;
    let room = format!("{name}@{}", room::service(stage.clients, maker)?);
    room::make(stage.clients, maker, &room, &nick(0))?;
    let others: Vec<_> = (0..)
        .zip(links)
        .map(|(n, link)| (*link, nick(n)))
        .skip(1)
        .collect();
    for some in others.chunks(ENTERING) {
        room::enter(stage.clients, some, &room)?;
    }
    stage.clients.settle(QUIET, QUIET_LIMIT)?;
    Ok(room)
}

fn nick(number: usize) -> String {
    format!("nick{number}")
}
