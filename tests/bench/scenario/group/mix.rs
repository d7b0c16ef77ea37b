//! XEP-0369, XEP-0405: a channel of a thousand participants, a tenth of whom are online.

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::super::{Clock, KIB, MIB, Stage};
use super::crowd::{self, Crowd, Plan};
use super::room;
use crate::client::{Clients, refuse_error};
use crate::report::Figure;
use crate::server::{Kind, Running, user};
use crate::swarm::{LinkId, Swarm};
use crate::{Outcome, scan};

const NAME: &str = "mix";
const CORE: &str = "urn:xmpp:mix:core:1";
const PAM: &str = "urn:xmpp:mix:pam:2";
const CHANNEL: &str = "bench";
/// What the client says it can do, in the order of XEP-0115 §5.1.
const FEATURES: &[&str] = &["http://jabber.org/protocol/caps", CORE, PAM];
const WINDOW: usize = 8;
/// One of so many participants is online.
const ONLINE_OF: usize = 10;
const JOINING: usize = 50;
const PACE: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_secs(1);

pub fn mix(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    if matches!(stage.kind, Kind::Prosody | Kind::ProsodySqlite) {
        return Ok(Vec::new());
    }
    let mut server = stage.start()?;
    let before = server.family.pss_bytes() as f64;
    let clock = Clock::start(NAME, server.family);
    let channel = filled_channel(stage, &server)?;
    let count = stage.accounts;
    let mut figures = clock.figures("log in, join, leave the stream", count as f64);
    thread::sleep(Duration::from_secs(stage.pick(10, 3)));
    let each = (server.family.pss_bytes() as f64 - before) / count as f64 / KIB;
    let name = "memory per absent participant";
    figures.push(Figure::less(NAME, name, "KiB", each));

    let online = count / ONLINE_OF;
    let links = log_in(stage.clients, &server, 0..online)?;
    let crowd = Crowd {
        to: &channel,
        senders: &links[..WINDOW],
        receivers: &links,
    };
    for (name, pace) in [("as fast as it goes", None), ("10 a second", Some(PACE))] {
        let plan = Plan {
            warm: Duration::from_millis(stage.pick(2_000, 500)),
            measure: Duration::from_millis(stage.pick(10_000, 3_000)),
            pace,
        };
        let measured = crowd::run(stage.clients, &mut server, &crowd, plan)?;
        figures.extend(measured.figures(NAME, &format!("{online} of {count} online, {name}")));
    }
    let after = server.family.pss_bytes() as f64 / MIB;
    figures.push(Figure::less(NAME, "memory after that", "MiB", after));
    stage.clients.close_all();
    Ok(figures)
}

/// Everybody has joined; nobody is there any more.
fn filled_channel(stage: &mut Stage<'_>, server: &Running) -> Outcome<String> {
    let mut channel = None;
    for start in (0..stage.accounts).step_by(JOINING) {
        let end = (start + JOINING).min(stage.accounts);
        let links = log_in(stage.clients, server, start..end)?;
        let channel = match &channel {
            Some(channel) => channel,
            None => {
                let maker = *links.first().ok_or("nobody")?;
                channel.insert(make(stage.clients, maker)?)
            }
        };
        join(stage.clients, &links, start, channel)?;
        stage.clients.settle(Duration::from_millis(200), LIMIT)?;
        stage.clients.close_all();
    }
    channel.ok_or_else(|| "no participants".into())
}

fn make(clients: &mut Clients, link: LinkId) -> Outcome<String> {
    let service = room::find(clients, link, |info| scan::has(info, "urn:xmpp:mix:core"))?;
    let create = format!(
        "<iq type='set' id='create' to='{service}'><create xmlns='{CORE}' channel='{CHANNEL}'/></iq>"
    );
    clients.ask(link, &create, "create")?;
    Ok(format!("{CHANNEL}@{service}"))
}

/// XEP-0405 §3.2: through their own accounts.
fn join(clients: &mut Clients, links: &[LinkId], first: usize, channel: &str) -> Outcome<()> {
    for (number, link) in (first..).zip(links) {
        let join = format!(
            "<iq type='set' id='join'><client-join xmlns='{PAM}' channel='{channel}'><join xmlns='{CORE}'>\
             <nick>nick{number}</nick><subscribe node='urn:xmpp:mix:nodes:messages'/></join></client-join></iq>"
        );
        clients.swarm.send(*link, join.as_bytes());
    }
    let until = Instant::now() + LIMIT;
    let mut missing = links.len();
    while missing > 0 {
        if Instant::now() > until {
            return Err(format!("{missing} could not join").into());
        }
        clients.stanzas(Duration::from_secs(1), |swarm, link, stanza| {
            able(swarm, link, stanza);
            if stanza.starts_with(b"<iq") && scan::attribute(stanza, "id") == Some("join") {
                refuse_error(stanza)?;
                missing -= 1;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// With presence that says that they know channels: XEP-0405 §6 sends them to no others.
fn log_in(
    clients: &mut Clients,
    server: &Running,
    numbers: std::ops::Range<usize>,
) -> Outcome<Vec<LinkId>> {
    let who: Vec<_> = numbers.map(|n| (user(n), "group".to_owned())).collect();
    let links = clients.log_in(server.door, &who, 16)?;
    for link in &links {
        clients.swarm.send(*link, presence().as_bytes());
    }
    let until = Instant::now() + LIMIT;
    while clients.stanzas(QUIET, |swarm, link, stanza| {
        able(swarm, link, stanza);
        Ok(())
    })? > 0
    {
        if Instant::now() > until {
            return Err("the server still sends".into());
        }
    }
    Ok(links)
}

/// XEP-0115 §5.1.
fn presence() -> String {
    let mut text = "client/pc//bench<".to_owned();
    for feature in FEATURES {
        text.push_str(feature);
        text.push('<');
    }
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    format!(
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://bench.example' ver='{}'/></presence>",
        STANDARD.encode(hash)
    )
}

/// Says so when it is asked (XEP-0115 §6.2).
fn able(swarm: &mut Swarm, link: LinkId, stanza: &[u8]) {
    let asks = stanza.starts_with(b"<iq") && scan::attribute(stanza, "type") == Some("get");
    let Some(id) = scan::attribute(stanza, "id").filter(|_| asks) else {
        return;
    };
    let place = |name: &str, attribute: &str| {
        scan::attribute(stanza, name).map_or(String::new(), |v| format!(" {attribute}='{v}'"))
    };
    let features: String = FEATURES
        .iter()
        .map(|feature| format!("<feature var='{feature}'/>"))
        .collect();
    let info = format!(
        "<iq type='result' id='{id}'{}><query xmlns='http://jabber.org/protocol/disco#info'{}>\
         <identity category='client' type='pc' name='bench'/>{features}</query></iq>",
        place("from", "to"),
        place("node", "node")
    );
    swarm.send(link, info.as_bytes());
}
