//! A client as it should be: it counts, acknowledges, resumes, sends again what was not handled, and knows a message it
//! has had by its stanza-id. It also knows what the server must know, and checks it.
use std::collections::{BTreeSet, HashMap, VecDeque};

use stonechat::xml::{Element, ElementRef};

/// How long a session may be away.
pub const AWAY_MS: u64 = 90_000;
/// For so long the store may not know that a message was acknowledged.
pub const SEEN_LAG_MS: u64 = 5_000;
const SM: &str = "urn:xmpp:sm:3";

/// A message the client has had.
struct Had {
    /// The session it came in.
    session: u32,
    acknowledged_ms: Option<u64>,
}

/// Its side of a session that is managed.
pub struct Session {
    pub name: String,
    /// Stanzas received.
    pub received: u32,
    /// Stanzas sent and not known to be handled, oldest first.
    pub unhandled: VecDeque<String>,
    /// How many are known to be handled.
    pub handled: u32,
    /// How many the server did handle.
    pub reached: u32,
    /// When it ends at the server: `None` while that believes the client is there.
    pub ends_ms: Option<u64>,
    /// When the server noticed that the connection is gone.
    pub away_since_ms: u64,
    pub is_dead: bool,
}

pub struct Peer {
    pub account: &'static str,
    pub resource: &'static str,
    /// The only client of its account, so that everything is for it and comes in order.
    pub is_alone: bool,
    pub session: Option<Session>,
    /// The name of its connection, which the server may or may not know to be gone.
    pub connection: Option<String>,
    /// What it sends goes nowhere, and nothing comes.
    pub is_deaf: bool,
    pub number: u32,
    had: HashMap<String, Had>,
    /// The ids of what came and is not acknowledged, with the stanza count of each.
    unacknowledged: VecDeque<(u32, String)>,
    /// The numbers of the messages it has had, by sender.
    numbers: HashMap<String, BTreeSet<u32>>,
    /// When the server was killed.
    pub crashes_ms: Vec<u64>,
}

impl Peer {
    pub fn new(jid: &'static str, is_alone: bool) -> Peer {
        let (account, resource) = jid.split_once('/').expect("account/resource");
        Peer {
            account,
            resource,
            is_alone,
            session: None,
            connection: None,
            is_deaf: false,
            number: 0,
            had: HashMap::new(),
            unacknowledged: VecDeque::new(),
            numbers: HashMap::new(),
            crashes_ms: Vec::new(),
        }
    }

    pub fn full(&self) -> String {
        format!("{}@localhost/{}", self.account, self.resource)
    }

    pub fn is_there(&self) -> bool {
        self.connection.is_some() && !self.is_deaf && self.session.is_some()
    }

    /// A session that has just begun.
    pub fn begin(&mut self, name: String) {
        self.unacknowledged.clear();
        self.session = Some(Session {
            name,
            received: 0,
            unhandled: VecDeque::new(),
            handled: 0,
            reached: 0,
            ends_ms: None,
            away_since_ms: 0,
            is_dead: false,
        });
    }

    /// Everything received is acknowledged.
    pub fn acknowledge(&mut self, now_ms: u64) -> u32 {
        for (_, id) in self.unacknowledged.drain(..) {
            let had = self.had.get_mut(&id).expect("it was had");
            had.acknowledged_ms.get_or_insert(now_ms);
        }
        self.session.as_ref().expect("a session").received
    }

    /// The server says how many it handled.
    pub fn handled(&mut self, h: u32) {
        let session = self.session.as_mut().expect("a session");
        assert!(
            h >= session.handled && h <= session.reached,
            "{}: h={h} of {} sent, {} known",
            self.account,
            session.reached,
            session.handled
        );
        for _ in session.handled..h {
            session.unhandled.pop_front();
        }
        session.handled = h;
    }

    /// Takes a stanza of the session; a message of somebody is checked.
    pub fn take(&mut self, element: &Element) {
        let session = self.session.as_mut().expect("a session");
        session.received = session.received.wrapping_add(1);
        let root = element.root();
        // What another client of the account got, it got as well.
        let copied = root
            .child("received", "urn:xmpp:carbons:2")
            .and_then(|copy| copy.child("forwarded", "urn:xmpp:forward:0"))
            .and_then(|forwarded| forwarded.child("message", "jabber:client"));
        let message = copied.unwrap_or(root);
        let body = message.child("body", "jabber:client");
        if let (true, Some(body)) = (root.name() == "message", body) {
            let from = message.attribute("from").expect("a sender").into_owned();
            let number: u32 = body.text().parse().expect("a number");
            self.had(message, &from, number);
        }
    }

    fn had(&mut self, message: ElementRef<'_>, sender: &str, number: u32) {
        let id = message
            .child("stanza-id", "urn:xmpp:sid:0")
            .and_then(|id| id.attribute("id"))
            .expect("archived messages have their id")
            .into_owned();
        let me = self.account;
        let count = self.session.as_ref().expect("a session").received;
        if let Some(had) = self.had.get_mut(&id) {
            assert_ne!(had.session, self.number, "{me}: {number} of {sender} twice");
            let lag = |at: u64| {
                let soon = at..=at + SEEN_LAG_MS;
                self.crashes_ms.iter().any(|crash| soon.contains(crash))
            };
            assert!(
                had.acknowledged_ms.is_none_or(lag),
                "{me}: {number} of {sender} again, although it was acknowledged"
            );
            had.session = self.number;
        } else {
            let numbers = self.numbers.entry(sender.to_string()).or_default();
            assert!(
                !self.is_alone || number as usize == numbers.len(),
                "{me}: {number} of {sender} out of order"
            );
            assert!(numbers.insert(number), "{me}: {number} of {sender} twice");
            let session = self.number;
            self.had.insert(
                id.clone(),
                Had {
                    session,
                    acknowledged_ms: None,
                },
            );
        }
        self.unacknowledged.push_back((count, id));
    }

    /// The numbers of the messages of a sender that it has had.
    pub fn had_of(&self, sender: &str) -> BTreeSet<u32> {
        self.numbers.get(sender).cloned().unwrap_or_default()
    }
}

/// What `<failed/>`, `<resumed/>`, `<a/>` say.
pub fn h(element: ElementRef<'_>) -> Option<u32> {
    assert_eq!(element.namespace(), SM);
    Some(element.attribute("h")?.parse().expect("a number"))
}
