//! XEP-0313: pages from the archive of a room, a short one and a long one.

use std::time::{Duration, Instant};

use super::super::{Clock, Stage};
use super::room;
use crate::client::{Clients, refuse_error};
use crate::report::Figure;
use crate::swarm::LinkId;
use crate::{Outcome, scan};

const PAGE: usize = 50;
/// Messages under way while a room is filled.
const WINDOW: usize = 64;
/// A server that needs longer than this has no figure for so long a room.
const FILL_LIMIT: Duration = Duration::from_secs(300);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

pub fn pages(
    stage: &mut Stage<'_>,
    scenario: &'static str,
    link: LinkId,
    service: &str,
    family: crate::process::Family,
) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    let lengths: [usize; 2] = stage.pick([1_000, 100_000], [200, 2_000]);
    for length in lengths {
        let room = format!("long{length}@{service}");
        room::make(stage.clients, link, &room, "writer")?;
        let clock = Clock::start(scenario, family);
        if !fill(stage.clients, link, &room, length)? {
            eprintln!("{scenario}: no room of {length} messages in {FILL_LIMIT:?}");
            return Ok(figures);
        }
        let filled = clock.figures(&format!("store one, up to {length}"), length as f64);
        figures.extend(filled);
        room::leave(stage.clients, link, &room, "writer")?;
        let rounds = stage.pick(20, 5);
        let clock = Clock::start(scenario, family);
        for _ in 0..rounds {
            page(stage.clients, link, &room)?;
        }
        figures.extend(clock.figures(&format!("latest page of 50 of {length}"), f64::from(rounds)));
    }
    Ok(figures)
}

/// False: it takes too long.
fn fill(clients: &mut Clients, link: LinkId, room: &str, length: usize) -> Outcome<bool> {
    let (mut sent, mut back) = (0, 0);
    let until = Instant::now() + FILL_LIMIT;
    while back < length {
        if Instant::now() > until {
            return Ok(false);
        }
        while sent < length && sent - back < WINDOW {
            sent += 1;
            let message = format!(
                "<message type='groupchat' to='{room}' id='h{sent}'><body>line {sent}: it is the lark, the herald of the morn.</body></message>"
            );
            clients.swarm.send(link, message.as_bytes());
        }
        clients.stanzas(Duration::from_secs(1), |_, from, stanza| {
            refuse_error(stanza)?;
            back += usize::from(from == link && scan::has(stanza, "<body>line "));
            Ok(())
        })?;
    }
    Ok(true)
}

fn page(clients: &mut Clients, link: LinkId, room: &str) -> Outcome<()> {
    let query = format!(
        "<iq type='set' id='page' to='{room}'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
         <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max><before/></set></query></iq>"
    );
    clients.swarm.send(link, query.as_bytes());
    let until = Instant::now() + ANSWER_LIMIT;
    let (mut results, mut is_complete) = (0, false);
    while !is_complete {
        if Instant::now() > until {
            return Err("no page from the room's archive".into());
        }
        clients.stanzas(Duration::from_secs(1), |_, from, stanza| {
            if from == link && stanza.starts_with(b"<message") && scan::has(stanza, "<result") {
                results += 1;
            } else if stanza.starts_with(b"<iq") && scan::attribute(stanza, "id") == Some("page") {
                refuse_error(stanza)?;
                is_complete = true;
            }
            Ok(())
        })?;
    }
    match results == PAGE {
        true => Ok(()),
        false => Err(format!("a page of {results} messages").into()),
    }
}
