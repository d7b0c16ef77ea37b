//! Guessing passwords and names (RFC 6120 §13.8.4, §13.11): nobody gains by not waiting, nobody waits for strangers, and
//! nothing tells who exists.
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stonechat::server::Command;

use crate::transcript::computed;
use crate::transcript::core::Core;
use crate::transcript::run::password;

const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";

fn header(from: &str) -> String {
    format!(
        "<stream:stream from='{from}@localhost' to='localhost' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A connection that tries a password, and waits for nothing.
fn try_password(core: &mut Core, name: &str, from: IpAddr, account: &str, password: &str) {
    try_as(core, name, from, (account, password), AGENT);
}

fn try_as(
    core: &mut Core,
    name: &str,
    from: IpAddr,
    (account, password): (&str, &str),
    agent: &str,
) {
    core.address = from;
    core.connect(name, true);
    core.say(name, &header(account));
    core.expect(name, "features");
    let message = computed::fill(&format!("{{plain {account} {password}}}"));
    core.say(
        name,
        &format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
             <initial-response>{message}</initial-response>{agent}</authenticate>"
        ),
    );
}

/// What came of it, if anything did.
fn outcome(core: &mut Core, name: &str) -> Option<String> {
    let answer = core.next(name)?;
    let root = answer.root();
    Some(match root.name() {
        "failure" => root.children().next().unwrap().name().to_string(),
        name => name.to_string(),
    })
}

/// What those do who guess.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guesser {
    /// Hears every answer, and tries again at once.
    Patient,
    /// Comes again on another connection when there is none at once.
    Hasty,
}

/// Wrong passwords from so many connections at once for so many seconds. How many were compared.
fn flood(
    core: &mut Core,
    from: &[IpAddr],
    (account, connections, seconds): (&str, usize, u64),
    guesser: Guesser,
) -> usize {
    let before = core.hashed;
    for turn in 0..seconds * 10 {
        for n in 0..connections {
            let name = format!("flood{n}");
            let is_there = core.clients.contains_key(&name) && !core.clients[&name].1.closed;
            let answered = is_there && outcome(core, &name).is_some();
            let leaves = guesser == Guesser::Hasty && turn % 3 == 0;
            if is_there && (answered || leaves) {
                core.cut(&name);
            }
            if !is_there || answered || leaves {
                try_as(core, &name, from[n % from.len()], (account, "wrong"), "");
            }
        }
        core.wait(100);
    }
    core.hashed - before
}

#[test]
fn connections_that_do_not_wait_gain_nothing() {
    let one = vec![address("192.0.2.1")];
    // One subscriber has 2^64 addresses.
    let of_64: Vec<IpAddr> = (1..=12)
        .map(|n| address(&format!("2001:db8:1:2:{n}::1")))
        .collect();
    for from in [one, of_64] {
        for guesser in [Guesser::Patient, Guesser::Hasty] {
            let compared = ["romeo", "nobody"].map(|account| {
                let mut core = Core::with_accounts(&["romeo"]);
                flood(&mut core, &from, (account, 12, 30), guesser)
            });
            assert!(
                (3..=12).contains(&compared[0]),
                "{compared:?} in half a minute"
            );
            assert_eq!(compared[0], compared[1]);
        }
    }
}

#[test]
fn scram_is_counted_by_its_proofs() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.address = address("192.0.2.1");
    let mut challenges = Vec::new();
    for n in 0..20 {
        let name = format!("c{n}");
        core.connect(&name, true);
        core.say(&name, &header("romeo"));
        core.expect(&name, "features");
        let first = computed::fill("{first romeo}");
        core.say(
            &name,
            &format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{first}</auth>"),
        );
        // Nothing is guessed yet, so nobody waits.
        challenges.push(core.expect(&name, "challenge").root().text().into_owned());
    }
    for (n, challenge) in challenges.iter().enumerate() {
        let proof = computed::fill(&format!("{{proof romeo wrong {challenge}}}"));
        core.say(
            &format!("c{n}"),
            &format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{proof}</response>"),
        );
    }
    core.wait(20_000);
    let told: Vec<_> = (0..20)
        .map(|n| outcome(&mut core, &format!("c{n}")))
        .collect();
    let wrong = told
        .iter()
        .flatten()
        .filter(|told| *told == "not-authorized");
    assert!((4..=7).contains(&wrong.count()), "{told:?}");
    let put_off = told
        .iter()
        .flatten()
        .filter(|told| *told == "temporary-auth-failure");
    assert!(put_off.count() >= 12, "{told:?}");
}

#[test]
fn who_mistypes_hears_it_soon() {
    let mut core = Core::with_accounts(&["romeo"]);
    // Strangers are at it.
    let from = [address("192.0.2.1")];
    flood(&mut core, &from, ("romeo", 12, 10), Guesser::Patient);
    for n in 0..4 {
        let name = format!("typed{n}");
        try_password(
            &mut core,
            &name,
            address("198.51.100.1"),
            "romeo",
            "mistyped",
        );
        core.wait(2_000);
        assert_eq!(outcome(&mut core, &name).as_deref(), Some("not-authorized"));
    }
    try_password(
        &mut core,
        "right",
        address("198.51.100.1"),
        "romeo",
        &password("romeo"),
    );
    assert_eq!(outcome(&mut core, "right").as_deref(), Some("success"));
}

#[test]
fn a_right_password_does_not_wait_for_strangers() {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    let right = password("romeo");
    let home = address("198.51.100.1");
    try_password(&mut core, "home", home, "romeo", &right);
    assert_eq!(outcome(&mut core, "home").as_deref(), Some("success"));
    // From one place, and from many.
    let from = [address("192.0.2.1")];
    flood(&mut core, &from, ("romeo", 12, 5), Guesser::Patient);
    try_password(
        &mut core,
        "elsewhere",
        address("203.0.113.1"),
        "romeo",
        &right,
    );
    assert_eq!(outcome(&mut core, "elsewhere").as_deref(), Some("success"));
    // From behind the same address as who guesses, a client that has been here before.
    try_password(&mut core, "neighbour", from[0], "romeo", &right);
    assert_eq!(outcome(&mut core, "neighbour").as_deref(), Some("success"));
    let many: Vec<IpAddr> = (0..200)
        .map(|n| address(&format!("2001:db8:2:{n:x}::1")))
        .collect();
    let compared = flood(&mut core, &many, ("romeo", 200, 30), Guesser::Patient);
    assert!(
        compared < 350,
        "{compared} from 200 places in half a minute"
    );
    try_password(&mut core, "home again", home, "romeo", &right);
    assert_eq!(outcome(&mut core, "home again").as_deref(), Some("success"));
    // A client that has been here before, wherever it is now.
    try_password(&mut core, "away", address("203.0.113.9"), "romeo", &right);
    assert_eq!(outcome(&mut core, "away").as_deref(), Some("success"));
    // Others' accounts are not theirs.
    try_password(
        &mut core,
        "other",
        address("203.0.113.9"),
        "juliet",
        &password("juliet"),
    );
    assert_eq!(outcome(&mut core, "other").as_deref(), Some("success"));
}

#[test]
fn who_tries_many_names_is_slow() {
    let mut core = Core::with_accounts(&["romeo"]);
    let before = core.hashed;
    for turn in 0..300 {
        for n in 0..10 {
            let name = format!("s{turn}-{n}");
            try_password(&mut core, &name, address("192.0.2.1"), &name, "wrong");
        }
        core.wait(100);
    }
    let compared = core.hashed - before;
    assert!(compared < 120, "{compared} in half a minute");
}

/// They try again and again by themselves.
#[test]
fn devices_with_the_old_password_do_not_lock_their_home_out() {
    let mut core = Core::with_accounts(&["romeo"]);
    let home = [address("198.51.100.1")];
    let right = password("romeo");
    try_password(&mut core, "before", home[0], "romeo", &right);
    assert_eq!(outcome(&mut core, "before").as_deref(), Some("success"));
    flood(&mut core, &home, ("romeo", 3, 30), Guesser::Patient);
    try_as(&mut core, "new", home[0], ("romeo", &right), "");
    core.wait(8_000);
    assert_eq!(outcome(&mut core, "new").as_deref(), Some("success"));
}

/// Several devices of one home come back at once.
#[test]
fn devices_of_one_home_do_not_wait_for_each_other() {
    let mut core = Core::with_accounts(&["romeo"]);
    core.holds_hashes = true;
    for n in 0..8 {
        let name = format!("d{n}");
        try_password(
            &mut core,
            &name,
            address("192.0.2.1"),
            "romeo",
            &password("romeo"),
        );
    }
    core.hash_held();
    core.wait(0);
    core.hash_held();
    for n in 0..8 {
        let told = outcome(&mut core, &format!("d{n}"));
        assert_eq!(told.as_deref(), Some("success"), "{n}");
    }
}

/// Features, and what SCRAM says of each hash: salt and iterations.
fn shown(core: &mut Core, account: &str) -> (String, Vec<(String, String)>) {
    let name = format!("shown {account}");
    core.connect(&name, true);
    core.say(&name, &header(account));
    let features = core.expect(&name, "features").source().to_string();
    let mut told = Vec::new();
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let first = computed::fill(&format!("{{first {account}}}"));
        core.say(
            &name,
            &format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{first}</auth>"),
        );
        let challenge = core.expect(&name, "challenge").root().text().into_owned();
        let challenge = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
        let mut parts = challenge.split(',').skip(1).map(str::to_string);
        told.push((parts.next().unwrap(), parts.next().unwrap()));
        core.say(&name, "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        core.expect(&name, "failure");
    }
    core.cut(&name);
    (features, told)
}

/// The same without what differs from account to account: which of the salts are one.
fn shape(shown: &(String, Vec<(String, String)>)) -> (String, Vec<(usize, usize, String)>) {
    let (features, told) = shown;
    let shapes = told.iter().map(|(salt, iterations)| {
        let first = told.iter().position(|(other, _)| other == salt).unwrap();
        (first, salt.len(), iterations.clone())
    });
    (features.clone(), shapes.collect())
}

#[test]
fn raised_iterations_show_nobody() {
    let names: Vec<String> = (0..20).map(|n| format!("nobody{n}")).collect();
    let mut core = Core::with_settings(&["romeo"], |settings| settings.scram_iterations = 4);
    let look = |core: &mut Core| {
        let known = shape(&shown(core, "romeo"));
        for name in &names {
            let first = shown(core, name);
            assert_eq!(shape(&first), known, "{name}");
            assert_eq!(shown(core, name), first, "the same each time");
        }
        known
    };
    let before = look(&mut core);
    core.settings.scram_iterations = 9;
    core.restart();
    let after = look(&mut core);
    assert_eq!(before.1, after.1);
    assert_eq!(before.1[1].2, "i=4");
    assert!(after.0.contains("UPGR-SCRAM-SHA-256") && !before.0.contains("UPGR"));
    // Some accounts have more by now: names without one look like this or like that.
    let (code, _) = core.command(Command::UserAdd {
        name: "juliet".into(),
        password: password("juliet"),
    });
    assert_eq!(code, 0);
    let known = [
        shape(&shown(&mut core, "romeo")),
        shape(&shown(&mut core, "juliet")),
    ];
    assert_ne!(known[0], known[1]);
    let mut like = [0, 0];
    for name in &names {
        let shown = shape(&shown(&mut core, name));
        let which = known
            .iter()
            .position(|known| *known == shown)
            .expect("like one of them");
        like[which] += 1;
    }
    assert!(like[0] >= 3 && like[1] >= 3, "{like:?}");
    // A new password of somebody who can be watched changes nothing of names without an account.
    let before: Vec<_> = names.iter().map(|name| shown(&mut core, name)).collect();
    core.command(Command::UserPassword {
        name: "juliet".into(),
        password: "other".into(),
    });
    let after: Vec<_> = names.iter().map(|name| shown(&mut core, name)).collect();
    assert_eq!(before, after);
    // Where there is nobody at all, names look as the first will.
    let mut empty = Core::with_settings(&[], |settings| settings.scram_iterations = 9);
    let nobody = shape(&shown(&mut empty, "nobody"));
    empty.command(Command::UserAdd {
        name: "romeo".into(),
        password: password("romeo"),
    });
    assert_eq!(shape(&shown(&mut empty, "romeo")), nobody);
}

/// What somebody who is nobody's contact sends to an address, and what comes back.
fn answers(core: &mut Core, to: &str, stanza: &str) -> String {
    let (bare, _) = to.split_once('@').unwrap();
    core.say("juliet/j", &stanza.replace("TO", to));
    core.wait(1_000);
    let came = core.all("juliet/j");
    let came: Vec<_> = came.iter().map(|element| element.source()).collect();
    came.join("").replace(bare, "?")
}

/// RFC 6121 §8.5.1, XEP-0191 §3.2: an account that refuses strangers, one that blocks and one that is not there.
#[test]
fn refusals_do_not_tell_who_exists() {
    let mut core = Core::with_accounts(&["romeo", "tybalt", "juliet"]);
    core.bind("tybalt/t");
    core.say(
        "tybalt/t",
        "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='juliet@localhost'/></block></iq>",
    );
    core.bind("juliet/j");
    core.say("juliet/j", "<presence/>");
    core.all("juliet/j");
    let mut iqs = Vec::new();
    for (namespace, name) in [
        ("jabber:iq:roster", "query"),
        ("vcard-temp", "vCard"),
        ("jabber:iq:private", "query"),
        ("jabber:iq:last", "query"),
        ("jabber:iq:version", "query"),
        ("jabber:iq:register", "query"),
        ("urn:xmpp:time", "time"),
        ("urn:xmpp:ping", "ping"),
        ("urn:xmpp:mam:2", "query"),
        ("urn:xmpp:mam:2", "metadata"),
        ("urn:xmpp:mam:2", "prefs"),
        ("urn:xmpp:carbons:2", "enable"),
        ("urn:xmpp:carbons:2", "disable"),
        ("urn:xmpp:blocking", "blocklist"),
        ("urn:xmpp:blocking", "block"),
        ("urn:xmpp:cam:0", "list"),
        ("urn:xmpp:cam:0", "revoke"),
        ("erlang-solutions.com:xmpp:token-auth:0", "query"),
        ("http://jabber.org/protocol/disco#info", "query"),
        ("http://jabber.org/protocol/disco#info", "query node='n'"),
        ("urn:ietf:params:xml:ns:xmpp-session", "session"),
        ("urn:ietf:params:xml:ns:xmpp-bind", "bind"),
        ("urn:example:unknown", "query"),
    ] {
        for kind in ["get", "set"] {
            iqs.push(format!(
                "<iq type='{kind}' id='q' to='TO'><{name} xmlns='{namespace}'/></iq>"
            ));
        }
    }
    for (namespace, kind, child) in [
        ("", "get", "<items node='n'/>"),
        ("", "get", "<items/>"),
        ("", "get", "<subscriptions/>"),
        ("", "get", "<affiliations/>"),
        ("", "get", "<other/>"),
        (
            "",
            "set",
            "<publish node='n'><item><x xmlns='y'/></item></publish>",
        ),
        ("", "set", "<retract node='n'><item id='1'/></retract>"),
        ("", "set", "<create node='n'/>"),
        ("", "set", "<create/>"),
        ("", "set", "<subscribe node='n' jid='juliet@localhost'/>"),
        ("", "set", "<unsubscribe node='n' jid='juliet@localhost'/>"),
        ("", "get", "<options node='n' jid='juliet@localhost'/>"),
        ("#owner", "get", "<configure node='n'/>"),
        ("#owner", "get", "<default/>"),
        ("#owner", "set", "<configure node='n'/>"),
        ("#owner", "set", "<delete node='n'/>"),
        ("#owner", "set", "<purge node='n'/>"),
        ("#owner", "get", "<affiliations node='n'/>"),
        ("#owner", "get", "<subscriptions node='n'/>"),
    ] {
        iqs.push(format!(
            "<iq type='{kind}' id='q' to='TO'><pubsub xmlns='http://jabber.org/protocol/pubsub{namespace}'>{child}</pubsub></iq>"
        ));
    }
    let items = "http://jabber.org/protocol/disco#items";
    let items = format!("<iq type='get' id='q' to='TO'><query xmlns='{items}'/></iq>");
    let body = "<body>x</body>";
    let no_store = "<no-store xmlns='urn:xmpp:hints'/>";
    let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    let message = |kind: &str, inside: &str| {
        format!("<message type='{kind}' id='m' to='TO'>{inside}</message>")
    };
    let mut refused: Vec<String> = iqs.clone();
    for kind in ["chat", "normal", "headline", "groupchat", "error"] {
        refused.push(message(kind, state));
        refused.push(message(kind, &format!("{body}{no_store}")));
    }
    refused.push(message("headline", body));
    refused.push(message("groupchat", body));
    let kept = [message("chat", body), message("normal", body)];
    let presences = [
        "",
        "unavailable",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "subscribe",
    ]
    .map(|kind| format!("<presence to='TO' type='{kind}'/>").replace(" type=''", ""));
    for resource in ["", "/nowhere"] {
        let ask = |core: &mut Core, name: &str, stanza: &str| {
            answers(core, &format!("{name}@localhost{resource}"), stanza)
        };
        // XEP-0191 §3.2 leaves no choice: who is blocked gets no answer to a probe, and no items.
        let probe = "<presence to='TO' type='probe'/>".to_string();
        for stanza in refused.iter().chain(&presences).chain([&items, &probe]) {
            let nobody = ask(&mut core, "nobody", stanza);
            assert_eq!(
                ask(&mut core, "romeo", stanza),
                nobody,
                "{stanza} {resource}"
            );
        }
        for stanza in refused.iter().chain(&kept).chain(&presences) {
            let nobody = ask(&mut core, "nobody", stanza);
            assert_eq!(
                ask(&mut core, "tybalt", stanza),
                nobody,
                "{stanza} {resource}"
            );
        }
    }
    // Not answered alike because nothing is answered at all.
    let answer = answers(&mut core, "nobody@localhost", &iqs[0]);
    assert!(answer.contains("<forbidden"), "{answer}");
}
