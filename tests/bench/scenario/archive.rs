//! XEP-0313: pages from a long archive; and what waits for somebody who was away.

use std::time::{Duration, Instant};

use super::traffic::{Lane, Load, Plan, pairs, run};
use super::{Clock, Stage};
use crate::client::{Clients, refuse_error};
use crate::report::Figure;
use crate::server::user;
use crate::swarm::LinkId;
use crate::{Outcome, scan};

const PAGE: usize = 50;
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const ABSENT: usize = 9;

pub fn archive(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut server = stage.start()?;
    let lanes = pairs(stage, &server, 0, 1)?;
    let messages = stage.pick(10_000, 2_000);
    let fill = Plan {
        load: Load::Archived,
        window: 64,
        warm: Duration::ZERO,
        measure: Duration::from_secs(900),
        stanzas_max: messages,
    };
    let filled = run(stage.clients, &mut server, &lanes, fill)?;
    let reader = lanes
        .first()
        .map(|lane| lane.receiver)
        .ok_or("nobody to read")?;

    let mut figures = vec![Figure::more(
        "archive",
        "fill, one pair window 64",
        "1/s",
        filled.per_second(),
    )];
    let rounds = stage.pick(50, 10);
    let clock = Clock::start("archive", server.family);
    for _ in 0..rounds {
        let page = page(stage.clients, reader, "")?;
        if page.results != PAGE {
            return Err(format!("the latest page has {} messages", page.results).into());
        }
    }
    figures.extend(clock.figures("latest page of 50", f64::from(rounds)));

    let clock = Clock::start("archive", server.family);
    let (mut before, mut pages, mut results) = (String::new(), 0u32, 0);
    loop {
        let page = page(stage.clients, reader, &before)?;
        if page.results == 0 {
            break;
        }
        pages += 1;
        results += page.results;
        match page.first {
            Some(first) if page.results == PAGE => before = first,
            _ => break,
        }
    }
    figures.extend(clock.figures("page of 50, all the way back", f64::from(pages)));
    figures.push(Figure::note(
        "archive",
        "messages found of those sent",
        "%",
        results as f64 / messages as f64 * 100.0,
    ));
    stage.clients.close_all();
    Ok(figures)
}

struct Page {
    results: usize,
    first: Option<String>,
}

fn page(clients: &mut Clients, link: LinkId, before: &str) -> Outcome<Page> {
    let before = if before.is_empty() {
        "<before/>".to_owned()
    } else {
        format!("<before>{before}</before>")
    };
    let query = format!(
        "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
         <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max>{before}</set></query></iq>"
    );
    clients.swarm.send(link, query.as_bytes());
    let until = Instant::now() + ANSWER_LIMIT;
    let mut page = Page {
        results: 0,
        first: None,
    };
    let mut is_complete = false;
    while !is_complete {
        if Instant::now() > until {
            return Err("no page from the archive".into());
        }
        clients.stanzas(Duration::from_secs(1), |_, from, stanza| {
            if from != link {
                return Ok(());
            }
            if stanza.starts_with(b"<message") && scan::has(stanza, "<result") {
                page.results += 1;
            } else if stanza.starts_with(b"<iq") && scan::attribute(stanza, "id") == Some("page") {
                refuse_error(stanza)?;
                page.first = scan::text(stanza, "first").map(str::to_owned);
                is_complete = true;
            }
            Ok(())
        })?;
    }
    Ok(page)
}

pub fn offline(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let messages: usize = stage.pick(1_000, 300);
    let lanes = pairs(stage, &server, 0, 1)?;
    let sender = lanes
        .first()
        .map(|lane: &Lane| lane.sender)
        .ok_or("nobody to send")?;

    let clock = Clock::start("offline", server.family);
    for number in 0..messages {
        let message = format!(
            "<message type='chat' to='{}@localhost' id='away{number}'><body>Wilt thou be gone? It is not yet near day.</body></message>",
            user(ABSENT)
        );
        stage.clients.swarm.send(sender, message.as_bytes());
    }
    // Stanzas of one stream are handled in order (RFC 6120 §10.1): its answer says that all are stored.
    let ping = "<iq type='get' id='stored' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
    stage.clients.ask(sender, ping, "stored")?;
    let mut figures = clock.figures("store one for somebody absent", messages as f64);

    let clock = Clock::start("offline", server.family);
    let links = stage
        .clients
        .log_in(server.door, &[(user(ABSENT), "back".to_owned())], 1)?;
    let link = *links.first().ok_or("no session")?;
    stage.clients.swarm.send(link, b"<presence/>");
    let got = receive(stage.clients, link, messages)?;
    figures.extend(clock.figures("login and all that waited", 1.0));
    figures.push(Figure::note(
        "offline",
        "received of those sent",
        "%",
        got as f64 / messages as f64 * 100.0,
    ));
    stage.clients.close_all();
    Ok(figures)
}

/// Counts messages until all are there or none has come for a while.
fn receive(clients: &mut Clients, link: LinkId, wanted: usize) -> Outcome<usize> {
    let mut got = 0;
    let mut last = Instant::now();
    while got < wanted && last.elapsed() < Duration::from_secs(5) {
        let had = got;
        clients.stanzas(Duration::from_millis(500), |_, from, stanza| {
            if from == link && stanza.starts_with(b"<message") && scan::has(stanza, "away") {
                got += 1;
            }
            Ok(())
        })?;
        if got > had {
            last = Instant::now();
        }
    }
    Ok(got)
}
