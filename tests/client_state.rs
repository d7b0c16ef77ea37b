//! XEP-0352: an hour of a busy roster, as a phone hears it that says it is inactive and as one that does not. What costs the
//! battery is the time its radio is on: whatever comes wakes it, and keeps it awake for a while.
use stonechat::state::{CLIENT_STATE_STANZAS_MAX, Session};

use crate::transcript::core::Core;
use crate::transcript::prng::Prng;
use crate::transcript::run::run;

const CONTACTS: usize = 20;
/// How long a radio stays on after the last byte; what comes sooner does not wake it again.
const AWAKE_MS: u64 = 10_000;
const SECOND_MS: u64 = 1_000;
const HOUR_SECONDS: u64 = 3_600;

#[derive(Debug, Default, PartialEq)]
struct Heard {
    stanzas: usize,
    bytes: usize,
    messages: usize,
    wake_ups: usize,
    awake_ms: u64,
}

/// What happens in an hour is the same whoever listens: presence that comes and goes, somebody typing, receipts, and now
/// and then a message.
fn an_hour(inactive: bool) -> Heard {
    let mut core = Core::with_accounts(&[]);
    let contacts: Vec<String> = (0..CONTACTS).map(|n| format!("c{n}")).collect();
    let lines: Vec<String> = contacts
        .iter()
        .map(|contact| format!("contacts romeo {contact}"))
        .collect();
    run("roster", &lines.join("\n"), &mut core);
    core.bind("romeo/phone");
    core.say("romeo/phone", "<presence/>");
    core.enable("romeo/phone", 600);
    for contact in &contacts {
        let name = format!("{contact}/r");
        core.bind(&name);
        core.say(&name, "<presence/>");
    }
    let mut heard = Heard::default();
    if inactive {
        core.say("romeo/phone", "<inactive xmlns='urn:xmpp:csi:0'/>");
    }
    let mut prng = Prng(7);
    let mut last_ms = None;
    let mut received = 0;
    listen(&mut core, (0, &mut last_ms), &mut received, &mut heard);
    heard = Heard::default();
    for _ in 0..HOUR_SECONDS {
        something(&mut core, &contacts, &mut prng);
        core.wait(SECOND_MS);
        let now = core.now().monotonic_ms;
        listen(&mut core, (now, &mut last_ms), &mut received, &mut heard);
    }
    core.say("romeo/phone", "<active xmlns='urn:xmpp:csi:0'/>");
    let now = core.now().monotonic_ms;
    listen(&mut core, (now, &mut last_ms), &mut received, &mut heard);
    heard
}

/// On average every six seconds something happens, every three minutes a message comes.
fn something(core: &mut Core, contacts: &[String], prng: &mut Prng) {
    let who = format!("{}/r", contacts[prng.below(contacts.len())]);
    let to = "to='romeo@localhost' type='chat'";
    let states = "http://jabber.org/protocol/chatstates";
    match prng.below(180) {
        0 => core.say(&who, &format!("<message {to}><body>hello</body></message>")),
        1..=20 => {
            let show = ["away", "dnd", "chat", "xa"][prng.below(4)];
            core.say(&who, &format!("<presence><show>{show}</show></presence>"));
        }
        21..=26 => core.say(
            &who,
            &format!("<message {to}><composing xmlns='{states}'/></message>"),
        ),
        27..=29 => core.say(
            &who,
            &format!("<message {to}><received xmlns='urn:xmpp:receipts' id='1'/></message>"),
        ),
        _ => {}
    }
    // Everybody shows now and then that they are there.
    if prng.below(60) == 0 {
        for contact in contacts {
            core.say(&format!("{contact}/r"), " ");
        }
    }
}

fn listen(
    core: &mut Core,
    (now_ms, last_ms): (u64, &mut Option<u64>),
    received: &mut u32,
    heard: &mut Heard,
) {
    for element in core.all("romeo/phone") {
        let since_ms = last_ms.map_or(u64::MAX, |last| now_ms - last);
        heard.wake_ups += usize::from(since_ms > AWAKE_MS);
        heard.awake_ms += since_ms.min(AWAKE_MS);
        *last_ms = Some(now_ms);
        heard.bytes += element.source().len();
        if element.root().name() == "r" {
            core.say(
                "romeo/phone",
                &format!("<a xmlns='urn:xmpp:sm:3' h='{received}'/>"),
            );
            continue;
        }
        *received += 1;
        heard.stanzas += 1;
        heard.messages += usize::from(element.source().contains("<body>"));
    }
}

#[test]
fn a_sleeping_phone_sleeps() {
    let (awake, asleep) = (an_hour(false), an_hour(true));
    println!("active:   {awake:?}\ninactive: {asleep:?}");
    assert_eq!(
        asleep.messages, awake.messages,
        "no message is late or lost"
    );
    assert!(awake.messages >= 10);
    let probes = HOUR_SECONDS as usize / 900 + 1;
    assert!(
        asleep.wake_ups <= asleep.messages + probes,
        "only messages wake it, and the question whether it is still there"
    );
    assert!(
        asleep.wake_ups * 4 <= awake.wake_ups,
        "4 times fewer wake-ups"
    );
    assert!(
        asleep.awake_ms * 10 <= awake.awake_ms,
        "10 times less time awake"
    );
    assert!(
        asleep.stanzas * 3 <= awake.stanzas * 2,
        "a third fewer stanzas"
    );
}

fn phone(core: &Core) -> &Session {
    let jid = stonechat::xmpp::Jid::parse("romeo@localhost/phone").expect("a JID");
    core.server()
        .state()
        .sessions
        .find(&jid)
        .expect("a session")
}

#[test]
fn what_waits_is_bounded_and_shown() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/phone");
    core.say(
        "romeo/phone",
        "<presence/><inactive xmlns='urn:xmpp:csi:0'/>",
    );
    core.bind("juliet/r");
    core.all("romeo/phone");
    let receipt = |n: usize| {
        format!(
            "<message to='romeo@localhost' type='chat' id='{n}'><received xmlns='urn:xmpp:receipts' id='{n}'/>\
             <no-store xmlns='urn:xmpp:hints'/></message>"
        )
    };
    let mut sent = 0;
    while core.clients["romeo/phone"].1.received.is_empty() {
        sent += 1;
        assert!(sent <= CLIENT_STATE_STANZAS_MAX + 1, "there is no end");
        core.say("juliet/r", &receipt(sent));
        let held = phone(&core).held.as_ref().expect("it is inactive").bytes();
        assert!(held <= stonechat::state::CLIENT_STATE_BYTES_MAX, "{held}");
        let (_, status) = core.command(stonechat::server::Command::Status);
        assert!(
            status.contains(&format!("held bytes   {held} for 1 inactive")),
            "{status}"
        );
    }
    let came: Vec<usize> = core
        .all("romeo/phone")
        .iter()
        .map(|e| {
            e.root()
                .attribute("id")
                .expect("an id")
                .parse()
                .expect("a number")
        })
        .collect();
    assert_eq!(came, (1..=sent).collect::<Vec<_>>(), "all of it, in order");
}
