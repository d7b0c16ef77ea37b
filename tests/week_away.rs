//! A week away: devices that come back with a token (XEP-0484) are told by XEP-0386 where the archive ends, ask once from where they
//! were (XEP-0427), and draw the conversations as they stand now: as a device does that reads all of them, and as the list of
//! `archive_model` has them; what is unread is the same on each (XEP-0430), and nothing comes twice.
use std::collections::BTreeSet;

use stonechat::xml::{Element, ElementRef};

use crate::archive_model::{CLIENT, World};
use crate::archive_model_collated::Told;
use crate::transcript::computed::fill;

const SEEDS: u64 = 8;
const DAYS: usize = 7;
const OPS_A_DAY: usize = 12;
const DAY_MS: u64 = 86_400_000;
const MAM: &str = "urn:xmpp:mam:2";
const COLLATION: &str = "urn:xmpp:mamfc:0";
const INBOX: &str = "urn:xmpp:inbox:1";
const FAST: &str = "urn:xmpp:fast:0";
const AGENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf8777";

/// A message as a device draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Drawn {
    /// The archive's id, and that it came with.
    place: String,
    name: String,
    from: String,
    to: String,
    text: Option<String>,
    told: Told,
}

/// One of Romeo's devices.
struct Device {
    name: &'static str,
    number: usize,
    token: Option<String>,
    count: usize,
    /// The last id of the archive that it knows of.
    latest: Option<String>,
    drawn: Vec<Drawn>,
}

impl Device {
    fn new(name: &'static str, number: usize) -> Device {
        Device {
            name,
            number,
            token: None,
            count: 0,
            latest: None,
            drawn: Vec::new(),
        }
    }

    /// With the token, if there is one. Returns where the archive ends.
    fn sign_in(&mut self, world: &mut World) -> Option<String> {
        let core = &mut world.core;
        core.connect(self.name, true);
        let (mechanism, secret, fast) = match &self.token {
            None => (
                "PLAIN",
                fill("{plain romeo}"),
                format!("<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/>"),
            ),
            Some(token) => {
                self.count += 1;
                let fast = format!("<fast xmlns='{FAST}' count='{}'/>", self.count);
                (
                    "HT-SHA-256-NONE",
                    fill(&format!("{{ht romeo {token}}}")),
                    fast,
                )
            }
        };
        let login = format!(
            "<stream:stream from='romeo@localhost' to='localhost' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>\
             <authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{secret}</initial-response>\
             <user-agent id='{AGENT}{}'/>{fast}\
             <bind xmlns='urn:xmpp:bind:0'><tag>{}</tag><enable xmlns='urn:xmpp:carbons:2'/></bind></authenticate>",
            self.number, self.name
        );
        core.say(self.name, &login);
        let success = core.expect(self.name, "success");
        let token = success.root().child("token", FAST);
        if let Some(token) = token.and_then(|token| token.attribute("token")) {
            (self.token, self.count) = (Some(token.into_owned()), 0);
        }
        core.expect(self.name, "features");
        let bound = success.root().child("bound", "urn:xmpp:bind:0").unwrap();
        let metadata = bound.child("metadata", MAM).unwrap();
        metadata
            .child("end", MAM)
            .map(|end| end.attribute("id").unwrap().into_owned())
    }

    /// What it does not know yet, by one query, if there is anything.
    fn catch_up(&mut self, world: &mut World, end: Option<&str>) {
        if end == self.latest.as_deref() {
            return;
        }
        let after = self
            .latest
            .as_ref()
            .map(|id| format!("<field var='after-id'><value>{id}</value></field>"));
        let query = format!(
            "<iq type='set' id='q'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{MAM}</value></field>{}\
             <field var='{{{COLLATION}}}summary'><value>collate</value></field></x></query></iq>",
            after.unwrap_or_default()
        );
        world.core.say(self.name, &query);
        let mut answer = world.core.all(self.name);
        let fin = answer.pop().unwrap();
        let fin = fin.root().child("fin", MAM).unwrap();
        assert_eq!(fin.attribute("complete").as_deref(), Some("true"));
        let latest = fin.child("latest", COLLATION).unwrap();
        self.latest = Some(latest.attribute("id").unwrap().into_owned());
        let mut places = BTreeSet::new();
        for message in &answer {
            let result = message.root().child("result", MAM).unwrap();
            let place = result.attribute("id").unwrap().into_owned();
            assert!(places.insert(place.clone()), "{place} twice");
            self.take(&place, result);
        }
    }

    fn take(&mut self, place: &str, result: ElementRef<'_>) {
        let told = Told::read(result);
        let known = self.drawn.iter().position(|drawn| drawn.place == place);
        let forwarded = result.child("forwarded", "urn:xmpp:forward:0");
        let at = match (forwarded, known) {
            (None, Some(at)) => at,
            (Some(forwarded), None) => {
                let message = forwarded.child("message", CLIENT).unwrap();
                let attribute = |name| message.attribute(name).unwrap().into_owned();
                let body = message.child("body", CLIENT);
                self.drawn.push(Drawn {
                    place: place.to_string(),
                    name: attribute("id"),
                    from: attribute("from"),
                    to: attribute("to"),
                    text: body.map(|body| body.text().into_owned()),
                    told: Told::default(),
                });
                self.drawn.len() - 1
            }
            (whole, known) => panic!("{place}: {} {known:?}", whole.is_some()),
        };
        let drawn = &mut self.drawn[at];
        if told.retracted > 0 {
            drawn.text = None;
        } else if let Some(text) = &told.text {
            drawn.text = Some(text.clone());
        }
        let is_displayed = told.displayed > 0;
        drawn.told = told;
        // A mark is one of all before it (XEP-0333).
        let (from, to) = (drawn.from.clone(), drawn.to.clone());
        let bare = |jid: &str| jid.split('/').next().unwrap().to_string();
        let before = self.drawn.iter_mut().take(at);
        let same =
            before.filter(|other| (bare(&other.from), bare(&other.to)) == (bare(&from), bare(&to)));
        for other in same.filter(|other| is_displayed && other.told.retracted == 0) {
            other.told.displayed = 1;
        }
    }

    fn inbox(&self, world: &mut World) -> Vec<String> {
        assert_eq!(self.messages(world), [""; 0]);
        let ask = format!("<iq type='get' id='i'><inbox xmlns='{INBOX}'/></iq>");
        world.core.say(self.name, &ask);
        let mut answer = world.core.all(self.name);
        let fin = answer.pop().unwrap();
        let fin = fin.root().child("fin", INBOX).unwrap();
        let of_message = |message: &Element| {
            let children = message.root().children();
            children
                .map(|child| child.source().to_string())
                .collect::<String>()
        };
        let entries = answer.iter().map(of_message);
        entries.chain([fin.source().to_string()]).collect()
    }

    /// What comes of itself.
    fn messages(&self, world: &mut World) -> Vec<String> {
        let came = world.core.all(self.name);
        let messages = came.iter().filter(|one| one.root().name() == "message");
        messages.map(|one| one.source().to_string()).collect()
    }

    fn is_connected(&self, world: &World) -> bool {
        let client = world.core.clients.get(self.name);
        client.is_some_and(|(_, client)| !client.closed)
    }
}

fn a_week(seed: u64) {
    let mut world = World::new(seed * 31);
    let mut devices = [Device::new("phone", 1), Device::new("tablet", 2)];
    for _ in 0..OPS_A_DAY {
        world.step();
    }
    for device in &mut devices {
        let end = device.sign_in(&mut world);
        device.catch_up(&mut world, end.as_deref());
        assert_eq!(device.latest, end);
    }
    for _ in 0..DAYS {
        for device in &devices {
            if device.is_connected(&world) {
                world.core.cut(device.name);
            }
        }
        world.core.wait(DAY_MS);
        world.come_online();
        for _ in 0..OPS_A_DAY {
            world.step();
        }
    }
    // One that was never there before.
    let mut desk = Device::new("desk", 3);
    let mut ends = Vec::new();
    for device in devices.iter_mut().chain([&mut desk]) {
        let end = device.sign_in(&mut world);
        world.core.say(device.name, "<presence/>");
        // What was missed is in the archive, and there alone.
        assert_eq!(device.messages(&mut world), [""; 0]);
        device.catch_up(&mut world, end.as_deref());
        assert_eq!(device.latest, end);
        ends.push(end);
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
    let [phone, tablet] = &devices;
    assert_eq!(phone.drawn, desk.drawn);
    assert_eq!(tablet.drawn, desk.drawn);
    check_against_list(&world, &desk);
    let inbox = desk.inbox(&mut world);
    assert_eq!(phone.inbox(&mut world), inbox);
    assert_eq!(tablet.inbox(&mut world), inbox);
    // From now on all of them hear what is new, once.
    world.core.say(
        "juliet/1",
        "<message to='romeo@localhost' type='chat' id='new'><body>new</body></message>",
    );
    for device in devices.iter().chain([&desk]) {
        let messages = device.messages(&mut world);
        assert_eq!(messages.len(), 1, "{messages:?}");
    }
}

fn check_against_list(world: &World, device: &Device) {
    let theirs = world
        .said
        .iter()
        .filter(|(_, said)| said.by == "romeo" || said.to == "romeo");
    let mut count = 0;
    for (id, said) in theirs {
        let drawn = device.drawn.iter().find(|drawn| drawn.name == *id).unwrap();
        let text = said.texts.last().filter(|_| !said.gone);
        assert_eq!(drawn.text.as_ref(), text, "{id}");
        assert_eq!(drawn.told, Told::expected(world, id), "{id}");
        count += 1;
    }
    assert!(count > 5);
}

#[test]
fn who_comes_back_after_a_week_asks_once() {
    for seed in 1..=SEEDS {
        a_week(seed);
    }
}
