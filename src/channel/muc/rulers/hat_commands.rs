//! XEP-0317 §4.2 to §4.7: hats are made, given and taken by commands (XEP-0050), in one step or two: first the form, then the
//! form filled in. Nothing is remembered between them.
use crate::channel::asked::Asked;
use crate::channel::people::{self, changed};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, MemberRow};
use crate::xml::Writer;
use crate::xmpp::{Condition, DataForm, FormKind, Jid, StanzaError, ns, open_form};

use super::hats::{self, Hat};
use super::lists;

const FORM_TYPE: &str = "urn:xmpp:hats:commands";
/// Every command has this before its name.
const PREFIX: &str = "urn:xmpp:hats:commands:";
/// Hats of one room.
const HATS_MAX: usize = 20;
/// Bytes of a URI or a title.
const TEXT_BYTES_MAX: usize = 256;
const HUE_BYTES_MAX: usize = 16;

type Handler = fn(&mut Cx<'_>, &mut Asked<'_>, &DataForm) -> Result<(), Fault>;

/// What a command does.
enum Does {
    /// By a form with these fields.
    Change(&'static [&'static str], Handler),
    /// Lists, with whose they are or without.
    List { whose: bool },
}

const COMMANDS: &[(&str, &str, Does)] = &[
    (
        "create",
        "Make or change a hat",
        Does::Change(&["title", "uri", "hue"], create),
    ),
    ("destroy", "Remove a hat", Does::Change(&["uri"], destroy)),
    ("list", "List hats", Does::List { whose: false }),
    (
        "assign",
        "Give somebody a hat",
        Does::Change(&["jid", "uri"], assign),
    ),
    (
        "unassign",
        "Take a hat from somebody",
        Does::Change(&["jid", "uri"], unassign),
    ),
    (
        "list-assigned",
        "List who wears which hat",
        Does::List { whose: true },
    ),
];

/// Nodes and names of what somebody may do (XEP-0050 §2.2).
pub fn offered(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<Vec<(String, &'static str)>, Fault> {
    let mut offered = Vec::new();
    for (name, title, does) in COMMANDS {
        if may(cx, asked, does)? {
            offered.push((format!("{PREFIX}{name}"), *title));
        }
    }
    Ok(offered)
}

/// Hats are the administrators' to give. Which there are is told to whoever is told of the room, who wears which to whoever may
/// read its lists.
fn may(cx: &Cx<'_>, asked: &Asked<'_>, does: &Does) -> Result<bool, Fault> {
    let (affiliation, role) = lists::rights(cx, asked)?;
    Ok(match does {
        Does::Change(..) => affiliation >= ChannelAffiliation::Admin,
        Does::List { whose: true } => {
            let rights = (affiliation, role);
            lists::may_list(&asked.channel.row, rights, ChannelAffiliation::Member)
        }
        Does::List { whose: false } => {
            crate::channel::people::access::may_see(cx, &asked.channel, &asked.who)?
        }
    })
}

pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let command = asked.payload;
    let node = command.attribute("node").ok_or(Condition::BadRequest)?;
    let name = node.strip_prefix(PREFIX).unwrap_or_default();
    let row = COMMANDS.iter().find(|(known, ..)| *known == name);
    let (name, _, does) = row.ok_or(Condition::ItemNotFound)?;
    if !may(cx, asked, does)? {
        return Err(Condition::Forbidden.into());
    }
    match command.attribute("action").as_deref() {
        None | Some("execute" | "next" | "complete") => {}
        Some("cancel") => return Ok(answer(name, "canceled", |_| {})),
        Some(_) => {
            return Err(StanzaError::new(Condition::BadRequest)
                .application("bad-action", ns::COMMANDS)
                .into());
        }
    }
    let (fields, change) = match does {
        Does::List { whose } => return list(cx, asked, name, *whose),
        Does::Change(fields, change) => (fields, change),
    };
    let Some(x) = command.child("x", ns::DATA_FORM) else {
        return Ok(form(asked, name, fields));
    };
    let given = DataForm::parse_answer(x).ok_or(Condition::BadRequest)?;
    if given.kind == FormKind::Cancel {
        return Ok(answer(name, "canceled", |_| {}));
    }
    cx.require_disk_space()?;
    change(cx, asked, &given)?;
    Ok(answer(name, "completed", |_| {}))
}

fn answer(name: &str, status: &str, write: impl FnOnce(&mut Writer<'_>)) -> Reply {
    Reply::payload(|w| {
        w.open_ns("command", ns::COMMANDS)
            .attr("node", &format!("{PREFIX}{name}"))
            .attr("sessionid", name)
            .attr("status", status);
        write(w);
        w.close();
    })
}

/// Where a hat is chosen, those there are are named.
fn form(asked: &Asked<'_>, name: &str, fields: &[&str]) -> Reply {
    let all = hats::all(&asked.channel.row.config);
    answer(name, "executing", |w| {
        w.open("actions").attr("execute", "complete");
        w.open("complete").close().close();
        open_form(w, FormKind::Form, FORM_TYPE);
        for field in fields {
            let is_chosen = *field == "uri" && name != "create";
            let kind = match *field {
                "jid" => "jid-single",
                _ if is_chosen => "list-single",
                _ => "text-single",
            };
            w.open("field")
                .attr("var", &format!("hats#{field}"))
                .attr("type", kind)
                .attr("label", field);
            for hat in all.iter().filter(|_| is_chosen) {
                w.open("option").attr("label", &hat.title);
                w.leaf("value", &hat.uri).close();
            }
            if *field != "hue" {
                w.open("required").close();
            }
            w.close();
        }
        w.close();
    })
}

fn text<'f>(form: &'f DataForm, name: &str, bytes_max: usize) -> Result<&'f str, Condition> {
    let text = form.value(&format!("hats#{name}")).unwrap_or_default();
    match text.len() <= bytes_max {
        true => Ok(text.trim()),
        false => Err(Condition::NotAcceptable),
    }
}

/// §4: a decimal number from 0 to 360.
fn is_angle(hue: &str) -> bool {
    let (whole, part) = hue.split_once('.').unwrap_or((hue, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = part.bytes().all(|digit| digit == b'0');
    let most = if is_zero { 360 } else { 359 };
    is_digits(whole) && is_digits(part) && whole.parse::<u16>().is_ok_and(|whole| whole <= most)
}

/// §4.2: one of a URI that there is becomes another.
fn create(cx: &mut Cx<'_>, asked: &mut Asked<'_>, form: &DataForm) -> Result<(), Fault> {
    let hat = Hat {
        uri: text(form, "uri", TEXT_BYTES_MAX)?.into(),
        title: text(form, "title", TEXT_BYTES_MAX)?.into(),
        hue: text(form, "hue", HUE_BYTES_MAX)?.into(),
    };
    if hat.uri.is_empty() || hat.title.is_empty() {
        return Err(Condition::BadRequest.into());
    }
    if !hat.hue.is_empty() && !is_angle(&hat.hue) {
        return Err(Condition::NotAcceptable.into());
    }
    let mut all = hats::all(&asked.channel.row.config);
    let is_full = all.len() >= HATS_MAX;
    match all.iter_mut().find(|known| known.uri == hat.uri) {
        Some(known) => *known = hat,
        None if is_full => {
            return Err(StanzaError::new(Condition::ResourceConstraint)
                .text("The room has as many hats as it may.")
                .into());
        }
        None => all.push(hat),
    }
    set_all(cx, asked, &all)
}

/// §4.3
fn destroy(cx: &mut Cx<'_>, asked: &mut Asked<'_>, form: &DataForm) -> Result<(), Fault> {
    let uri = known(asked, form)?;
    let mut all = hats::all(&asked.channel.row.config);
    all.retain(|hat| hat.uri != uri);
    set_all(cx, asked, &all)
}

fn set_all(cx: &mut Cx<'_>, asked: &mut Asked<'_>, all: &[Hat]) -> Result<(), Fault> {
    hats::set_all(cx, &mut asked.channel, all)?;
    changed::tell_codes(cx, &asked.channel, &[104]);
    Ok(())
}

fn known(asked: &Asked<'_>, form: &DataForm) -> Result<String, Fault> {
    let uri = text(form, "uri", TEXT_BYTES_MAX)?;
    let all = hats::all(&asked.channel.row.config);
    match all.iter().any(|hat| hat.uri == uri) {
        true => Ok(uri.into()),
        false => Err(Condition::ItemNotFound.into()),
    }
}

fn whose(form: &DataForm) -> Result<String, Condition> {
    let jid = form.value("hats#jid").ok_or(Condition::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| Condition::JidMalformed)?;
    Ok(jid.bare_str().to_string())
}

/// §4.5
fn assign(cx: &mut Cx<'_>, asked: &mut Asked<'_>, form: &DataForm) -> Result<(), Fault> {
    let (jid, uri) = (whose(form)?, known(asked, form)?);
    let member = people::member(cx, &asked.channel, &jid)?;
    let mut hats = member.hats.clone();
    if hats.contains(&uri) {
        return Ok(());
    }
    if member == MemberRow::default() {
        people::require_room(cx, &asked.channel, 1)?;
    }
    hats.push(uri);
    Ok(hats::set_worn(cx, &mut asked.channel, &jid, hats)?)
}

/// §4.6
fn unassign(cx: &mut Cx<'_>, asked: &mut Asked<'_>, form: &DataForm) -> Result<(), Fault> {
    let (jid, uri) = (whose(form)?, text(form, "uri", TEXT_BYTES_MAX)?);
    let member = people::member(cx, &asked.channel, &jid)?;
    let mut hats = member.hats.clone();
    hats.retain(|worn| worn != uri);
    if hats.len() == member.hats.len() {
        return Err(Condition::ItemNotFound.into());
    }
    Ok(hats::set_worn(cx, &mut asked.channel, &jid, hats)?)
}

/// §4.4, §4.7
fn list(cx: &Cx<'_>, asked: &Asked<'_>, name: &str, whose: bool) -> Result<Reply, Fault> {
    let all = hats::all(&asked.channel.row.config);
    let mut rows: Vec<(Option<String>, &Hat)> = Vec::new();
    match whose {
        false => rows.extend(all.iter().map(|hat| (None, hat))),
        true => {
            for (jid, member) in hats::wearers(cx, &asked.channel)? {
                let worn = all.iter().filter(|hat| member.hats.contains(&hat.uri));
                rows.extend(worn.map(|hat| (Some(jid.clone()), hat)));
            }
        }
    }
    Ok(answer(name, "completed", |w| {
        open_form(w, FormKind::Result, FORM_TYPE);
        w.open("reported");
        let vars = ["hats#jid", "hats#uri", "hats#title", "hats#hue"];
        for var in vars.iter().skip(usize::from(!whose)) {
            w.open("field").attr("var", var).close();
        }
        w.close();
        for (jid, hat) in &rows {
            w.open("item");
            let values = [
                jid.as_deref(),
                Some(&*hat.uri),
                Some(&hat.title),
                Some(&hat.hue),
            ];
            for (var, value) in vars.iter().zip(values) {
                let Some(value) = value else { continue };
                w.open("field").attr("var", var);
                w.leaf("value", value).close();
            }
            w.close();
        }
        w.close();
    }))
}
