//! Nodes by owner and name, and how much an owner has.
use crate::store::engine::codec::{Decoder, Encoder};
use crate::store::schema::{PUBSUB_GONE, PUBSUB_NODES, PUBSUB_OWNERS};
use crate::store::{AccountId, StoreError, Tx, Writing};
use crate::xmpp::Timestamp;

/// Whose nodes: an account's number, or one that no account is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeOwner(pub u32);

impl NodeOwner {
    /// Of the server's service.
    pub const SERVICE: NodeOwner = NodeOwner(u32::MAX);
}

impl From<AccountId> for NodeOwner {
    fn from(account: AccountId) -> NodeOwner {
        NodeOwner(account.0)
    }
}

/// Values of a configuration by the numbers of their fields: only what is not as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigRow {
    pub numbers: Vec<(u8, u64)>,
    pub texts: Vec<(u8, Vec<String>)>,
}

impl ConfigRow {
    /// A field's number; `None`: it is as usual.
    pub fn number(&self, field: u8) -> Option<u64> {
        let found = self.numbers.iter().find(|(known, _)| *known == field);
        found.map(|(_, number)| *number)
    }

    pub fn texts(&self, field: u8) -> &[String] {
        let found = self.texts.iter().find(|(known, _)| *known == field);
        found.map_or(&[], |(_, texts)| texts)
    }

    pub(in crate::store) fn encode(&self, row: Encoder) -> Encoder {
        let row = row.length(self.numbers.len());
        let numbers = self.numbers.iter();
        let row = numbers.fold(row, |row, (field, number)| row.byte(*field).number(*number));
        let texts = self.texts.iter();
        let row = row.length(self.texts.len());
        texts.fold(row, |row, (field, texts)| row.byte(*field).texts(texts))
    }

    pub(in crate::store) fn decode(row: &mut Decoder<'_>) -> Result<ConfigRow, StoreError> {
        let mut config = ConfigRow::default();
        for _ in 0..row.length()? {
            config.numbers.push((row.byte()?, row.number()?));
        }
        for _ in 0..row.length()? {
            config.texts.push((row.byte()?, row.texts()?));
        }
        Ok(config)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub owner: NodeOwner,
    pub name: Box<str>,
    /// Who is related to it lies under this number, which the owner never gives again.
    pub number: u64,
    /// Its items lie under this one; a purge begins another.
    pub contents: u64,
    pub created: Timestamp,
    /// A bare JID.
    pub creator: Box<str>,
    pub config: ConfigRow,
    pub items: u64,
    /// Of the items: payloads and what is kept with each.
    pub bytes: u64,
    /// Subscriptions that are not pending.
    pub subscribed: u64,
    pub pending: u64,
    /// Addresses that have an affiliation.
    pub affiliated: u64,
    /// The next item's place.
    pub(super) next: u64,
    /// As the store has it; `None`: not yet.
    pub(super) counted_bytes: Option<u64>,
}

/// What an owner has altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    pub nodes: u64,
    pub bytes: u64,
    /// The next number for a node or its contents.
    pub(super) next: u64,
}

impl Tx {
    pub fn node(&self, owner: NodeOwner, name: &str) -> Result<Option<NodeRow>, StoreError> {
        let table = self.view(PUBSUB_NODES)?;
        let row = table.get((owner.0, name))?;
        row.map(|row| decode(owner, name, row.value())).transpose()
    }

    /// Nodes in order of name, from behind a name on.
    pub fn nodes_behind(
        &self,
        owner: NodeOwner,
        name: &str,
        count_max: usize,
    ) -> Result<Vec<NodeRow>, StoreError> {
        let table = self.view(PUBSUB_NODES)?;
        let from = std::ops::Bound::Excluded((owner.0, name));
        let to = match owner.0.checked_add(1) {
            Some(next) => std::ops::Bound::Excluded((next, "")),
            None => std::ops::Bound::Unbounded,
        };
        let rows = table.range((from, to))?.take(count_max);
        rows.map(|row| {
            let (key, row) = row?;
            decode(owner, key.value().1, row.value())
        })
        .collect()
    }

    /// Nodes of all owners, from behind one on.
    pub fn all_nodes_behind(
        &self,
        (owner, name): (NodeOwner, &str),
        count_max: usize,
    ) -> Result<Vec<NodeRow>, StoreError> {
        let table = self.view(PUBSUB_NODES)?;
        let from = std::ops::Bound::Excluded((owner.0, name));
        let rows = table.range((from, std::ops::Bound::Unbounded))?;
        rows.take(count_max)
            .map(|row| {
                let (key, row) = row?;
                let (owner, name) = key.value();
                decode(NodeOwner(owner), name, row.value())
            })
            .collect()
    }

    /// Those of an owner whose names are wanted (in order), by a look at all that there are. `None`: there are more.
    pub fn nodes_wanted(
        &self,
        owner: NodeOwner,
        wanted: &[Box<str>],
        count_max: usize,
    ) -> Result<Option<Vec<NodeRow>>, StoreError> {
        let table = self.view(PUBSUB_NODES)?;
        let to = match owner.0.checked_add(1) {
            Some(next) => std::ops::Bound::Excluded((next, "")),
            None => std::ops::Bound::Unbounded,
        };
        let rows = table.range((std::ops::Bound::Included((owner.0, "")), to))?;
        let mut nodes = Vec::new();
        for (at, row) in rows.enumerate() {
            if at >= count_max {
                return Ok(None);
            }
            let (key, row) = row?;
            let (_, name) = key.value();
            if wanted.binary_search_by(|known| (**known).cmp(name)).is_ok() {
                nodes.push(decode(owner, name, row.value())?);
            }
        }
        Ok(Some(nodes))
    }

    pub fn owned(&self, owner: NodeOwner) -> Result<Owned, StoreError> {
        let table = self.view(PUBSUB_OWNERS)?;
        let row = table.get(owner.0)?;
        let Some(row) = row else {
            return Ok(Owned::default());
        };
        let mut row = Decoder::new(row.value());
        Ok(Owned {
            nodes: row.number()?,
            bytes: row.number()?,
            next: row.number()?,
        })
    }

    fn set_owned(&mut self, owner: NodeOwner, owned: Owned) -> Result<(), StoreError> {
        let row = Encoder::default()
            .number(owned.nodes)
            .number(owned.bytes)
            .number(owned.next)
            .done();
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(PUBSUB_OWNERS)?.insert(owner.0, &row)
    }

    /// A node of a name that is free, stored.
    pub fn add_node(
        &mut self,
        owner: NodeOwner,
        name: &str,
        creator: &str,
        (config, created): (ConfigRow, Timestamp),
    ) -> Result<NodeRow, StoreError> {
        let mut owned = self.owned(owner)?;
        let mut node = NodeRow {
            owner,
            name: name.into(),
            number: owned.next,
            contents: owned.next,
            created,
            creator: creator.into(),
            config,
            items: 0,
            bytes: 0,
            subscribed: 0,
            pending: 0,
            affiliated: 0,
            next: 0,
            counted_bytes: Some(0),
        };
        owned.next += 1;
        owned.nodes += 1;
        self.set_owned(owner, owned)?;
        self.set_node(&mut node)?;
        Ok(node)
    }

    /// Writes down what became of a node.
    pub fn set_node(&mut self, node: &mut NodeRow) -> Result<(), StoreError> {
        let counted = node.counted_bytes.replace(node.bytes).unwrap_or_default();
        if counted != node.bytes {
            let mut owned = self.owned(node.owner)?;
            owned.bytes = (owned.bytes + node.bytes).saturating_sub(counted);
            self.set_owned(node.owner, owned)?;
        }
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(PUBSUB_NODES)?
            .insert((node.owner.0, &node.name), &encode(node))
    }

    /// A node is there no more; its rows go in small steps.
    pub fn remove_node(&mut self, node: &NodeRow) -> Result<(), StoreError> {
        let mut owned = self.owned(node.owner)?;
        owned.nodes = owned.nodes.saturating_sub(1);
        owned.bytes = owned
            .bytes
            .saturating_sub(node.counted_bytes.unwrap_or_default());
        self.set_owned(node.owner, owned)?;
        self.leave(node.owner, node.contents, Left::Items)?;
        self.leave(node.owner, node.number, Left::All)?;
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(PUBSUB_NODES)?
            .remove((node.owner.0, &node.name))
    }

    /// All items are there no more; their rows go in small steps.
    pub fn purge_node(&mut self, node: &mut NodeRow) -> Result<(), StoreError> {
        if node.items == 0 {
            return Ok(());
        }
        let mut owned = self.owned(node.owner)?;
        self.leave(node.owner, node.contents, Left::Items)?;
        node.contents = owned.next;
        (node.items, node.bytes) = (0, 0);
        owned.next += 1;
        self.set_owned(node.owner, owned)?;
        self.set_node(node)
    }

    /// What lies under this number is to be removed.
    fn leave(&mut self, owner: NodeOwner, number: u64, left: Left) -> Result<(), StoreError> {
        let all = u8::from(left == Left::All);
        let Writing { txn, .. } = self.writing()?;
        txn.open_table(PUBSUB_GONE)?.insert((owner.0, number), all)
    }
}

/// What is to be removed under a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Perhaps a node has this number.
    Items,
    All,
}

pub(in crate::store) fn encode(node: &NodeRow) -> Vec<u8> {
    let head = Encoder::default()
        .number(node.number)
        .number(node.contents)
        .time(node.created)
        .text(&node.creator)
        .number(node.items)
        .number(node.bytes)
        .number(node.subscribed)
        .number(node.pending)
        .number(node.affiliated)
        .number(node.next);
    node.config.encode(head).done()
}

pub(in crate::store) fn decode(
    owner: NodeOwner,
    name: &str,
    bytes: &[u8],
) -> Result<NodeRow, StoreError> {
    let mut row = Decoder::new(bytes);
    let mut node = NodeRow {
        owner,
        name: name.into(),
        number: row.number()?,
        contents: row.number()?,
        created: row.time()?,
        creator: row.text()?.into(),
        config: ConfigRow::default(),
        items: row.number()?,
        bytes: row.number()?,
        subscribed: row.number()?,
        pending: row.number()?,
        affiliated: row.number()?,
        next: row.number()?,
        counted_bytes: None,
    };
    node.counted_bytes = Some(node.bytes);
    node.config = ConfigRow::decode(&mut row)?;
    Ok(node)
}
