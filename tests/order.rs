//! RFC 6120 §10.1: what one sends to the same account, by its full JID or its bare one, comes in the order it was sent, also
//! while a client is being given what waited for it.
use crate::transcript::core::Core;

/// Stanzas after which nothing more is given until the client acknowledges some.
const PAUSED_AT: usize = 200;
const NO_STORE: &str = "<no-store xmlns='urn:xmpp:hints'/>";

fn message(number: usize, to: &str, hint: &str) -> String {
    format!(
        "<message to='romeo@localhost{to}' type='chat' id='{number}'><body>{number}</body>{hint}</message>"
    )
}

fn names(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| n.to_string()).collect()
}

/// So many wait for romeo.
fn waiting(count: usize) -> Core {
    let mut core = Core::with_accounts(&["romeo", "juliet"]);
    core.bind("juliet/r");
    for n in 0..count {
        core.say("juliet/r", &message(n, "", ""));
    }
    core
}

fn arrive(core: &mut Core, who: &str) -> String {
    core.bind(who);
    let name = core.enable(who, 600);
    core.say(
        who,
        "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
    );
    core.say(who, "<presence/>");
    name
}

/// Takes all there is to come, acknowledging it; `before`: so many stanzas came already.
fn take_all(core: &mut Core, who: &str, mut stanzas: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..20 {
        let elements = core.all(who);
        let is_counted = |name: &str| matches!(name, "message" | "presence" | "iq");
        stanzas += elements
            .iter()
            .filter(|e| is_counted(e.root().name()))
            .count();
        let ids = elements.iter().filter(|e| e.root().name() == "message");
        all.extend(ids.map(|e| {
            e.root()
                .attribute("id")
                .map_or("copy".into(), |id| id.to_string())
        }));
        core.say(who, &format!("<a xmlns='urn:xmpp:sm:3' h='{stanzas}'/>"));
    }
    all
}

#[test]
fn a_full_jid_does_not_overtake_what_waits() {
    let mut core = waiting(PAUSED_AT + 50);
    arrive(&mut core, "romeo/phone");
    core.say("juliet/r", &message(250, "/phone", ""));
    core.say("juliet/r", &message(251, "", ""));
    core.say("juliet/r", &message(252, "/phone", NO_STORE));
    core.say("juliet/r", &message(253, "", NO_STORE));
    core.say("juliet/r", &message(254, "/phone", ""));
    core.say("juliet/r", &message(255, "", ""));
    let all = take_all(&mut core, "romeo/phone", 0);
    assert_eq!(all, names(0..256));
    core.say("juliet/r", &message(256, "/phone", ""));
    assert_eq!(
        take_all(&mut core, "romeo/phone", 258),
        ["256"],
        "at once again"
    );
    assert_eq!(take_all(&mut core, "juliet/r", 0), [""; 0]);
    core.bind("romeo/new");
    core.say("romeo/new", "<presence/>");
    assert_eq!(take_all(&mut core, "romeo/new", 0), [""; 0], "it has all");
}

/// What waits behind and is to one of them is its own; the other one has a copy.
#[test]
fn what_waited_for_one_of_two_is_not_the_others() {
    let mut core = waiting(2 * PAUSED_AT + 50);
    arrive(&mut core, "romeo/tablet");
    arrive(&mut core, "romeo/phone");
    core.say("juliet/r", &message(450, "/phone", ""));
    core.say("juliet/r", &message(451, "/phone", NO_STORE));
    core.say("juliet/r", &message(452, "", ""));
    let phone = take_all(&mut core, "romeo/phone", 0);
    assert_eq!(phone, names(200..453));
    let mut tablet = names(0..450);
    tablet.extend(["copy", "copy", "452"].map(str::to_string));
    assert_eq!(take_all(&mut core, "romeo/tablet", 0), tablet);
}

/// The phone dies in the middle: what is behind is in its queue, and nobody misses anything.
#[test]
fn whoever_dies_in_the_middle_loses_nothing() {
    for stops in [false, true] {
        let mut core = waiting(PAUSED_AT + 50);
        let name = arrive(&mut core, "romeo/phone");
        core.say("juliet/r", &message(250, "/phone", NO_STORE));
        core.say("juliet/r", &message(251, "/phone", ""));
        let before = core.all("romeo/phone").len();
        assert!(before > PAUSED_AT);
        match stops {
            true => core.stop(),
            false => core.cut("romeo/phone"),
        }
        core.log_in("b", "romeo");
        core.say(
            "b",
            &format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='0'/>"),
        );
        let mut came = take_all(&mut core, "b", 0);
        came.retain(|id| id != "c");
        let mut sorted = came.clone();
        sorted.sort_by_key(|id| id.parse::<usize>().unwrap());
        assert_eq!(sorted, names(0..252), "each once: {came:?}");
        if !stops {
            assert_eq!(came, sorted, "in order");
        }
    }
}

/// There is no end to what comes meanwhile: it is not kept in memory without end, and not lost.
#[test]
fn what_comes_behind_is_bounded() {
    let mut core = waiting(PAUSED_AT + 50);
    arrive(&mut core, "romeo/phone");
    let long = format!("<x xmlns='x'>{}</x>{NO_STORE}", "x".repeat(10_000));
    for n in 250..270 {
        core.say("juliet/r", &message(n, "/phone", &long));
    }
    let mut all = take_all(&mut core, "romeo/phone", 0);
    assert_eq!(all[200..214], names(256..270), "too many wait already");
    all.sort_by_key(|id| id.parse::<usize>().unwrap());
    assert_eq!(all, names(0..270));
}
