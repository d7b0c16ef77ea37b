//! Channels of MIX asked for more than there may be: what is refused says so, and what is over makes room.
use stonechat::state::ComponentSettings;
use stonechat::store::{ArchiveQuery, ChannelId, Tx};
use stonechat::xml::{Element, parse_stored};

use crate::pubsub_limits::wrongs;
use crate::transcript::computed;
use crate::transcript::core::Core;
use crate::transcript::run::secret;

const NAME: &str = "b.localhost";
const CHANNEL: &str = "coven@chat.localhost";
const MIX: &str = "urn:xmpp:mix:core:1";
const MISC: &str = "urn:xmpp:mix:misc:0";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const FULL: &str = "resource-constraint";

/// Invitations that one person may have given, and a channel.
const INVITED_BY_ONE_MAX: usize = 20;
const INVITATIONS_MAX: usize = 200;
/// Requests of one person that are under way, and of all in all channels.
const ASKED_BY_ONE_MAX: usize = 32;
const RELAYED_MAX: usize = 256;
/// Nodes that are named in one request, pictures of a channel, and owners in one form.
const NAMED_MAX: usize = 32;
const PICTURES_MAX: usize = 4;
const RULERS_MAX: usize = 100;

struct World {
    core: Core,
    asked: usize,
}

impl World {
    /// A channel that everybody may join, of `romeo`; all others live at a component.
    fn new(change: impl FnOnce(&mut stonechat::state::Settings)) -> World {
        let mut core = Core::with_settings(&["romeo"], |settings| {
            settings.channels_open = true;
            settings.components.push(ComponentSettings {
                name: NAME.into(),
                secret: secret(NAME).into(),
            });
            change(settings);
        });
        core.bind("romeo/r");
        let mut world = World { core, asked: 0 };
        world.connect();
        let create = format!("<create xmlns='{MIX}' channel='coven'/>");
        assert_eq!(world.of_owner("chat.localhost", "set", &create), Ok(()));
        world
    }

    fn connect(&mut self) {
        let core = &mut self.core;
        core.connect_component("b");
        core.say(
            "b",
            "<stream:stream to='b.localhost' xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams'>",
        );
        let header = core.expect("b", "stream");
        let id = header.root().attribute("id").expect("an id").into_owned();
        let proof = format!("<handshake>{{handshake {id} {}}}</handshake>", secret(NAME));
        core.say("b", &computed::fill(&proof));
        core.expect("b", "handshake");
    }

    fn of_owner(&mut self, to: &str, kind: &str, payload: &str) -> Result<(), String> {
        self.asked += 1;
        let id = format!("o{}", self.asked);
        let text = format!("<iq type='{kind}' id='{id}' to='{to}'>{payload}</iq>");
        self.core.say("romeo/r", &text);
        is_done(&answer(self.core.all("romeo/r"), &id))
    }

    /// Of somebody at the component, with what was answered.
    fn ask(&mut self, from: &str, kind: &str, payload: &str) -> Element {
        let id = self.send(from, CHANNEL, kind, payload);
        answer(self.core.all("b"), &id)
    }

    fn send(&mut self, from: &str, to: &str, kind: &str, payload: &str) -> String {
        self.asked += 1;
        let id = format!("q{}", self.asked);
        let text = format!("<iq type='{kind}' id='{id}' from='{from}' to='{to}'>{payload}</iq>");
        self.core.say("b", &text);
        id
    }

    /// Their stable id.
    fn join(&mut self, name: &str) -> Result<String, String> {
        let payload = format!("<join xmlns='{MIX}'><nick>{name}</nick></join>");
        let answer = self.ask(&format!("{name}@{NAME}"), "set", &payload);
        is_done(&answer)?;
        let join = answer.root().children().next().expect("a join");
        Ok(join.attribute("id").expect("an id").into_owned())
    }

    fn invite(&mut self, from: &str, whom: &str) -> Result<(), String> {
        let payload = format!("<invite xmlns='{MISC}'><invitee>{whom}@{NAME}</invitee></invite>");
        is_done(&self.ask(&format!("{from}@{NAME}/r"), "get", &payload))
    }
}

fn answer(came: Vec<Element>, id: &str) -> Element {
    let is_it = |one: &Element| one.root().attribute("id").as_deref() == Some(id);
    let mut answers = came.into_iter().filter(is_it);
    let answer = answers.next().expect("an answer");
    assert!(answers.next().is_none(), "two answers");
    answer
}

/// Or the condition.
fn is_done(answer: &Element) -> Result<(), String> {
    let Some(error) = answer
        .root()
        .children()
        .find(|child| child.name() == "error")
    else {
        return Ok(());
    };
    Err(error.children().next().expect("a condition").name().into())
}

fn full<T>() -> Result<T, String> {
    Err(FULL.into())
}

#[test]
fn a_channel_knows_so_many_people() {
    let mut world = World::new(|settings| settings.channel_members_max = 4);
    // Its owner is one.
    for name in ["a", "c", "d"] {
        assert!(world.join(name).is_ok());
    }
    assert_eq!(world.join("e"), full());
    assert!(world.join("d").is_ok(), "who is in it is none more");
    let leave = format!("<leave xmlns='{MIX}'/>");
    assert_eq!(
        is_done(&world.ask(&format!("a@{NAME}"), "set", &leave)),
        Ok(())
    );
    assert!(world.join("e").is_ok());
}

#[test]
fn so_many_are_allowed_or_banned() {
    let mut world = World::new(|settings| settings.channel_members_max = 3);
    let publish = |node: &str, jid: &str| {
        format!(
            "<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:mix:nodes:{node}'><item id='{jid}'/></publish></pubsub>"
        )
    };
    for jid in ["a@x.example", "y.example"] {
        assert_eq!(
            world.of_owner(CHANNEL, "set", &publish("banned", jid)),
            Ok(())
        );
    }
    assert_eq!(
        world.of_owner(CHANNEL, "set", &publish("banned", "b@x.example")),
        full()
    );
    let retract = format!(
        "<pubsub xmlns='{PUBSUB}'><retract node='urn:xmpp:mix:nodes:banned'><item id='y.example'/></retract></pubsub>"
    );
    assert_eq!(world.of_owner(CHANNEL, "set", &retract), Ok(()));
    assert!(world.join("a").is_ok());
}

#[test]
fn so_many_are_invited_at_a_time() {
    let mut world = World::new(|_| {});
    let inviters: Vec<String> = (0..=INVITATIONS_MAX / INVITED_BY_ONE_MAX)
        .map(|n| format!("inviter{n}"))
        .collect();
    for name in &inviters {
        world.join(name).unwrap();
    }
    let (last, others) = inviters.split_last().unwrap();
    for name in others {
        for n in 0..INVITED_BY_ONE_MAX {
            assert_eq!(world.invite(name, &format!("x{n}")), Ok(()), "{name} {n}");
        }
        assert_eq!(world.invite(name, "one-more"), full());
    }
    assert_eq!(world.invite(last, "x0"), full(), "of all");
    assert_eq!(world.invite(&others[0], "x0"), Ok(()), "the same again");
    world.core.wait(7 * 24 * 60 * 60 * 1000);
    world.connect();
    assert_eq!(world.invite(last, "x0"), Ok(()), "what is over makes room");
}

#[test]
fn so_much_is_asked_through_a_channel_at_a_time() {
    let mut world = World::new(|_| {});
    let people: Vec<String> = (0..=RELAYED_MAX / ASKED_BY_ONE_MAX)
        .map(|n| format!("p{n}"))
        .collect();
    let ids: Vec<String> = people
        .iter()
        .map(|name| world.join(name).unwrap())
        .collect();
    let payload = "<query xmlns='jabber:iq:version'/>";
    let ask = |world: &mut World, from: usize, of: usize| -> Option<String> {
        let from = format!("{}@{NAME}/r", people[from]);
        world.send(&from, &format!("{}#{CHANNEL}", ids[of]), "get", payload);
        let came = world.core.all("b");
        let refused = came
            .iter()
            .find(|one| one.root().attribute("type").as_deref() == Some("error"));
        let refused = refused.map(|one| is_done(one).unwrap_err());
        if refused.is_none() {
            assert_eq!(came.len(), 1, "it went to whom it was to");
        }
        refused
    };
    let last = people.len() - 1;
    // Each asks the one behind.
    for from in 0..last {
        for _ in 0..ASKED_BY_ONE_MAX {
            assert_eq!(ask(&mut world, from, (from + 1) % last), None);
        }
        assert_eq!(ask(&mut world, from, last).as_deref(), Some(FULL), "of one");
    }
    assert_eq!(ask(&mut world, last, last).as_deref(), Some(FULL), "of all");
    // Nobody answers: each is answered nevertheless, and there is room.
    world.core.wait(60_000);
    let late = world.core.all("b");
    assert_eq!(late.len(), RELAYED_MAX);
    for one in &late {
        assert_eq!(is_done(one), Err("remote-server-timeout".into()));
    }
    assert_eq!(ask(&mut world, last, 0), None);
}

#[test]
fn nodes_are_subscribed_to_up_to_so_many_in_one_request() {
    let mut world = World::new(|_| {});
    let node = |name: &str| format!("<subscribe node='urn:xmpp:mix:nodes:{name}'/>");
    let many = node("messages").repeat(NAMED_MAX);
    let payload = format!(
        "<join xmlns='{MIX}'>{many}{}<nick>a</nick></join>",
        node("info")
    );
    let answer = world.ask(&format!("a@{NAME}"), "set", &payload);
    assert_eq!(is_done(&answer), Ok(()));
    assert!(answer.source().contains("nodes:messages"));
    assert!(!answer.source().contains("nodes:info"));
}

#[test]
fn what_is_preferred_does_not_grow_with_the_form() {
    let mut world = World::new(|_| {});
    world.join("a").unwrap();
    let field = |n| format!("<field var='{n}'><value>x</value></field>");
    let fields: String = (0..200).map(field).collect();
    let payload = format!(
        "<user-preference xmlns='urn:xmpp:mix:anon:0'><x xmlns='jabber:x:data' type='submit'>{fields}\
         <field var='vCard'><value>allow</value></field></x></user-preference>"
    );
    let answer = world.ask(&format!("a@{NAME}/r"), "set", &payload);
    assert_eq!(is_done(&answer), Ok(()));
    assert_eq!(answer.source().matches("<field ").count(), 5);
    assert!(
        answer
            .source()
            .contains("<value>allow</value></field><field var='Presence'>")
    );
}

#[test]
fn a_channel_has_so_many_pictures_of_such_a_size() {
    let mut world = World::new(|settings| settings.pubsub_item_bytes_max = 1_000);
    let data = |id: usize, bytes: usize| {
        format!(
            "<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:avatar:data'><item id='h{id}'>\
             <data xmlns='urn:xmpp:avatar:data'>{}</data></item></publish></pubsub>",
            "A".repeat(bytes)
        )
    };
    for id in 0..=PICTURES_MAX {
        assert_eq!(world.of_owner(CHANNEL, "set", &data(id, 500)), Ok(()));
    }
    let too_big = world.of_owner(CHANNEL, "set", &data(100, 1_000));
    assert_eq!(too_big, Err("not-acceptable".into()));
    world.join("a").unwrap();
    let all: String = (0..=PICTURES_MAX)
        .map(|id| format!("<item id='h{id}'/>"))
        .collect();
    let payload = format!(
        "<pubsub xmlns='{PUBSUB}'><items node='urn:xmpp:avatar:data'>{all}</items></pubsub>"
    );
    let answer = world.ask(&format!("a@{NAME}/r"), "get", &payload);
    assert_eq!(answer.source().matches("<item ").count(), PICTURES_MAX);
    assert!(!answer.source().contains("h0"), "the oldest is gone");
}

#[test]
fn so_many_owners_are_named_in_one_form() {
    let mut world = World::new(|_| {});
    let config = |count: usize| {
        let jid = |n| format!("<value>owner{n}@{NAME}</value>");
        let jids: String = (0..count).map(jid).collect();
        format!(
            "<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:mix:nodes:config'><item><x xmlns='jabber:x:data' type='submit'>\
             <field var='Owner'><value>romeo@localhost</value>{jids}</field></x></item></publish></pubsub>"
        )
    };
    assert_eq!(
        world.of_owner(CHANNEL, "set", &config(RULERS_MAX)),
        Err("not-acceptable".into())
    );
    assert_eq!(
        world.of_owner(CHANNEL, "set", &config(RULERS_MAX - 1)),
        Ok(())
    );
}

#[test]
fn a_nick_is_so_long() {
    let mut world = World::new(|_| {});
    assert_eq!(world.join(&"n".repeat(257)), Err("not-acceptable".into()));
    let register = |bytes: usize| {
        format!(
            "<register xmlns='{MISC}'><nick>{}</nick></register>",
            "n".repeat(bytes)
        )
    };
    assert_eq!(
        world.of_owner("chat.localhost", "set", &register(257)),
        Err("not-acceptable".into())
    );
    assert_eq!(
        world.of_owner("chat.localhost", "set", &register(256)),
        Ok(())
    );
}

/// The requests to channels and their service in the transcripts: to whom, kind and child.
fn requests() -> Vec<(String, String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts/mix");
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
            let (kind, to) = (root.attribute("type"), root.attribute("to"));
            if let (true, Some(child), Some(kind), Some(to)) =
                (root.is("iq", "jabber:client"), child, kind, to)
                && to.ends_with("chat.localhost")
                && !to.contains('#')
            {
                let to = if to.contains('@') { CHANNEL } else { &*to };
                let child = child.to_xml().into_owned();
                requests.push((to.to_string(), kind.into_owned(), child));
            }
        }
    }
    requests.sort();
    requests.dedup();
    requests
}

/// Somebody at the component takes part in a channel and owns it, whatever became of it.
fn settle(world: &mut World) {
    let destroy = format!("<destroy xmlns='{MIX}' channel='coven'/>");
    let create = format!("<create xmlns='{MIX}' channel='coven'/>");
    let own = format!(
        "<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:mix:nodes:config'><item><x xmlns='jabber:x:data' type='submit'>\
         <field var='Owner'><value>romeo@localhost</value><value>hag@{NAME}</value></field></x></item></publish></pubsub>"
    );
    world.send(&format!("hag@{NAME}"), "chat.localhost", "set", &destroy);
    let _ = world.of_owner("chat.localhost", "set", &destroy);
    let _ = world.of_owner("chat.localhost", "set", &create);
    let _ = world.of_owner(CHANNEL, "set", &own);
    world.core.all("b");
    let _ = world.join("hag");
}

#[test]
fn whatever_a_channel_is_asked_has_one_answer() {
    let mut world = World::new(|_| {});
    let requests = requests();
    assert!(requests.len() > 50, "{}", requests.len());
    let (mut refused, mut all) = (0, 0);
    for (to, kind, child) in requests {
        settle(&mut world);
        let element = parse_stored(&child, "jabber:client").unwrap();
        let mut wrong = vec![child.clone()];
        wrongs(element.root(), &mut wrong, &|wrong| wrong.to_string());
        // Of very many forms alike, some.
        let step = wrong.len().div_ceil(20);
        for wrong in wrong.iter().step_by(step) {
            if parse_stored(wrong, "jabber:client").is_ok() {
                all += 1;
                let id = world.send(&format!("hag@{NAME}"), &to, &kind, wrong);
                let answer = answer(world.core.all("b"), &id);
                refused += usize::from(is_done(&answer).is_err());
            }
        }
    }
    assert!(refused > 300 && all > refused + 100, "{refused} of {all}");
}

#[test]
fn a_channel_that_goes_takes_its_past_with_it() {
    let mut world = World::new(|_| {});
    world.join("a").unwrap();
    let info = format!(
        "<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:mix:nodes:info'><item><x xmlns='jabber:x:data' type='submit'>\
         <field var='Name'><value>n</value></field></x></item></publish></pubsub>"
    );
    assert_eq!(world.of_owner(CHANNEL, "set", &info), Ok(()));
    let kept = |tx: &Tx, id: ChannelId| -> Vec<usize> {
        let of = |number| {
            tx.page(
                id.history(number),
                &ArchiveQuery {
                    max: 10,
                    ..ArchiveQuery::default()
                },
            )
        };
        (0..3)
            .map(|number| of(number).unwrap().stanzas.len())
            .collect()
    };
    let mut id = None;
    world.core.stop_and(|tx| {
        let row = tx.channel("coven").unwrap().expect("it is there");
        assert_eq!(kept(tx, row.id), [1, 1, 1]);
        id = Some(row.id);
    });
    world.core.bind("romeo/r");
    let destroy = format!("<destroy xmlns='{MIX}' channel='coven'/>");
    assert_eq!(world.of_owner("chat.localhost", "set", &destroy), Ok(()));
    world.core.wait(120_000);
    world.core.stop_and(|tx| {
        assert_eq!(kept(tx, id.expect("known")), [0, 0, 0]);
    });
}
