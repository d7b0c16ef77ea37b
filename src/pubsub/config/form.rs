//! Configurations as forms: values that are set (XEP-0060 §8.2.4), preconditions (§7.1.5), and what is shown.
use crate::state::State;
use crate::xml::Writer;
use crate::xmpp::{Condition, DataForm, Field as FormField, FormKind, Jid, StanzaError, open_form};

use super::table::{FIELDS, Field, MAX, PREFIX, Shape, field, find};
use super::{FORM_TYPE, NodeConfig, Value};
use crate::pubsub::refusal;

/// Bytes of a text, and values of a field that has several.
const TEXT_BYTES_MAX: usize = 1023;
const VALUES_MAX: usize = 50;

impl NodeConfig {
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
                None => false,
            }
        })
    }

    /// Whether `meets` could ever be.
    pub fn knows(form: &DataForm) -> bool {
        let mut fields = form.fields.iter();
        fields.all(|given| given.var == "FORM_TYPE" || find(&given.var).is_some())
    }

    /// §8.2.2: to be changed, or as it is (§8.2.5.3). `groups`: those that may be chosen from.
    pub fn write(&self, w: &mut Writer<'_>, kind: FormKind, groups: &[String]) {
        open_form(w, kind, FORM_TYPE);
        for (number, known) in FIELDS.iter().enumerate() {
            let shape = match known.shape {
                Shape::Flag => "boolean",
                Shape::Choice(_) => "list-single",
                Shape::Text if number == field::LANGUAGE => "list-single",
                Shape::NumberOrMax | Shape::Number | Shape::Text => "text-single",
                Shape::Texts => "list-multi",
                Shape::Jids => "jid-multi",
            };
            w.open("field")
                .attr("var", &format!("{PREFIX}{}", known.var))
                .attr("type", shape)
                .attr("label", known.label);
            let values = self.values(number);
            let mut option = |name: &str| {
                w.open("option").leaf("value", name).close();
            };
            match (known.shape, number) {
                (Shape::Choice(names), _) => names.iter().copied().for_each(&mut option),
                (_, field::LANGUAGE) => values.iter().for_each(|value| option(value)),
                (_, field::ROSTER_GROUPS_ALLOWED) => {
                    let others = values.iter().filter(|value| !groups.contains(value));
                    groups.iter().chain(others).for_each(|name| option(name));
                }
                _ => {}
            }
            for value in values {
                w.leaf("value", &value);
            }
            w.close();
        }
        w.close();
    }
}

/// XEP-0248 is not there: nodes are leaves.
fn refuse_collections(given: &FormField) -> Result<(), StanzaError> {
    let is_set = given.values.iter().any(|value| !value.is_empty());
    let is_of_collections = match given.var.as_str() {
        "pubsub#node_type" => given.values.iter().any(|value| value != "leaf"),
        "pubsub#collection" | "pubsub#children" => is_set,
        _ => false,
    };
    match is_of_collections {
        true => Err(refusal::unsupported("collections")),
        false => Ok(()),
    }
}

/// `None`: no value of this field.
fn parse(number: usize, known: &Field, values: &[String], state: &State) -> Option<Value> {
    let mut given = values.iter().map(|value| value.trim());
    if known.shape.is_text() {
        let texts: Vec<String> = given
            .filter(|text| !text.is_empty())
            .map(str::to_string)
            .collect();
        let is_one = known.shape != Shape::Text || texts.len() <= 1;
        let are_jids =
            known.shape != Shape::Jids || texts.iter().all(|text| Jid::parse(text).is_ok());
        let is_short = texts.len() <= VALUES_MAX && texts.iter().all(|t| t.len() <= TEXT_BYTES_MAX);
        return (is_one && are_jids && is_short).then_some(Value::Texts(texts));
    }
    let (Some(text), None) = (given.next(), given.next()) else {
        return None;
    };
    let number = match known.shape {
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
