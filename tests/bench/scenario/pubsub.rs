//! XEP-0163, XEP-0060: an avatar that many contacts see change; a login of somebody whose contacts have avatars and devices;
//! pages of a long node.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::{Clock, Stage};
use crate::client::{Clients, refuse_error};
use crate::report::Figure;
use crate::server::{Kind, Running, user};
use crate::swarm::{LinkId, Swarm};
use crate::{Outcome, scan};

const NAME: &str = "pubsub";
const LIMIT: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_millis(1500);
const PAGE: usize = 50;
/// Publications under way while a node is filled.
const WINDOW: usize = 32;

const METADATA: &str = "urn:xmpp:avatar:metadata";
const DEVICES: &str = "eu.siacs.conversations.axolotl.devicelist";
const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
/// What the client says it can do, in the order of XEP-0115 §5.1.
const FEATURES: &[&str] = &[
    "eu.siacs.conversations.axolotl.devicelist+notify",
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/disco#info",
    "urn:xmpp:avatar:metadata+notify",
    "urn:xmpp:bookmarks:1+notify",
];

pub fn pubsub(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let mut figures = fan_out(stage)?;
    stage.clients.close_all();
    figures.extend(logins(stage)?);
    stage.clients.close_all();
    figures.extend(long_node(stage)?);
    stage.clients.close_all();
    Ok(figures)
}

/// The one whose avatar changes is `u0`; the others see it.
fn fan_out(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let watchers = stage.pick(500, 100);
    let links = log_in(stage.clients, &server, 0..watchers + 1)?;
    let (one, others) = links.split_first().ok_or("nobody")?;
    befriend(stage.clients, *one, &user(0), others)?;
    for link in others {
        stage.clients.swarm.send(*link, able().as_bytes());
    }
    settle(stage.clients)?;
    let rounds: usize = stage.pick(20, 5);
    // The first makes the node.
    show(stage.clients, *one, 0, others)?;
    let clock = Clock::start(NAME, server.family);
    for round in 1..=rounds {
        show(stage.clients, *one, round, others)?;
    }
    let mut figures = clock.figures("avatar seen by one of many", (rounds * watchers) as f64);
    figures.push(Figure::note(
        NAME,
        "contacts who see it",
        "",
        watchers as f64,
    ));
    Ok(figures)
}

/// Publishes, and waits until everybody has heard.
fn show(clients: &mut Clients, one: LinkId, round: usize, others: &[LinkId]) -> Outcome<()> {
    clients.swarm.send(one, avatar(round).as_bytes());
    let mut missing: HashSet<LinkId> = others.iter().copied().collect();
    let wanted = avatar_id(round);
    let until = Instant::now() + LIMIT;
    while !missing.is_empty() {
        if Instant::now() > until {
            return Err(format!("{} did not hear of an avatar", missing.len()).into());
        }
        clients.stanzas(Duration::from_secs(1), |swarm, link, stanza| {
            answer(swarm, link, stanza);
            if link == one && stanza.starts_with(b"<iq") {
                refuse_error(stanza)?;
            }
            if stanza.starts_with(b"<message") && scan::has(stanza, &wanted) {
                missing.remove(&link);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Somebody with twenty contacts, each with an avatar and a list of devices, logs in; once as a client that wants to know,
/// once as one that does not.
fn logins(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let first = 20;
    let links = log_in(stage.clients, &server, first..first + 21)?;
    let (own, contacts) = links.split_first().ok_or("nobody")?;
    befriend(stage.clients, *own, &user(first), contacts)?;
    for (number, link) in (1..).zip(links.iter()) {
        stage.clients.ask(*link, &avatar(number), "avatar")?;
        stage.clients.ask(*link, &devices(number), "devices")?;
    }
    stage.clients.ask(*own, &bookmark(), "bookmark")?;
    stage.clients.swarm.send(*own, b"</stream:stream>");
    stage.clients.leave(*own)?;
    settle(stage.clients)?;

    let rounds: usize = stage.pick(100, 20);
    let mut figures = Vec::new();
    for (name, is_curious) in [
        ("login without events", false),
        ("login with events of 20 contacts", true),
    ] {
        let mut wanted = usize::MAX;
        for _ in 0..2 {
            wanted = wanted.min(login(stage.clients, &server, first, is_curious, None)?);
        }
        let clock = Clock::start(NAME, server.family);
        for _ in 0..rounds {
            login(stage.clients, &server, first, is_curious, Some(wanted))?;
        }
        figures.extend(clock.figures(name, rounds as f64));
        if is_curious {
            let name = "events in a login";
            figures.push(Figure::note(NAME, name, "", wanted as f64));
        }
    }
    Ok(figures)
}

/// Logs in and reads so many events, or presences for one who does not want any events, or all there are; how many.
fn login(
    clients: &mut Clients,
    server: &Running,
    number: usize,
    is_curious: bool,
    wanted: Option<usize>,
) -> Outcome<usize> {
    let who = [(user(number), "again".to_owned())];
    let links = clients.log_in(server.door, &who, 1)?;
    let link = *links.first().ok_or("no session")?;
    let presence = match is_curious {
        true => able(),
        false => "<presence/>".to_owned(),
    };
    clients.swarm.send(link, presence.as_bytes());
    let mut got = 0;
    let until = Instant::now() + LIMIT;
    let wait = wanted.map_or(QUIET, |_| Duration::from_millis(100));
    while wanted.is_none_or(|wanted| got < wanted) {
        if Instant::now() > until {
            return Err("a login did not get what the first ones got".into());
        }
        let any = clients.stanzas(wait, |swarm, from, stanza| {
            answer(swarm, from, stanza);
            let counts = match is_curious {
                true => stanza.starts_with(b"<message") && scan::has(stanza, "pubsub#event"),
                false => stanza.starts_with(b"<presence") && scan::has(stanza, "/load"),
            };
            got += usize::from(from == link && counts);
            Ok(())
        })?;
        if any == 0 && wanted.is_none() {
            break;
        }
    }
    clients.swarm.send(link, b"</stream:stream>");
    clients.leave(link)?;
    Ok(got)
}

/// A node of many items, read in pages.
fn long_node(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    let server = stage.start()?;
    let links = log_in(stage.clients, &server, 0..1)?;
    let link = *links.first().ok_or("nobody")?;
    let mut figures = Vec::new();
    let (few, many) = stage.pick((1_000, 10_000), (200, 1_000));
    let mut there = 0;
    for items in [few, many] {
        let clock = Clock::start(NAME, server.family);
        if let Err(refusal) = fill(stage.clients, stage.kind, link, there..items) {
            eprintln!("pubsub: no node of {items} items: {refusal}");
            return Ok(figures);
        }
        figures.extend(clock.figures(
            &format!("publish one, up to {items}"),
            (items - there) as f64,
        ));
        there = items;
        let rounds = stage.pick(50, 10);
        let clock = Clock::start(NAME, server.family);
        let mut got = 0;
        for _ in 0..rounds {
            got = page(stage.clients, link)?;
        }
        figures.extend(clock.figures(&format!("page of 50 of {items}"), f64::from(rounds)));
        if got != PAGE {
            figures.push(Figure::note(
                NAME,
                format!("items in a page of 50 of {items}"),
                "",
                got as f64,
            ));
        }
    }
    Ok(figures)
}

fn fill(
    clients: &mut Clients,
    kind: Kind,
    link: LinkId,
    items: std::ops::Range<usize>,
) -> Outcome<()> {
    let (mut next, mut answered) = (items.start, items.start);
    let until = Instant::now() + LIMIT * 5;
    while answered < items.end {
        if Instant::now() > until {
            return Err("publishing takes too long".into());
        }
        while next < items.end && next - answered < WINDOW {
            clients.swarm.send(link, entry(kind, next).as_bytes());
            next += 1;
        }
        clients.stanzas(Duration::from_secs(1), |swarm, from, stanza| {
            answer(swarm, from, stanza);
            if from == link
                && stanza.starts_with(b"<iq")
                && scan::attribute(stanza, "id") == Some("entry")
            {
                refuse_error(stanza)?;
                answered += 1;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn page(clients: &mut Clients, link: LinkId) -> Outcome<usize> {
    let query = format!(
        "<iq type='get' id='page'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='entries'/>\
         <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max><before/></set></pubsub></iq>"
    );
    clients.swarm.send(link, query.as_bytes());
    let mut items = None;
    let until = Instant::now() + LIMIT;
    while items.is_none() {
        if Instant::now() > until {
            return Err("no page of a node".into());
        }
        clients.stanzas(Duration::from_secs(1), |_, from, stanza| {
            if from == link
                && stanza.starts_with(b"<iq")
                && scan::attribute(stanza, "id") == Some("page")
            {
                refuse_error(stanza)?;
                items = Some(memchr::memmem::find_iter(stanza, b"<item ").count());
            }
            Ok(())
        })?;
    }
    Ok(items.unwrap_or(0))
}

fn log_in(
    clients: &mut Clients,
    server: &Running,
    numbers: std::ops::Range<usize>,
) -> Outcome<Vec<LinkId>> {
    let who: Vec<_> = numbers.map(|n| (user(n), "load".to_owned())).collect();
    let links = clients.log_in(server.door, &who, 16)?;
    for link in &links {
        clients.swarm.send(
            *link,
            b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>",
        );
    }
    settle(clients)?;
    Ok(links)
}

/// Each of the others and the one see each other's presence afterwards.
fn befriend(clients: &mut Clients, one: LinkId, name: &str, others: &[LinkId]) -> Outcome<()> {
    let ask = format!("<presence type='subscribe' to='{name}@localhost'/>");
    for link in others {
        clients.swarm.send(*link, ask.as_bytes());
    }
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        let any = clients.stanzas(QUIET, |swarm, link, stanza| {
            let asks = stanza.starts_with(b"<presence")
                && scan::attribute(stanza, "type") == Some("subscribe");
            if let Some(from) = scan::attribute(stanza, "from").filter(|_| asks) {
                let from = from.split('/').next().unwrap_or(from);
                swarm.send(
                    link,
                    format!("<presence type='subscribed' to='{from}'/>").as_bytes(),
                );
                if link == one {
                    swarm.send(
                        link,
                        format!("<presence type='subscribe' to='{from}'/>").as_bytes(),
                    );
                }
            }
            answer(swarm, link, stanza);
            Ok(())
        })?;
        if any == 0 {
            return Ok(());
        }
    }
    Err("subscribing takes too long".into())
}

fn settle(clients: &mut Clients) -> Outcome<()> {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        let any = clients.stanzas(QUIET, |swarm, link, stanza| {
            answer(swarm, link, stanza);
            Ok(())
        })?;
        if any == 0 {
            return Ok(());
        }
    }
    Err("the server still sends".into())
}

/// XEP-0115 §6.2: tells the server what the client can do, if that is what it asks.
fn answer(swarm: &mut Swarm, link: LinkId, stanza: &[u8]) -> bool {
    let asks = stanza.starts_with(b"<iq")
        && scan::attribute(stanza, "type") == Some("get")
        && scan::has(stanza, "disco#info");
    if !asks {
        return false;
    }
    let (Some(id), from) = (
        scan::attribute(stanza, "id"),
        scan::attribute(stanza, "from"),
    ) else {
        return false;
    };
    let to = from.map_or(String::new(), |from| format!(" to='{from}'"));
    let node =
        scan::attribute(stanza, "node").map_or(String::new(), |node| format!(" node='{node}'"));
    let features: String = FEATURES
        .iter()
        .map(|feature| format!("<feature var='{feature}'/>"))
        .collect();
    let info = format!(
        "<iq type='result' id='{id}'{to}><query xmlns='http://jabber.org/protocol/disco#info'{node}>\
         <identity category='client' type='pc' name='bench'/>{features}</query></iq>"
    );
    swarm.send(link, info.as_bytes());
    true
}

/// Presence of a client that wants to hear of avatars, devices and bookmarks.
fn able() -> String {
    let text: String = ["client/pc//bench"]
        .iter()
        .chain(FEATURES)
        .map(|part| format!("{part}<"))
        .collect();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://bench.example' ver='{}'/></presence>",
        STANDARD.encode(hash)
    )
}

fn publish(id: &str, node: &str, item: &str, payload: &str, options: &str) -> String {
    format!(
        "<iq type='set' id='{id}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'>\
         <item id='{item}'>{payload}</item></publish>{options}</pubsub></iq>"
    )
}

fn options(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#publish-options</value></field>{fields}</x></publish-options>"
    )
}

fn avatar_id(number: usize) -> String {
    format!("111f4b3c50d7b0df729d299bc6f8e9{number:08x}")
}

fn avatar(number: usize) -> String {
    let id = avatar_id(number);
    let payload = format!(
        "<metadata xmlns='{METADATA}'><info bytes='12345' id='{id}' height='64' type='image/png' width='64'/></metadata>"
    );
    publish("avatar", METADATA, &id, &payload, "")
}

fn devices(number: usize) -> String {
    let payload = format!(
        "<list xmlns='eu.siacs.conversations.axolotl'><device id='{}'/><device id='{}'/></list>",
        4000 + number,
        5000 + number
    );
    publish(
        "devices",
        DEVICES,
        "current",
        &payload,
        &options(&[("access_model", "open")]),
    )
}

fn bookmark() -> String {
    let payload = format!(
        "<conference xmlns='{BOOKMARKS}' name='The room' autojoin='true'><nick>bench</nick></conference>"
    );
    let fields = [("persist_items", "true"), ("access_model", "whitelist")];
    publish(
        "bookmark",
        BOOKMARKS,
        "room@conference.localhost",
        &payload,
        &options(&fields),
    )
}

/// ejabberd 23 does not take `max_items` among the options; its settings have it.
fn entry(kind: Kind, number: usize) -> String {
    let payload = format!(
        "<entry xmlns='http://www.w3.org/2005/Atom'><title>Entry {number}</title>\
         <summary>To be, or not to be: that is the question.</summary></entry>"
    );
    let fields = [
        ("access_model", "whitelist"),
        ("persist_items", "true"),
        ("max_items", "10000"),
    ];
    let is_ejabberd = matches!(kind, Kind::Ejabberd | Kind::EjabberdSqlite);
    let fields = if is_ejabberd {
        &fields[..2]
    } else {
        &fields[..]
    };
    publish(
        "entry",
        "entries",
        &format!("entry-{number}"),
        &payload,
        &options(fields),
    )
}
