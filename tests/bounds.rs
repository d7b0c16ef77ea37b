//! What one peer can make large is bounded where it is made, and what it asks for at once is taken in pieces.
use stonechat::server::Input;
use stonechat::state::Hashed;
use stonechat::xml::Element;

use crate::transcript::core::Core;

fn condition(element: &Element) -> Option<String> {
    let error = element
        .root()
        .children()
        .find(|child| child.name() == "error")?;
    Some(error.children().next()?.name().to_string())
}

/// The answer to an iq: its error's condition, `None` for a result.
fn ask(core: &mut Core, client: &str, iq: &str) -> Option<String> {
    core.say(client, iq);
    let answer = core.expect(client, "iq");
    condition(&answer)
}

fn roster_set(n: usize, name: &str) -> String {
    format!(
        "<iq type='set' id='{n}'><query xmlns='jabber:iq:roster'><item jid='c{n}@localhost' name='{name}'/></query></iq>"
    )
}

/// How many of the same kind go in, until one is refused for want of room.
fn until_full(core: &mut Core, most: usize, make: impl Fn(usize) -> String) -> usize {
    for n in 0..most {
        let refused = ask(core, "romeo/r", &make(n));
        match refused.as_deref() {
            None => {}
            Some("resource-constraint") => return n,
            Some(other) => panic!("{other}"),
        }
    }
    panic!("{most} and no end");
}

#[test]
fn a_roster_is_no_longer_than_its_bytes() {
    const BYTES_MAX: usize = 65_536;
    let mut core =
        Core::with_settings(&["romeo"], |settings| settings.roster_bytes_max = BYTES_MAX);
    core.bind("romeo/r");
    // Six bytes each as it is sent.
    let name = "&quot;".repeat(1000);
    let full = until_full(&mut core, 100, |n| roster_set(n, &name));
    assert_eq!(full, 10);
    // Nor by a subscription, or by a name that grows; what is shorter than before is welcome.
    assert_eq!(ask(&mut core, "romeo/r", &roster_set(0, "x")), None);
    assert_eq!(ask(&mut core, "romeo/r", &roster_set(11, &name)), None);
    let grown = ask(&mut core, "romeo/r", &roster_set(0, &name));
    assert_eq!(grown.as_deref(), Some("resource-constraint"));
    let mut refused = false;
    for n in 0..20 {
        let jid = format!("{}{n}@localhost", "j".repeat(1000));
        core.say(
            "romeo/r",
            &format!("<presence to='{jid}' type='subscribe'/>"),
        );
        refused |= core
            .all("romeo/r")
            .iter()
            .any(|element| condition(element).as_deref() == Some("resource-constraint"));
    }
    assert!(refused);
    core.say(
        "romeo/r",
        "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>",
    );
    let roster = core.expect("romeo/r", "iq").source().len();
    assert!((50_000..BYTES_MAX + 500).contains(&roster), "{roster}");
}

#[test]
fn a_block_list_is_no_longer_than_its_bytes() {
    const BYTES_MAX: usize = 65_536;
    let mut core = Core::with_settings(&["romeo"], |settings| {
        settings.blocked_bytes_max = BYTES_MAX
    });
    core.bind("romeo/r");
    let item = |n: usize| {
        let jid = format!("{}{n:03}@localhost/{}", "j".repeat(1000), "r".repeat(1000));
        format!(
            "<iq type='set' id='{n}'><block xmlns='urn:xmpp:blocking'><item jid='{jid}'/></block></iq>"
        )
    };
    let full = until_full(&mut core, 100, item);
    assert!((30..33).contains(&full), "{full}");
    core.say(
        "romeo/r",
        "<iq type='get' id='g'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
    );
    assert!(core.expect("romeo/r", "iq").source().len() < BYTES_MAX + 500);
}

#[test]
fn private_storage_is_no_larger_than_its_bytes() {
    let mut core = Core::with_settings(&["romeo"], |settings| {
        settings.private_total_bytes_max = 50_000;
    });
    core.bind("romeo/r");
    let item = |n: usize| {
        let text = "x".repeat(10_000);
        format!(
            "<iq type='set' id='{n}'><query xmlns='jabber:iq:private'><a xmlns='urn:{n}'>{text}</a></query></iq>"
        )
    };
    assert_eq!(until_full(&mut core, 100, item), 4);
    // The same in its place, and a smaller one, are as good as before.
    assert_eq!(ask(&mut core, "romeo/r", &item(1)), None);
    let small =
        "<iq type='set' id='s'><query xmlns='jabber:iq:private'><a xmlns='urn:2'/></query></iq>";
    assert_eq!(ask(&mut core, "romeo/r", small), None);
    assert_eq!(ask(&mut core, "romeo/r", &item(9)), None);
}

#[test]
fn a_presence_for_all_is_small() {
    let mut core = Core::with_settings(&["romeo"], |_| {});
    core.bind("romeo/r");
    let presence = |bytes| {
        format!(
            "<presence><status>{}</status></presence>",
            "x".repeat(bytes)
        )
    };
    core.say("romeo/r", &presence(10_000));
    assert_eq!(condition(&core.expect("romeo/r", "presence")), None);
    core.say("romeo/r", &presence(11_000));
    let refused = core.expect("romeo/r", "presence");
    assert_eq!(condition(&refused).as_deref(), Some("policy-violation"));
}

/// RFC 6121 §3.1.3 has them delivered with every initial presence.
#[test]
fn requests_that_wait_are_bounded_together() {
    let names: Vec<String> = (0..80).map(|n| format!("u{n}")).collect();
    let mut accounts: Vec<&str> = names.iter().map(String::as_str).collect();
    accounts.push("romeo");
    let mut core = Core::with_settings(&accounts, |_| {});
    let status = "x".repeat(8_000);
    for name in &names {
        let client = format!("{name}/r");
        core.bind(&client);
        core.say(&client, &format!("<presence to='romeo@localhost' type='subscribe'><status>{status}</status></presence>"));
        core.cut(&client);
    }
    core.bind("romeo/r");
    core.say("romeo/r", "<presence/>");
    let requests = core.all("romeo/r");
    let requests = requests
        .iter()
        .filter(|element| element.root().attribute("type").as_deref() == Some("subscribe"));
    let (count, bytes) = requests.fold((0, 0), |(count, bytes), one| {
        (count + 1, bytes + one.source().len())
    });
    assert!(count >= 60 && bytes < 540 << 10, "{count} {bytes}");
}

#[test]
fn two_hundred_requests_in_one_write_are_taken_in_pieces() {
    let mut core = Core::with_settings(&["romeo"], |_| {});
    core.bind("romeo/r");
    for n in 0..300 {
        assert_eq!(
            ask(&mut core, "romeo/r", &roster_set(n, &"x".repeat(1000))),
            None
        );
    }
    core.all("romeo/r");
    let get = |n| format!("<iq type='get' id='g{n}'><query xmlns='jabber:iq:roster'/></iq>");
    let bytes: String = (0..200).map(get).collect();
    let connection = core.clients["romeo/r"].0;
    let mut rest = bytes.as_bytes();
    let (mut pieces, mut answers) = (0, 0);
    while let [(_, left)] = core.piece(Input::Bytes {
        connection,
        bytes: rest,
    })[..]
    {
        assert!(
            core.queued_bytes < 1 << 20,
            "{} of one piece",
            core.queued_bytes
        );
        pieces += 1;
        answers += core.all("romeo/r").len();
        rest = &rest[rest.len() - left..];
        if rest.is_empty() {
            break;
        }
    }
    assert!(pieces >= 199 && answers >= 199, "{pieces} {answers}");
}

/// RFC 6120 §6.5.11
#[test]
fn a_login_that_is_put_off_may_try_again() {
    let mut core = Core::with_settings(&["romeo"], |_| {});
    core.holds_hashes = true;
    core.connect("c", true);
    let auth =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHJvbWVv</auth>";
    core.say("c", "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
    core.say("c", auth);
    let (job, _) = core.held.pop().expect("the password is hashed");
    core.step(Input::Hashed {
        job,
        result: Hashed::Refused,
    });
    core.wait(60_000);
    let failure = core.expect("c", "failure");
    assert_eq!(
        failure
            .root()
            .children()
            .next()
            .expect("a condition")
            .name(),
        "temporary-auth-failure"
    );
    core.say("c", auth);
    assert_eq!(core.held.len(), 1);
    // Nobody hashes for a connection that is gone.
    core.cut("c");
    assert_eq!(core.held.len(), 0);
}
