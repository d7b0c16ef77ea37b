//! Who has to do with a node (XEP-0060 §4.1, §4.2): one row for each bare JID, with its affiliation and subscriptions.
use std::ops::Bound;

use crate::store::engine::codec::{Decoder, Encoder, damaged};
use crate::store::schema::{PUBSUB_RELATED, PUBSUB_RELATED_BY};
use crate::store::{StoreError, Tx, Writing};

use super::nodes::{NodeOwner, NodeRow};

/// §4.1, weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Affiliation {
    Outcast,
    #[default]
    None,
    Member,
    PublishOnly,
    Publisher,
    Owner,
}

const AFFILIATIONS: [Affiliation; 6] = [
    Affiliation::Outcast,
    Affiliation::None,
    Affiliation::Member,
    Affiliation::PublishOnly,
    Affiliation::Publisher,
    Affiliation::Owner,
];

/// §4.2; who has none of these has no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    Pending,
    Subscribed,
}

/// One subscription: there is one of each JID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSubscription {
    /// Bare or full.
    pub jid: Box<str>,
    pub state: SubscriptionState,
    pub subid: Box<str>,
    /// §6.3: values of its options, by the numbers of their fields: only what is not as usual.
    pub options: Vec<(u8, u64)>,
}

impl NodeSubscription {
    /// The option that nothing is sent.
    pub const SILENT: (u8, u64) = (0, 0);

    pub fn delivers(&self) -> bool {
        self.state == SubscriptionState::Subscribed && !self.options.contains(&Self::SILENT)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Related {
    pub affiliation: Affiliation,
    pub subscriptions: Vec<NodeSubscription>,
}

impl Related {
    pub fn is_subscribed(&self) -> bool {
        self.count(SubscriptionState::Subscribed) > 0
    }

    fn count(&self, state: SubscriptionState) -> u64 {
        let found = self.subscriptions.iter().filter(|one| one.state == state);
        u64::try_from(found.count()).unwrap_or(u64::MAX)
    }

    fn is_nothing(&self) -> bool {
        *self == Related::default()
    }
}

impl Tx {
    pub fn related(&self, node: &NodeRow, jid: &str) -> Result<Related, StoreError> {
        let table = self.view(PUBSUB_RELATED)?;
        let row = table.get((node.owner.0, node.number, jid))?;
        let row = row.map(|row| decode(row.value())).transpose()?;
        Ok(row.unwrap_or_default())
    }

    /// Bare JIDs in order, from behind one on.
    pub fn related_behind(
        &self,
        node: &NodeRow,
        jid: &str,
        count_max: usize,
    ) -> Result<Vec<(Box<str>, Related)>, StoreError> {
        let table = self.view(PUBSUB_RELATED)?;
        let from = Bound::Excluded((node.owner.0, node.number, jid));
        let to = Bound::Excluded((node.owner.0, node.number + 1, ""));
        let rows = table.range((from, to))?.take(count_max);
        rows.map(|row| {
            let (key, row) = row?;
            Ok((key.value().2.into(), decode(row.value())?))
        })
        .collect()
    }

    /// Writes it down; the node is to be written down afterwards.
    pub fn set_related(
        &mut self,
        node: &mut NodeRow,
        jid: &str,
        related: &Related,
    ) -> Result<(), StoreError> {
        let before = self.related(node, jid)?;
        if before == *related {
            return Ok(());
        }
        let counts = |related: &Related| {
            let affiliated = u64::from(related.affiliation != Affiliation::None);
            let count = |state| related.count(state);
            [
                count(SubscriptionState::Subscribed),
                count(SubscriptionState::Pending),
                affiliated,
            ]
        };
        let [was, is] = [counts(&before), counts(related)];
        let kept: [&mut u64; 3] = [
            &mut node.subscribed,
            &mut node.pending,
            &mut node.affiliated,
        ];
        for (count, (was, is)) in kept.into_iter().zip(was.into_iter().zip(is)) {
            *count = (*count + is).saturating_sub(was);
        }
        let Writing { txn, .. } = self.writing()?;
        let mut rows = txn.open_table(PUBSUB_RELATED)?;
        let mut names = txn.open_table(PUBSUB_RELATED_BY)?;
        let (key, by) = (
            (node.owner.0, node.number, jid),
            (node.owner.0, jid, node.number),
        );
        if related.is_nothing() {
            rows.remove(key)?;
            return names.remove(by);
        }
        rows.insert(key, &encode(related))?;
        names.insert(by, &node.name)
    }

    /// Names of an owner's nodes that somebody has to do with; some may be gone.
    pub fn related_nodes(&self, owner: NodeOwner, jid: &str) -> Result<Vec<Box<str>>, StoreError> {
        let table = self.view(PUBSUB_RELATED_BY)?;
        let rows = table.range((owner.0, jid, 0)..=(owner.0, jid, u64::MAX))?;
        rows.map(|row| Ok(row?.1.value().into())).collect()
    }

    /// Owners with whose nodes somebody has to do.
    pub fn related_owners(&self, jid: &str) -> Result<Vec<NodeOwner>, StoreError> {
        let table = self.view(PUBSUB_RELATED_BY)?;
        let mut owners = Vec::new();
        let mut from = Some(0);
        while let Some(least) = from {
            let Some((key, _)) = table.range((least, "", 0)..)?.next().transpose()? else {
                break;
            };
            let owner = key.value().0;
            let mut theirs = table.range((owner, jid, 0)..=(owner, jid, u64::MAX))?;
            if theirs.next().transpose()?.is_some() {
                owners.push(NodeOwner(owner));
            }
            from = owner.checked_add(1);
        }
        Ok(owners)
    }
}

pub(in crate::store) fn encode(related: &Related) -> Vec<u8> {
    let affiliation = AFFILIATIONS
        .iter()
        .position(|known| *known == related.affiliation);
    let head = Encoder::default()
        .length(affiliation.unwrap_or_default())
        .length(related.subscriptions.len());
    let one = |row: Encoder, one: &NodeSubscription| {
        let row = row
            .text(&one.jid)
            .flag(one.state == SubscriptionState::Subscribed)
            .text(&one.subid)
            .length(one.options.len());
        let options = one.options.iter();
        options.fold(row, |row, (field, value)| row.byte(*field).number(*value))
    };
    related.subscriptions.iter().fold(head, one).done()
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Related, StoreError> {
    let mut row = Decoder::new(bytes);
    let affiliation = AFFILIATIONS.get(row.length()?).copied();
    let mut related = Related {
        affiliation: affiliation.ok_or_else(damaged)?,
        subscriptions: Vec::new(),
    };
    for _ in 0..row.length()? {
        let mut one = NodeSubscription {
            jid: row.text()?.into(),
            state: match row.flag()? {
                true => SubscriptionState::Subscribed,
                false => SubscriptionState::Pending,
            },
            subid: row.text()?.into(),
            options: Vec::new(),
        };
        for _ in 0..row.length()? {
            one.options.push((row.byte()?, row.number()?));
        }
        related.subscriptions.push(one);
    }
    Ok(related)
}
