//! The map: what there is, who may do what, and who hears of it.
use std::collections::{BTreeMap, BTreeSet};

pub const PEOPLE: [&str; 3] = ["romeo", "juliet", "nurse"];
/// The first one asks for nodes by its capabilities, the second does not.
pub const RESOURCES: [&str; 2] = ["1", "2"];
pub const NODES: usize = 2;

/// Access model, whether everybody may publish, items that are kept.
pub type Settings = (&'static str, bool, usize);
/// Whose node (0: the service, then the people), and its name's number.
pub type Key = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Outcast,
    None,
    Member,
    PublishOnly,
    Publisher,
    Owner,
}

pub const STANDINGS: [(Standing, &str); 5] = [
    (Standing::Outcast, "outcast"),
    (Standing::None, "none"),
    (Standing::Member, "member"),
    (Standing::PublishOnly, "publish-only"),
    (Standing::Publisher, "publisher"),
];
pub const ACCESS: [&str; 4] = ["open", "presence", "authorize", "whitelist"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub creator: usize,
    pub access: &'static str,
    pub open_to_publish: bool,
    pub items_max: usize,
    pub standings: BTreeMap<usize, Standing>,
    /// Addresses, and whether they wait for the owner.
    pub subscriptions: BTreeMap<String, bool>,
    /// Id, payload, publisher; oldest first.
    pub items: Vec<(String, String, usize)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub nodes: BTreeMap<Key, Node>,
    /// (Whose presence, who sees it).
    pub sees: BTreeSet<(usize, usize)>,
    pub payloads: usize,
}

pub fn owner_of(key: Key, node: &Node) -> usize {
    match key.0 {
        0 => node.creator,
        account => account - 1,
    }
}

pub fn person_of(address: &str) -> usize {
    let name = address.split('@').next().unwrap();
    PEOPLE.iter().position(|known| *known == name).unwrap()
}

impl Model {
    pub fn standing(&self, key: Key, who: usize) -> Standing {
        let node = &self.nodes[&key];
        match owner_of(key, node) == who {
            true => Standing::Owner,
            false => *node.standings.get(&who).unwrap_or(&Standing::None),
        }
    }

    pub fn is_subscribed(&self, key: Key, who: usize) -> bool {
        let mut all = self.nodes[&key].subscriptions.iter();
        all.any(|(address, waits)| !waits && person_of(address) == who)
    }

    pub fn may_read(&self, key: Key, who: usize) -> bool {
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

    pub fn may_publish(&self, key: Key, who: usize) -> bool {
        if !self.may_know(key, who) {
            return false;
        }
        match self.standing(key, who) {
            Standing::PublishOnly | Standing::Publisher | Standing::Owner => true,
            Standing::Outcast => false,
            Standing::Member | Standing::None => self.nodes[&key].open_to_publish,
        }
    }

    /// XEP-0163 §7.1.4: what somebody may not read any more, they are subscribed to no more.
    pub fn lose(&mut self, owner: usize, who: usize) {
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
    pub fn audience(&self, key: Key) -> BTreeSet<String> {
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

    /// Strangers do not hear what there is of an account that is closed to them.
    pub fn may_know(&self, key: Key, who: usize) -> bool {
        let Some(account) = key.0.checked_sub(1) else {
            return true;
        };
        let is_closed = self
            .nodes
            .get(&key)
            .is_some_and(|node| node.access == "whitelist");
        account == who
            || self.sees.contains(&(account, who))
            || !is_closed
            || self.standing(key, who) > Standing::None
    }

    fn owns(&self, key: Key, who: usize) -> bool {
        self.nodes.contains_key(&key) && self.standing(key, who) == Standing::Owner
    }

    /// The node, for whoever owns it.
    fn owned(&mut self, key: Key, who: usize) -> Option<&mut Node> {
        let owns = self.owns(key, who);
        self.nodes.get_mut(&key).filter(|_| owns)
    }

    pub fn create(&mut self, key: Key, who: usize, settings: Settings) -> bool {
        let may = !self.nodes.contains_key(&key) && may_make(key, who);
        if may {
            self.nodes.insert(key, Node::new(who, settings));
        }
        may
    }

    /// Who may publish only because everybody may does not write over what others wrote.
    pub fn publish(&mut self, key: Key, who: usize, (id, payload): (&str, &str)) -> bool {
        let others = self.nodes.get(&key).is_some_and(|node| {
            let mut items = node.items.iter();
            items.any(|(known, _, by)| known == id && *by != who)
        });
        let may = match self.nodes.contains_key(&key) {
            true => {
                let is_strong = self.standing(key, who) >= Standing::Publisher;
                self.may_publish(key, who) && (is_strong || !others)
            }
            false => may_make(key, who),
        };
        if may {
            let usual = match key.0 {
                0 => ("open", false, 20),
                _ => ("presence", false, 1),
            };
            let node = self.nodes.entry(key);
            let node = node.or_insert_with(|| Node::new(who, usual));
            node.items.retain(|(known, ..)| known != id);
            node.items.push((id.to_string(), payload.to_string(), who));
            node.keep_to_limit();
        }
        may
    }

    pub fn retract(&mut self, key: Key, who: usize, id: &str) -> bool {
        if !self.nodes.contains_key(&key) || !self.may_publish(key, who) {
            return false;
        }
        let owns = self.owns(key, who);
        let node = self.nodes.get_mut(&key).unwrap();
        let at = node.items.iter().position(|(known, ..)| known == id);
        let at = at.filter(|at| owns || node.items[*at].2 == who);
        at.map(|at| node.items.remove(at)).is_some()
    }

    pub fn purge(&mut self, key: Key, who: usize) -> bool {
        let node = self.owned(key, who);
        node.map(|node| node.items.clear()).is_some()
    }

    pub fn delete(&mut self, key: Key, who: usize) -> bool {
        self.owns(key, who) && self.nodes.remove(&key).is_some()
    }

    pub fn subscribe(&mut self, key: Key, who: usize, jid: &str) -> bool {
        if !self.nodes.contains_key(&key) {
            return false;
        }
        let standing = self.standing(key, who);
        let asks = self.nodes[&key].access == "authorize";
        let may = self.may_read(key, who) || (standing == Standing::None && asks);
        let waits = asks && standing <= Standing::None && !self.is_subscribed(key, who);
        let node = self.nodes.get_mut(&key).unwrap();
        let is_waiting = node.subscriptions.get(jid) == Some(&true);
        if may && !is_waiting {
            node.subscriptions.entry(jid.to_string()).or_insert(waits);
        }
        may && !is_waiting
    }

    pub fn unsubscribe(&mut self, key: Key, who: usize, jid: &str) -> bool {
        let is_known = self.nodes.contains_key(&key) && self.may_know(key, who);
        let node = self.nodes.get_mut(&key).filter(|_| is_known);
        node.is_some_and(|node| node.subscriptions.remove(jid).is_some())
    }

    /// Whoever is let in waits no more, and whoever is shut out neither.
    pub fn affiliate(
        &mut self,
        key: Key,
        who: usize,
        (other, standing): (usize, Standing),
    ) -> bool {
        let Some(node) = self.owned(key, who) else {
            return false;
        };
        node.standings.remove(&other);
        if standing != Standing::None {
            node.standings.insert(other, standing);
        }
        let theirs = |address: &str| person_of(address) == other;
        let all = &mut node.subscriptions;
        match standing {
            Standing::Outcast => all.retain(|address, _| !theirs(address)),
            Standing::PublishOnly => all.retain(|address, waits| !*waits || !theirs(address)),
            Standing::None => {}
            _ => {
                let waiting = all.iter_mut().filter(|(address, _)| theirs(address));
                waiting.for_each(|(_, waits)| *waits = false);
            }
        }
        true
    }

    pub fn configure(&mut self, key: Key, who: usize, settings: Settings) -> bool {
        let Some(node) = self.owned(key, who) else {
            return false;
        };
        (node.access, node.open_to_publish, node.items_max) = settings;
        node.keep_to_limit();
        true
    }
}

impl Node {
    fn new(creator: usize, (access, open_to_publish, items_max): Settings) -> Node {
        Node {
            creator,
            access,
            open_to_publish,
            items_max,
            standings: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            items: Vec::new(),
        }
    }

    fn keep_to_limit(&mut self) {
        let over = self.items.len().saturating_sub(self.items_max);
        self.items.drain(..over);
    }
}

/// At the service everybody makes nodes, at an account itself.
fn may_make(key: Key, who: usize) -> bool {
    key.0 == 0 || key.0 == who + 1
}
