//! XEP-0313: pages of 50 from one archive as it grows, asked for in each of the ways that clients ask.

use std::time::{Duration, Instant, SystemTime};

use stonechat::xmpp::Timestamp;

use super::traffic::{Lane, Load, Plan, pairs, run};
use super::{Clock, Stage};
use crate::client::{Clients, refuse_error};
use crate::report::Figure;
use crate::server::{Kind, Running, user};
use crate::swarm::LinkId;
use crate::{Outcome, scan};

const PAGE: usize = 50;
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// The archive is filled in so many goes, each by both who write to its owner.
const GOES: u64 = 10;
/// One message of so many is from the other.
const OTHERS_SHARE: u64 = 100;

pub fn pages(stage: &mut Stage<'_>) -> Outcome<Vec<Figure>> {
    // The others take hours for a million; ejabberd on Mnesia, where each message of an archive takes longer than the one
    // before it, for a hundred thousand.
    let sizes: &[u64] = match (stage.quick, stage.kind) {
        (_, Kind::Ejabberd) => &[1_000, 10_000],
        (true, _) => &[1_000, 10_000],
        (false, Kind::Stonechat) => &[1_000, 100_000, 1_000_000],
        (false, _) => &[1_000, 100_000],
    };
    let mut server = stage.start()?;
    let mut lanes = pairs(stage, &server, 0, 2)?;
    let other = lanes.pop().ok_or("nobody else to write")?;
    let one = lanes.pop().ok_or("nobody to write")?;
    let other = Lane {
        sender: other.sender,
        receiver: one.receiver,
        to: one.to.clone(),
    };
    let mut figures = Vec::new();
    let mut filled = 0;
    for size in sizes {
        let before = filled;
        let mut middle = now()?;
        for go in 1..=GOES {
            let wanted = before + (size - before) * go / GOES;
            let of_other = (wanted - filled) / OTHERS_SHARE;
            for (lane, count) in [(&other, of_other), (&one, wanted - filled - of_other)] {
                fill(stage.clients, &mut server, lane, count)?;
            }
            filled = wanted;
            if go == GOES / 2 {
                middle = now()?;
            }
        }
        let reader = Reader {
            link: one.receiver,
            size: *size,
            middle,
        };
        figures.extend(reader.figures(stage, &server)?);
    }
    stage.clients.close_all();
    Ok(figures)
}

fn fill(clients: &mut Clients, server: &mut Running, lane: &Lane, count: u64) -> Outcome<()> {
    let plan = Plan {
        load: Load::Archived,
        window: 64,
        warm: Duration::ZERO,
        measure: Duration::from_secs(3600),
        stanzas_max: count,
    };
    if count > 0 {
        run(clients, server, std::slice::from_ref(lane), plan)?;
    }
    Ok(())
}

struct Reader {
    link: LinkId,
    /// Messages in the archive.
    size: u64,
    /// When about half of them had come.
    middle: Timestamp,
}

/// What is asked: fields of the form and the page.
#[derive(Clone)]
struct Query {
    fields: String,
    paging: String,
}

#[derive(Default)]
struct Answer {
    /// With what a server sends beside the page.
    results: usize,
    first: Option<String>,
}

impl Reader {
    fn figures(&self, stage: &mut Stage<'_>, server: &Running) -> Outcome<Vec<Figure>> {
        let (oldest, latest) = (query("", ""), query("", "<before/>"));
        let with = format!("{}@localhost", user(2));
        let stamp = self.middle.to_string();
        let since = query(&field("start", &stamp), "");
        let id = self.ask(stage.clients, &since)?.first;
        let id = id.ok_or("nothing in the middle")?;
        let of_other = field("with", &with);
        let mut asked = vec![
            ("oldest", oldest),
            ("latest", latest),
            (
                "in the middle, by id",
                query("", &format!("<after>{id}</after>")),
            ),
            ("in the middle, by time", since),
            ("with somebody", query(&of_other, "<before/>")),
            (
                "with somebody since",
                query(&(of_other + &field("start", &stamp)), ""),
            ),
        ];
        if stage.kind == Kind::Stonechat {
            let complete = field("{urn:stonechat:archive:0}complete", "true");
            asked.push(("latest, completed", query(&complete, "<before/>")));
            let collate = field("{urn:xmpp:mamfc:0}summary", "collate");
            asked.push(("latest, collated", query(&collate, "<before/>")));
            asked.push(("oldest, collated", query(&collate, "")));
        }
        let rounds = stage.pick(50, 10);
        let mut figures = Vec::new();
        for (name, query) in asked {
            let name = format!("{name}, of {}", self.size);
            let clock = Clock::start("pages", server.family);
            for _ in 0..rounds {
                let answer = self.ask(stage.clients, &query)?;
                let expected = PAGE.min(usize::try_from(self.size / OTHERS_SHARE / 3)?);
                if answer.results < expected {
                    return Err(format!("a page {name} has {} messages", answer.results).into());
                }
            }
            figures.extend(clock.figures(&name, f64::from(rounds)));
        }
        Ok(figures)
    }

    fn ask(&self, clients: &mut Clients, query: &Query) -> Outcome<Answer> {
        let Query { fields, paging } = query;
        let asked = format!(
            "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2' queryid='q'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>{fields}</x>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>{PAGE}</max>{paging}</set></query></iq>"
        );
        clients.swarm.send(self.link, asked.as_bytes());
        let until = Instant::now() + ANSWER_LIMIT;
        let mut answer = Answer::default();
        let mut is_complete = false;
        while !is_complete {
            if Instant::now() > until {
                return Err("no page from the archive".into());
            }
            clients.stanzas(Duration::from_secs(1), |_, from, stanza| {
                if from != self.link {
                    return Ok(());
                }
                if stanza.starts_with(b"<message") && scan::has(stanza, "<result") {
                    answer.results += 1;
                } else if stanza.starts_with(b"<iq")
                    && scan::attribute(stanza, "id") == Some("page")
                {
                    refuse_error(stanza)?;
                    answer.first = scan::text(stanza, "first").map(str::to_owned);
                    is_complete = true;
                }
                Ok(())
            })?;
        }
        Ok(answer)
    }
}

fn now() -> Outcome<Timestamp> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Timestamp(i64::try_from(since_1970.as_millis())?))
}

fn query(fields: &str, paging: &str) -> Query {
    Query {
        fields: fields.to_owned(),
        paging: paging.to_owned(),
    }
}

fn field(name: &str, value: &str) -> String {
    format!("<field var='{name}'><value>{value}</value></field>")
}
