//! Sessions that outlive their connections (XEP-0198): limits that peers can reach, counters that wrap, what is written
//! and when.
use stonechat::state::{
    CONNECTED_BYTES_MAX, DETACHED_BYTES_MAX, STORED_BYTES_MAX, Session, UNACKNOWLEDGED_MAX,
};
use stonechat::store::Need;
use stonechat::xml::Element;

use crate::transcript::core::Core;

const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";

fn message(number: usize, body: &str, hint: &str) -> String {
    format!(
        "<message to='romeo@localhost' type='chat' id='{number}'><body>{body}</body>{hint}</message>"
    )
}

fn session<'c>(core: &'c Core, jid: &str) -> Option<&'c Session> {
    let jid = stonechat::xmpp::Jid::parse(jid).expect("a JID");
    core.server().state().sessions.find(&jid)
}

/// Bytes of the session's queue in memory and in the store.
fn queue(core: &Core) -> (usize, u64) {
    let session = session(core, "romeo@localhost/r").expect("the session");
    let management = session.management.as_ref().expect("its queue");
    (management.queue_bytes(), management.stored_bytes())
}

fn ids(elements: &[Element]) -> Vec<usize> {
    let messages = elements.iter().filter(|e| e.root().name() == "message");
    messages
        .map(|e| {
            e.root()
                .attribute("id")
                .expect("an id")
                .parse()
                .expect("a number")
        })
        .collect()
}

#[test]
fn a_peer_that_never_acknowledges_is_bounded_in_memory_and_on_disk() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    core.enable("romeo/r", 600);
    core.say("romeo/r", "<presence/>");
    core.bind("juliet/r");
    core.say("juliet/r", &message(0, "archived", ""));
    let body = "x".repeat(100_000);
    let mut sent = 0;
    while session(&core, "romeo@localhost/r").is_some() {
        sent += 1;
        assert!(sent < 1000, "it is never enough");
        core.say("juliet/r", &message(sent, &body, NO_STORE));
        if session(&core, "romeo@localhost/r").is_some() {
            let (memory, stored) = queue(&core);
            assert!(
                memory <= CONNECTED_BYTES_MAX + body.len() + 1000,
                "{memory}"
            );
            assert!(stored <= STORED_BYTES_MAX, "{stored}");
        }
    }
    assert!(sent * body.len() > STORED_BYTES_MAX as usize);
    let error = core.expect("romeo/r", "error");
    assert!(
        error.source().contains("resource-constraint"),
        "{}",
        error.source()
    );
    // Its stanzas go where an absent user's go: what must not be stored is refused, the other waits.
    let refused = core.all("juliet/r");
    assert_eq!(refused.len(), sent, "one error for each");
    core.bind("romeo/x");
    core.say("romeo/x", "<presence/>");
    assert_eq!(ids(&core.all("romeo/x")), [0]);
}

#[test]
fn a_session_may_miss_so_many_stanzas() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    core.enable("romeo/r", 86_400);
    core.cut("romeo/r");
    core.bind("juliet/r");
    let some = "<presence to='romeo@localhost/r'/>".repeat(500);
    let mut sent = 0;
    while session(&core, "romeo@localhost/r").is_some() {
        sent += 500;
        core.say("juliet/r", &some);
        assert!(sent <= UNACKNOWLEDGED_MAX + 500, "it is never enough");
    }
    assert!(sent > UNACKNOWLEDGED_MAX);
}

/// Whoever sends to a client that acknowledges late is to be read more slowly, the client itself is not.
#[test]
fn a_queue_that_fills_is_felt_by_who_fills_it() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    core.enable("romeo/r", 600);
    core.bind("juliet/r");
    let fill = |core: &mut Core, stanzas: u64| {
        for _ in 0..stanzas / 100 {
            core.say(
                "juliet/r",
                &"<presence to='romeo@localhost/r'/>".repeat(100),
            );
        }
        core.pressure
    };
    let quarter = UNACKNOWLEDGED_MAX / 4;
    assert_eq!(fill(&mut core, quarter - 100), 0);
    assert_eq!(fill(&mut core, 200), 4);
    assert_eq!(fill(&mut core, quarter), 8);
    core.say(
        "romeo/r",
        "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    assert_eq!(core.pressure, 0);
    core.say(
        "romeo/r",
        &format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", 2 * quarter),
    );
    assert_eq!(fill(&mut core, 100), 0);
}

#[test]
fn what_is_too_much_for_memory_is_sent_again_in_order_and_in_portions() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    let name = core.enable("romeo/r", 86_400);
    core.say("romeo/r", "<presence/>");
    core.bind("juliet/r");
    core.cut("romeo/r");
    // Some are in the archive and cost little, some are not.
    let body = "x".repeat(10_000);
    for number in 0..100 {
        let hint = if number % 3 == 0 { NO_STORE } else { "" };
        core.say("juliet/r", &message(number, &body, hint));
        let (memory, _) = queue(&core);
        assert!(memory <= DETACHED_BYTES_MAX + body.len() + 1000, "{memory}");
    }
    let (_, stored) = queue(&core);
    assert!(
        (250_000..350_000).contains(&stored),
        "no second copy: {stored}"
    );
    core.wait(120_000);
    let (memory, _) = queue(&core);
    assert_eq!(memory, 0, "asleep");
    for number in 100..110 {
        core.say("juliet/r", &message(number, &body, ""));
    }
    core.log_in("b", "romeo");
    core.say(
        "b",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='1'/>"),
    );
    let came = core.all("b");
    assert_eq!(came[0].root().name(), "resumed");
    assert_eq!(ids(&came), (0..110).collect::<Vec<_>>());
    core.say("juliet/r", &message(110, "live", ""));
    assert_eq!(ids(&core.all("b")), [110]);
    core.say("b", "<a xmlns='urn:xmpp:sm:3' h='51'/>");
    core.cut("b");
    core.log_in("c", "romeo");
    core.say(
        "c",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='60'/>"),
    );
    assert_eq!(ids(&core.all("c")), (59..111).collect::<Vec<_>>());
    core.say("c", "<a xmlns='urn:xmpp:sm:3' h='112'/>");
    assert_eq!(queue(&core), (0, 0));
}

#[test]
fn counters_wrap_both_ways() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    let name = core.enable("romeo/r", 600);
    core.say("romeo/r", "<presence/>");
    core.all("romeo/r");
    core.say("romeo/r", "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    core.stop_and(|tx| {
        let mut rows = Vec::new();
        tx.visit_suspended(&mut |id, row| {
            rows.push((id, row));
            Ok(())
        })
        .expect("the sessions");
        for (id, mut row) in rows {
            row.received = u32::MAX - 1;
            row.acknowledged = u32::MAX - 1;
            tx.suspend(id, &row).expect("the session");
        }
    });
    core.bind("juliet/r");
    for number in 0..3 {
        core.say("juliet/r", &message(number, "x", ""));
    }
    core.log_in("b", "romeo");
    let resume = format!(
        "<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='{}'/>",
        u32::MAX
    );
    core.say("b", &resume);
    let came = core.all("b");
    let resumed = came[0].root().attribute("h").map(|h| h.into_owned());
    assert_eq!(resumed, Some((u32::MAX - 1).to_string()));
    assert_eq!(ids(&came), [1, 2]);
    for expected in [u32::MAX, 0, 1] {
        core.say(
            "b",
            "<message to='juliet@localhost'/><r xmlns='urn:xmpp:sm:3'/>",
        );
        let a = core.expect("b", "a");
        assert_eq!(a.root().attribute("h").unwrap(), expected.to_string());
    }
    core.say("b", "<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert!(queue(&core).0 > 0, "one is left");
    core.say("b", "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert_eq!(queue(&core), (0, 0));
    core.say("b", "<a xmlns='urn:xmpp:sm:3' h='2'/>");
    let error = core.expect("b", "error");
    assert!(
        error.source().contains("h='2' send-count='1'"),
        "{}",
        error.source()
    );
}

#[test]
fn a_session_of_another_domain_or_with_a_damaged_name_is_left_out() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.bind("romeo/r");
    core.enable("romeo/r", 600);
    for jid in ["romeo@elsewhere/r", "@", "romeo@localhost"] {
        core.stop_and(|tx| {
            let mut rows = Vec::new();
            tx.visit_suspended(&mut |id, row| {
                rows.push((id, row));
                Ok(())
            })
            .expect("the sessions");
            for (id, mut row) in rows {
                row.jid = jid.to_string();
                tx.suspend(id, &row).expect("the session");
            }
        });
        assert_eq!(core.server().state().sessions.len(), 0);
        let mut rows = 0;
        core.stop_and(|tx| {
            let mut count = |_, _| {
                rows += 1;
                Ok(())
            };
            tx.visit_suspended(&mut count).expect("the sessions");
        });
        assert_eq!(rows, 0, "nothing of it stays");
        core.bind("romeo/r");
        core.enable("romeo/r", 600);
    }
}

#[test]
fn what_waits_is_given_no_faster_than_it_is_acknowledged() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("juliet/r");
    for number in 0..1000 {
        core.say("juliet/r", &message(number, "x", ""));
    }
    core.bind("romeo/r");
    let name = core.enable("romeo/r", 600);
    core.say("romeo/r", "<presence/>");
    let mut came = ids(&core.all("romeo/r"));
    assert!((200..=300).contains(&came.len()), "{}", came.len());
    // What comes meanwhile waits its turn; a connection that breaks changes nothing.
    core.say("juliet/r", &message(1000, "x", ""));
    core.cut("romeo/r");
    core.stop();
    core.bind("juliet/s");
    core.say("juliet/s", &message(1001, "x", ""));
    core.log_in("b", "romeo");
    let h = came.len() + 1;
    core.say(
        "b",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='{h}'/>"),
    );
    for _ in 0..20 {
        came.extend(ids(&core.all("b")));
        let h = came.len() + 1;
        core.say("b", &format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
    }
    assert_eq!(came, (0..=1001).collect::<Vec<_>>());
    core.say("juliet/s", &message(1002, "x", ""));
    assert_eq!(ids(&core.all("b")), [1002], "at once again");
    core.bind("romeo/new");
    core.say("romeo/new", "<presence/>");
    assert_eq!(ids(&core.all("romeo/new")), []);
}

#[test]
fn what_was_pruned_is_counted_all_the_same() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    let name = core.enable("romeo/r", 600);
    core.say("romeo/r", "<presence/>");
    core.bind("juliet/r");
    core.say("juliet/r", &message(1, "x", ""));
    core.say("juliet/r", &message(2, "x", ""));
    core.stop_and(|tx| {
        // Out of its receiver's archive, for nothing else is there, then out of its sender's.
        let need = Need {
            bytes: 1,
            spares_unseen: false,
        };
        for unseen in [1, 0] {
            let pruned = tx.prune_greediest(need, 1).expect("prune");
            let pruned = pruned.map(|pruned| (pruned.stanzas, pruned.unseen));
            assert_eq!(pruned, Some((1, unseen)));
        }
    });
    core.log_in("b", "romeo");
    core.say(
        "b",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='1'/>"),
    );
    let came = core.all("b");
    assert_eq!(
        came[1].source(),
        "<message from='localhost' to='romeo@localhost/r'/>"
    );
    assert_eq!(ids(&came[2..]), [2]);
    core.say("b", "<a xmlns='urn:xmpp:sm:3' h='3'/>");
    assert_eq!(queue(&core), (0, 0));
}

#[test]
fn a_full_disk_ends_a_session_that_outgrows_memory_and_loses_nothing() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("romeo/r");
    core.enable("romeo/r", 600);
    core.say("romeo/r", "<presence/>");
    core.bind("juliet/r");
    core.say("juliet/r", &message(0, "x", ""));
    core.cut("romeo/r");
    core.disk(true);
    let body = "x".repeat(100_000);
    let mut sent = 0;
    while session(&core, "romeo@localhost/r").is_some() {
        sent += 1;
        core.say("juliet/r", &message(sent, &body, NO_STORE));
    }
    assert!((8..14).contains(&sent), "{sent}");
    assert_eq!(core.all("juliet/r").len(), sent, "all refused");
    core.bind("romeo/x");
    core.say("romeo/x", "<presence/>");
    assert_eq!(ids(&core.all("romeo/x")), [0]);
}

#[test]
fn coming_back_writes_nothing_until_the_client_says_something() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.bind("romeo/r");
    let name = core.enable("romeo/r", 600);
    core.cut("romeo/r");
    core.wait(120_000);
    let before = core.commits;
    core.log_in("b", "romeo");
    core.say(
        "b",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='0'/>"),
    );
    assert_eq!(core.expect("b", "").root().name(), "resumed");
    core.cut("b");
    core.wait(120_000);
    core.log_in("c", "romeo");
    core.say(
        "c",
        &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='0'/>"),
    );
    assert_eq!(core.expect("c", "").root().name(), "resumed");
    assert!(core.commits - before <= 1, "the second nap, at most");
}
