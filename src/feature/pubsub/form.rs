//! XEP-0060 §8.2.2, §5.4: forms about nodes.
use crate::pubsub::config::{FIELDS, FORM_TYPE, NodeConfig, PREFIX, Shape, field};
use crate::pubsub::{Node, Owner, OwnerKind};
use crate::state::{Cx, Fault};
use crate::store::Affiliation;
use crate::xml::Writer;
use crate::xmpp::{DataForm, Field, FormKind, ns};

/// Owners and publishers named in the metadata.
const NAMED_MAX: usize = 50;

/// The configuration, to be changed.
pub fn write_configuration(w: &mut Writer<'_>, config: &NodeConfig, kind: FormKind) {
    w.open_ns("x", ns::DATA_FORM).attr("type", kind.as_str());
    w.open("field")
        .attr("var", "FORM_TYPE")
        .attr("type", "hidden")
        .leaf("value", FORM_TYPE)
        .close();
    for (number, known) in FIELDS.iter().enumerate() {
        let shape = match known.shape {
            Shape::Flag => "boolean",
            Shape::Choice(_) => "list-single",
            Shape::NumberOrMax | Shape::Number | Shape::Text => "text-single",
            Shape::Texts => "text-multi",
            Shape::Jids => "jid-multi",
        };
        w.open("field")
            .attr("var", &format!("{PREFIX}{}", known.var))
            .attr("type", shape)
            .attr("label", known.label);
        if let Shape::Choice(names) = known.shape {
            for name in names {
                w.open("option").leaf("value", name).close();
            }
        }
        for value in config.values(number) {
            w.leaf("value", &value);
        }
        w.close();
    }
    w.close();
}

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
