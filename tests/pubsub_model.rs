//! Publish-subscribe against a map: several people do anything in any order, with restarts and a disk that fails at any write.
//! Every payload is told apart, so that of every byte that somebody is sent it is known whether it may be known to them; and
//! what is published, everybody who is to hear of it hears once at each resource.
mod map;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use map::{
    ACCESS, Key, Model, NODES, Node, PEOPLE, RESOURCES, STANDINGS, Settings, owner_of, person_of,
};
use stonechat::xml::Element;

use crate::transcript::core::{Core, Disk};
use crate::transcript::prng::Prng;

const SEEDS: u64 = 12;
const OPS: usize = 100;
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Of a client with the features `n0+notify` and `n1+notify`.
const VER: &str = "MwyydZCcuEgH/IKwpEhwwAvrOfs=";

/// What somebody asks for, and what becomes of the model if it is done.
struct Op {
    who: usize,
    to: usize,
    request: String,
    is_owners: bool,
    done: Option<Model>,
    /// The payload that is published, and who hears of it.
    told: Option<(String, BTreeSet<String>)>,
}

struct World {
    core: Core,
    model: Model,
    prng: Prng,
    asked: usize,
}

fn address(to: usize) -> String {
    match to {
        0 => "pubsub.localhost".to_string(),
        account => format!("{}@localhost", PEOPLE[account - 1]),
    }
}

fn field(var: &str, value: &str) -> String {
    format!("<field var='pubsub#{var}'><value>{value}</value></field>")
}

fn publish_model(open: bool) -> &'static str {
    match open {
        true => "open",
        false => "publishers",
    }
}

/// Of what an owner can configure, that which these people do.
fn configured(answer: &Element) -> Vec<String> {
    let pubsub = answer.root().children().next().unwrap();
    let form = pubsub.children().next().unwrap().children().next().unwrap();
    let value = |var: &str| {
        let field = form
            .children()
            .find(|field| field.attribute("var").as_deref() == Some(var));
        let value = field.unwrap().child("value", "jabber:x:data").unwrap();
        value.text().into_owned()
    };
    [
        "pubsub#access_model",
        "pubsub#publish_model",
        "pubsub#max_items",
    ]
    .map(value)
    .to_vec()
}

fn node_form((access, open_to_publish, items_max): Settings) -> String {
    let publish = if open_to_publish {
        "open"
    } else {
        "publishers"
    };
    format!(
        "<x xmlns='jabber:x:data' type='submit'>{}{}{}</x>",
        field("access_model", access),
        field("publish_model", publish),
        field("max_items", &items_max.to_string())
    )
}

impl World {
    fn new(seed: u64) -> World {
        let mut core = Core::with_accounts(&PEOPLE);
        core.settings.pubsub_items_max = 50;
        let mut world = World {
            core,
            model: Model {
                nodes: BTreeMap::new(),
                sees: BTreeSet::new(),
                payloads: 0,
            },
            prng: Prng(seed),
            asked: 0,
        };
        world.come();
        world.befriend(0, 1);
        world.befriend(1, 0);
        world
    }

    /// All resources log in and become available.
    fn come(&mut self) {
        for name in PEOPLE {
            for resource in RESOURCES {
                let session = format!("{name}/{resource}");
                self.core.bind(&session);
                let caps = match resource == RESOURCES[0] {
                    true => format!(
                        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{VER}'/>"
                    ),
                    false => String::new(),
                };
                self.core
                    .say(&session, &format!("<presence>{caps}</presence>"));
                self.hear();
            }
        }
    }

    fn befriend(&mut self, owner: usize, viewer: usize) {
        let [owner_name, viewer_name] = [owner, viewer].map(|who| PEOPLE[who]);
        self.core.say(
            &format!("{viewer_name}/1"),
            &format!("<presence type='subscribe' to='{owner_name}@localhost'/>"),
        );
        self.core.say(
            &format!("{owner_name}/1"),
            &format!("<presence type='subscribed' to='{viewer_name}@localhost'/>"),
        );
        self.model.sees.insert((owner, viewer));
        self.hear();
    }

    /// Takes what everybody was sent, and looks at every payload in it. Questions about capabilities are answered.
    fn hear(&mut self) -> BTreeMap<String, Vec<Element>> {
        let mut heard = BTreeMap::new();
        for (who, name) in PEOPLE.iter().enumerate() {
            for resource in RESOURCES {
                let session = format!("{name}/{resource}");
                let came = self.core.all(&session);
                for element in &came {
                    for rest in element.source().split("secret-").skip(1) {
                        let mut numbers = rest.split(['-', '<']).map(str::parse::<usize>);
                        let key = (
                            numbers.next().unwrap().unwrap(),
                            numbers.next().unwrap().unwrap(),
                        );
                        assert!(
                            self.model.may_read(key, who),
                            "{session} must not know {} of {:?}",
                            element.source(),
                            self.model.nodes.get(&key)
                        );
                    }
                }
                heard.insert(session, came);
            }
        }
        let mut questions = Vec::new();
        for (session, came) in &heard {
            for element in came {
                let root = element.root();
                let is_question = root.attribute("type").as_deref() == Some("get");
                if let Some(id) = root.attribute("id").filter(|_| is_question) {
                    questions.push((session.clone(), id.into_owned()));
                }
            }
        }
        for (session, id) in questions {
            self.core.say(
                &session,
                &format!(
                    "<iq type='result' id='{id}' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'>\
                     <identity category='client' type='pc'/><feature var='http://jabber.org/protocol/disco#info'/>\
                     <feature var='n0+notify'/><feature var='n1+notify'/></query></iq>"
                ),
            );
            self.hear();
        }
        heard
    }

    /// Asks, and returns the answer with all else that came.
    fn ask(&mut self, who: usize, kind: &str, to: usize, (is_owners, inside): (bool, &str)) {
        self.asked += 1;
        let namespace = match is_owners {
            true => format!("{PUBSUB}#owner"),
            false => PUBSUB.to_string(),
        };
        let text = format!(
            "<iq type='{kind}' id='q{}' to='{}'><pubsub xmlns='{namespace}'>{inside}</pubsub></iq>",
            self.asked,
            address(to)
        );
        self.core.say(&format!("{}/2", PEOPLE[who]), &text);
        self.core.land_all();
    }

    /// Whether it was done; `None`: no answer came.
    fn answer<'h>(
        &self,
        who: usize,
        heard: &'h BTreeMap<String, Vec<Element>>,
    ) -> Option<(bool, &'h Element)> {
        let id = format!("q{}", self.asked);
        let mut came = heard[&format!("{}/2", PEOPLE[who])].iter();
        let found = came.find(|element| element.root().attribute("id").as_deref() == Some(&*id))?;
        let is_done = found.root().attribute("type").as_deref() == Some("result");
        Some((is_done, found))
    }

    fn any_key(&mut self) -> Key {
        (self.prng.below(PEOPLE.len() + 1), self.prng.below(NODES))
    }

    fn any_settings(&mut self) -> Settings {
        let access = ACCESS[self.prng.below(ACCESS.len())];
        let open_to_publish = self.prng.below(3) == 0;
        (access, open_to_publish, [1, 2, 20][self.prng.below(3)])
    }

    /// The bare one, or one of the full ones.
    fn any_address_of(&mut self, who: usize) -> String {
        match self.prng.below(3) {
            0 => format!("{}@localhost", PEOPLE[who]),
            n => format!("{}@localhost/{n}", PEOPLE[who]),
        }
    }

    fn op(&mut self) -> Op {
        let who = self.prng.below(PEOPLE.len());
        let key = self.any_key();
        let name = format!("n{}", key.1);
        let id = format!("i{}", self.prng.below(4));
        let mut after = self.model.clone();
        let mut told = None;
        let kind = self.prng.below(12);
        let (request, is_done) = match kind {
            0 => {
                let settings = self.any_settings();
                let form = node_form(settings);
                (
                    format!("<create node='{name}'/><configure>{form}</configure>"),
                    after.create(key, who, settings),
                )
            }
            1..=3 => {
                self.model.payloads += 1;
                after.payloads += 1;
                let payload = format!("secret-{}-{}-{}", key.0, key.1, after.payloads);
                let is_done = after.publish(key, who, (&id, &payload));
                let item = format!("<item id='{id}'><x xmlns='n'>{payload}</x></item>");
                if is_done {
                    told = Some((payload, after.audience(key)));
                }
                (format!("<publish node='{name}'>{item}</publish>"), is_done)
            }
            4 => (
                format!("<retract node='{name}'><item id='{id}'/></retract>"),
                after.retract(key, who, &id),
            ),
            5 | 6 => {
                let jid = self.any_address_of(who);
                (
                    format!("<subscribe node='{name}' jid='{jid}'/>"),
                    after.subscribe(key, who, &jid),
                )
            }
            7 => {
                let jid = self.any_address_of(who);
                (
                    format!("<unsubscribe node='{name}' jid='{jid}'/>"),
                    after.unsubscribe(key, who, &jid),
                )
            }
            8 => (format!("<purge node='{name}'/>"), after.purge(key, who)),
            9 => (format!("<delete node='{name}'/>"), after.delete(key, who)),
            10 => {
                let other = (who + 1 + self.prng.below(PEOPLE.len() - 1)) % PEOPLE.len();
                let (standing, text) = STANDINGS[self.prng.below(STANDINGS.len())];
                let jid = format!("{}@localhost", PEOPLE[other]);
                (
                    format!(
                        "<affiliations node='{name}'><affiliation jid='{jid}' affiliation='{text}'/></affiliations>"
                    ),
                    after.affiliate(key, who, (other, standing)),
                )
            }
            _ => {
                let settings = self.any_settings();
                let form = node_form(settings);
                (
                    format!("<configure node='{name}'>{form}</configure>"),
                    after.configure(key, who, settings),
                )
            }
        };
        Op {
            who,
            to: key.0,
            request,
            is_owners: kind >= 8,
            done: is_done.then_some(after),
            told,
        }
    }

    /// Does it, and checks what came of it.
    fn run(&mut self, op: Op) {
        let before = self.model.clone();
        // What is told with it is told to those who may know it afterwards.
        self.model = op.done.clone().unwrap_or(before);
        self.ask(op.who, "set", op.to, (op.is_owners, &op.request));
        let heard = self.hear();
        let answer = self.answer(op.who, &heard).map(|(is_done, _)| is_done);
        let what = format!("{} to {}: {}", PEOPLE[op.who], address(op.to), op.request);
        assert_eq!(answer, Some(op.done.is_some()), "{what}");
        let Some((payload, audience)) = op.told else {
            return;
        };
        for (session, came) in &heard {
            let events = came.iter().filter(|element| {
                let source = element.source();
                element.root().name() == "message" && source.contains(&format!(">{payload}<"))
            });
            let expected = usize::from(audience.contains(session));
            assert_eq!(events.count(), expected, "{session} of {what}");
        }
    }

    /// What somebody reads of a node is what the map has, or an error.
    fn read(&mut self, who: usize, key: Key) {
        self.ask(
            who,
            "get",
            key.0,
            (false, &format!("<items node='n{}'/>", key.1)),
        );
        let heard = self.hear();
        let (is_done, element) = self.answer(who, &heard).expect("an answer");
        let what = format!("{} reads {key:?}: {}", PEOPLE[who], element.source());
        assert_eq!(is_done, self.model.may_read(key, who), "{what}");
        if is_done {
            let items = self.model.nodes[&key].items.iter();
            let expected: Vec<&str> = items.map(|(_, payload, _)| payload.as_str()).collect();
            assert_eq!(payloads(element), expected, "{what}");
        }
    }

    /// Whether all that owners see is what a map has.
    fn is_as(&mut self, model: &Model) -> bool {
        (0..=PEOPLE.len()).all(|owner| {
            (0..NODES).all(|name| {
                let key = (owner, name);
                let node = model.nodes.get(&key);
                let Some(node) = node else {
                    return (0..PEOPLE.len()).all(|who| !self.owns(who, key));
                };
                let who = owner_of(key, node);
                let lists = ["affiliations", "subscriptions"];
                let requests = [
                    (true, format!("<configure node='n{name}'/>")),
                    (false, format!("<items node='n{name}'/>")),
                    (true, format!("<{} node='n{name}'/>", lists[0])),
                    (true, format!("<{} node='n{name}'/>", lists[1])),
                ];
                let mut answers = Vec::new();
                for (is_owners, inside) in requests {
                    self.ask(who, "get", owner, (is_owners, &inside));
                    // Whose node it is, is not known yet.
                    let came = self.core.all(&format!("{}/2", PEOPLE[who]));
                    let id = format!("q{}", self.asked);
                    let answer = came
                        .into_iter()
                        .find(|one| one.root().attribute("id").as_deref() == Some(&*id));
                    let answer = answer.expect("an answer");
                    if answer.root().attribute("type").as_deref() != Some("result") {
                        return false;
                    }
                    answers.push(answer);
                }
                let items_max = node.items_max.to_string();
                let items: Vec<&str> = node.items.iter().map(|(_, p, _)| p.as_str()).collect();
                let standings = node.standings.iter();
                let standings = standings.map(|(who, standing)| {
                    let text = STANDINGS.iter().find(|(known, _)| known == standing);
                    format!(
                        "jid='{}@localhost' affiliation='{}'",
                        PEOPLE[*who],
                        text.unwrap().1
                    )
                });
                let subscribed = node.subscriptions.iter().filter(|(_, waits)| !**waits);
                let subscribed = subscribed
                    .map(|(address, _)| format!("jid='{address}' subscription='subscribed'"));
                let standings: Vec<String> = standings.collect();
                let subscribed: Vec<String> = subscribed.collect();
                let has = |answer: &Element, all: &[String], more: usize| {
                    let source = answer.source();
                    let count = source.matches("jid='").count();
                    count == all.len() + more && all.iter().all(|one| source.contains(one))
                };
                (0..PEOPLE.len()).all(|who| self.subscriptions_are(who, key, node))
                    && configured(&answers[0])
                        == [node.access, publish_model(node.open_to_publish), &items_max]
                    && payloads(&answers[1]) == items
                    && has(&answers[2], &standings, 1)
                    && has(&answers[3], &subscribed, 0)
            })
        })
    }

    /// As somebody is told of them, those that wait too; who may not know of the node has none.
    fn subscriptions_are(&mut self, who: usize, key: Key, node: &Node) -> bool {
        let inside = format!("<subscriptions node='n{}'/>", key.1);
        self.ask(who, "get", key.0, (false, &inside));
        let heard = self.hear();
        let (_, element) = self.answer(who, &heard).expect("an answer");
        let theirs = node.subscriptions.iter();
        let theirs = theirs.filter(|(address, _)| person_of(address) == who);
        let mut count = 0;
        let are_there = theirs.fold(true, |are, (address, waits)| {
            count += 1;
            let state = if *waits { "pending" } else { "subscribed" };
            let one = format!("jid='{address}' subscription='{state}'");
            are && element.source().contains(&one)
        });
        let may = self.model.may_know(key, who);
        !may || (are_there && count == element.source().matches("jid='").count())
    }

    fn owns(&mut self, who: usize, key: Key) -> bool {
        let inside = format!("<configure node='n{}'/>", key.1);
        self.ask(who, "get", key.0, (true, &inside));
        let heard = self.hear();
        self.answer(who, &heard).expect("an answer").0
    }

    fn restart(&mut self) {
        self.core.restart();
        self.come();
    }

    /// The same as `run` while a write fails: it was done or it was not, and whoever was told so was told right.
    fn run_on_failing_disk(&mut self, op: Op) {
        let writes = self.prng.below(12);
        let before = self.model.clone();
        let after = op.done.clone().unwrap_or(before.clone());
        self.core.fail_after(writes);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.ask(op.who, "set", op.to, (op.is_owners, &op.request));
        }));
        let has_failed = self.core.has_failed();
        assert!(has_failed || ran.is_ok());
        let id = format!("q{}", self.asked);
        let came = self.core.all(&format!("{}/2", PEOPLE[op.who]));
        let is_told = came.iter().any(|element| {
            let root = element.root();
            root.attribute("id").as_deref() == Some(&*id)
                && root.attribute("type").as_deref() == Some("result")
        });
        self.core.restart();
        // Last items are told while it is not known which it is.
        self.model = after.clone();
        let is_done = catch_unwind(AssertUnwindSafe(|| self.come())).is_ok() && self.is_as(&after);
        if !is_done {
            self.model = before.clone();
            self.restart();
            assert!(
                self.is_as(&before),
                "neither was it done nor not: {}",
                op.request
            );
        }
        assert!(
            is_done || !is_told,
            "what was told was not done: {}",
            op.request
        );
    }
}

fn payloads(element: &Element) -> Vec<&str> {
    let rest = element.source().split("<x xmlns='n'>").skip(1);
    rest.map(|rest| rest.split('<').next().unwrap()).collect()
}

#[test]
fn nobody_sees_what_is_denied_and_everybody_hears_once() {
    let mut done = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        if seed % 2 == 1 {
            world.core.speed = Disk::Slow;
        }
        for _ in 0..OPS {
            match world.prng.below(40) {
                0 => world.restart(),
                1 => {
                    let [owner, viewer] = match world.prng.below(2) {
                        0 => [0, 1],
                        _ => [1, 0],
                    };
                    match world.model.sees.contains(&(owner, viewer)) {
                        true => {
                            world.model.lose(owner, viewer);
                            world.core.say(
                                &format!("{}/1", PEOPLE[owner]),
                                &format!(
                                    "<presence type='unsubscribed' to='{}@localhost'/>",
                                    PEOPLE[viewer]
                                ),
                            );
                            world.hear();
                        }
                        false => world.befriend(owner, viewer),
                    }
                }
                2 | 3 => {
                    let op = world.op();
                    world.run_on_failing_disk(op);
                }
                _ => {
                    let op = world.op();
                    done += usize::from(op.done.is_some());
                    world.run(op);
                }
            }
            let (who, key) = (world.prng.below(PEOPLE.len()), world.any_key());
            world.read(who, key);
        }
        let model = world.model.clone();
        assert!(world.is_as(&model), "{seed}");
    }
    assert!(done > OPS * usize::try_from(SEEDS).unwrap() / 6, "{done}");
}
