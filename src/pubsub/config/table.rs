//! XEP-0060 §16.4.4: the table of fields. Forms are read and written, preconditions compared and rows stored by it.

/// Before the name of every field.
pub const PREFIX: &str = "pubsub#";
/// `max`: as much as the server allows.
pub const MAX: u64 = u64::MAX;

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

impl Shape {
    pub fn is_text(self) -> bool {
        matches!(self, Shape::Text | Shape::Texts | Shape::Jids)
    }
}

/// One field.
pub struct Field {
    /// Behind `PREFIX`.
    pub var: &'static str,
    pub label: &'static str,
    pub shape: Shape,
    /// What is usual at an account, and at the service; texts are empty.
    pub usual: [u64; 2],
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
    pub const NODE_TYPE: usize = 24;
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
const KIND: Shape = Shape::Choice(&["leaf"]);
const REPLY: Shape = Shape::Choice(&["none", "owner", "publisher"]);

pub const COUNT: usize = 25;

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
    // XEP-0248: there are no others; programs look for the field.
    row("node_type", "Kind of node", KIND, 0, 0),
];

pub fn find(var: &str) -> Option<(usize, &'static Field)> {
    let var = var.strip_prefix(PREFIX)?;
    let mut fields = FIELDS.iter().enumerate();
    fields.find(|(_, field)| field.var == var)
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
            (field::NODE_TYPE, "node_type"),
        ] {
            assert_eq!(FIELDS[number].var, var);
        }
    }
}
