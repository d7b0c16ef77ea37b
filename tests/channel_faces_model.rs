//! A channel by both of its faces against a map: people join it, enter it as a room, speak by either way, leave and are put out, in
//! any order, with kills and stops. What is said is heard once by everybody who is in it, by each face once, and kept once; a
//! participant's own archive holds what was said while they took part; nobody is told a hidden JID.
use std::collections::{BTreeMap, BTreeSet};

use stonechat::xml::Element;

use crate::transcript::core::Core;
use crate::transcript::prng::Prng;

const SEEDS: u64 = 10;
const OPS: usize = 110;
/// The first one makes the channel and owns it.
const PEOPLE: [&str; 4] = ["romeo", "juliet", "nurse", "paris"];
const ROOM: &str = "lounge@chat.localhost";
const MIX: &str = "urn:xmpp:mix:core:1";
const PAM: &str = "urn:xmpp:mix:pam:2";
const MAM: &str = "urn:xmpp:mam:2";
const DISCO: &str = "http://jabber.org/protocol/disco#info";
/// Of a client that knows channels.
const CAPS: &str = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='Tkr/TFhiaouhhDmlGM8D7fyB/Ow='/>";

/// Somebody's client that knows channels, and the one that knows rooms.
fn clients(person: &str) -> [String; 2] {
    ["mix", "muc"].map(|resource| format!("{person}/{resource}"))
}

struct World {
    core: Core,
    prng: Prng,
    joined: BTreeSet<&'static str>,
    inside: BTreeSet<&'static str>,
    banned: BTreeSet<&'static str>,
    /// What was said, in order; and what of it while each took part.
    said: Vec<String>,
    of_participant: BTreeMap<&'static str, Vec<String>>,
    count: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let core = Core::with_settings(&PEOPLE, |settings| settings.channels_open = true);
        let mut world = World {
            core,
            prng: Prng(seed),
            joined: BTreeSet::new(),
            inside: BTreeSet::new(),
            banned: BTreeSet::new(),
            said: Vec::new(),
            of_participant: BTreeMap::new(),
            count: 0,
        };
        world.come_online();
        world.say(
            "romeo/muc",
            &format!(
                "<presence to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ),
        );
        let form = "<x xmlns='jabber:x:data' type='submit'/>";
        let owner = "http://jabber.org/protocol/muc#owner";
        world.say(
            "romeo/muc",
            &format!(
                "<iq type='set' id='c' to='{ROOM}'><query xmlns='{owner}'>{form}</query></iq>"
            ),
        );
        world.inside.insert("romeo");
        world
    }

    fn come_online(&mut self) {
        for person in PEOPLE {
            let [mix, muc] = clients(person);
            self.core.bind(&mix);
            self.core.bind(&muc);
            self.core.say(&muc, "<presence/>");
            self.core.say(&mix, &format!("<presence>{CAPS}</presence>"));
            for asked in self.core.all(&mix) {
                let root = asked.root();
                if root.name() == "iq" && root.attribute("type").as_deref() == Some("get") {
                    let id = root.attribute("id").unwrap();
                    let answer = format!(
                        "<iq type='result' id='{id}' to='localhost'><query xmlns='{DISCO}'>\
                         <identity category='client' type='pc' name='Probe'/><feature var='{DISCO}'/><feature var='{MIX}'/></query></iq>"
                    );
                    self.core.say(&mix, &answer);
                }
            }
        }
        self.hear();
    }

    fn say(&mut self, client: &str, text: &str) -> BTreeMap<String, Vec<Element>> {
        self.core.say(client, text);
        self.hear()
    }

    fn hear(&mut self) -> BTreeMap<String, Vec<Element>> {
        let mut heard = BTreeMap::new();
        for person in PEOPLE {
            for client in clients(person) {
                let came = self.core.all(&client);
                for element in &came {
                    let root = element.root();
                    let from = root.attribute("from").unwrap_or_default();
                    let others = PEOPLE.iter().filter(|other| **other != person);
                    let told = others
                        .filter(|other| element.source().contains(&format!("{other}@localhost")));
                    let is_of_channel = from.contains(ROOM);
                    assert!(
                        person == "romeo" || !is_of_channel || told.count() == 0,
                        "{client} must not be told {}",
                        element.source()
                    );
                }
                heard.insert(client, came);
            }
        }
        heard
    }

    fn any(&mut self) -> &'static str {
        PEOPLE[self.prng.below(PEOPLE.len())]
    }

    fn refused(answers: &[Element]) -> bool {
        answers
            .iter()
            .any(|one| one.root().attribute("type").as_deref() == Some("error"))
    }

    fn join(&mut self) {
        let person = self.any();
        // Now and then by a nick that is another's.
        let nick = match self.prng.below(4) {
            0 => self.any(),
            _ => person,
        };
        let [mix, _] = clients(person);
        let iq = format!(
            "<iq type='set' id='j'><client-join xmlns='{PAM}' channel='{ROOM}'><join xmlns='{MIX}'>\
             <subscribe node='urn:xmpp:mix:nodes:messages'/><nick>{nick}</nick></join></client-join></iq>"
        );
        let heard = self.say(&mix, &iq);
        let is_taken = nick != person && (self.joined.contains(nick) || self.inside.contains(nick));
        let is_refused = Self::refused(&heard[&mix]);
        assert_eq!(
            is_refused,
            self.banned.contains(person) || is_taken,
            "{person} joins as {nick}: {:?}",
            heard[&mix]
        );
        if !is_refused {
            self.joined.insert(person);
            // Their own nick again, so that the map stays simple.
            if nick != person {
                let set = format!(
                    "<iq type='set' id='n' to='{ROOM}'><setnick xmlns='{MIX}'><nick>{person}</nick></setnick></iq>"
                );
                let heard = self.say(&mix, &set);
                assert!(!Self::refused(&heard[&mix]), "{:?}", heard[&mix]);
            }
        }
    }

    fn leave(&mut self) {
        let person = self.any();
        let [mix, _] = clients(person);
        let iq = format!(
            "<iq type='set' id='l'><client-leave xmlns='{PAM}' channel='{ROOM}'><leave xmlns='{MIX}'/></client-leave></iq>"
        );
        self.say(&mix, &iq);
        self.joined.remove(person);
    }

    fn enter(&mut self) {
        let person = self.any();
        let [_, muc] = clients(person);
        let presence = format!(
            "<presence to='{ROOM}/{person}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        let heard = self.say(&muc, &presence);
        let is_refused = Self::refused(&heard[&muc]);
        assert_eq!(
            is_refused,
            self.banned.contains(person),
            "{person}: {:?}",
            heard[&muc]
        );
        if !is_refused {
            self.inside.insert(person);
        }
    }

    fn go_out(&mut self) {
        let person = self.any();
        let [_, muc] = clients(person);
        if person != "romeo" {
            self.say(
                &muc,
                &format!("<presence type='unavailable' to='{ROOM}/{person}'/>"),
            );
            self.inside.remove(person);
        }
    }

    fn speak(&mut self) {
        let person = self.any();
        let by_room = self.prng.below(2) == 0;
        let [mix, muc] = clients(person);
        self.count += 1;
        let body = format!("said-{}-", self.count);
        let client = if by_room { &muc } else { &mix };
        let message = format!(
            "<message type='groupchat' to='{ROOM}' id='{}'><body>{body}</body></message>",
            self.count
        );
        let heard = self.say(client, &message);
        // A participant may speak by whatever client.
        let may = self.joined.contains(person) || (by_room && self.inside.contains(person));
        for other in PEOPLE {
            let [mix, muc] = clients(other);
            for (client, is_there) in [
                (mix, self.joined.contains(other)),
                (muc, self.inside.contains(other)),
            ] {
                let is_it = |one: &&Element| {
                    one.source().contains(&body)
                        && one.root().attribute("type").as_deref() == Some("groupchat")
                };
                let times = heard[&client].iter().filter(is_it).count();
                assert_eq!(
                    times,
                    usize::from(may && is_there),
                    "{client} hears {body} of {person}"
                );
            }
        }
        if may {
            for other in &self.joined {
                self.of_participant
                    .entry(other)
                    .or_default()
                    .push(body.clone());
            }
            self.said.push(body);
        }
    }

    fn rule(&mut self) {
        let person = PEOPLE[1 + self.prng.below(PEOPLE.len() - 1)];
        let affiliation = ["outcast", "none"][self.prng.below(2)];
        let admin = "http://jabber.org/protocol/muc#admin";
        let item = format!("<item jid='{person}@localhost' affiliation='{affiliation}'/>");
        self.say(
            "romeo/muc",
            &format!(
                "<iq type='set' id='a' to='{ROOM}'><query xmlns='{admin}'>{item}</query></iq>"
            ),
        );
        if affiliation == "outcast" {
            self.banned.insert(person);
            self.joined.remove(person);
            self.inside.remove(person);
        } else {
            self.banned.remove(person);
        }
    }

    fn end(&mut self) {
        match self.prng.below(3) {
            0 => self.core.restart(),
            1 => self.core.stop(),
            _ => return,
        }
        // Rooms are left with the stream; who takes part still does.
        self.inside.clear();
        self.come_online();
        self.say(
            "romeo/muc",
            &format!(
                "<presence to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ),
        );
        self.inside.insert("romeo");
    }

    fn step(&mut self) {
        match self.prng.below(16) {
            0..=2 => self.join(),
            3 => self.leave(),
            4 | 5 => self.enter(),
            6 => self.go_out(),
            7..=12 => self.speak(),
            13 | 14 => self.rule(),
            _ => self.end(),
        }
    }

    /// What an archive holds of what was said, in order.
    fn read(&mut self, client: &str, to: &str) -> Vec<String> {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let iq = format!(
                "<iq type='set' id='q'{to}><query xmlns='{MAM}'><set xmlns='http://jabber.org/protocol/rsm'><max>7</max>{after}</set></query></iq>"
            );
            let mut heard = self.say(client, &iq);
            let mut came = heard.remove(client).unwrap();
            let fin = came.pop().unwrap();
            for one in &came {
                let source = one.source();
                if let Some((_, behind)) = source.split_once("<body>said-") {
                    let number = behind.split('-').next().unwrap();
                    found.push(format!("said-{number}-"));
                }
            }
            let fin = fin.root().child("fin", MAM).unwrap();
            let set = fin.child("set", "http://jabber.org/protocol/rsm").unwrap();
            let last = set.child("last", "http://jabber.org/protocol/rsm");
            if fin.attribute("complete").is_some() || last.is_none() {
                return found;
            }
            after = format!("<after>{}</after>", last.unwrap().text());
        }
    }

    fn check(&mut self) {
        let all = self.read("romeo/muc", &format!(" to='{ROOM}'"));
        assert_eq!(all, self.said);
        for person in PEOPLE {
            let [mix, _] = clients(person);
            let own = self.read(&mix, "");
            let expected = self.of_participant.get(person).cloned().unwrap_or_default();
            assert_eq!(own, expected, "{person}");
        }
    }
}

#[test]
fn both_faces_are_as_the_map_says() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..OPS {
            world.step();
        }
        world.check();
    }
}
