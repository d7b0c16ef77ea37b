//! A disk that fails at the n-th change, for every n: whoever was told something finds it so after the next start, whatever
//! else there was is whole or absent, and work goes on.
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stonechat::server::Command;
use stonechat::xml::Element;

use crate::transcript::core::{Core, Disk};

const TO_NURSE: usize = 6;

/// What real clients and an operator do, without looking at what comes of it.
fn script(core: &mut Core) {
    let romeo = |core: &mut Core, text: &str| core.say("romeo/r", text);
    romeo(
        core,
        "<iq type='set' id='roster'><query xmlns='jabber:iq:roster'><item jid='nurse@localhost' name='N'/></query></iq>",
    );
    romeo(
        core,
        "<iq type='set' id='vcard'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>",
    );
    for n in 0..TO_NURSE {
        let text = format!(
            "<message to='nurse@localhost' type='chat' id='n{n}'><body>{n}</body></message><r xmlns='urn:xmpp:sm:3'/>"
        );
        romeo(core, &text);
        let text = format!(
            "<message to='juliet@localhost' type='chat' id='j{n}'><body>{n}</body></message>"
        );
        romeo(core, &text);
    }
    romeo(
        core,
        "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'/></block></iq>",
    );
    core.say("juliet/r", "<a xmlns='urn:xmpp:sm:3' h='99'/>");
    core.cut("juliet/r");
    romeo(
        core,
        "<message to='juliet@localhost' type='chat' id='j99'><body>late</body></message><r xmlns='urn:xmpp:sm:3'/>",
    );
    core.wait(100_000);
    core.step(stonechat::server::Input::Command {
        job: stonechat::state::JobId(7),
        command: Command::UserAdd {
            name: "paris".into(),
            password: "secret".into(),
        },
    });
    core.land_all();
    romeo(core, "<presence><show>away</show></presence>");
    core.land_all();
}

/// Everything that was promised.
#[derive(Debug, Default)]
struct Told {
    results: Vec<String>,
    /// To how many of romeo's stanzas it was said that they are handled.
    handled: usize,
    /// Ids of messages that juliet has, with that of the archive.
    delivered: BTreeMap<String, String>,
    paris: bool,
}

fn told(core: &mut Core) -> Told {
    let mut told = Told::default();
    for element in core.all("romeo/r") {
        let root = element.root();
        let attribute = |name: &str| root.attribute(name).map(|value| value.to_string());
        match (root.name(), attribute("type").as_deref()) {
            ("iq", Some("result")) => told.results.extend(attribute("id")),
            ("a", _) => told.handled = attribute("h").unwrap().parse().unwrap(),
            _ => {}
        }
    }
    for element in core.all("juliet/r") {
        told.delivered.extend(message(&element));
    }
    told.paris = core
        .answers
        .iter()
        .any(|(code, text)| *code == 0 && text.contains("paris"));
    told
}

/// Its id, and that in its receiver's archive.
fn message(element: &Element) -> Option<(String, String)> {
    let root = element.root();
    let id = root.attribute("id").filter(|_| root.name() == "message")?;
    let stanza_id = root.child("stanza-id", "urn:xmpp:sid:0")?;
    Some((id.to_string(), stanza_id.attribute("id")?.to_string()))
}

fn check(core: &mut Core, told: &Told) {
    core.bind("romeo/new");
    for (id, query, holds) in [
        (
            "roster",
            "<query xmlns='jabber:iq:roster'/>",
            "nurse@localhost",
        ),
        ("vcard", "<vCard xmlns='vcard-temp'/>", "<FN>Romeo</FN>"),
        (
            "block",
            "<blocklist xmlns='urn:xmpp:blocking'/>",
            "tybalt@localhost",
        ),
    ] {
        core.say("romeo/new", &format!("<iq type='get' id='q'>{query}</iq>"));
        let answer = core.expect("romeo/new", "iq");
        let is_there = answer.source().contains(holds);
        assert!(
            is_there || !told.results.iter().any(|known| known == id),
            "{id}"
        );
    }
    core.bind("nurse/r");
    core.say("nurse/r", "<presence/>");
    let came: Vec<String> = core
        .all("nurse/r")
        .iter()
        .filter_map(message)
        .map(|(id, _)| id)
        .collect();
    let expected: Vec<String> = (0..came.len()).map(|n| format!("n{n}")).collect();
    assert_eq!(came, expected, "in order, once");
    // Before its messages: two requests. Of two messages the first is hers.
    let least = told.handled.saturating_sub(2).div_ceil(2).min(TO_NURSE);
    assert!(came.len() >= least, "{came:?} of {least}");
    core.bind("juliet/new");
    core.say(
        "juliet/new",
        "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>",
    );
    let archive: String = core
        .all("juliet/new")
        .iter()
        .map(|e| e.source().to_string())
        .collect();
    for (id, archived) in &told.delivered {
        let result = format!("id='{archived}'");
        assert!(archive.contains(&result), "{id}");
    }
    let users = core.command(Command::UserList).1;
    assert!(users.contains("paris@") || !told.paris, "{users}");
    // Work goes on, and ids are new.
    core.say(
        "romeo/new",
        "<message to='juliet@localhost/new' type='chat' id='on'><body>on</body></message>",
    );
    let (id, archived) = message(&core.expect("juliet/new", "message")).unwrap();
    assert_eq!(id, "on");
    assert!(
        !archive.contains(&archived) && !told.delivered.values().any(|known| *known == archived)
    );
}

#[test]
fn nothing_that_was_promised_is_lost_whichever_write_fails() {
    for speed in [Disk::Quick, Disk::Slow] {
        let mut n = 0;
        loop {
            let mut core = Core::with_accounts(&["romeo", "juliet", "nurse"]);
            core.bind("juliet/r");
            core.enable("juliet/r", 60);
            core.say("juliet/r", "<presence/>");
            core.bind("romeo/r");
            core.enable("romeo/r", 600);
            core.all("juliet/r");
            core.answers.clear();
            core.speed = speed;
            core.fail_after(n);
            let ran = catch_unwind(AssertUnwindSafe(|| script(&mut core)));
            let has_failed = core.has_failed();
            assert!(has_failed || ran.is_ok(), "{n}");
            let told = told(&mut core);
            core.restart();
            core.speed = Disk::Quick;
            check(&mut core, &told);
            if !has_failed {
                assert!(
                    n > 50 && told.handled >= 2 * TO_NURSE && told.paris,
                    "{n} {told:?}"
                );
                assert!(
                    told.delivered.len() == TO_NURSE && told.results.len() == 3,
                    "{told:?}"
                );
                break;
            }
            n += 1;
        }
    }
}
