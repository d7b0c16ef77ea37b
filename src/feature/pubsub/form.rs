//! XEP-0060 §5.4: what is told of a node.
use crate::pubsub::config::{FIELDS, PREFIX, field};
use crate::pubsub::{Node, Owner, OwnerKind};
use crate::state::{Cx, Fault};
use crate::store::Affiliation;
use crate::xmpp::{DataForm, Field, FormKind};

/// Owners and publishers named in the metadata.
const NAMED_MAX: usize = 50;

/// §5.4
pub fn metadata(cx: &Cx<'_>, owner: &Owner, node: &Node) -> Result<DataForm, Fault> {
    let mut form = DataForm::new(
        FormKind::Result,
        "http://jabber.org/protocol/pubsub#meta-data",
    );
    let mut add = |var: &str, kind, values: Vec<String>| {
        let var = format!("{PREFIX}{var}");
        form.fields.push(Field { var, kind, values });
    };
    for (number, kind) in [
        (field::TITLE, "text-single"),
        (field::DESCRIPTION, "text-single"),
        (field::TYPE, "text-single"),
        (field::LANGUAGE, "list-single"),
        (field::CONTACT, "jid-multi"),
        (field::ACCESS_MODEL, "list-single"),
        (field::PUBLISH_MODEL, "list-single"),
        (field::MAX_ITEMS, "text-single"),
    ] {
        let values = node.config.values(number);
        if let (false, Some(field)) = (values.is_empty(), FIELDS.get(number)) {
            add(field.var, kind, values);
        }
    }
    add("creator", "jid-single", vec![node.row.creator.to_string()]);
    add(
        "creation_date",
        "text-single",
        vec![node.row.created.to_string()],
    );
    let mut owners = Vec::new();
    let mut publishers = Vec::new();
    if let OwnerKind::Account(_) = owner.kind {
        owners.push(owner.jid.to_string());
    }
    for (jid, related) in cx.tx.related_behind(&node.row, "", NAMED_MAX)? {
        match related.affiliation {
            Affiliation::Owner => owners.push(jid.into()),
            Affiliation::Publisher => publishers.push(jid.into()),
            _ => {}
        }
    }
    add("owner", "jid-multi", owners);
    if !publishers.is_empty() {
        add("publisher", "jid-multi", publishers);
    }
    add(
        "num_subscribers",
        "text-single",
        vec![node.row.subscribed.to_string()],
    );
    Ok(form)
}
