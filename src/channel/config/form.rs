//! The configuration as a form of XEP-0045 §15.5.3, by whichever names clients know a field.
use crate::store::ConfigRow;
use crate::xml::Writer;
use crate::xmpp::{Condition, DataForm, FormKind, Jid, open_form};

use super::table::{FIELDS, Shape, field, lists};
use super::{Config, set_number, set_texts};

pub const FORM_TYPE: &str = "http://jabber.org/protocol/muc#roomconfig";
const PREFIX: &str = "muc#roomconfig_";

/// Bytes of a text, and values of a field that has several.
const TEXT_BYTES_MAX: usize = 1_023;
const VALUES_MAX: usize = 50;
/// Most that a number may be.
const NUMBER_MAX: u64 = 1_000_000;

/// Other names of fields: those of other servers, which clients set when they find them.
const ALIASES: &[(&str, u8)] = &[
    (
        "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites",
        field::INVITES,
    ),
    ("muc#roomconfig_mam", field::ARCHIVED),
    ("mam", field::ARCHIVED),
    ("muc#maxhistoryfetch", field::HISTORY),
    ("muc#roomconfig_historylength", field::HISTORY),
    ("allow_voice_requests", field::VOICE_REQUESTS),
];

fn find(var: &str) -> Option<u8> {
    if let Some((_, number)) = ALIASES.iter().find(|(name, _)| *name == var) {
        return Some(*number);
    }
    let name = var.strip_prefix(PREFIX)?;
    let at = FIELDS
        .iter()
        .position(|field| !field.muc.is_empty() && field.muc == name);
    at.and_then(|at| u8::try_from(at).ok())
}

/// Takes what a form says; fields that are not known are passed over, and so are those it leaves out.
pub fn apply(config: &mut ConfigRow, form: &DataForm) -> Result<(), Condition> {
    let mut is_protected = None;
    for given in &form.fields {
        if given.var == "muc#roomconfig_passwordprotectedroom" {
            is_protected = given.values.first().and_then(|text| flag(text));
            continue;
        }
        let Some(number) = find(&given.var) else {
            continue;
        };
        let Some(known) = FIELDS.get(usize::from(number)) else {
            continue;
        };
        match known.shape {
            Shape::Text | Shape::Jids => {
                set_texts(config, number, texts(known.shape, &given.values)?);
            }
            // §15.5.3: by roles.
            _ if number == field::LISTS => {
                set_number(config, number, lists_for(&given.values)?);
            }
            shape => {
                let value = given.values.first().map_or("", |text| text.trim());
                // COMPAT(Gajim, 1.8): a field without a value is one it did not fill in.
                if !value.is_empty() {
                    let value = parse(shape, value).ok_or(Condition::NotAcceptable)?;
                    set_number(config, number, value);
                }
            }
        }
    }
    match is_protected {
        Some(false) => set_texts(config, field::PASSWORD, Vec::new()),
        // §10.2: a password is needed where it is said to be.
        Some(true) if config.text(field::PASSWORD).is_empty() => {
            return Err(Condition::NotAcceptable);
        }
        _ => {}
    }
    Ok(())
}

/// One field by its number, as any form names it.
pub fn set(config: &mut ConfigRow, number: u8, values: &[String]) -> Result<(), Condition> {
    let Some(known) = FIELDS.get(usize::from(number)) else {
        return Ok(());
    };
    match known.shape {
        Shape::Text | Shape::Jids => {
            set_texts(config, number, texts(known.shape, values)?);
        }
        shape => {
            let value = values.first().map_or("", |text| text.trim());
            let value = parse(shape, value).ok_or(Condition::NotAcceptable)?;
            set_number(config, number, value);
        }
    }
    Ok(())
}

fn texts(shape: Shape, values: &[String]) -> Result<Vec<String>, Condition> {
    let is_one = shape == Shape::Text;
    let texts: Vec<String> = match is_one {
        // A text of several lines comes as several values.
        true => vec![values.join("\n")],
        false => values.to_vec(),
    };
    let is_long = |text: &String| text.len() > TEXT_BYTES_MAX;
    let is_jid = |text: &String| text.is_empty() || Jid::parse(text).is_ok();
    let is_wrong = shape == Shape::Jids && !texts.iter().all(is_jid);
    match texts.len() > VALUES_MAX || texts.iter().any(is_long) || is_wrong {
        true => Err(Condition::NotAcceptable),
        false => Ok(texts),
    }
}

/// Who may read the lists: everybody inside, if that is so for the least of roles that are named.
fn lists_for(roles: &[String]) -> Result<u64, Condition> {
    let mut least = lists::MODERATORS;
    for role in roles {
        match role.trim() {
            "participant" | "visitor" | "anyone" => least = lists::EVERYBODY,
            "moderator" | "moderators" | "" => {}
            _ => return Err(Condition::NotAcceptable),
        }
    }
    Ok(least)
}

fn write_lists(w: &mut Writer<'_>, value: u64) {
    const ROLES: [&str; 3] = ["moderator", "participant", "visitor"];
    let chosen = if value == lists::EVERYBODY { 3 } else { 1 };
    for role in ROLES.iter().take(chosen) {
        w.leaf("value", role);
    }
    for role in ROLES {
        w.open("option").attr("label", role);
        w.leaf("value", role).close();
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn parse(shape: Shape, text: &str) -> Option<u64> {
    match shape {
        Shape::Flag => flag(text).map(u64::from),
        Shape::Choice(names) => {
            let at = names.iter().position(|name| *name == text)?;
            u64::try_from(at).ok()
        }
        Shape::Number if text == "none" => Some(0),
        Shape::Number => text.parse().ok().filter(|number| *number <= NUMBER_MAX),
        Shape::Text | Shape::Jids => None,
    }
}

/// Fields that hold all who own the room and all who administer it (§15.5.3); whoever else did is a member then.
pub const RULERS: [&str; 2] = ["muc#roomconfig_roomowners", "muc#roomconfig_roomadmins"];

/// §10.2: to be changed. `rulers`: by `RULERS`; `None`: they are too many for a form.
pub fn write(w: &mut Writer<'_>, config: &ConfigRow, rulers: [Option<&[String]>; 2]) {
    open_form(w, FormKind::Form, FORM_TYPE);
    for (number, known) in (0u8..).zip(&FIELDS) {
        if known.muc.is_empty() {
            continue;
        }
        let var = format!("{PREFIX}{}", known.muc);
        let kind = match known.shape {
            Shape::Flag => "boolean",
            Shape::Choice(_) if number == field::LISTS => "list-multi",
            Shape::Choice(_) => "list-single",
            // COMPAT(Smack, 4.5): it takes no form where this is of another kind than registered.
            Shape::Number if number == field::OCCUPANTS_MAX => "list-single",
            Shape::Number => "text-single",
            Shape::Text if number == field::PASSWORD => "text-private",
            Shape::Text => "text-single",
            Shape::Jids => "jid-multi",
        };
        if number == field::PASSWORD {
            let is_set = !config.text(field::PASSWORD).is_empty();
            w.open("field")
                .attr("var", "muc#roomconfig_passwordprotectedroom")
                .attr("type", "boolean")
                .attr("label", "A password is needed");
            w.leaf("value", if is_set { "1" } else { "0" }).close();
        }
        w.open("field")
            .attr("var", &var)
            .attr("type", kind)
            .attr("label", known.label);
        write_values(w, config, number, known.shape);
        w.close();
    }
    for ((var, label), jids) in RULERS.iter().zip(["Owners", "Administrators"]).zip(rulers) {
        let Some(jids) = jids else { continue };
        w.open("field")
            .attr("var", var)
            .attr("type", "jid-multi")
            .attr("label", label);
        for jid in jids {
            w.leaf("value", jid);
        }
        w.close();
    }
    w.close();
}

fn write_values(w: &mut Writer<'_>, config: &ConfigRow, number: u8, shape: Shape) {
    let value = Config::number(config, number);
    match shape {
        Shape::Flag => {
            w.leaf("value", if value == 0 { "0" } else { "1" });
        }
        Shape::Choice(_) if number == field::LISTS => write_lists(w, value),
        Shape::Choice(names) => {
            let at = usize::try_from(value).ok();
            let name = at.and_then(|at| names.get(at)).copied();
            w.leaf("value", name.unwrap_or_default());
            for name in names {
                w.open("option").attr("label", name);
                w.leaf("value", name).close();
            }
        }
        Shape::Number if number == field::OCCUPANTS_MAX => {
            let chosen = match value {
                0 => "none".to_string(),
                value => value.to_string(),
            };
            w.leaf("value", &chosen);
            let usual = ["10", "20", "30", "50", "100", "none"];
            let own = (!usual.contains(&chosen.as_str())).then_some(chosen.as_str());
            for text in own.into_iter().chain(usual) {
                w.open("option").leaf("value", text).close();
            }
        }
        // XEP-0500 §5.1, XEP-0122 §3.2.3.
        Shape::Number => {
            w.open_ns("validate", "http://jabber.org/protocol/xdata-validate")
                .attr("datatype", "xs:integer");
            w.open("range")
                .attr("min", "0")
                .attr("max", &NUMBER_MAX.to_string());
            w.close().close();
            w.leaf("value", &value.to_string());
        }
        Shape::Text | Shape::Jids => {
            for text in config.texts(number) {
                w.leaf("value", text);
            }
        }
    }
}
