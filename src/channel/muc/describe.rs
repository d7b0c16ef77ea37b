//! XEP-0045 §6.4, §6.5: what a room says of itself (XEP-0030, XEP-0128).
use crate::channel::asked::Asked;
use crate::channel::avatar;
use crate::channel::config::{Config, FIELDS, field, table::Shape, whois};
use crate::channel::mix::describe as mix;
use crate::channel::people::access;
use crate::channel::said::say;
use crate::feature::{ARCHIVE_OF_CHANNELS, ARCHIVE_SEARCH_NS, Reply};
use crate::state::{Cx, Fault};
use crate::store::ChannelRow;
use crate::xml::Writer;
use crate::xmpp::{Condition, FormKind, ns, open_form, relation};

use super::between::tokens;
use super::register;
use super::rulers::{hat_commands, hats, versions};

const TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";

/// What every room can do.
const FEATURES: &[&str] = &[
    ns::MUC,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    "http://jabber.org/protocol/muc#stable_id",
    "http://jabber.org/protocol/muc#self-ping-optimization",
    "http://jabber.org/protocol/muc#request",
    ns::STANZA_ID,
    ns::OCCUPANT_ID,
    "urn:xmpp:ping",
    avatar::NS,
    versions::NS,
    ns::HATS,
    tokens::NS,
    ns::COMMANDS,
];

/// And what one can do that keeps what is said: nothing else has an id by which it is taken back.
const KEEPING: &[&str] = &[
    relation::RETRACT,
    "urn:xmpp:message-retract:1#tombstone",
    relation::MODERATE,
    relation::MODERATE_OLD,
];

/// §6.4
pub fn info(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    if mix::is_asked(asked.payload) && !mix::is_whole(asked.payload) {
        return mix::info(cx, asked);
    }
    let node = asked.payload.attribute("node");
    match node.as_deref() {
        None => {}
        Some(register::NODE) => return register::reserved(cx, asked),
        Some(_) if mix::is_whole(asked.payload) => {}
        // §17.1.1: nothing is kept from the others that they are sent.
        Some(TRAFFIC) => return Err(Condition::ServiceUnavailable.into()),
        Some(_) => return Err(Condition::ItemNotFound.into()),
    }
    let occupants = cx.state.rooms.get(asked.channel.id());
    let occupants = occupants.map_or(0, |room| room.nicks().len());
    let now_ms = cx.now.monotonic_ms;
    let said = match say::is_counted(&asked.channel) {
        true => cx.state.activity.an_hour(asked.channel.id(), now_ms),
        false => None,
    };
    let search = cx.state.settings.archive_search;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_INFO)
            .attr_opt("node", node.as_deref());
        // XEP-0408 §2: both protocols, one address.
        for kind in ["text", "mix"] {
            w.open("identity")
                .attr("category", "conference")
                .attr("type", kind)
                .attr("name", name(asked))
                .close();
        }
        write_features(w, &asked.channel.row, search);
        write_form(w, asked, occupants, said);
        w.close();
    }))
}

/// What it can do, and what kind of room it is (§15.3).
fn write_features(w: &mut Writer<'_>, row: &ChannelRow, has_search: bool) {
    let is_for_all = row.number(field::WHOIS) == whois::ANYONE;
    let has_password = !row.text(field::PASSWORD).is_empty();
    let kinds = [
        (row.flag(field::PUBLIC), ["muc_public", "muc_hidden"]),
        (
            row.flag(field::PERSISTENT),
            ["muc_persistent", "muc_temporary"],
        ),
        (
            row.flag(field::MEMBERS_ONLY),
            ["muc_membersonly", "muc_open"],
        ),
        (
            row.flag(field::MODERATED),
            ["muc_moderated", "muc_unmoderated"],
        ),
        (is_for_all, ["muc_nonanonymous", "muc_semianonymous"]),
        (has_password, ["muc_passwordprotected", "muc_unsecured"]),
    ];
    let kinds = kinds
        .iter()
        .map(|(is, [yes, no])| if *is { yes } else { no });
    let (archive, keeping) = match row.flag(field::ARCHIVED) {
        true => (ARCHIVE_OF_CHANNELS, KEEPING),
        false => (&[][..], &[][..]),
    };
    let search = (row.flag(field::ARCHIVED) && has_search).then_some(&ARCHIVE_SEARCH_NS);
    let register: &[&str] = match row.flag(field::REGISTER) {
        false => &[],
        true => &[ns::REGISTER, "http://jabber.org/protocol/muc#register"],
    };
    let always = FEATURES.iter().chain(mix::FEATURES);
    let archive = keeping.iter().chain(archive).chain(search);
    for var in always.chain(kinds).chain(archive).chain(register) {
        w.open("feature").attr("var", var).close();
    }
}

fn name<'a>(asked: &'a Asked<'_>) -> &'a str {
    match asked.channel.row.text(field::NAME) {
        "" => asked.channel.name(),
        name => name,
    }
}

/// §6.4, §15.5.4
fn write_form(w: &mut Writer<'_>, asked: &Asked<'_>, occupants: usize, said: Option<u64>) {
    let row = &asked.channel.row;
    let flag = |number| if row.flag(number) { "1" } else { "0" };
    let [change_subject, invite] = [flag(field::SUBJECT), flag(field::INVITES)];
    let occupants = occupants.to_string();
    let always = [
        ("muc#roomconfig_roomname", row.text(field::NAME)),
        ("muc#roominfo_description", row.text(field::DESCRIPTION)),
        ("muc#roominfo_lang", row.text(field::LANGUAGE)),
        ("muc#roominfo_subject", &row.subject.text),
        ("muc#roominfo_occupants", &occupants),
    ];
    let flags = [
        ("muc#roominfo_subjectmod", change_subject),
        ("muc#roominfo_changesubject", change_subject),
        ("muc#roomconfig_changesubject", change_subject),
        ("muc#roomconfig_allowinvites", invite),
        (
            "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites",
            invite,
        ),
    ];
    open_form(
        w,
        FormKind::Result,
        "http://jabber.org/protocol/muc#roominfo",
    );
    for (var, value) in always {
        show(w, var, "text-single", &[value]);
    }
    for (var, value) in flags {
        show(w, var, "boolean", &[value]);
    }
    // XEP-0500 §5.2
    let slow = Some(row.number(field::SLOW_SECONDS)).filter(|slow| *slow > 0);
    let slow = slow.map(|slow| slow.to_string());
    let said = said.map(|said| format!("{}.{:02}", said / 100, said % 100));
    let sometimes = [
        ("muc#roominfo_slow_mode_duration", slow),
        ("{urn:xmpp:muc-activity}message-activity", said),
        ("hats#hash", hats::hash(&row.config)),
    ];
    for (var, value) in sometimes {
        if let Some(value) = value {
            show(w, var, "text-single", &[&value]);
        }
    }
    let private = FIELDS.get(usize::from(field::PRIVATE));
    if let Some(Shape::Choice(names)) = private.map(|known| known.shape) {
        let at = usize::try_from(row.number(field::PRIVATE)).ok();
        let name = at.and_then(|at| names.get(at)).copied();
        let name = name.unwrap_or_default();
        show(w, "muc#roomconfig_allowpm", "list-single", &[name]);
    }
    for contact in row.texts(field::CONTACTS) {
        show(w, "muc#roominfo_contactjid", "jid-multi", &[contact]);
    }
    // XEP-0486 §4.3: of each format.
    let hashes = avatar::hashes(&asked.channel);
    if !hashes.is_empty() {
        show(w, "muc#roominfo_avatarhash", "text-multi", hashes);
    }
    w.close();
}

fn show<T: AsRef<str>>(w: &mut Writer<'_>, var: &str, kind: &str, values: &[T]) {
    w.open("field").attr("var", var).attr("type", kind);
    for value in values {
        w.leaf("value", value.as_ref());
    }
    w.close();
}

/// §6.5: who is in is told to those who are.
pub fn items(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    if mix::is_asked(asked.payload) {
        return mix::items(cx, asked);
    }
    if asked.payload.attribute("node").as_deref() == Some(ns::COMMANDS) {
        return commands(cx, asked);
    }
    let may = access::may_read(cx, &asked.channel, &asked.who)?;
    let is_inside = crate::channel::people::is_inside(cx, &asked.channel, asked.who.as_str());
    let room = cx
        .state
        .rooms
        .get(asked.channel.id())
        .filter(|_| may && is_inside);
    let nicks = room.map_or_else(Vec::new, |room| room.nicks());
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS);
        for nick in nicks {
            let jid = format!("{}/{nick}", asked.channel.jid);
            w.open("item").attr("jid", &jid).attr("name", &nick).close();
        }
        w.close();
    }))
}

/// XEP-0050 §2.2
fn commands(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let offered = hat_commands::offered(cx, asked)?;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::DISCO_ITEMS)
            .attr("node", ns::COMMANDS);
        for (node, name) in &offered {
            w.open("item")
                .attr("jid", asked.channel.jid.as_str())
                .attr("node", node)
                .attr("name", name)
                .close();
        }
        w.close();
    }))
}

/// XEP-0199
pub fn ping(_cx: &mut Cx<'_>, _asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    Ok(Reply::Empty)
}
