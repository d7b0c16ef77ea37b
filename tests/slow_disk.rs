//! A slow disk slows only what waits for it: the core over a disk that is done when the test says so. What is told is durable
//! all the same.
use std::collections::BTreeMap;

use stonechat::xml::Element;

use crate::transcript::core::{Core, Disk};
use crate::transcript::prng::Prng;

const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";

/// These sessions are there and available, and from now on the disk is slow.
fn house(sessions: &[&str]) -> Core {
    let accounts: Vec<&str> = sessions
        .iter()
        .map(|session| session.split_once('/').expect("account/resource").0)
        .collect();
    let mut core = Core::with_accounts(&accounts);
    for session in sessions {
        core.bind(session);
        core.say(session, "<presence/>");
        core.all(session);
    }
    core.speed = Disk::Slow;
    core
}

fn message(to: &str, id: &str, more: &str) -> String {
    format!("<message type='chat' to='{to}' id='{id}'><body>hi</body>{more}</message>")
}

fn page(core: &mut Core, session: &str) -> Vec<(String, String)> {
    core.say(
        session,
        "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'/></iq>",
    );
    core.land_all();
    let all = core.all(session);
    let results = all
        .iter()
        .filter_map(|element| element.root().children().find(|it| it.name() == "result"));
    let known = results.map(|result| {
        let id = result.attribute("id").expect("an id").into_owned();
        let forwarded = result.children().next().expect("forwarded");
        let message = forwarded
            .children()
            .find(|it| it.name() == "message")
            .expect("a message");
        (message.attribute("id").expect("an id").into_owned(), id)
    });
    known.collect()
}

/// The archive's id of a message as it was delivered.
fn archived_as(message: &Element) -> Option<(String, String)> {
    let root = message.root();
    let stanza_id = root.children().find(|it| it.name() == "stanza-id")?;
    Some((
        root.attribute("id")?.into_owned(),
        stanza_id.attribute("id")?.into_owned(),
    ))
}

#[test]
fn who_waits_for_nothing_new_is_answered_at_once() {
    let mut core = house(&["romeo/r", "juliet/r", "nurse/r", "tybalt/r"]);
    core.say("romeo/r", &message("juliet@localhost", "m1", ""));
    // A whole login, the roster, an archive, and chat that is not archived.
    core.bind("nurse/new");
    core.say(
        "nurse/new",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
    );
    core.expect("nurse/new", "iq");
    core.say(
        "nurse/new",
        "<iq type='set' id='2'><query xmlns='urn:xmpp:mam:2'/></iq>",
    );
    core.expect("nurse/new", "iq");
    core.say("tybalt/r", &message("nurse@localhost/new", "m2", NO_STORE));
    core.expect("nurse/new", "message");
    // What was archived has not come, and nobody answers for it.
    assert!(core.all("juliet/r").is_empty());
    assert!(core.all("romeo/r").is_empty());
    assert!(core.land());
    core.expect("juliet/r", "message");
}

#[test]
fn what_comes_behind_it_stays_behind_it() {
    let mut core = house(&["romeo/r", "juliet/r", "nurse/r"]);
    core.say("romeo/r", &message("juliet@localhost", "m1", ""));
    core.say("nurse/r", &message("juliet@localhost", "m2", NO_STORE));
    core.say(
        "nurse/r",
        "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    core.expect("nurse/r", "iq");
    assert!(core.all("juliet/r").is_empty());
    core.land_all();
    let ids = core.all("juliet/r");
    let ids = ids
        .iter()
        .map(|it| it.root().attribute("id").expect("an id"));
    assert_eq!(ids.collect::<Vec<_>>(), ["m1", "m2"]);
}

#[test]
fn what_gathers_behind_the_disk_is_one_commit() {
    let mut core = house(&["romeo/r", "juliet/r"]);
    let before = core.commits;
    for n in 0..100 {
        core.say(
            "romeo/r",
            &message("juliet@localhost", &format!("m{n}"), ""),
        );
    }
    assert!(core.land());
    assert_eq!(core.all("juliet/r").len(), 1);
    assert!(core.land());
    assert_eq!(core.all("juliet/r").len(), 99);
    assert!(!core.land());
    assert_eq!(core.commits - before, 2);
}

#[test]
fn an_acknowledgement_waits_for_what_it_counts() {
    let mut core = house(&["juliet/r"]);
    core.say("juliet/r", "<enable xmlns='urn:xmpp:sm:3'/>");
    core.land_all();
    core.all("juliet/r");
    core.say("juliet/r", &message("juliet@localhost", "note", ""));
    core.say("juliet/r", "<r xmlns='urn:xmpp:sm:3'/>");
    assert!(core.all("juliet/r").is_empty());
    core.land_all();
    let acknowledged = core.expect("juliet/r", "a");
    assert_eq!(acknowledged.root().attribute("h").expect("h"), "1");
}

#[test]
fn a_session_that_comes_back_is_not_told_what_is_not_durable() {
    let mut core = house(&["romeo/r", "juliet/r"]);
    let name = core.quickly(|core| core.enable("juliet/r", 600));
    core.cut("juliet/r");
    core.land_all();
    core.log_in("again", "juliet");
    core.say("romeo/r", &message("juliet@localhost", "m1", ""));
    core.say(
        "again",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='0'/>"),
    );
    assert!(core.all("again").is_empty());
    core.land_all();
    core.expect("again", "resumed");
    core.expect("again", "message");
}

#[test]
fn what_was_told_is_there_after_a_kill() {
    for seed in 0..30 {
        honest(&mut Prng(seed));
    }
}

/// Random chat over a slow disk, with kills. What somebody saw in his stream is in the archive afterwards, under the same id;
/// what was acknowledged is, too.
fn honest(prng: &mut Prng) {
    let mut core = house(&["romeo/r", "juliet/r"]);
    let mut seen = BTreeMap::new();
    for life in 0..5 {
        core.quickly(|core| core.enable("romeo/r", 600));
        let mut sent = Vec::new();
        let mut acknowledged = 0;
        for n in 0..20 + prng.below(60) {
            match prng.below(8) {
                0 => _ = core.land(),
                1 => core.say("romeo/r", "<r xmlns='urn:xmpp:sm:3'/>"),
                2 => core.say(
                    "juliet/r",
                    "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
                ),
                _ => {
                    let id = format!("{life}-{n}");
                    core.say("romeo/r", &message("juliet@localhost", &id, ""));
                    sent.push(id);
                }
            }
            seen.extend(core.all("juliet/r").iter().filter_map(archived_as));
            for answer in core.all("romeo/r") {
                if answer.root().name() == "a" {
                    let h = answer.root().attribute("h").expect("h");
                    acknowledged = h.parse().expect("a number");
                }
            }
        }
        core.restart();
        for session in ["romeo/r", "juliet/r"] {
            core.quickly(|core| core.bind(session));
            core.say(session, "<presence/>");
            core.land_all();
            core.all(session);
        }
        let there: BTreeMap<_, _> = page(&mut core, "juliet/r").into_iter().collect();
        for (id, stanza_id) in &seen {
            assert_eq!(there.get(id), Some(stanza_id), "{id} was seen");
        }
        for id in sent.iter().take(acknowledged) {
            assert!(there.contains_key(id), "{id} was acknowledged");
        }
    }
}
