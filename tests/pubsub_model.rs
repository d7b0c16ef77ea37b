//! Publish-subscribe against a map: several people do anything in any order, with restarts and a disk that fails at any write.
//! Every payload is told apart, so that of every byte that somebody is sent it is known whether it may be known to them; and
//! what is published, everybody who is to hear of it hears once at each resource.
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use stonechat::xml::Element;

use crate::transcript::core::{Core, Disk};
use crate::transcript::prng::Prng;

const PEOPLE: [&str; 3] = ["romeo", "juliet", "nurse"];
/// The first one asks for nodes by its capabilities, the second does not.
const RESOURCES: [&str; 2] = ["1", "2"];
const NODES: usize = 2;
const SEEDS: u64 = 12;
const OPS: usize = 100;
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Of a client with the features `n0+notify` and `n1+notify`.
const VER: &str = "MwyydZCcuEgH/IKwpEhwwAvrOfs=";

/// Whose node (0: the service, then the people), and its name's number.
type Key = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Outcast,
    None,
    Member,
    PublishOnly,
    Publisher,
    Owner,
}

const STANDINGS: [(Standing, &str); 5] = [
    (Standing::Outcast, "outcast"),
    (Standing::None, "none"),
    (Standing::Member, "member"),
    (Standing::PublishOnly, "publish-only"),
    (Standing::Publisher, "publisher"),
];
const ACCESS: [&str; 4] = ["open", "presence", "authorize", "whitelist"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    creator: usize,
    access: &'static str,
    open_to_publish: bool,
    items_max: usize,
    standings: BTreeMap<usize, Standing>,
    /// Addresses, and whether they wait for the owner.
    subscriptions: BTreeMap<String, bool>,
    /// Id, payload, publisher; oldest first.
    items: Vec<(String, String, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    nodes: BTreeMap<Key, Node>,
    /// (Whose presence, who sees it).
    sees: BTreeSet<(usize, usize)>,
    payloads: usize,
}

fn owner_of(key: Key, node: &Node) -> usize {
    match key.0 {
        0 => node.creator,
        account => account - 1,
    }
}

fn person_of(address: &str) -> usize {
    let name = address.split('@').next().unwrap();
    PEOPLE.iter().position(|known| *known == name).unwrap()
}

impl Model {
    fn standing(&self, key: Key, who: usize) -> Standing {
        let node = &self.nodes[&key];
        match owner_of(key, node) == who {
            true => Standing::Owner,
            false => *node.standings.get(&who).unwrap_or(&Standing::None),
        }
    }

    fn is_subscribed(&self, key: Key, who: usize) -> bool {
        let mut all = self.nodes[&key].subscriptions.iter();
        all.any(|(address, waits)| !waits && person_of(address) == who)
    }

    fn may_read(&self, key: Key, who: usize) -> bool {
        let Some(node) = self.nodes.get(&key) else {
            return false;
        };
        match self.standing(key, who) {
            Standing::Outcast | Standing::PublishOnly => false,
            Standing::Member | Standing::Publisher | Standing::Owner => true,
            Standing::None => match node.access {
                "open" => true,
                "presence" => self.sees.contains(&(owner_of(key, node), who)),
                "authorize" => self.is_subscribed(key, who),
                _ => false,
            },
        }
    }

    fn may_publish(&self, key: Key, who: usize) -> bool {
        if !may_know(self, key, who) {
            return false;
        }
        match self.standing(key, who) {
            Standing::PublishOnly | Standing::Publisher | Standing::Owner => true,
            Standing::Outcast => false,
            Standing::Member | Standing::None => self.nodes[&key].open_to_publish,
        }
    }

    /// XEP-0163 §7.1.4: what somebody may not read any more, they are subscribed to no more.
    fn lose(&mut self, owner: usize, who: usize) {
        self.sees.remove(&(owner, who));
        for name in 0..NODES {
            let key = (owner + 1, name);
            let Some(node) = self.nodes.get(&key) else {
                continue;
            };
            let may = match self.standing(key, who) {
                Standing::Outcast | Standing::PublishOnly => false,
                Standing::None => matches!(node.access, "open" | "authorize"),
                _ => true,
            };
            if !may && let Some(node) = self.nodes.get_mut(&key) {
                let theirs = |address: &str| person_of(address) == who;
                node.subscriptions.retain(|address, _| !theirs(address));
            }
        }
    }

    /// Sessions that hear of what is published.
    fn audience(&self, key: Key) -> BTreeSet<String> {
        let mut hear = BTreeSet::new();
        if let Some(account) = key.0.checked_sub(1) {
            for (who, name) in PEOPLE.iter().enumerate() {
                let is_contact = who == account || self.sees.contains(&(account, who));
                if is_contact && self.may_read(key, who) {
                    hear.insert(format!("{name}/{}", RESOURCES[0]));
                }
            }
        }
        for (address, waits) in &self.nodes[&key].subscriptions {
            let who = person_of(address);
            if *waits || !self.may_read(key, who) {
                continue;
            }
            match address.split_once('/') {
                Some((_, resource)) => _ = hear.insert(format!("{}/{resource}", PEOPLE[who])),
                None => hear.extend(RESOURCES.map(|one| format!("{}/{one}", PEOPLE[who]))),
            }
        }
        hear
    }
}

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

fn node_form(access: &str, open_to_publish: bool, items_max: usize) -> String {
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

    fn op(&mut self) -> Op {
        let who = self.prng.below(PEOPLE.len());
        let key = self.any_key();
        let name = format!("n{}", key.1);
        let mut op = Op {
            who,
            to: key.0,
            request: String::new(),
            is_owners: false,
            done: None,
            told: None,
        };
        let mut after = self.model.clone();
        let is_there = after.nodes.contains_key(&key);
        let may_make = key.0 == 0 || key.0 == who + 1;
        let owns = is_there && self.model.standing(key, who) == Standing::Owner;
        let access = ACCESS[self.prng.below(ACCESS.len())];
        let open_to_publish = self.prng.below(3) == 0;
        let items_max = [1, 2, 20][self.prng.below(3)];
        let new = |access, open_to_publish, items_max| Node {
            creator: who,
            access,
            open_to_publish,
            items_max,
            standings: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            items: Vec::new(),
        };
        match self.prng.below(11) {
            0 => {
                op.request = format!(
                    "<create node='{name}'/><configure>{}</configure>",
                    node_form(access, open_to_publish, items_max)
                );
                if !is_there && may_make {
                    after
                        .nodes
                        .insert(key, new(access, open_to_publish, items_max));
                    op.done = Some(after);
                }
            }
            1..=3 => {
                let id = format!("i{}", self.prng.below(4));
                self.model.payloads += 1;
                after.payloads += 1;
                let payload = format!("secret-{}-{}-{}", key.0, key.1, after.payloads);
                op.request = format!(
                    "<publish node='{name}'><item id='{id}'><x xmlns='n'>{payload}</x></item></publish>"
                );
                let known = self.model.nodes.get(&key);
                let others = known.is_some_and(|node| {
                    let mut items = node.items.iter();
                    items.any(|(known, _, by)| *known == id && *by != who)
                });
                let may = match is_there {
                    true => {
                        let is_strong = self.model.standing(key, who) >= Standing::Publisher;
                        self.model.may_publish(key, who) && (is_strong || !others)
                    }
                    false => may_make,
                };
                if may {
                    let usual = match key.0 {
                        0 => new("open", false, 20),
                        _ => new("presence", false, 1),
                    };
                    let node = after.nodes.entry(key).or_insert(usual);
                    node.items.retain(|(known, ..)| *known != id);
                    node.items.push((id, payload.clone(), who));
                    let over = node.items.len().saturating_sub(node.items_max);
                    node.items.drain(..over);
                    op.told = Some((payload, after.audience(key)));
                    op.done = Some(after);
                }
            }
            4 => {
                let id = format!("i{}", self.prng.below(4));
                op.request = format!("<retract node='{name}'><item id='{id}'/></retract>");
                if is_there && self.model.may_publish(key, who) {
                    let node = after.nodes.get_mut(&key).unwrap();
                    let at = node.items.iter().position(|(known, ..)| *known == id);
                    if let Some(at) = at.filter(|at| owns || node.items[*at].2 == who) {
                        node.items.remove(at);
                        op.done = Some(after);
                    }
                }
            }
            5 => {
                op.is_owners = true;
                let purges = self.prng.below(2) == 0;
                op.request = format!(
                    "<{} node='{name}'/>",
                    if purges { "purge" } else { "delete" }
                );
                if owns {
                    match purges {
                        true => after.nodes.get_mut(&key).unwrap().items.clear(),
                        false => _ = after.nodes.remove(&key),
                    }
                    op.done = Some(after);
                }
            }
            6 | 7 => {
                let jid = match self.prng.below(3) {
                    0 => format!("{}@localhost", PEOPLE[who]),
                    n => format!("{}@localhost/{n}", PEOPLE[who]),
                };
                op.request = format!("<subscribe node='{name}' jid='{jid}'/>");
                if is_there {
                    let standing = self.model.standing(key, who);
                    let asks = access_asks(&self.model, key);
                    let may = self.model.may_read(key, who) || (standing == Standing::None && asks);
                    let node = after.nodes.get_mut(&key).unwrap();
                    let waits =
                        asks && standing <= Standing::None && !self.model.is_subscribed(key, who);
                    let before = node.subscriptions.get(&jid).copied();
                    if may && before != Some(true) {
                        node.subscriptions.entry(jid).or_insert(waits);
                        op.done = Some(after);
                    }
                }
            }
            8 => {
                let jid = match self.prng.below(3) {
                    0 => format!("{}@localhost", PEOPLE[who]),
                    n => format!("{}@localhost/{n}", PEOPLE[who]),
                };
                op.request = format!("<unsubscribe node='{name}' jid='{jid}'/>");
                if is_there {
                    let node = after.nodes.get_mut(&key).unwrap();
                    let is_known = may_know(&self.model, key, who);
                    if is_known && node.subscriptions.remove(&jid).is_some() {
                        op.done = Some(after);
                    }
                }
            }
            9 => {
                op.is_owners = true;
                let other = (who + 1 + self.prng.below(PEOPLE.len() - 1)) % PEOPLE.len();
                let (standing, text) = STANDINGS[self.prng.below(STANDINGS.len())];
                op.request = format!(
                    "<affiliations node='{name}'><affiliation jid='{}@localhost' affiliation='{text}'/></affiliations>",
                    PEOPLE[other]
                );
                if owns {
                    let node = after.nodes.get_mut(&key).unwrap();
                    node.standings.remove(&other);
                    if standing != Standing::None {
                        node.standings.insert(other, standing);
                    }
                    let theirs = |address: &str| person_of(address) == other;
                    match standing {
                        Standing::Outcast => {
                            node.subscriptions.retain(|address, _| !theirs(address));
                        }
                        Standing::PublishOnly => {
                            let stays =
                                |address: &String, waits: &mut bool| !*waits || !theirs(address);
                            node.subscriptions.retain(stays);
                        }
                        Standing::None => {}
                        _ => {
                            let all = node.subscriptions.iter_mut();
                            all.filter(|(address, _)| theirs(address))
                                .for_each(|(_, waits)| *waits = false);
                        }
                    }
                    op.done = Some(after);
                }
            }
            _ => {
                op.is_owners = true;
                op.request = format!(
                    "<configure node='{name}'>{}</configure>",
                    node_form(access, open_to_publish, items_max)
                );
                if owns {
                    let node = after.nodes.get_mut(&key).unwrap();
                    (node.access, node.open_to_publish) = (access, open_to_publish);
                    node.items_max = items_max;
                    let over = node.items.len().saturating_sub(items_max);
                    node.items.drain(..over);
                    op.done = Some(after);
                }
            }
        }
        op
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
        let may = may_know(&self.model, key, who);
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

fn access_asks(model: &Model, key: Key) -> bool {
    model.nodes[&key].access == "authorize"
}

/// Strangers do not hear what there is of an account that is closed to them.
fn may_know(model: &Model, key: Key, who: usize) -> bool {
    let Some(account) = key.0.checked_sub(1) else {
        return true;
    };
    let is_closed = model
        .nodes
        .get(&key)
        .is_some_and(|node| node.access == "whitelist");
    account == who
        || model.sees.contains(&(account, who))
        || !is_closed
        || model.standing(key, who) > Standing::None
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
