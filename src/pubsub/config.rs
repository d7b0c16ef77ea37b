//! XEP-0060 §16.4.4: what can be configured of a node. One table of fields: forms are read and written, preconditions (§7.1.5)
//! compared and rows stored by it.
use crate::state::State;
use crate::store::ConfigRow;
use crate::xmpp::{Condition, DataForm, Field as FormField, Jid, StanzaError};

use super::owner::OwnerKind;
use super::refusal;

pub const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#node_config";
pub const OPTIONS_FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// Before the name of every field.
pub const PREFIX: &str = "pubsub#";
/// `max`: as much as the server allows.
pub const MAX: u64 = u64::MAX;
/// Bytes of a text, and values of a field that has several.
const TEXT_BYTES_MAX: usize = 1023;
const VALUES_MAX: usize = 50;

/// What values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Flag,
    /// The value is the number of one of these.
    Choice(&'static [&'static str]),
    /// From 1 on, or `max`.
    NumberOrMax,
    Number,
    Text,
    Texts,
    Jids,
}

/// One field.
pub struct Field {
    /// Behind `PREFIX`.
    pub var: &'static str,
    pub label: &'static str,
    pub shape: Shape,
    /// What is usual at an account, and at the service; texts are empty.
    usual: [u64; 2],
}

/// Numbers of fields are stored: new ones come behind the others.
pub mod field {
    pub const ACCESS_MODEL: usize = 0;
    pub const PUBLISH_MODEL: usize = 1;
    pub const MAX_ITEMS: usize = 2;
    pub const PERSIST_ITEMS: usize = 3;
    pub const ITEM_EXPIRE: usize = 4;
    pub const SEND_LAST: usize = 5;
    pub const PUBLISH_NODE_FULL: usize = 6;
    pub const NOTIFY_CONFIG: usize = 7;
    pub const NOTIFY_DELETE: usize = 8;
    pub const NOTIFY_RETRACT: usize = 9;
    pub const NOTIFY_SUB: usize = 10;
    pub const DELIVER_NOTIFICATIONS: usize = 11;
    pub const DELIVER_PAYLOADS: usize = 12;
    pub const PRESENCE_BASED_DELIVERY: usize = 13;
    pub const NOTIFICATION_TYPE: usize = 14;
    pub const MAX_PAYLOAD_SIZE: usize = 15;
    pub const ITEMREPLY: usize = 16;
    pub const SUBSCRIBE: usize = 17;
    pub const TITLE: usize = 18;
    pub const DESCRIPTION: usize = 19;
    pub const TYPE: usize = 20;
    pub const LANGUAGE: usize = 21;
    pub const CONTACT: usize = 22;
    pub const ROSTER_GROUPS_ALLOWED: usize = 23;
}

const fn row(
    var: &'static str,
    label: &'static str,
    shape: Shape,
    account: u64,
    service: u64,
) -> Field {
    Field {
        var,
        label,
        shape,
        usual: [account, service],
    }
}

const ACCESS: Shape = Shape::Choice(&["open", "presence", "roster", "authorize", "whitelist"]);
const PUBLISH: Shape = Shape::Choice(&["publishers", "subscribers", "open"]);
const SEND: Shape = Shape::Choice(&["never", "on_sub", "on_sub_and_presence"]);
const FULL: Shape = Shape::Choice(&["retract-oldest", "discard-oldest", "reject"]);
const STYLE: Shape = Shape::Choice(&["normal", "headline"]);
const REPLY: Shape = Shape::Choice(&["none", "owner", "publisher"]);

const COUNT: usize = 24;

/// In the order of their numbers.
pub const FIELDS: [Field; COUNT] = [
    row("access_model", "Who may read", ACCESS, 1, 0),
    row("publish_model", "Who may publish", PUBLISH, 0, 0),
    row(
        "max_items",
        "Items that are kept",
        Shape::NumberOrMax,
        1,
        20,
    ),
    row("persist_items", "Items are kept", Shape::Flag, 1, 1),
    row(
        "item_expire",
        "Seconds items are kept",
        Shape::NumberOrMax,
        MAX,
        MAX,
    ),
    row(
        "send_last_published_item",
        "When the last item is sent",
        SEND,
        2,
        1,
    ),
    row("publish_node_full", "When there are too many", FULL, 0, 0),
    row(
        "notify_config",
        "Changes of this are told",
        Shape::Flag,
        0,
        0,
    ),
    row("notify_delete", "Its end is told", Shape::Flag, 1, 1),
    row(
        "notify_retract",
        "Removed items are told",
        Shape::Flag,
        1,
        1,
    ),
    row(
        "notify_sub",
        "Owners are told of subscribers",
        Shape::Flag,
        0,
        0,
    ),
    row(
        "deliver_notifications",
        "Events are sent",
        Shape::Flag,
        1,
        1,
    ),
    row("deliver_payloads", "Payloads go along", Shape::Flag, 1, 1),
    row(
        "presence_based_delivery",
        "Only to who is available",
        Shape::Flag,
        1,
        0,
    ),
    row("notification_type", "Type of messages", STYLE, 1, 1),
    row(
        "max_payload_size",
        "Bytes of a payload",
        Shape::Number,
        MAX,
        MAX,
    ),
    row("itemreply", "Who gets replies", REPLY, 0, 2),
    row("subscribe", "One may subscribe", Shape::Flag, 1, 1),
    row("title", "Title", Shape::Text, 0, 0),
    row("description", "Description", Shape::Text, 0, 0),
    row("type", "Namespace of payloads", Shape::Text, 0, 0),
    row("language", "Language", Shape::Text, 0, 0),
    row("contact", "Whom to ask", Shape::Jids, 0, 0),
    row(
        "roster_groups_allowed",
        "Groups that may read",
        Shape::Texts,
        0,
        0,
    ),
];

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

enum Value {
    Number(u64),
    Texts(Vec<String>),
}

fn is_text(shape: Shape) -> bool {
    matches!(shape, Shape::Text | Shape::Texts | Shape::Jids)
}

fn find(var: &str) -> Option<(usize, &'static Field)> {
    let var = var.strip_prefix(PREFIX)?;
    let mut fields = FIELDS.iter().enumerate();
    fields.find(|(_, field)| field.var == var)
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

    /// Items are shown with who published them (§7.1.2.3).
    pub fn shows_publisher(&self) -> bool {
        self.number(field::ITEMREPLY) == 2
    }

    /// §8.2.4: takes what a form says; fields that are not known are passed over.
    pub fn apply(&mut self, form: &DataForm, state: &State) -> Result<(), StanzaError> {
        for given in &form.fields {
            refuse_collections(given)?;
            if let Some((number, known)) = find(&given.var) {
                let value = parse(number, known, &given.values, state);
                let refused = match number {
                    field::ACCESS_MODEL => refusal::UNSUPPORTED_ACCESS_MODEL,
                    _ => Condition::NotAcceptable.into(),
                };
                self.set(number, value.ok_or(refused)?);
            }
        }
        Ok(())
    }

    /// §7.1.5: every field must be known and say what is the case.
    pub fn meets(&self, form: &DataForm, state: &State) -> bool {
        let preconditions = form.fields.iter().filter(|given| given.var != "FORM_TYPE");
        preconditions.into_iter().all(|given| {
            let known = find(&given.var);
            let value = known.and_then(|(number, field)| {
                let value = parse(number, field, &given.values, state)?;
                Some((number, value))
            });
            match value {
                Some((number, Value::Number(wanted))) => self.number(number) == wanted,
                Some((number, Value::Texts(wanted))) => self.texts(number) == wanted,
                None => is_leaf(given),
            }
        })
    }

    /// Whether `meets` could ever be.
    pub fn knows(form: &DataForm) -> bool {
        let mut fields = form.fields.iter();
        fields.all(|given| given.var == "FORM_TYPE" || find(&given.var).is_some() || is_leaf(given))
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

/// XEP-0248 is not there: nodes are leaves.
fn refuse_collections(given: &FormField) -> Result<(), StanzaError> {
    let is_set = given.values.iter().any(|value| !value.is_empty());
    let is_of_collections = match given.var.as_str() {
        "pubsub#node_type" => !is_leaf(given),
        "pubsub#collection" | "pubsub#children" => is_set,
        _ => false,
    };
    match is_of_collections {
        true => Err(refusal::unsupported("collections")),
        false => Ok(()),
    }
}

fn is_leaf(given: &FormField) -> bool {
    given.var == "pubsub#node_type" && given.values.iter().all(|value| value == "leaf")
}

/// `None`: no value of this field.
fn parse(number: usize, field: &Field, values: &[String], state: &State) -> Option<Value> {
    let mut given = values.iter().map(|value| value.trim());
    if is_text(field.shape) {
        let texts: Vec<String> = given
            .filter(|text| !text.is_empty())
            .map(str::to_string)
            .collect();
        let is_one = field.shape != Shape::Text || texts.len() <= 1;
        let are_jids =
            field.shape != Shape::Jids || texts.iter().all(|text| Jid::parse(text).is_ok());
        let is_short = texts.len() <= VALUES_MAX && texts.iter().all(|t| t.len() <= TEXT_BYTES_MAX);
        return (is_one && are_jids && is_short).then_some(Value::Texts(texts));
    }
    let (Some(text), None) = (given.next(), given.next()) else {
        return None;
    };
    let number = match field.shape {
        Shape::Flag => match text {
            "1" | "true" => 1,
            "0" | "false" => 0,
            _ => return None,
        },
        Shape::Choice(names) => {
            let at = names.iter().position(|name| *name == text)?;
            u64::try_from(at).ok()?
        }
        _ if text == "max" => MAX,
        _ => {
            let asked = text.parse::<u64>().ok().filter(|asked| *asked > 0)?;
            // What is more than there may be means as much as there may be.
            match asked >= limit(number, state) {
                true => MAX,
                false => asked,
            }
        }
    };
    Some(Value::Number(number))
}

/// From where on a number is no limit beside the server's own.
fn limit(number: usize, state: &State) -> u64 {
    let limit = match number {
        field::MAX_ITEMS => state.settings.pubsub_items_max,
        field::MAX_PAYLOAD_SIZE => state.settings.pubsub_item_bytes_max,
        _ => return MAX,
    };
    u64::try_from(limit).unwrap_or(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_fields_are_those_that_are_stored() {
        for (number, var) in [
            (field::ACCESS_MODEL, "access_model"),
            (field::MAX_ITEMS, "max_items"),
            (field::SEND_LAST, "send_last_published_item"),
            (field::NOTIFY_SUB, "notify_sub"),
            (field::NOTIFICATION_TYPE, "notification_type"),
            (field::ITEMREPLY, "itemreply"),
            (field::SUBSCRIBE, "subscribe"),
            (field::ROSTER_GROUPS_ALLOWED, "roster_groups_allowed"),
        ] {
            assert_eq!(FIELDS[number].var, var);
        }
    }

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
