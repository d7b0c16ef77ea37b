//! What an archived message looks like to a session: written when it is delivered, and made again from the archive when it
//! has to be sent once more (XEP-0198 §5), later (XEP-0160) or as a copy (XEP-0280), always by the same functions.
use memchr::{memmem, memrchr};

use crate::channel;
use crate::feature;
use crate::state::{Cx, Form};
use crate::store::{ArchiveId, QueueRow, StoreError, Stored};
use crate::xml::Escaped;
use crate::xmpp::{BareJid, FullJid, Message, Stanza, Timestamp, ns};

/// How the archive's text begins; only inside other elements does a message say its namespace.
const DECLARED: &str = "<message xmlns='jabber:client'";
const PLAIN: &str = "<message";
const END: &str = "</message>";

/// What is added to a message on its way to an account.
#[derive(Clone, Copy, Default)]
pub struct Added<'a> {
    /// XEP-0359 §3.1: the account, and the message's id in its archive.
    pub stanza_id: Option<(&'a BareJid, ArchiveId)>,
    /// XEP-0203: when it came, if it is late.
    pub delay: Option<Timestamp>,
}

/// The message itself. `xml`: as the archive keeps it.
pub fn write_direct(out: &mut Vec<u8>, cx: &Cx<'_>, xml: &str, added: Added<'_>) {
    out.extend_from_slice(PLAIN.as_bytes());
    write_inside(out, cx, xml, added);
    if let Some(at) = added.delay {
        out.extend_from_slice(delay(cx, at).as_bytes());
    }
    out.extend_from_slice(END.as_bytes());
}

/// XEP-0280 §7, §8: a copy for one session of the account.
fn write_copy(
    out: &mut Vec<u8>,
    cx: &Cx<'_>,
    xml: &str,
    owner: (&BareJid, &FullJid),
    direction: Direction,
    added: Added<'_>,
) {
    write_copy_head(out, xml, owner);
    write_copied(out, cx, xml, direction, added);
}

/// How a copy begins: no two are alike.
pub fn write_copy_head(out: &mut Vec<u8>, xml: &str, (account, to): (&BareJid, &FullJid)) {
    let head = format!(
        "<message from='{}' to='{}'{}",
        Escaped(account.as_str()),
        Escaped(to.as_str()),
        kind(xml),
    );
    out.extend_from_slice(head.as_bytes());
}

/// What all copies of a message for one account end with.
pub fn write_copied(
    out: &mut Vec<u8>,
    cx: &Cx<'_>,
    xml: &str,
    direction: Direction,
    added: Added<'_>,
) {
    let direction = direction.name();
    let begin = format!(
        "><{direction} xmlns='{}'><forwarded xmlns='{}'>",
        feature::CARBONS_NS,
        ns::FORWARD
    );
    out.extend_from_slice(begin.as_bytes());
    if let Some(at) = added.delay {
        // XEP-0297 §3: beside the message, not in it.
        out.extend_from_slice(delay(cx, at).as_bytes());
    }
    out.extend_from_slice(DECLARED.as_bytes());
    write_inside(out, cx, xml, added);
    out.extend_from_slice(END.as_bytes());
    out.extend_from_slice(format!("</forwarded></{direction}></message>").as_bytes());
}

/// Which side of a copied message the account is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Received,
    Sent,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Received => "received",
            Direction::Sent => "sent",
        }
    }
}

/// The attributes and children of a message, and the stanza-id behind them.
fn write_inside(out: &mut Vec<u8>, cx: &Cx<'_>, xml: &str, added: Added<'_>) {
    let xml = xml.strip_prefix(DECLARED).unwrap_or(xml);
    match xml.strip_suffix(END) {
        Some(inside) => out.extend_from_slice(inside.as_bytes()),
        None => {
            out.extend_from_slice(xml.trim_end_matches("/>").as_bytes());
            out.push(b'>');
        }
    }
    if let Some((by, id)) = added.stanza_id {
        let (by, id) = (Escaped(by.as_str()), cx.state.archive_ids.text(id));
        let added = format!("<stanza-id xmlns='{}' by='{by}' id='{id}'/>", ns::STANZA_ID);
        out.extend_from_slice(added.as_bytes());
    }
}

fn delay(cx: &Cx<'_>, at: Timestamp) -> String {
    format!("{}{at}'/>", delay_begins(cx))
}

/// A client's own is never in this name (see `forged`).
fn delay_begins(cx: &Cx<'_>) -> String {
    let domain = Escaped(cx.state.domains.served().as_str());
    format!("<delay xmlns='{}' from='{domain}' stamp='", ns::DELAY)
}

/// The `type` of a message as we write it, as an attribute: it is the last one, and quotes in the others are escaped.
fn kind(xml: &str) -> &str {
    let tag = xml.split('>').next().unwrap_or_default();
    tag.rfind(" type='")
        .and_then(|at| tag.get(at..))
        .map_or("", |kind| kind.trim_end_matches('/'))
}

/// A message to a full JID, as the archive keeps it. What stands in quotes has none of them in it.
pub fn to_resource(xml: &str) -> Option<Message> {
    let tag = xml.split('>').next().unwrap_or_default();
    let (_, to) = tag.split_once(" to='")?;
    let (to, _) = to.split_once('\'')?;
    if !to.contains('/') {
        return None;
    }
    match Stanza::from_element(crate::xml::parse_stored(xml, ns::CLIENT).ok()?) {
        Some(Ok(Stanza::Message(message))) => Some(message),
        _ => None,
    }
}

/// A stanza of a session's queue, late.
pub fn write_row(
    out: &mut Vec<u8>,
    cx: &Cx<'_>,
    to: &FullJid,
    row: &QueueRow,
) -> Result<(), StoreError> {
    match row {
        QueueRow::Whole { stanza, at, .. } => write_late(out, cx, &stanza.bytes(), *at),
        QueueRow::Archived { id, form } => match cx.tx.stanza(*id)? {
            Some(stored) => write_archived(out, cx, to, &stored, Form::of_code(*form)),
            // Pruned.
            None => write_nothing(out, cx, to),
        },
    }
    Ok(())
}

/// In the place of a stanza that is not there any more: it was counted.
fn write_nothing(out: &mut Vec<u8>, cx: &Cx<'_>, to: &FullJid) {
    let (from, to) = (
        Escaped(cx.state.domains.served().as_str()),
        Escaped(to.as_str()),
    );
    out.extend_from_slice(format!("<message from='{from}' to='{to}'/>").as_bytes());
}

fn write_archived(out: &mut Vec<u8>, cx: &Cx<'_>, to: &FullJid, stored: &Stored, form: Form) {
    let account = to.to_bare();
    let is_archived = !cx.tx.is_passing(stored.id).unwrap_or_default() || form == Form::Sent;
    let added = Added {
        stanza_id: is_archived.then_some((&account, stored.id)),
        delay: Some(stored.at),
    };
    let direction = match form {
        Form::Direct => return write_direct(out, cx, &stored.xml, added),
        Form::ToSession => {
            let xml = feature::readdressed(&stored.xml, to.as_str(), None);
            return write_direct(out, cx, &xml, added);
        }
        Form::Member => {
            let id = cx.state.archive_ids.text(stored.id);
            let xml = feature::as_member(cx, stored, to.as_str());
            return write_direct(out, cx, &named_by_channel(&xml, &id), added);
        }
        Form::Occupant => {
            let Some((room, xml)) = channel::again(&stored.xml, to.as_str()) else {
                return write_nothing(out, cx, to);
            };
            let stanza_id = Some((&room, stored.id));
            return write_direct(out, cx, &xml, Added { stanza_id, ..added });
        }
        Form::Received => Direction::Received,
        Form::Sent => Direction::Sent,
    };
    write_copy(out, cx, &stored.xml, (&account, to), direction, added);
}

/// XEP-0359 §3.1: with the id that its channel gave it. What stands in quotes has none of them in it.
fn named_by_channel(xml: &str, id: &str) -> String {
    let from = xml.split_once(" from='").map(|(_, behind)| behind);
    let by = from.and_then(|from| from.split(['/', '\'']).next());
    match (by, xml.strip_suffix(END)) {
        (Some(by), Some(inside)) => {
            let ns = ns::STANZA_ID;
            format!("{inside}<stanza-id xmlns='{ns}' by='{by}' id='{id}'/>{END}")
        }
        _ => xml.to_string(),
    }
}

/// XEP-0198 §4, XEP-0203: a message says that it is late, unless it says so already or carries another one, whose time is
/// the one that counts.
pub fn write_late(out: &mut Vec<u8>, cx: &Cx<'_>, stanza: &[u8], at: Timestamp) {
    let head = stanza
        .strip_suffix(END.as_bytes())
        .filter(|head| head.starts_with(PLAIN.as_bytes()));
    // The last one within, if it is there.
    let says_so = |head: &[u8]| {
        let last = memrchr(b'<', head).and_then(|at| head.get(at..));
        last.is_some_and(|last| last.starts_with(delay_begins(cx).as_bytes()))
    };
    let carries = |head: &[u8]| memmem::find(head, ns::FORWARD.as_bytes()).is_some();
    match head {
        Some(head) if !says_so(head) && !carries(head) => {
            out.extend_from_slice(head);
            out.extend_from_slice(delay(cx, at).as_bytes());
            out.extend_from_slice(END.as_bytes());
        }
        _ => out.extend_from_slice(stanza),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_read_off_the_tag() {
        for (xml, found) in [
            (
                "<message from='a@b/c' type='chat'><body/></message>",
                " type='chat'",
            ),
            ("<message from='a@b/c' type='chat'/>", " type='chat'"),
            ("<message from='a@b/c'><x type='y'/></message>", ""),
            ("<message id='&gt; type=&apos;x&apos;'/>", ""),
        ] {
            assert_eq!(kind(xml), found, "{xml}");
        }
    }
}
