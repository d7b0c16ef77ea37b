//! Publish-subscribe asked in every wrong way, and for more than there may be: always one answer, and never more than a limit.
use stonechat::xml::{Element, ElementRef, parse_stored};

use crate::transcript::core::Core;

const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const SERVICE: &str = "pubsub.localhost";

struct Asker {
    core: Core,
    asked: usize,
}

impl Asker {
    fn new(people: &[&str]) -> Asker {
        let mut core = Core::with_accounts(people);
        for name in people {
            core.bind(&format!("{name}/r"));
        }
        Asker { core, asked: 0 }
    }

    /// One request, and its one answer.
    fn ask(&mut self, who: &str, kind: &str, (namespace, inside): (&str, &str)) -> Element {
        let request = format!("<pubsub xmlns='{PUBSUB}{namespace}'>{inside}</pubsub>");
        self.ask_with(who, kind, &request)
    }

    fn ask_with(&mut self, who: &str, kind: &str, inside: &str) -> Element {
        self.asked += 1;
        let id = format!("q{}", self.asked);
        let text = format!("<iq type='{kind}' id='{id}' to='{SERVICE}'>{inside}</iq>");
        let session = format!("{who}/r");
        self.core.say(&session, &text);
        let came = self.core.all(&session);
        let mut answers = came
            .into_iter()
            .filter(|one| one.root().attribute("id").as_deref() == Some(&*id));
        let answer = answers.next();
        assert!(answers.next().is_none(), "two answers to {text}");
        answer.unwrap_or_else(|| panic!("no answer to {text}"))
    }

    fn done(&mut self, who: &str, kind: &str, request: (&str, &str)) -> Element {
        let answer = self.ask(who, kind, request);
        assert_eq!(is_done(&answer), Ok(()), "{}", request.1);
        answer
    }

    fn refused(&mut self, who: &str, kind: &str, request: (&str, &str), by: &str) {
        let answer = self.ask(who, kind, request);
        let refused = is_done(&answer).expect_err(request.1);
        assert!(refused.contains(&format!("<{by} ")), "{refused} of {by}");
    }
}

fn is_done(answer: &Element) -> Result<(), String> {
    match answer.root().attribute("type").as_deref() {
        Some("result") => Ok(()),
        _ => Err(answer.source().to_string()),
    }
}

/// The requests in the transcripts: kind and child.
fn requests() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts/pubsub");
    let mut requests = Vec::new();
    for file in std::fs::read_dir(folder).expect("transcripts") {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.starts_with("C ")) {
            let stanza = line.split_once(": ").unwrap().1;
            let Ok(element) = parse_stored(stanza, "jabber:client") else {
                continue;
            };
            let root = element.root();
            let child = root.children().next();
            let kind = root.attribute("type");
            if let (true, Some(child), Some(kind)) = (root.is("iq", "jabber:client"), child, kind)
                && line.len() < 2000
            {
                requests.push((kind.into_owned(), child.to_xml().into_owned()));
            }
        }
    }
    requests.sort();
    requests.dedup();
    requests
}

/// The same element with one thing wrong: each attribute left out, empty, or huge; each child left out or twice.
pub fn wrongs(
    element: ElementRef<'_>,
    wrongs_of: &mut Vec<String>,
    around: &dyn Fn(&str) -> String,
) {
    let source = element.source();
    let huge = "x".repeat(64 << 10);
    for attribute in element.attributes() {
        let written = format!(" {}='{}'", attribute.name, attribute.value);
        if !source.contains(&written) {
            continue;
        }
        for value in [None, Some(""), Some("\u{fffd}"), Some(&*huge)] {
            let instead = value.map(|value| format!(" {}='{value}'", attribute.name));
            let wrong = source.replacen(&written, &instead.unwrap_or_default(), 1);
            wrongs_of.push(around(&wrong));
        }
    }
    for child in element.children() {
        let own = child.source();
        for instead in [String::new(), format!("{own}{own}"), format!("{own}text")] {
            wrongs_of.push(around(&source.replacen(own, &instead, 1)));
        }
        let within = |wrong: &str| around(&source.replacen(own, wrong, 1));
        wrongs(child, wrongs_of, &within);
    }
}

#[test]
fn whatever_is_asked_has_one_answer() {
    let mut asker = Asker::new(&["romeo"]);
    let requests = requests();
    assert!(requests.len() > 100, "{}", requests.len());
    let mut refused = 0;
    let mut all = 0;
    for (kind, child) in requests {
        asker.ask("romeo", "set", ("", "<create node='n'/>"));
        let element = parse_stored(&child, "jabber:client").unwrap();
        let mut wrong = vec![child.clone()];
        wrongs(element.root(), &mut wrong, &|wrong| wrong.to_string());
        // Of very many forms alike, some.
        let step = wrong.len().div_ceil(20);
        for wrong in wrong.iter().step_by(step) {
            if parse_stored(wrong, "jabber:client").is_ok() {
                all += 1;
                refused += usize::from(is_done(&asker.ask_with("romeo", &kind, wrong)).is_err());
            }
        }
    }
    assert!(refused > 1000 && all > refused + 100, "{refused} of {all}");
}

fn subscriptions(numbers: std::ops::Range<usize>) -> String {
    let one = |n| format!("<subscription jid='u{n}@localhost' subscription='subscribed'/>");
    let all: String = numbers.map(one).collect();
    format!("<subscriptions node='n'>{all}</subscriptions>")
}

/// Nobody is told of those that are not there.
#[test]
fn a_node_has_so_many_subscribers() {
    let mut asker = Asker::new(&["romeo", "juliet"]);
    asker.done("romeo", "set", ("", "<create node='n'/>"));
    for page in 0..4 {
        let from = page * 500;
        let to = (from + 500).min(1_999);
        asker.done("romeo", "set", ("#owner", &subscriptions(from..to)));
    }
    let juliet = "<subscribe node='n' jid='juliet@localhost'/>";
    asker.refused("juliet", "set", ("", juliet), "too-many-subscriptions");
    let one = "<subscriptions node='n'><subscription jid='u7@localhost' subscription='none'/></subscriptions>";
    asker.refused("romeo", "set", ("#owner", one), "resource-constraint");
    let all = asker.done("romeo", "get", ("#owner", "<subscriptions node='n'/>"));
    assert_eq!(all.source().matches("jid='").count(), 1_999);
    let publish = "<publish node='n'><item id='1'><x xmlns='n'/></item></publish>";
    asker.done("romeo", "set", ("", publish));
    asker.done("romeo", "set", ("#owner", "<delete node='n'/>"));
    // What it leaves goes meanwhile.
    asker.core.wait(60_000);
    asker.done("romeo", "set", ("", "<create node='n'/>"));
    asker.done("juliet", "set", ("", juliet));
}

#[test]
fn so_many_wait_for_owners() {
    let names: Vec<String> = (0..102).map(|n| format!("u{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut asker = Asker::new(&names);
    let create = "<create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>\
        <field var='pubsub#access_model'><value>authorize</value></field></x></configure>";
    asker.done("u0", "set", ("", create));
    let subscribe = |name: &str| format!("<subscribe node='n' jid='{name}@localhost'/>");
    for name in &names[1..101] {
        asker.done(name, "set", ("", &subscribe(name)));
    }
    let last = subscribe("u101");
    asker.refused("u101", "set", ("", &last), "too-many-subscriptions");
    let allow = "<subscriptions node='n'><subscription jid='u7@localhost' subscription='subscribed'/></subscriptions>";
    asker.done("u0", "set", ("#owner", allow));
    asker.done("u101", "set", ("", &last));
}

/// More than one answer holds comes in pages, and says so.
#[test]
fn answers_are_cut() {
    let mut asker = Asker::new(&["romeo"]);
    let create = "<create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>\
        <field var='pubsub#max_items'><value>max</value></field></x></configure>";
    asker.done("romeo", "set", ("", create));
    for page in 0..26 {
        let one = |n| format!("<item id='{n}'><x xmlns='n'/></item>");
        let items: String = (page * 100..(page + 1) * 100).map(one).collect();
        asker.done(
            "romeo",
            "set",
            ("", &format!("<publish node='n'>{items}</publish>")),
        );
    }
    let answer = asker.done("romeo", "get", ("", "<items node='n'/>"));
    let source = answer.source();
    assert_eq!(source.matches("<item ").count(), 2500);
    assert!(source.contains("<last>2599</last><count>2600</count>"));
    let by_birth = "<items node='n'/><order xmlns='urn:xmpp:order-by:1' by='creation'/>";
    asker.refused("romeo", "get", ("", by_birth), "feature-not-implemented");
    let one = |n| format!("<item id='{n}'/>");
    let ids: String = (0..501).map(one).collect();
    let many = format!("<items node='n'>{ids}</items>");
    asker.refused("romeo", "get", ("", &many), "max-items-exceeded");
    // By their bytes.
    let big = "m".repeat(200_000);
    for n in 0..8 {
        let item =
            format!("<publish node='n'><item id='big{n}'><x xmlns='n'>{big}</x></item></publish>");
        asker.done("romeo", "set", ("", &item));
    }
    let latest = asker.done("romeo", "get", ("", "<items node='n' max_items='8'/>"));
    let held = latest.source().matches("<item ").count();
    assert!((5..8).contains(&held), "{held}");
    assert!(latest.source().contains("<last>big7</last>"));
}

#[test]
fn discovery_is_cut() {
    let mut asker = Asker::new(&["romeo"]);
    asker.core.settings.pubsub_nodes_max = 1000;
    asker.core.restart();
    asker.core.bind("romeo/r");
    for n in 0..510 {
        let create = format!("<create node='n{n:04}'/>");
        asker.done("romeo", "set", ("", &create));
    }
    let query = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let answer = asker.ask_with("romeo", "get", query);
    let source = answer.source();
    assert_eq!(source.matches("<item ").count(), 500);
    assert!(source.contains("<last>n0499</last>"), "{source}");
    let rest = "<query xmlns='http://jabber.org/protocol/disco#items'>\
        <set xmlns='http://jabber.org/protocol/rsm'><after>n0499</after></set></query>";
    let answer = asker.ask_with("romeo", "get", rest);
    assert_eq!(answer.source().matches("<item ").count(), 10);
}

fn fill(asker: &mut Asker, count: usize) {
    let create = "<create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>\
        <field var='pubsub#max_items'><value>max</value></field></x></configure>";
    asker.done("romeo", "set", ("", create));
    for from in (0..count).step_by(100) {
        let one = |n| format!("<item id='{n}'><x xmlns='n'/></item>");
        let items: String = (from..from + 100).map(one).collect();
        let publish = format!("<publish node='n'>{items}</publish>");
        asker.done("romeo", "set", ("", &publish));
    }
}

fn count(asker: &mut Asker) -> usize {
    let answer = asker.done("romeo", "get", ("", "<items node='n'/>"));
    answer.source().matches("<item ").count()
}

/// A limit that is lowered takes many at once, and the others in small steps.
#[test]
fn what_is_too_many_goes() {
    let mut asker = Asker::new(&["romeo"]);
    fill(&mut asker, 1200);
    let configure = "<configure node='n'><x xmlns='jabber:x:data' type='submit'>\
        <field var='pubsub#max_items'><value>3</value></field></x></configure>";
    asker.done("romeo", "set", ("#owner", configure));
    assert_eq!(count(&mut asker), 700);
    asker.core.wait(700_000);
    assert_eq!(count(&mut asker), 3);
}

#[test]
fn the_service_has_so_many_nodes() {
    let mut asker = Asker::new(&["romeo"]);
    asker.core.stop_and(|tx| {
        for n in 0..20_000 {
            let about = (Default::default(), stonechat::xmpp::Timestamp(1));
            let owner = stonechat::store::NodeOwner::SERVICE;
            tx.add_node(owner, &format!("n{n}"), "juliet@localhost", about)
                .unwrap();
        }
    });
    asker.core.bind("romeo/r");
    asker.refused("romeo", "set", ("", "<create/>"), "max-nodes-exceeded");
    // Whom none of them concerns, whoever asks.
    let query = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let answer = asker.ask_with("romeo", "get", query);
    assert_eq!(answer.source().matches("<item ").count(), 500);
}

#[test]
fn one_has_to_do_with_so_many_nodes_as_are_listed() {
    let mut asker = Asker::new(&["romeo", "juliet"]);
    asker.core.stop_and(|tx| {
        for n in 0..1001 {
            let about = (Default::default(), stonechat::xmpp::Timestamp(1));
            let owner = stonechat::store::NodeOwner::SERVICE;
            tx.add_node(owner, &format!("n{n}"), "juliet@localhost", about)
                .unwrap();
        }
    });
    asker.core.bind("romeo/r");
    let subscribe = |n: usize| format!("<subscribe node='n{n}' jid='romeo@localhost'/>");
    for n in 0..1000 {
        asker.done("romeo", "set", ("", &subscribe(n)));
    }
    let more = subscribe(1000);
    asker.refused("romeo", "set", ("", &more), "too-many-subscriptions");
    let answer = asker.done("romeo", "get", ("", "<subscriptions/>"));
    assert_eq!(answer.source().matches("<subscription ").count(), 1000);
}

#[test]
fn values_of_a_configuration_are_short_and_few() {
    let mut asker = Asker::new(&["romeo"]);
    asker.done("romeo", "set", ("", "<create node='n'/>"));
    let configure = |var: &str, values: &[String]| {
        let values = values.iter().map(|value| format!("<value>{value}</value>"));
        format!(
            "<configure node='n'><x xmlns='jabber:x:data' type='submit'><field var='pubsub#{var}'>{}</field></x></configure>",
            values.collect::<String>()
        )
    };
    let jids = |count: usize| -> Vec<String> { (0..count).map(|n| format!("u{n}@x")).collect() };
    for (var, values, is_done) in [
        ("title", vec!["t".repeat(1023)], true),
        ("title", vec!["t".repeat(1024)], false),
        ("contact", jids(50), true),
        ("contact", jids(51), false),
        (
            "item_expire",
            vec!["99999999999999999999".to_string()],
            false,
        ),
    ] {
        let answer = asker.ask("romeo", "set", ("#owner", &configure(var, &values)));
        assert_eq!(self::is_done(&answer).is_ok(), is_done, "{var}");
    }
    let uri = "x".repeat(3072);
    let delete = format!("<delete node='n'><redirect uri='{uri}'/></delete>");
    asker.refused("romeo", "set", ("#owner", &delete), "not-acceptable");
}
