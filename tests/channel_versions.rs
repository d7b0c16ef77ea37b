//! XEP-0463: whoever applies what they are told of affiliations, coming and going, knows at any time what the room's lists say,
//! and no version is missed.
use std::collections::BTreeMap;

use stonechat::xml::{Element, ElementRef};

use crate::transcript::core::Core;
use crate::transcript::prng::Prng;

const ROOM: &str = "den@chat.localhost";
const MUC: &str = "http://jabber.org/protocol/muc";
const MAV: &str = "urn:xmpp:muc:affiliations:1";
const SEEDS: u64 = 10;
const OPS: usize = 80;
/// Owns it; the next one watches.
const OWNER: &str = "romeo/r";
const WATCHER: &str = "juliet/r";
/// One is in the room by two nicks.
const INSIDE: [(&str, &str); 3] = [("paris/1", "A"), ("paris/2", "B"), ("nurse/1", "C")];
const AFFILIATIONS: [&str; 4] = ["owner", "admin", "member", "outcast"];

type Lists = BTreeMap<String, String>;

struct World {
    core: Core,
    prng: Prng,
    /// What the watcher knows, and of which version.
    known: Lists,
    version: Option<String>,
    is_inside: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut core = Core::with_settings(&["romeo", "juliet", "paris", "nurse"], |settings| {
            settings.channels_open = true;
        });
        for session in [OWNER, WATCHER, "paris/1", "paris/2", "nurse/1"] {
            core.bind(session);
        }
        let mut world = World {
            core,
            prng: Prng(seed),
            known: Lists::new(),
            version: None,
            is_inside: false,
        };
        world.enter(OWNER, "Owner", "");
        let form = "<x xmlns='jabber:x:data' type='submit'/>";
        world.ask(&format!("<query xmlns='{MUC}#owner'>{form}</query>"));
        world.change("juliet@localhost", "admin");
        world
    }

    fn enter(&mut self, session: &str, nick: &str, within: &str) -> Vec<Element> {
        self.core.say(
            session,
            &format!("<presence to='{ROOM}/{nick}'><x xmlns='{MUC}'>{within}</x></presence>"),
        );
        self.core.all(session)
    }

    fn ask(&mut self, payload: &str) -> Vec<Element> {
        let iq = format!("<iq type='set' id='i' to='{ROOM}'>{payload}</iq>");
        self.core.say(OWNER, &iq);
        self.core.all(OWNER)
    }

    fn change(&mut self, jid: &str, affiliation: &str) {
        let item = format!("<item jid='{jid}' affiliation='{affiliation}'/>");
        self.ask(&format!("<query xmlns='{MUC}#admin'>{item}</query>"));
    }

    /// What the room says.
    fn lists(&mut self) -> Lists {
        let mut lists = Lists::new();
        for affiliation in AFFILIATIONS {
            let query =
                format!("<query xmlns='{MUC}#admin'><item affiliation='{affiliation}'/></query>");
            let iq = format!("<iq type='get' id='l' to='{ROOM}'>{query}</iq>");
            self.core.say(OWNER, &iq);
            let answer = self.core.all(OWNER);
            let query = answer.last().expect("an answer").root().children().next();
            for item in query.expect("a list").children() {
                let jid = item.attribute("jid").expect("a JID").into_owned();
                assert!(lists.insert(jid, affiliation.into()).is_none());
            }
        }
        lists
    }

    /// The watcher applies what came.
    fn hear(&mut self, came: &[Element]) {
        for element in came {
            let x = element.root().child("x", &format!("{MUC}#user"));
            let Some((x, mav)) = x.and_then(|x| Some((x, x.child("mav", MAV)?))) else {
                continue;
            };
            let version = |name| mav.attribute(name).map(|it| it.into_owned());
            let (since, until) = (version("since"), version("until"));
            let is_list = element.root().name() == "message";
            match (&since, is_list) {
                (None, true) => self.known.clear(),
                (None, false) => assert_eq!(until, self.version, "the own presence"),
                (Some(_), _) => assert_eq!(since, self.version, "{}", element.source()),
            }
            if since.is_some() || is_list {
                x.children().for_each(|item| self.apply(item));
            }
            self.version = until;
        }
    }

    fn apply(&mut self, item: ElementRef<'_>) {
        if item.name() != "item" {
            return;
        }
        let jid = item.attribute("jid").expect("a JID");
        let jid = jid.split('/').next().unwrap_or_default().to_string();
        match item.attribute("affiliation").as_deref() {
            Some("none") | None => self.known.remove(&jid),
            Some(affiliation) => self.known.insert(jid, affiliation.to_string()),
        };
    }

    fn come(&mut self) {
        let since = self.version.as_ref();
        let since = since.map(|since| format!(" since='{since}'"));
        let mav = format!("<mav xmlns='{MAV}'{}/>", since.unwrap_or_default());
        let came = self.enter(WATCHER, "Watcher", &mav);
        self.is_inside = true;
        self.hear(&came);
    }

    fn go(&mut self) {
        let presence = format!("<presence type='unavailable' to='{ROOM}/Watcher'/>");
        self.core.say(WATCHER, &presence);
        let came = self.core.all(WATCHER);
        self.hear(&came);
        self.is_inside = false;
    }

    fn step(&mut self) {
        match self.prng.below(10) {
            0..=4 => {
                let person = self.prng.below(8);
                let jid = match person {
                    0 => "paris@localhost".to_string(),
                    1 => "nurse@localhost".to_string(),
                    person => format!("p{person}@localhost"),
                };
                let all = ["none", "member", "admin", "owner", "outcast", "none"];
                let affiliation = all[self.prng.below(all.len())];
                self.change(&jid, affiliation);
            }
            5..=6 => {
                let (session, nick) = INSIDE[self.prng.below(INSIDE.len())];
                self.enter(session, nick, "");
            }
            7 if self.is_inside => self.go(),
            7..=8 => self.come(),
            _ => {
                self.core.restart();
                for session in [OWNER, WATCHER, "paris/1", "paris/2", "nurse/1"] {
                    self.core.bind(session);
                }
                self.is_inside = false;
                self.enter(OWNER, "Owner", "");
            }
        }
        let came = self.core.all(WATCHER);
        self.hear(&came);
    }
}

#[test]
fn whoever_applies_what_they_are_told_knows_the_lists() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for op in 0..OPS {
            world.step();
            let lists = world.lists();
            if world.is_inside {
                assert_eq!(world.known, lists, "seed {seed}, op {op}");
            }
        }
    }
}
