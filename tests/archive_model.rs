//! Conversations against a list: people say, correct, take back, react, read and forge in any order, with kills and stops; then any
//! page of any archive, completed or collated (`archive_model_collated`), shows its messages as the list has them, and nobody
//! reads what was taken back.
use std::collections::{BTreeMap, BTreeSet};

use stonechat::xml::{Element, ElementRef};

use crate::transcript::core::Core;
use crate::transcript::prng::Prng;

const SEEDS: u64 = 12;
const OPS: usize = 90;
pub const PEOPLE: [&str; 3] = ["romeo", "juliet", "nurse"];
const FACES: [&str; 4] = ["👋", "🐢", "replace", "shell"];

pub const CORRECT: &str = "urn:xmpp:message-correct:0";
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
const ABOUT: &str = "urn:stonechat:archive:0";
pub const MARKERS: &str = "urn:xmpp:chat-markers:0";
pub const RECEIPTS: &str = "urn:xmpp:receipts";
pub const CLIENT: &str = "jabber:client";

pub fn session(name: &str) -> String {
    format!("{name}/1")
}

/// A message as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub by: &'static str,
    pub to: &'static str,
    /// All there were; the last one counts.
    pub texts: Vec<String>,
    pub gone: bool,
    pub reactions: BTreeMap<String, BTreeSet<String>>,
    pub receipts: usize,
    /// What was done to it: by number.
    pub acts: Vec<usize>,
}

pub struct World {
    pub core: Core,
    pub prng: Prng,
    /// By the id each came with.
    pub said: BTreeMap<String, Said>,
    /// The id of a correction -> of what it corrects.
    pub versions: BTreeMap<String, String>,
    /// Who marked what of whose as displayed: reader, author, number of the message.
    pub marks: Vec<(&'static str, &'static str, usize)>,
    /// From whom to whom, by number.
    pub sent: Vec<(String, String)>,
    /// Which of these are corrections of what is not theirs: to a server they are messages as others.
    pub forged: BTreeSet<usize>,
    /// Texts that nobody may read any more.
    pub gone: BTreeSet<String>,
    pub count: usize,
}

/// Which in the order of all.
pub fn number(id: &str) -> usize {
    id.strip_prefix('m').unwrap().parse().unwrap()
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut world = World {
            core: Core::with_settings(&PEOPLE, |_| {}),
            prng: Prng(seed),
            said: BTreeMap::new(),
            versions: BTreeMap::new(),
            marks: Vec::new(),
            sent: Vec::new(),
            forged: BTreeSet::new(),
            gone: BTreeSet::new(),
            count: 0,
        };
        world.come_online();
        world
    }

    pub fn come_online(&mut self) {
        for name in PEOPLE {
            self.core.bind(&session(name));
            self.core.say(&session(name), "<presence/>");
            self.core.all(&session(name));
        }
    }

    fn two(&mut self) -> (&'static str, &'static str) {
        let by = self.prng.below(PEOPLE.len());
        // Now and then a note to oneself.
        let to = self.prng.below(PEOPLE.len());
        (PEOPLE[by], PEOPLE[to])
    }

    fn send(&mut self, (by, to): (&str, &str), children: &str) -> String {
        self.count += 1;
        self.sent.push((by.to_string(), to.to_string()));
        let id = format!("m{}", self.count);
        let hint = "<store xmlns='urn:xmpp:hints'/>";
        let message = format!(
            "<message to='{to}@localhost' type='chat' id='{id}'>{children}{hint}</message>"
        );
        self.core.say(&session(by), &message);
        for name in PEOPLE {
            self.core.all(&session(name));
        }
        id
    }

    fn text(&self) -> String {
        format!("text {} of it", self.count + 1)
    }

    /// The id of any version of any message, and of the first one.
    fn any(&mut self) -> Option<(String, String)> {
        let first = self.said.keys().map(|id| (id.clone(), id.clone()));
        let versions = self
            .versions
            .iter()
            .map(|(id, of)| (id.clone(), of.clone()));
        let all: Vec<_> = first.chain(versions).collect();
        let at = self.prng.below(all.len().max(1));
        all.get(at).cloned()
    }

    pub fn step(&mut self) {
        match self.prng.below(15) {
            0..=4 => self.speak(),
            12 | 13 => self.mark(),
            14 => self.receive(),
            5 | 6 => self.correct(),
            7 => self.take_back(),
            8 | 9 => self.react(),
            10 => self.forge(),
            _ => self.end(),
        }
    }

    fn speak(&mut self) {
        let (by, to) = self.two();
        let text = self.text();
        let id = self.send((by, to), &format!("<body>{text}</body>"));
        let said = Said {
            by,
            to,
            texts: vec![text],
            gone: false,
            reactions: BTreeMap::new(),
            receipts: 0,
            acts: Vec::new(),
        };
        self.said.insert(id, said);
    }

    fn correct(&mut self) {
        let Some((named, of)) = self.any() else {
            return;
        };
        let (by, to) = (self.said[&of].by, self.said[&of].to);
        let text = self.text();
        let replace = format!("<body>{text}</body><replace xmlns='{CORRECT}' id='{named}'/>");
        let id = self.send((by, to), &replace);
        let said = self.said.get_mut(&of).unwrap();
        said.acts.push(number(&id));
        match said.gone {
            true => _ = self.gone.insert(text),
            false => said.texts.push(text),
        }
        self.versions.insert(id, of);
    }

    fn take_back(&mut self) {
        let Some((named, of)) = self.any() else {
            return;
        };
        let said = self.said.get_mut(&of).unwrap();
        let (by, to) = (said.by, said.to);
        said.gone = true;
        self.gone.extend(said.texts.iter().cloned());
        let id = self.send(
            (by, to),
            &format!("<retract xmlns='{RETRACT}' id='{named}'/>"),
        );
        self.said.get_mut(&of).unwrap().acts.push(number(&id));
    }

    fn react(&mut self) {
        let Some((named, of)) = self.any() else {
            return;
        };
        let said = &self.said[&of];
        let (by, to) = match self.prng.below(2) {
            0 => (said.by, said.to),
            _ => (said.to, said.by),
        };
        let faces = (0..self.prng.below(3)).map(|_| FACES[self.prng.below(FACES.len())]);
        let faces: BTreeSet<String> = faces.map(str::to_string).collect();
        let inside: String = faces
            .iter()
            .map(|face| format!("<reaction>{face}</reaction>"))
            .collect();
        let id = self.send(
            (by, to),
            &format!("<reactions xmlns='{REACTIONS}' id='{named}'>{inside}</reactions>"),
        );
        let said = self.said.get_mut(&of).unwrap();
        said.acts.push(number(&id));
        match faces.is_empty() {
            true => _ = said.reactions.remove(by),
            false => _ = said.reactions.insert(by.to_string(), faces),
        }
    }

    /// Its reader has seen it, and so all before it.
    fn mark(&mut self) {
        let Some((named, of)) = self.any() else {
            return;
        };
        let (by, to) = (self.said[&of].to, self.said[&of].by);
        let id = self.send(
            (by, to),
            &format!("<displayed xmlns='{MARKERS}' id='{named}'/>"),
        );
        self.said.get_mut(&of).unwrap().acts.push(number(&id));
        self.marks.push((by, to, number(&of)));
    }

    fn receive(&mut self) {
        let Some((named, of)) = self.any() else {
            return;
        };
        let (by, to) = (self.said[&of].to, self.said[&of].by);
        let id = self.send(
            (by, to),
            &format!("<received xmlns='{RECEIPTS}' id='{named}'/>"),
        );
        let said = self.said.get_mut(&of).unwrap();
        said.acts.push(number(&id));
        said.receipts += 1;
    }

    /// Somebody else's message, or one that is not there: it stays as it is. What is said so is a message that no client shows.
    fn forge(&mut self) {
        let Some((named, of)) = self.any() else {
            return;
        };
        let said = self.said[&of].clone();
        let (by, to) = self.two();
        if by == said.by {
            return;
        }
        let how = self.prng.below(3);
        if how == 0 {
            self.forged.insert(self.count + 1);
        }
        let act = match how {
            0 => format!("<body>forged</body><replace xmlns='{CORRECT}' id='{named}'/>"),
            1 => format!("<retract xmlns='{RETRACT}' id='{named}'/>"),
            _ => format!("<retract xmlns='{RETRACT}' id='nothing'/>"),
        };
        self.send((by, to), &act);
    }

    fn end(&mut self) {
        match self.prng.below(3) {
            0 => self.core.restart(),
            1 => self.core.stop(),
            _ => return,
        }
        self.come_online();
    }

    /// Whoever reads, from whichever side, in pages of whatever length.
    fn check(&mut self) {
        for name in PEOPLE {
            for backward in [false, true] {
                let max = 1 + self.prng.below(9);
                let shown = self.read(name, max, backward);
                let is_theirs = |said: &&Said| said.by == name || said.to == name;
                let expected = self.said.values().filter(is_theirs).count();
                assert_eq!(shown, expected, "{name} by {max}");
            }
        }
    }

    /// How many messages it is that were shown as they are.
    fn read(&mut self, name: &str, max: usize, backward: bool) -> usize {
        let (mut shown, mut place) = (0, None);
        loop {
            let rsm = match (&place, backward) {
                (None, false) => String::new(),
                (None, true) => "<before/>".to_string(),
                (Some(id), false) => format!("<after>{id}</after>"),
                (Some(id), true) => format!("<before>{id}</before>"),
            };
            let query = format!(
                "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>\
                 <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
                 <field var='{{{ABOUT}}}complete'><value>true</value></field></x>\
                 <set xmlns='http://jabber.org/protocol/rsm'><max>{max}</max>{rsm}</set></query></iq>"
            );
            self.core.say(&session(name), &query);
            let mut answer = self.core.all(&session(name));
            let fin = answer.pop().unwrap();
            shown += self.check_page(&answer);
            let fin = fin.root().child("fin", "urn:xmpp:mam:2").unwrap();
            let set = fin.child("set", "http://jabber.org/protocol/rsm").unwrap();
            let end = match backward {
                false => set.child("last", "http://jabber.org/protocol/rsm"),
                true => set.child("first", "http://jabber.org/protocol/rsm"),
            };
            place = end.map(|end| end.text().into_owned());
            if fin.attribute("complete").is_some() || place.is_none() {
                return shown;
            }
        }
    }

    fn check_page(&self, results: &[Element]) -> usize {
        let mut page = Page::default();
        for result in results {
            let result = result.root().child("result", "urn:xmpp:mam:2").unwrap();
            let forwarded = result.child("forwarded", "urn:xmpp:forward:0").unwrap();
            let message = forwarded.child("message", CLIENT).unwrap();
            let place = result.attribute("id").unwrap().into_owned();
            page.take(message, place, result.child("about", ABOUT));
            let source = message.source();
            let gone = self.gone.iter().find(|text| source.contains(&***text));
            assert_eq!(gone, None, "{source}");
        }
        let nothing = BTreeMap::new();
        let mut shown = 0;
        for (id, drawn) in &page.drawn {
            let Some(said) = self.said.get(id) else {
                // The place of a version that is gone.
                let of = &self.versions[id];
                assert!(self.said[of].gone && drawn.text.is_none(), "{id}");
                continue;
            };
            shown += 1;
            let now = match said.gone {
                true => (None, &nothing),
                false => (said.texts.last().map(String::as_str), &said.reactions),
            };
            assert_eq!((drawn.text.as_deref(), &drawn.reactions), now, "{id}");
        }
        shown
    }
}

/// What a client draws from one page alone.
#[derive(Default)]
struct Page {
    drawn: BTreeMap<String, Drawn>,
    versions: BTreeMap<String, String>,
    /// The archive's id -> the id that it came with.
    names: BTreeMap<String, String>,
}

#[derive(Default)]
struct Drawn {
    by: String,
    text: Option<String>,
    reactions: BTreeMap<String, BTreeSet<String>>,
}

impl Page {
    fn take(&mut self, message: ElementRef<'_>, place: String, about: Option<ElementRef<'_>>) {
        let attribute = |name| {
            message
                .attribute(name)
                .map(|it| it.into_owned())
                .unwrap_or_default()
        };
        let (id, from) = (attribute("id"), attribute("from"));
        let by = from.split('@').next().unwrap().to_string();
        let acts = [
            ("replace", CORRECT),
            ("retract", RETRACT),
            ("reactions", REACTIONS),
            ("displayed", MARKERS),
            ("received", RECEIPTS),
        ];
        let act = acts
            .into_iter()
            .find_map(|(name, ns)| Some((name, message.child(name, ns)?)));
        let body = message
            .child("body", CLIENT)
            .map(|body| body.text().into_owned());
        let Some((act, child)) = act else {
            let drawn = Drawn {
                by,
                text: body,
                reactions: BTreeMap::new(),
            };
            self.names.insert(place, id.clone());
            self.drawn.insert(id, drawn);
            return;
        };
        let named = child
            .attribute("id")
            .map(|id| id.into_owned())
            .unwrap_or_default();
        let target = match about {
            Some(about) => {
                // The server says which; the message may name another version.
                self.names.get(&*about.attribute("id").unwrap()).cloned()
            }
            None => self.versions.get(&named).cloned().or(Some(named)),
        };
        let Some(target) = target else { return };
        let Some(drawn) = self.drawn.get_mut(&target) else {
            return;
        };
        match act {
            "replace" if drawn.by == by => {
                if drawn.text.is_some() {
                    drawn.text = body;
                }
                self.versions.insert(id, target);
            }
            "retract" if drawn.by == by => {
                drawn.text = None;
                drawn.reactions.clear();
            }
            "reactions" if drawn.text.is_some() => {
                let faces = child.children().map(|face| face.text().into_owned());
                let faces: BTreeSet<String> = faces.collect();
                match faces.is_empty() {
                    true => _ = drawn.reactions.remove(&by),
                    false => _ = drawn.reactions.insert(by, faces),
                }
            }
            _ => {}
        }
    }
}

#[test]
fn archives_are_as_the_list_says() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..OPS {
            world.step();
        }
        world.check();
    }
}
