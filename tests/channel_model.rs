//! A channel against a map: several people come, go, speak, rename themselves and are put out in any order, with restarts. One
//! nick is one person's; what is said is heard once by everybody inside and kept once; nobody is told a real JID that the
//! channel hides.
use std::collections::{BTreeMap, BTreeSet};

use stonechat::xml::Element;

use crate::transcript::core::Core;
use crate::transcript::prng::Prng;

const SEEDS: u64 = 10;
const OPS: usize = 120;
/// The first one makes the room and owns it.
const PEOPLE: [&str; 4] = ["romeo", "juliet", "nurse", "paris"];
const RESOURCES: [&str; 2] = ["1", "2"];
/// The first two are one nick (RFC 8266).
const NICKS: [&str; 4] = ["Rose", "ROSE", "Thorn", "Leaf"];
const ROOM: &str = "lounge@chat.localhost";
const OWNER_SESSION: &str = "romeo/1";

fn sessions() -> Vec<String> {
    let of = |name: &&str| RESOURCES.map(|resource| format!("{name}/{resource}"));
    PEOPLE.iter().flat_map(of).collect()
}

fn person_of(session: &str) -> &str {
    session.split('/').next().unwrap()
}

struct World {
    core: Core,
    prng: Prng,
    /// Session -> nick.
    inside: BTreeMap<String, String>,
    banned: BTreeSet<String>,
    admins: BTreeSet<String>,
    /// Whose voice was taken; they have it back when they are told so, or become somebody else.
    muted: BTreeSet<String>,
    /// Everything that was said and told to its speaker, in order.
    said: Vec<String>,
    count: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let core = Core::with_settings(&PEOPLE, |settings| settings.channels_open = true);
        let mut world = World {
            core,
            prng: Prng(seed),
            inside: BTreeMap::new(),
            banned: BTreeSet::new(),
            admins: BTreeSet::new(),
            muted: BTreeSet::new(),
            said: Vec::new(),
            count: 0,
        };
        world.come_online();
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        world.say(
            OWNER_SESSION,
            &format!("<presence to='{ROOM}/Owner'>{x}</presence>"),
        );
        let form = "<x xmlns='jabber:x:data' type='submit'/>";
        let owner = "http://jabber.org/protocol/muc#owner";
        let iq =
            format!("<iq type='set' id='c' to='{ROOM}'><query xmlns='{owner}'>{form}</query></iq>");
        world.say(OWNER_SESSION, &iq);
        world.inside.insert(OWNER_SESSION.into(), "Owner".into());
        world
    }

    fn come_online(&mut self) {
        for session in sessions() {
            self.core.bind(&session);
            self.core.say(&session, "<presence/>");
        }
        self.hear();
    }

    fn say(&mut self, session: &str, text: &str) -> BTreeMap<String, Vec<Element>> {
        self.core.say(session, text);
        self.hear()
    }

    /// What everybody was sent; nobody may be sent what they may not know.
    fn hear(&mut self) -> BTreeMap<String, Vec<Element>> {
        let mut heard = BTreeMap::new();
        for session in sessions() {
            let came = self.core.all(&session);
            let own = person_of(&session);
            let may_know = own == PEOPLE[0] || self.admins.contains(own);
            for element in &came {
                let is_of_room = element
                    .root()
                    .attribute("from")
                    .is_some_and(|from| from.starts_with(ROOM));
                for other in PEOPLE.iter().filter(|name| **name != own) {
                    let jid = format!("{other}@localhost");
                    assert!(
                        may_know || !is_of_room || !element.source().contains(&jid),
                        "{session} must not be told {}",
                        element.source()
                    );
                }
            }
            heard.insert(session, came);
        }
        heard
    }

    fn any_session(&mut self) -> String {
        let all = sessions();
        all[self.prng.below(all.len())].clone()
    }

    fn holder(&self, nick: &str) -> Option<&str> {
        let mut inside = self.inside.iter();
        let found = inside.find(|(_, held)| held.to_lowercase() == nick.to_lowercase());
        found.map(|(session, _)| person_of(session))
    }

    /// Enters, or takes another nick.
    fn enter(&mut self) {
        let session = self.any_session();
        let nick = NICKS[self.prng.below(NICKS.len())];
        let person = person_of(&session).to_string();
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        let heard = self.say(
            &session,
            &format!("<presence to='{ROOM}/{nick}'>{x}</presence>"),
        );
        let may = !self.banned.contains(&person)
            && self.holder(nick).is_none_or(|holder| holder == person);
        let answers = &heard[&session];
        let is_error =
            |element: &Element| element.root().attribute("type").as_deref() == Some("error");
        assert_eq!(
            answers.iter().any(is_error),
            !may,
            "{session} as {nick}: {answers:?}"
        );
        if may {
            let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
            let mut nick = nick.to_string();
            match self.inside.get(&session).cloned() {
                // All sessions of one nick have the new one.
                Some(before) => {
                    let known = self.inside.values().find(|held| same(held, &nick));
                    if let Some(known) = known.filter(|_| !same(&before, &nick)) {
                        nick.clone_from(known);
                    }
                    for held in self.inside.values_mut() {
                        if same(held, &before) {
                            held.clone_from(&nick);
                        }
                    }
                }
                // A nick that is in use by oneself is written as it is there.
                None => {
                    let known = self.inside.values().find(|held| same(held, &nick));
                    nick = known.cloned().unwrap_or(nick);
                }
            }
            self.inside.insert(session, nick);
        }
    }

    fn leave(&mut self) {
        let session = self.any_session();
        if session == OWNER_SESSION {
            return;
        }
        let nick = self.inside.remove(&session).unwrap_or("Nobody".into());
        self.say(
            &session,
            &format!("<presence type='unavailable' to='{ROOM}/{nick}'/>"),
        );
    }

    fn speak(&mut self) {
        let session = self.any_session();
        self.count += 1;
        let body = format!("said-{}-", self.count);
        let message = format!(
            "<message type='groupchat' to='{ROOM}' id='{}'><body>{body}</body></message>",
            self.count
        );
        let heard = self.say(&session, &message);
        let is_heard =
            self.inside.contains_key(&session) && !self.muted.contains(person_of(&session));
        for (hearer, came) in &heard {
            let is_it = |element: &&Element| {
                element.source().contains(&body)
                    && element.root().attribute("type").as_deref() == Some("groupchat")
            };
            let times = came.iter().filter(is_it).count();
            let expected = usize::from(is_heard && self.inside.contains_key(hearer));
            assert_eq!(times, expected, "{hearer} hears {body} of {session}");
        }
        if is_heard {
            self.said.push(body);
        }
    }

    fn administer(&mut self) {
        let person = PEOPLE[1 + self.prng.below(PEOPLE.len() - 1)];
        let affiliation = ["outcast", "none", "admin", "member"][self.prng.below(4)];
        let jid = format!("{person}@localhost");
        let item = format!("<item jid='{jid}' affiliation='{affiliation}'/>");
        let admin = "http://jabber.org/protocol/muc#admin";
        // Whoever is an admin may be told by the change itself who is who.
        if affiliation == "admin" {
            self.admins.insert(person.into());
        }
        let iq =
            format!("<iq type='set' id='a' to='{ROOM}'><query xmlns='{admin}'>{item}</query></iq>");
        self.say(OWNER_SESSION, &iq);
        if affiliation != "admin" {
            self.admins.remove(person);
        }
        self.banned.remove(person);
        if matches!(affiliation, "outcast" | "admin") {
            self.muted.remove(person);
        }
        if affiliation == "outcast" {
            self.banned.insert(person.into());
            self.inside
                .retain(|session, _| person_of(session) != person);
        }
    }

    /// Takes a voice, or gives it back.
    fn mute(&mut self) {
        let nick = NICKS[self.prng.below(NICKS.len())];
        let role = ["visitor", "participant"][self.prng.below(2)];
        let Some(holder) = self.holder(nick).map(str::to_string) else {
            return;
        };
        if holder == PEOPLE[0] || self.admins.contains(&holder) {
            return;
        }
        let admin = "http://jabber.org/protocol/muc#admin";
        let item = format!("<item nick='{nick}' role='{role}'/>");
        let iq =
            format!("<iq type='set' id='v' to='{ROOM}'><query xmlns='{admin}'>{item}</query></iq>");
        self.say(OWNER_SESSION, &iq);
        match role {
            "visitor" => self.muted.insert(holder),
            _ => self.muted.remove(&holder),
        };
    }

    fn kick(&mut self) {
        let nick = NICKS[self.prng.below(NICKS.len())];
        let Some(holder) = self.holder(nick).map(str::to_string) else {
            return;
        };
        if holder == PEOPLE[0] {
            return;
        }
        let admin = "http://jabber.org/protocol/muc#admin";
        let item = format!("<item nick='{nick}' role='none'/>");
        let iq =
            format!("<iq type='set' id='k' to='{ROOM}'><query xmlns='{admin}'>{item}</query></iq>");
        self.say(OWNER_SESSION, &iq);
        self.inside
            .retain(|session, _| person_of(session) != holder);
    }

    /// Asks whatever can be asked of a room: `hear` knows what nobody may be told.
    fn look(&mut self) {
        let session = self.any_session();
        let nick = NICKS[self.prng.below(NICKS.len())];
        let held = self.inside.get(&session).cloned();
        let protocol = "http://jabber.org/protocol";
        let get = |payload: &str| format!("<iq type='get' id='l' to='{ROOM}'>{payload}</iq>");
        let set = |payload: &str| format!("<iq type='set' id='l' to='{ROOM}'>{payload}</iq>");
        let list = |of: &str| {
            get(&format!(
                "<query xmlns='{protocol}/muc#admin'><item {of}/></query>"
            ))
        };
        let questions = [
            format!("<presence type='probe' to='{ROOM}'/>"),
            format!("<presence type='probe' to='{ROOM}/{nick}'/>"),
            get(&format!("<query xmlns='{protocol}/disco#info'/>")),
            get(&format!("<query xmlns='{protocol}/disco#items'/>")),
            list("affiliation='owner'"),
            list("affiliation='member'"),
            list("affiliation='outcast'"),
            list("role='participant'"),
            get("<vCard xmlns='vcard-temp'/>"),
            get("<tokens xmlns='urn:xmpp:muc-token-invite:0'/>"),
            get("<query xmlns='jabber:iq:register'/>"),
            get(&format!("<query xmlns='{protocol}/muc#owner'/>")),
            set(&format!(
                "<command xmlns='{protocol}/commands' node='urn:xmpp:hats:commands:list-assigned'/>"
            )),
            match &held {
                Some(held) => format!(
                    "<presence to='{ROOM}/{held}'><x xmlns='{protocol}/muc'>\
                     <mav xmlns='urn:xmpp:muc:affiliations:1'/></x></presence>"
                ),
                None => format!("<presence to='{ROOM}/{nick}'/>"),
            },
        ];
        let question = &questions[self.prng.below(questions.len())];
        let heard = self.say(&session, question);
        let is_presence = |element: &&Element| {
            element.root().name() == "presence"
                && element.root().attribute("type").is_none()
                && element.source().contains(ROOM)
        };
        let told = heard[&session].iter().filter(is_presence).count();
        assert!(held.is_some() || told == 0, "{session} asks {question}");
    }

    /// Somebody wears a hat, or does so no more.
    fn dress(&mut self) {
        let person = PEOPLE[self.prng.below(PEOPLE.len())];
        let command = ["create", "assign", "unassign", "destroy"][self.prng.below(4)];
        let fields = [
            ("uri", "urn:hat".to_string()),
            ("title", "Hat".to_string()),
            ("jid", format!("{person}@localhost")),
        ];
        let field = |(name, value): &(&str, String)| {
            format!("<field var='hats#{name}'><value>{value}</value></field>")
        };
        let fields: String = fields.iter().map(field).collect();
        let iq = format!(
            "<iq type='set' id='h' to='{ROOM}'><command xmlns='http://jabber.org/protocol/commands' \
             node='urn:xmpp:hats:commands:{command}'><x xmlns='jabber:x:data' type='submit'>{fields}</x></command></iq>"
        );
        self.say(OWNER_SESSION, &iq);
    }

    fn cut(&mut self) {
        let session = self.any_session();
        if session == OWNER_SESSION {
            return;
        }
        self.core.cut(&session);
        self.inside.remove(&session);
        self.core.bind(&session);
        self.core.say(&session, "<presence/>");
        self.hear();
    }

    /// Everybody comes anew, and is in no room.
    fn restart(&mut self) {
        match self.prng.below(2) {
            0 => self.core.restart(),
            _ => self.core.stop(),
        }
        self.inside.clear();
        self.come_online();
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        self.say(
            OWNER_SESSION,
            &format!("<presence to='{ROOM}/Owner'>{x}</presence>"),
        );
        self.inside.insert(OWNER_SESSION.into(), "Owner".into());
    }

    fn check(&self) {
        let rooms = &self.core.server().state().rooms;
        let room = rooms.named("lounge").expect("its owner is inside");
        let mut holders = BTreeMap::new();
        let mut inside = BTreeMap::new();
        for occupant in &room.occupants {
            let person = occupant.jid.bare_str();
            let holder = *holders.entry(&*occupant.key).or_insert(person);
            assert_eq!(holder, person, "one nick, one person");
            let session = occupant.jid.as_str().replace("@localhost", "");
            assert!(inside.insert(session, occupant.nick.to_string()).is_none());
        }
        assert_eq!(inside, self.inside);
    }

    /// Everything that was said is kept once, in order.
    fn check_archive(&mut self) {
        let mut kept = Vec::new();
        let mut after = String::new();
        loop {
            let set =
                format!("<set xmlns='http://jabber.org/protocol/rsm'><max>50</max>{after}</set>");
            let query = format!("<query xmlns='urn:xmpp:mam:2'>{set}</query>");
            let heard = self.say(
                OWNER_SESSION,
                &format!("<iq type='set' id='q' to='{ROOM}'>{query}</iq>"),
            );
            let mut last = None;
            for element in &heard[OWNER_SESSION] {
                let root = element.root();
                let Some(result) = root.child("result", "urn:xmpp:mam:2") else {
                    continue;
                };
                last = result.attribute("id").map(|id| id.into_owned());
                let source = element.source();
                let body = source
                    .split("<body>")
                    .nth(1)
                    .and_then(|rest| rest.split('<').next());
                kept.push(body.unwrap_or_default().to_string());
            }
            let Some(last) = last else { break };
            after = format!("<after>{last}</after>");
        }
        assert_eq!(kept, self.said);
    }
}

#[test]
fn rooms_are_as_the_map_says() {
    let seeds = std::env::var("SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    for seed in 1..=seeds.unwrap_or(SEEDS) {
        let mut world = World::new(seed);
        for _ in 0..OPS {
            match world.prng.below(28) {
                0..=5 => world.enter(),
                6..=7 => world.leave(),
                8..=13 => world.speak(),
                14..=15 => world.administer(),
                16 => world.kick(),
                17..=18 => world.cut(),
                20..=23 => world.look(),
                24..=25 => world.dress(),
                26..=27 => world.mute(),
                _ => world.restart(),
            }
            world.check();
        }
        world.check_archive();
    }
}
