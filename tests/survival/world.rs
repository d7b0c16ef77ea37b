//! The server on the pure core, three clients, and all that can happen to them.
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::peer::{AWAY_MS, Peer, h};
use crate::transcript::core::Core;
use crate::transcript::prng::Prng;
use crate::transcript::run::run;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true' max='90'/>";
/// A session that was away for so long when the server crashed had gone to the store.
const ASLEEP_MS: u64 = 60_000;

pub struct World {
    core: Core,
    peers: Vec<Peer>,
    connections: u32,
    /// Messages sent, by client and the account they went to.
    sent: HashMap<(usize, &'static str), u32>,
    pub log: Rc<RefCell<Vec<String>>>,
}

impl World {
    /// Three clients, of three accounts or two.
    pub fn new(clients: [&'static str; 3]) -> World {
        let mut core = Core::with_accounts(&[]);
        let contacts = "contacts romeo juliet\ncontacts juliet nurse\ncontacts nurse romeo";
        run("contacts", contacts, &mut core);
        let account = |jid: &'static str| jid.split('/').next().expect("an account");
        let of_account = |jid| {
            let same = clients
                .iter()
                .filter(|other| account(other) == account(jid));
            same.count()
        };
        let mut world = World {
            core,
            peers: clients
                .map(|jid| Peer::new(jid, of_account(jid) == 1))
                .into(),
            connections: 0,
            sent: HashMap::new(),
            log: Rc::default(),
        };
        (0..3).for_each(|who| world.connect(who));
        world
    }

    fn now_ms(&self) -> u64 {
        self.core.now().monotonic_ms
    }

    fn note(&self, text: String) {
        let now = self.now_ms();
        self.log.borrow_mut().push(format!("{now}: {text}"));
    }

    pub fn act(&mut self, prng: &mut Prng) {
        let who = prng.below(self.peers.len());
        match prng.below(40) {
            0..=16 => self.message(who, prng),
            17 | 18 => self.stanza(who, prng),
            19..=21 => self.acknowledge(who),
            22 => self.send(who, "<inactive xmlns='urn:xmpp:csi:0'/>"),
            23 => self.send(who, "<active xmlns='urn:xmpp:csi:0'/>"),
            24 | 25 => self.cut(who),
            26 | 27 => self.go_deaf(who),
            28..=32 => self.connect(who),
            33 => self.stop(),
            34 => self.kill(),
            _ => {
                let ms = [10, 900, 4_000, 20_000, 61_000, 100_000][prng.below(6)];
                self.note(format!("wait {ms}"));
                self.core.wait(ms);
            }
        }
        self.settle(prng);
    }

    /// Everybody comes back, and nobody misses anything.
    pub fn come_together(&mut self) {
        let mut prng = Prng(0);
        for _ in 0..3 {
            for who in 0..self.peers.len() {
                self.connect(who);
                self.settle(&mut prng);
                self.acknowledge(who);
            }
            self.settle(&mut prng);
        }
        for ((from, to), count) in &self.sent {
            let from = self.peers[*from].full();
            let receivers = self.peers.iter().filter(|peer| peer.account == *to);
            let had: BTreeSet<u32> = receivers.flat_map(|peer| peer.had_of(&from)).collect();
            let missing: Vec<u32> = (0..*count).filter(|n| !had.contains(n)).collect();
            assert!(missing.is_empty(), "{from} to {to}: {missing:?} are lost");
        }
    }

    fn message(&mut self, who: usize, prng: &mut Prng) {
        let others: Vec<&Peer> = self
            .peers
            .iter()
            .filter(|peer| peer.account != self.peers[who].account)
            .collect();
        let to = others[prng.below(others.len())];
        let (name, resource) = (to.account, to.resource);
        if self.peers[who].session.is_none() {
            return;
        }
        let number = self.sent.entry((who, name)).or_default();
        let to = match prng.below(2) {
            0 => format!("{name}@localhost"),
            _ => format!("{name}@localhost/{resource}"),
        };
        let stanza = format!(
            "<message to='{to}' type='chat' id='{who}-{name}-{number}'><body>{number}</body></message>"
        );
        *number += 1;
        self.say(who, stanza);
    }

    fn stanza(&mut self, who: usize, prng: &mut Prng) {
        let number = prng.next();
        let stanza = match prng.below(3) {
            0 => format!("<iq type='get' id='p{number}'><ping xmlns='urn:xmpp:ping'/></iq>"),
            1 => format!("<presence><status>{number}</status></presence>"),
            _ => "<message to='juliet@localhost' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>".to_string(),
        };
        if self.peers[who].session.is_some() {
            self.say(who, stanza);
        }
    }

    /// Sends a stanza, now or when there is a connection again.
    fn say(&mut self, who: usize, stanza: String) {
        let peer = &mut self.peers[who];
        let is_there = peer.is_there();
        let session = peer.session.as_mut().expect("a session");
        session.unhandled.push_back(stanza.clone());
        session.reached += u32::from(is_there);
        self.note(format!(
            "{} says {stanza} {is_there}",
            self.peers[who].account
        ));
        self.send(who, &stanza);
    }

    fn send(&mut self, who: usize, text: &str) {
        let peer = &self.peers[who];
        if let (true, Some(connection)) = (peer.is_there(), &peer.connection) {
            let connection = connection.clone();
            self.core.send(&connection, text.as_bytes());
        }
    }

    fn acknowledge(&mut self, who: usize) {
        if self.peers[who].is_there() {
            let now = self.now_ms();
            let h = self.peers[who].acknowledge(now);
            self.note(format!("{} acknowledges {h}", self.peers[who].full()));
            self.send(who, &format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
        }
    }

    /// The connection breaks, and the server notices, perhaps in the middle of a stanza.
    fn cut(&mut self, who: usize) {
        self.send(who, "<message to='juliet@loc");
        let peer = &mut self.peers[who];
        if let Some(connection) = peer.connection.take() {
            self.note(format!("{} is cut off", self.peers[who].full()));
            self.lost(who);
            self.core.cut(&connection);
        }
    }

    /// The server noticed that the connection is gone.
    fn lost(&mut self, who: usize) {
        let now = self.now_ms();
        let peer = &mut self.peers[who];
        peer.is_deaf = false;
        if let Some(session) = &mut peer.session
            && session.ends_ms.is_none()
        {
            session.ends_ms = Some(now + AWAY_MS);
            session.away_since_ms = now;
        }
    }

    /// The network is gone; the server believes the client is there.
    fn go_deaf(&mut self, who: usize) {
        if self.peers[who].is_there() {
            self.note(format!("{} is deaf", self.peers[who].full()));
            self.peers[who].is_deaf = true;
        }
    }

    fn stop(&mut self) {
        self.note("stop".into());
        self.core.stop();
        let now = self.now_ms();
        for who in 0..self.peers.len() {
            // The last words are read before the connection is gone.
            self.receive(who);
            let peer = &mut self.peers[who];
            if let Some(session) = &mut peer.session {
                // Nobody is given more than was left.
                session.ends_ms.get_or_insert(now + AWAY_MS);
                session.away_since_ms = u64::MAX;
            }
            peer.connection = None;
            peer.is_deaf = false;
        }
    }

    fn kill(&mut self) {
        self.note("kill".into());
        self.core.restart();
        let now = self.now_ms();
        for peer in &mut self.peers {
            peer.connection = None;
            peer.is_deaf = false;
            peer.crashes_ms.push(now);
            if let Some(session) = &mut peer.session
                && !session.is_dead
            {
                let asleep = session.away_since_ms.checked_add(ASLEEP_MS);
                let is_away = session.ends_ms.is_some_and(|end| end > now);
                let known = is_away && asleep.is_some_and(|at| at <= now);
                session.is_dead = true;
                session.ends_ms = Some(if known { now } else { 0 });
            }
        }
    }

    /// A new connection: the session is resumed, or another one begins.
    fn connect(&mut self, who: usize) {
        if self.peers[who].is_there() {
            return;
        }
        let account = self.peers[who].account;
        self.connections += 1;
        let name = format!("{account}#{}", self.connections);
        self.note(format!("{account} connects"));
        self.core.log_in(&name, account);
        let peer = &mut self.peers[who];
        peer.is_deaf = false;
        peer.connection = Some(name.clone());
        if peer.session.is_none() || !self.resume(who, &name) {
            self.begin(who, &name);
        }
    }

    /// False: the session is over.
    fn resume(&mut self, who: usize, name: &str) -> bool {
        let now = self.now_ms();
        let session = self.peers[who].session.as_ref().expect("a session");
        let h_received = session.received;
        let (previous, ends_ms, is_dead) = (session.name.clone(), session.ends_ms, session.is_dead);
        let resume =
            format!("<resume xmlns='urn:xmpp:sm:3' previd='{previous}' h='{h_received}'/>");
        self.core.send(name, resume.as_bytes());
        let answer = self.core.expect(name, if is_dead { "failed" } else { "" });
        let root = answer.root();
        let is_over = is_dead || ends_ms.is_some_and(|end| end <= now);
        let account = self.peers[who].full();
        if root.name() == "resumed" {
            assert!(!is_over, "{account}: the session should be over");
            self.note(format!("{account} resumes at {h_received}"));
            self.peers[who].acknowledge(now);
            self.peers[who].handled(h(root).expect("resumed has an h"));
            let session = self.peers[who].session.as_mut().expect("a session");
            assert_eq!(session.handled, session.reached, "{account}: all that came");
            session.ends_ms = None;
            let again: Vec<String> = session.unhandled.iter().cloned().collect();
            session.reached += again.len() as u32;
            for stanza in again {
                self.core.send(name, stanza.as_bytes());
            }
            return true;
        }
        assert!(is_over, "{account}: the session should be there");
        match h(root) {
            Some(h) => {
                let reached = self.peers[who].session.as_ref().expect("a session").reached;
                assert_eq!(h, reached, "{account}: as much as was handled");
                self.peers[who].handled(h);
            }
            None => assert!(
                is_dead && ends_ms == Some(0),
                "{account}: h should be known"
            ),
        }
        false
    }

    fn begin(&mut self, who: usize, name: &str) {
        let account = self.peers[who].full();
        let bind = format!(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{}</resource></bind></iq>",
            self.peers[who].resource
        );
        self.core.send(name, bind.as_bytes());
        self.core.expect(name, "iq");
        // What was said in vain: what the server has is in the archive, whether it said so or not.
        let old = self.peers[who].session.take();
        let mut left: Vec<String> = old.map_or(Vec::new(), |old| old.unhandled.into());
        let archived = self.archived(name);
        left.retain(|stanza| {
            let is_message = stanza.contains("<body>");
            is_message
                && !archived
                    .iter()
                    .any(|id| stanza.contains(&format!("id='{id}'")))
        });
        self.core.send(name, ENABLE.as_bytes());
        let enabled = self.core.expect(name, "enabled");
        let id = enabled.root().attribute("id").expect("an id").into_owned();
        self.note(format!("{account} begins, {} left", left.len()));
        self.peers[who].number += 1;
        self.peers[who].begin(id);
        let copies = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
        self.say(who, copies.into());
        self.say(who, "<presence/>".into());
        for stanza in left {
            self.say(who, stanza);
        }
    }

    /// Ids of the last messages in an account's archive.
    fn archived(&mut self, name: &str) -> Vec<String> {
        let query = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>200</max><before/></set></query></iq>";
        self.core.send(name, query.as_bytes());
        let mut ids = Vec::new();
        loop {
            let element = self.core.next(name).expect("results and an end");
            let root = element.root();
            if root.name() == "iq" {
                return ids;
            }
            let Some(result) = root.child("result", "urn:xmpp:mam:2") else {
                continue;
            };
            let forwarded = result.children().next().expect("forwarded");
            let message = forwarded.child("message", "jabber:client");
            let id = message.and_then(|message| message.attribute("id"));
            ids.extend(id.map(|id| id.into_owned()));
        }
    }

    /// Everybody takes what came, and answers some of it.
    fn settle(&mut self, prng: &mut Prng) {
        for who in 0..self.peers.len() {
            let asked = self.receive(who);
            if asked && prng.below(2) == 0 {
                self.acknowledge(who);
            }
            // A sign of life.
            self.send(who, "<r xmlns='urn:xmpp:sm:3'/>");
            self.receive(who);
        }
    }

    /// Takes what came. True: an acknowledgement is wanted.
    fn receive(&mut self, who: usize) -> bool {
        let Some(connection) = self.peers[who].connection.clone() else {
            return false;
        };
        let mut asked = false;
        while let Some(element) = self.core.next(&connection) {
            if self.peers[who].is_deaf {
                continue;
            }
            let root = element.root();
            match (root.name(), root.namespace()) {
                ("r", _) => asked = true,
                ("a", _) => self.peers[who].handled(h(root).expect("an h")),
                (_, "jabber:client") => {
                    self.note(format!("{connection} gets {}", element.source()));
                    self.peers[who].take(&element);
                }
                ("error", _) => self.note(format!("{connection}: {}", element.source())),
                (other, _) => panic!("{connection}: {other}"),
            }
        }
        asked
    }
}
