//! A stanza to many is a head each and one body: in what is sent, in what is not acknowledged (XEP-0198), in what inactive
//! clients are not told yet (XEP-0352). Whoever lost it is sent all of it.
use stonechat::server::Input;
use stonechat::state::{MemoryAccount, Session};
use stonechat::stream::Framing;
use stonechat::xmpp::Jid;

use crate::transcript::core::Core;
use crate::transcript::run::run;

const HEARERS: usize = 500;
const INACTIVE: usize = 100;
const BODY_BYTES: usize = 10_000;
/// The head of a stanza to one of them, and its place in a queue.
const HEAD_BYTES_MAX: usize = 200;

fn name(n: usize) -> String {
    format!("c{n}/r")
}

/// Romeo, and all who hear of his presence; the names by which they resume their sessions.
fn house(hearers: usize, framing: Framing) -> (Core, Vec<String>) {
    let mut core = Core::with_accounts(&[]);
    core.framing = framing;
    let lines: Vec<String> = (0..hearers)
        .map(|n| format!("contacts romeo c{n}"))
        .collect();
    run("roster", &lines.join("\n"), &mut core);
    core.bind("romeo/r");
    let resumptions = (0..hearers).map(|n| {
        core.bind(&name(n));
        core.say(&name(n), "<presence/>");
        let resumption = core.enable(&name(n), 600);
        core.all(&name(n));
        resumption
    });
    let resumptions = resumptions.collect();
    (core, resumptions)
}

fn account(core: &mut Core) -> MemoryAccount {
    core.step(Input::Memory { outside_bytes: 0 });
    core.server().state().memory
}

fn says(core: &mut Core, letter: char) -> String {
    let status = letter.to_string().repeat(BODY_BYTES);
    let payload = format!("<status>{status}</status>");
    let (connection, text) = (
        core.clients["romeo/r"].0,
        format!("<presence>{payload}</presence>"),
    );
    let bytes = text.as_bytes();
    core.piece(Input::Bytes { connection, bytes });
    payload
}

fn session(core: &Core, n: usize) -> &Session {
    let jid = Jid::parse(&format!("c{n}@localhost/r")).unwrap();
    core.server().state().sessions.find(&jid).unwrap()
}

/// What came of presence, the payloads only.
fn heard(core: &mut Core, connection: &str) -> Vec<String> {
    let all = core.all(connection).into_iter();
    let presence = all.filter(|element| element.root().name() == "presence");
    presence
        .map(|element| element.root().inner_source().to_string())
        .collect()
}

#[test]
fn a_stanza_to_many_is_one_body_and_many_heads() {
    let (mut core, resumptions) = house(HEARERS, Framing::Bytes);
    let before = account(&mut core);
    let first = says(&mut core, 'a');
    assert!(core.queued_bytes > HEARERS * BODY_BYTES);
    let buffered = core.buffered_bytes;
    assert!(
        buffered < 2 * BODY_BYTES + HEARERS * HEAD_BYTES_MAX,
        "{buffered}"
    );
    let after = account(&mut core);
    let grown = after.queues - before.queues;
    assert!(
        (HEARERS..HEARERS * HEAD_BYTES_MAX).contains(&grown),
        "{grown}"
    );
    let once = BODY_BYTES..BODY_BYTES + 100;
    assert!(once.contains(&after.shared), "{}", after.shared);
    // Towards the limits of a session all of it counts.
    let of_one = |core: &Core| session(core, 7).management.as_ref().unwrap().queue_bytes();
    assert!(of_one(&core) > BODY_BYTES);
    for n in 0..HEARERS {
        assert_eq!(heard(&mut core, &name(n)), [first.as_str()], "{n}");
        core.cut(&name(n));
    }
    // While they are away there is more, which some will be sent from memory, some from the store.
    let second = says(&mut core, 'b');
    for (n, resumption) in resumptions.iter().enumerate() {
        if n == HEARERS / 2 {
            let written = core.written_bytes;
            core.wait(300_000);
            let written = core.written_bytes - written;
            assert!(written < HEARERS * 1000, "{written}");
            let after = account(&mut core);
            assert_eq!((after.queues, after.shared), (0, 0));
        }
        let again = format!("again{n}");
        core.log_in(&again, &format!("c{n}"));
        core.all(&again);
        core.say(
            &again,
            &format!("<resume xmlns='urn:xmpp:sm:3' previd='{resumption}' h='0'/>"),
        );
        let missed = [first.as_str(), second.as_str()];
        assert_eq!(heard(&mut core, &again), missed, "{n}");
        core.say(&again, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
    }
    let after = account(&mut core);
    assert_eq!((after.queues, after.shared), (before.queues, 0));
}

#[test]
fn what_many_are_not_told_yet_is_one_body() {
    let (mut core, _) = house(INACTIVE, Framing::Messages);
    for n in 0..INACTIVE {
        core.say(&name(n), "<inactive xmlns='urn:xmpp:csi:0'/>");
    }
    let before = account(&mut core);
    says(&mut core, 'a');
    let payload = says(&mut core, 'b');
    let held = account(&mut core);
    let grown = held.held - before.held;
    assert!(
        (INACTIVE..INACTIVE * HEAD_BYTES_MAX).contains(&grown),
        "{grown}"
    );
    let once = BODY_BYTES..BODY_BYTES + 100;
    assert!(once.contains(&held.shared), "{}", held.shared);
    for n in 0..INACTIVE {
        assert!(heard(&mut core, &name(n)).is_empty());
        core.say(&name(n), "<active xmlns='urn:xmpp:csi:0'/>");
        assert_eq!(heard(&mut core, &name(n)), [payload.as_str()], "{n}");
    }
    // Nobody acknowledged it, and it is one still.
    let waits = account(&mut core);
    assert_eq!((waits.held, waits.shared), (before.held, held.shared));
    for n in 0..INACTIVE {
        core.say(&name(n), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    }
    assert_eq!(account(&mut core).shared, 0);
}

/// XEP-0060 §7.1.2.1: one large item does not take memory for each of many hearers; they hear that it is there.
#[test]
fn an_event_that_costs_too_much_comes_without_its_payload() {
    const NODE: &str = "to='pubsub.localhost'><pubsub xmlns='http://jabber.org/protocol/pubsub'>";
    let (mut core, _) = house(100, Framing::Bytes);
    core.say(
        "romeo/r",
        &format!("<iq type='set' id='c' {NODE}<create node='n'/></pubsub></iq>"),
    );
    let hearers: Vec<String> = (0..100).map(name).collect();
    for (n, name) in hearers.iter().enumerate() {
        core.say(
            name,
            &format!("<iq type='set' id='s' {NODE}<subscribe node='n' jid='c{n}@localhost/r'/></pubsub></iq>"),
        );
        core.all(name);
    }
    for (bytes, is_told) in [(100_000, true), (200_000, false), (100_000, true)] {
        let text = "a".repeat(bytes);
        let item = format!("<item id='i'><x xmlns='x'>{text}</x></item>");
        core.say(
            "romeo/r",
            &format!(
                "<iq type='set' id='p' {NODE}<publish node='n'>{item}</publish></pubsub></iq>"
            ),
        );
        for name in &hearers {
            let heard = core.all(name);
            let events = heard
                .iter()
                .filter(|heard| heard.root().name() == "message");
            let events: Vec<_> = events.map(|event| event.source()).collect();
            assert_eq!(events.len(), 1, "{bytes}");
            assert!(events.iter().all(|event| event.contains("id='i'")));
            assert_eq!(events.iter().any(|event| event.contains(&text)), is_told);
        }
    }
}
