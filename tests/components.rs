//! What a component can grow is bounded: bytes before its proof, what it sends ahead, contacts it makes up, questions it asks
//! in somebody's name. And it costs nobody else anything when it goes.
use stonechat::state::{Access, ComponentSettings, Privileges, Settings, UNDER_WAY_MAX};
use stonechat::xml::Element;

use crate::transcript::computed;
use crate::transcript::core::Core;
use crate::transcript::run::secret;

const NAME: &str = "bridge.localhost";
const HEADER: &str = "<stream:stream to='bridge.localhost' xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

fn with_component(accounts: &[&str], change: impl FnOnce(&mut Settings)) -> Core {
    Core::with_settings(accounts, |settings| {
        settings.components.push(ComponentSettings {
            name: NAME.into(),
            secret: secret(NAME).into(),
        });
        change(settings);
    })
}

/// Its header is there, and the proof it should send.
fn greet(core: &mut Core, name: &str) -> String {
    core.connect_component(name);
    core.say(name, HEADER);
    let header = core.expect(name, "stream");
    let id = header.root().attribute("id").expect("an id").into_owned();
    computed::fill(&format!(
        "<handshake>{{handshake {id} {}}}</handshake>",
        secret(NAME)
    ))
}

fn come(core: &mut Core, name: &str) {
    let proof = greet(core, name);
    core.say(name, &proof);
    core.expect(name, "handshake");
}

fn condition(element: &Element) -> String {
    let mut children = element.root().children();
    children.next().expect("a condition").name().to_string()
}

fn error_of(element: &Element) -> String {
    let error = element.root().child("error", "jabber:client");
    let mut children = error.expect("an error").children();
    children.next().expect("a condition").name().to_string()
}

#[test]
fn before_the_proof_little_is_taken() {
    let mut core = with_component(&[], |_| {});
    greet(&mut core, "c");
    core.say("c", &format!("<handshake>{}", "a".repeat(20 << 10)));
    assert_eq!(condition(&core.expect("c", "error")), "policy-violation");
    assert!(core.clients["c"].1.closed);
}

#[test]
fn who_waits_for_another_to_die_sends_no_more_than_so_much_ahead() {
    let mut core = with_component(&[], |_| {});
    come(&mut core, "old");
    let proof = greet(&mut core, "new");
    core.say("new", &proof);
    let message = format!(
        "<message to='romeo@localhost'><body>{}</body></message>",
        "a".repeat(4 << 10)
    );
    for _ in 0..9 {
        core.say("new", &message);
    }
    assert_eq!(condition(&core.expect("new", "error")), "policy-violation");
    // Nobody waits any more, so another may.
    core.expect("old", "iq");
    let proof = greet(&mut core, "newer");
    core.say("newer", &proof);
    core.wait(11_000);
    core.expect("newer", "handshake");
}

#[test]
fn once_it_is_in_a_stanza_may_be_as_large_as_any() {
    let mut core = with_component(&["romeo"], |settings| settings.limits.bytes = 100 << 10);
    core.bind("romeo/orchard");
    come(&mut core, "c");
    let message = |bytes: usize| {
        format!(
            "<message from='a@{NAME}' to='romeo@localhost/orchard'><body>{}</body></message>",
            "a".repeat(bytes)
        )
    };
    core.say("c", &message(90 << 10));
    core.expect("romeo/orchard", "message");
    core.say("c", &message(110 << 10));
    assert_eq!(condition(&core.expect("c", "error")), "policy-violation");
}

#[test]
fn contacts_it_makes_up_do_not_fill_the_store() {
    let mut core = with_component(&["romeo"], |settings| settings.roster_contacts_max = 5);
    come(&mut core, "c");
    for number in 0..100 {
        core.say(
            "c",
            &format!("<presence type='subscribe' from='x{number}@{NAME}' to='romeo@localhost'/>"),
        );
    }
    core.bind("romeo/orchard");
    core.say("romeo/orchard", "<presence/>");
    let requests = core.all("romeo/orchard");
    let requests = requests
        .iter()
        .filter(|presence| presence.root().attribute("type").as_deref() == Some("subscribe"));
    assert_eq!(requests.count(), 10);
}

#[test]
fn questions_in_somebodys_name_are_bounded() {
    let mut core = with_component(&["romeo", "juliet"], |settings| {
        let granted = Privileges {
            iq: vec![("urn:example:q".into(), Access::BOTH)],
            ..Privileges::default()
        };
        settings.component_privileges.push((NAME.into(), granted));
    });
    core.bind("juliet/balcony");
    come(&mut core, "c");
    core.expect("c", "message");
    let ask = |number: usize| {
        format!(
            "<iq type='get' id='{number}' from='{NAME}' to='romeo@localhost'><privileged_iq xmlns='urn:xmpp:privilege:2'>\
             <iq xmlns='jabber:client' type='get' id='i' to='juliet@localhost/balcony'><q xmlns='urn:example:q'/></iq>\
             </privileged_iq></iq>"
        )
    };
    for number in 0..20 {
        core.say("c", &ask(number));
    }
    let refused = core.all("c");
    assert_eq!(core.all("juliet/balcony").len(), 8);
    assert_eq!(refused.len(), 12);
    assert!(
        refused
            .iter()
            .all(|iq| error_of(iq) == "resource-constraint")
    );
    // Whoever did not answer in time is asked again.
    core.wait(121_000);
    core.say("c", &ask(21));
    assert_eq!(core.all("juliet/balcony").len(), 1);
    // A component that goes leaves nothing that could be answered to it.
    core.cut("c");
    core.say(
        "juliet/balcony",
        "<iq type='result' id='x' to='romeo@localhost'/>",
    );
    assert!(core.all("juliet/balcony").is_empty());
}

/// In the middle of a stanza, and of its handshake.
#[test]
fn one_that_dies_in_the_middle_leaves_nothing_behind() {
    let mut core = with_component(&["romeo"], |_| {});
    core.bind("romeo/orchard");
    for round in 0..3 {
        greet(&mut core, "half");
        core.say("half", "<handshake>");
        core.cut("half");
        come(&mut core, "c");
        core.say(
            "c",
            "<message from='a@bridge.localhost' to='romeo@localhost/orchard'><bo",
        );
        core.cut("c");
        assert!(core.all("romeo/orchard").is_empty(), "round {round}");
    }
    assert_eq!(core.server().connection_count(), 1);
    come(&mut core, "c");
    core.say(
        "c",
        "<message from='a@bridge.localhost' to='romeo@localhost/orchard'><body>1</body></message>",
    );
    core.expect("romeo/orchard", "message");
}

/// The errors that a client gets, by the ids of what they answer.
fn refused(core: &mut Core, client: &str) -> Vec<String> {
    let all = core.all(client).into_iter();
    let errors = all.filter(|element| element.root().attribute("type").as_deref() == Some("error"));
    errors
        .map(|error| error.root().attribute("id").expect("an id").into_owned())
        .collect()
}

#[test]
fn requests_under_way_are_remembered_up_to_a_number() {
    let accounts: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let mut core = with_component(&accounts, |_| {});
    come(&mut core, "c");
    let of_one = UNDER_WAY_MAX / 8;
    for account in &accounts {
        let client = format!("{account}/r");
        core.bind(&client);
        for n in 0..of_one + 2 {
            core.say(
                &client,
                &format!("<iq type='get' id='{n}' to='{NAME}'><q xmlns='urn:example:q'/></iq>"),
            );
        }
    }
    core.cut("c");
    // Of each the latest; of all those of the last eight.
    let expected: Vec<String> = (2..of_one + 2).map(|n| n.to_string()).collect();
    for (at, account) in accounts.iter().enumerate() {
        let refused = refused(&mut core, &format!("{account}/r"));
        match at + 8 >= accounts.len() {
            true => assert_eq!(refused, expected, "{account}"),
            false => assert!(refused.is_empty(), "{account}"),
        }
    }
}

/// From whom presence and probes came, of each kind how often.
fn told(core: &mut Core, client: &str, kind: Option<&str>) -> usize {
    let all = core.all(client).into_iter();
    let of_kind = all.filter(|element| {
        element.root().name() == "presence" && element.root().attribute("type").as_deref() == kind
    });
    of_kind.count()
}

/// Accounts with a contact there, and all of them available.
fn with_contacts(accounts: usize) -> (Core, Vec<String>) {
    let names: Vec<String> = (0..accounts).map(|n| format!("a{n}")).collect();
    let accounts: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut core = with_component(&accounts, |settings| {
        settings.connections_per_address_max = 1000;
    });
    come(&mut core, "c");
    for name in &names {
        let client = format!("{name}/r");
        core.bind(&client);
        core.say(&client, "<presence/>");
        core.say(
            &client,
            &format!("<presence type='subscribe' to='x@{NAME}'/>"),
        );
        core.say(
            "c",
            &format!("<presence type='subscribed' from='x@{NAME}' to='{name}@localhost'/>"),
        );
        core.all(&client);
    }
    core.all("c");
    let clients = names.iter().map(|name| format!("{name}/r")).collect();
    (core, clients)
}

#[test]
fn thousands_of_rosters_are_read_a_few_at_a_time() {
    let (mut core, clients) = with_contacts(100);
    core.cut("c");
    let heard = |core: &mut Core| {
        let told = clients
            .iter()
            .map(|client| told(core, client, Some("unavailable")));
        told.sum::<usize>()
    };
    let first = heard(&mut core);
    assert!((1..=32).contains(&first), "{first}");
    // Whoever speaks meanwhile is answered.
    core.say(
        &clients[0],
        "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    core.expect(&clients[0], "iq");
    core.wait(1);
    let second = heard(&mut core);
    assert!((1..=32).contains(&second), "{second}");
    // It comes back: the others hear first that it had gone, and then all are asked for.
    come(&mut core, "c");
    core.wait(100);
    assert_eq!(heard(&mut core), 100 - first - second);
    assert_eq!(told(&mut core, "c", Some("probe")), 100);
    // It goes in the middle of that.
    core.cut("c");
    core.wait(100);
    assert_eq!(heard(&mut core), 100);
    come(&mut core, "c");
    let asked = told(&mut core, "c", Some("probe"));
    assert!(asked <= 32, "{asked}");
    core.cut("c");
    core.wait(100);
    assert_eq!(heard(&mut core), 100);
}
