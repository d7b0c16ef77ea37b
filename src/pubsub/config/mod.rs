//! XEP-0060 §16.4.4: what is configured of a node.
mod form;
mod table;

use crate::state::State;
use crate::store::ConfigRow;
use crate::xmpp::Timestamp;

use super::owner::OwnerKind;
use table::COUNT;
pub use table::{FIELDS, Field, MAX, PREFIX, Shape, field};

pub const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#node_config";
pub const OPTIONS_FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#publish-options";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessModel {
    Open,
    Presence,
    Roster,
    Authorize,
    Whitelist,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishModel {
    Publishers,
    Subscribers,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendLast {
    Never,
    OnSubscription,
    OnSubscriptionAndPresence,
}

/// What happens when an item comes to a node that has as many as it keeps (§7.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeFull {
    RetractOldest,
    DiscardOldest,
    Reject,
}

/// The configuration of one node: a number for each field, or its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    numbers: [u64; COUNT],
    /// By number of the field, in order; none is empty.
    texts: Vec<(usize, Vec<String>)>,
}

/// Of one field.
enum Value {
    Number(u64),
    Texts(Vec<String>),
}

impl NodeConfig {
    pub fn usual(kind: OwnerKind) -> NodeConfig {
        let at = usize::from(kind == OwnerKind::Service);
        let usual = |field: &Field| field.usual.get(at).copied().unwrap_or_default();
        NodeConfig {
            numbers: FIELDS.each_ref().map(usual),
            texts: Vec::new(),
        }
    }

    pub fn stored(kind: OwnerKind, row: &ConfigRow) -> NodeConfig {
        let mut config = NodeConfig::usual(kind);
        for (field, number) in &row.numbers {
            config.set_number(usize::from(*field), *number);
        }
        let texts = row.texts.iter();
        config.texts = texts
            .map(|(field, texts)| (usize::from(*field), texts.clone()))
            .collect();
        config
    }

    /// What is not as usual.
    pub fn to_row(&self, kind: OwnerKind) -> ConfigRow {
        let usual = NodeConfig::usual(kind);
        let numbers = self.numbers.iter().zip(usual.numbers).zip(0u8..);
        let numbers = numbers.filter(|((is, usual), _)| *is != usual);
        let texts = self.texts.iter();
        ConfigRow {
            numbers: numbers.map(|((is, _), field)| (field, *is)).collect(),
            texts: texts
                .filter_map(|(field, texts)| Some((u8::try_from(*field).ok()?, texts.clone())))
                .collect(),
        }
    }

    pub fn number(&self, field: usize) -> u64 {
        self.numbers.get(field).copied().unwrap_or_default()
    }

    pub fn flag(&self, field: usize) -> bool {
        self.number(field) != 0
    }

    pub fn texts(&self, field: usize) -> &[String] {
        let found = self.texts.iter().find(|(known, _)| *known == field);
        found.map_or(&[], |(_, texts)| texts)
    }

    pub fn text(&self, field: usize) -> Option<&str> {
        self.texts(field).first().map(String::as_str)
    }

    pub fn set_number(&mut self, field: usize, number: u64) {
        if let Some(place) = self.numbers.get_mut(field) {
            *place = number;
        }
    }

    fn set(&mut self, field: usize, value: Value) {
        match value {
            Value::Number(number) => self.set_number(field, number),
            Value::Texts(texts) => {
                self.texts.retain(|(known, _)| *known != field);
                if !texts.is_empty() {
                    self.texts.push((field, texts));
                    self.texts.sort_by_key(|(known, _)| *known);
                }
            }
        }
    }

    pub fn access(&self) -> AccessModel {
        match self.number(field::ACCESS_MODEL) {
            0 => AccessModel::Open,
            1 => AccessModel::Presence,
            2 => AccessModel::Roster,
            3 => AccessModel::Authorize,
            _ => AccessModel::Whitelist,
        }
    }

    pub fn publish_model(&self) -> PublishModel {
        match self.number(field::PUBLISH_MODEL) {
            1 => PublishModel::Subscribers,
            2 => PublishModel::Open,
            _ => PublishModel::Publishers,
        }
    }

    pub fn send_last(&self) -> SendLast {
        match self.number(field::SEND_LAST) {
            0 => SendLast::Never,
            1 => SendLast::OnSubscription,
            _ => SendLast::OnSubscriptionAndPresence,
        }
    }

    pub fn node_full(&self) -> NodeFull {
        match self.number(field::PUBLISH_NODE_FULL) {
            0 => NodeFull::RetractOldest,
            1 => NodeFull::DiscardOldest,
            _ => NodeFull::Reject,
        }
    }

    pub fn roster_groups(&self) -> &[String] {
        self.texts(field::ROSTER_GROUPS_ALLOWED)
    }

    pub fn persists(&self) -> bool {
        self.flag(field::PERSIST_ITEMS)
    }

    /// Items that are kept, the server's limit included.
    pub fn items_max(&self, state: &State) -> u64 {
        let limit = u64::try_from(state.settings.pubsub_items_max).unwrap_or(MAX);
        self.number(field::MAX_ITEMS).min(limit)
    }

    /// Bytes of a payload, the server's limit included.
    pub fn payload_max(&self, state: &State) -> u64 {
        let limit = u64::try_from(state.settings.pubsub_item_bytes_max).unwrap_or(MAX);
        self.number(field::MAX_PAYLOAD_SIZE).min(limit)
    }

    /// An item of this age is there no more.
    pub fn has_expired(&self, at: Timestamp, now: Timestamp) -> bool {
        let seconds = self.number(field::ITEM_EXPIRE);
        let age = now.seconds().saturating_sub(at.seconds());
        seconds != MAX && u64::try_from(age).is_ok_and(|age| age >= seconds)
    }

    /// Items are shown with who published them (§7.1.2.3).
    pub fn shows_publisher(&self) -> bool {
        self.number(field::ITEMREPLY) == 2
    }

    /// A field's values as a form shows them.
    pub fn values(&self, number: usize) -> Vec<String> {
        let Some(field) = FIELDS.get(number) else {
            return Vec::new();
        };
        let value = self.number(number);
        match field.shape {
            Shape::Flag => vec![if value == 0 { "0" } else { "1" }.to_string()],
            Shape::Choice(names) => {
                let name = usize::try_from(value).ok().and_then(|at| names.get(at));
                vec![name.copied().unwrap_or_default().to_string()]
            }
            Shape::NumberOrMax | Shape::Number if value == MAX => vec!["max".to_string()],
            Shape::NumberOrMax | Shape::Number => vec![value.to_string()],
            Shape::Text | Shape::Texts | Shape::Jids => self.texts(number).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_as_usual_is_stored() {
        let kind = OwnerKind::Service;
        let mut config = NodeConfig::usual(kind);
        assert_eq!(config.to_row(kind), ConfigRow::default());
        config.set_number(field::MAX_ITEMS, MAX);
        config.set(field::TITLE, Value::Texts(vec!["T".into()]));
        let row = config.to_row(kind);
        assert_eq!(row.numbers, [(2, MAX)]);
        assert_eq!(NodeConfig::stored(kind, &row), config);
        assert_eq!(config.values(field::MAX_ITEMS), ["max"]);
        assert_eq!(config.values(field::ACCESS_MODEL), ["open"]);
    }
}
