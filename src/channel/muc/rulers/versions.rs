//! XEP-0463: who has which affiliation, told to whoever comes in from the version on that they know. A version names the
//! channel as well, for another may have the same address later.
use crate::channel::said::fan_out;
use crate::channel::{Channel, people};
use crate::state::{Cx, Fault, Occupant, Urgency};
use crate::store::{ChannelAffiliation, MemberRow};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{Condition, StanzaError, ns};

use super::lists;
use crate::channel::muc::occupants::tell::affiliation_text;

pub const NS: &str = "urn:xmpp:muc:affiliations:1";
/// Items of one message.
const ITEMS_MAX: usize = 100;

fn text(channel: &Channel, version: u64) -> String {
    format!("{}-{version}", channel.id().0)
}

/// What a client knows; `None`: that is none, or too long ago.
fn parse(channel: &Channel, text: &str) -> Option<u64> {
    let (id, version) = text.split_once('-')?;
    let version = version.parse().ok()?;
    let row = &channel.row;
    let is_known =
        id == channel.id().0.to_string() && (row.known_from..=row.version).contains(&version);
    is_known.then_some(version)
}

fn written(channel: &Channel, since: Option<u64>, until: u64) -> String {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open_ns("mav", NS)
        .attr_opt("since", since.map(|since| text(channel, since)).as_deref())
        .attr("until", &text(channel, until))
        .close();
    String::from_utf8(bytes).expect("the writer writes UTF-8")
}

/// §5.2.2: an affiliation has just changed.
pub fn changed(channel: &Channel) -> String {
    let until = channel.row.version;
    written(channel, Some(until.saturating_sub(1)), until)
}

/// §5.2.1: before any presence, to whoever asks. Returns what their own presence says of it.
pub fn tell(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (occupant, id): (&Occupant, Option<&str>),
    x: ElementRef<'_>,
) -> Result<Option<String>, Fault> {
    let Some(asked) = x.child("mav", NS) else {
        return Ok(None);
    };
    let rights = (occupant.affiliation, occupant.role);
    if !lists::may_list(&channel.row, rights, ChannelAffiliation::Member) {
        refuse(cx, channel, occupant, id);
        return Ok(None);
    }
    let now = channel.row.version;
    let since = asked.attribute("since");
    let since = since.and_then(|since| parse(channel, &since));
    if since != Some(now) {
        let items = items(cx, channel, occupant, since)?;
        send(cx, channel, occupant, (since, &items));
    }
    Ok(Some(written(channel, None, now)))
}

/// §5.2.3
fn refuse(cx: &mut Cx<'_>, channel: &Channel, occupant: &Occupant, id: Option<&str>) {
    let error = StanzaError::new(Condition::Forbidden);
    let stanza = cx.write(|w| {
        w.open("message")
            .attr("type", "error")
            .attr("from", channel.jid.as_str())
            .attr("to", occupant.jid.as_str())
            .attr_opt("id", id);
        error.write_by(w, Some(channel.jid.as_str()));
        w.close();
    });
    fan_out::deliver(cx, occupant.way, &stanza.into(), Urgency::Now);
}

/// In the order they changed. `since`: only what changed from then on.
fn items(
    cx: &Cx<'_>,
    channel: &Channel,
    occupant: &Occupant,
    since: Option<u64>,
) -> Result<Vec<(String, MemberRow)>, Fault> {
    let sees_outcasts = occupant.affiliation >= ChannelAffiliation::Admin;
    let mut found = Vec::new();
    people::each(cx, channel, &mut |jid, mut row| {
        if row.affiliation == ChannelAffiliation::Outcast && !sees_outcasts {
            row.affiliation = ChannelAffiliation::None;
        }
        let is_told = match since {
            Some(since) => row.version > since,
            None => row.affiliation != ChannelAffiliation::None,
        };
        if is_told {
            found.push((jid, row));
        }
    })?;
    found.sort_by_key(|(_, row)| row.version);
    Ok(found)
}

/// Each message goes on where the one before ended.
fn send(
    cx: &mut Cx<'_>,
    channel: &Channel,
    occupant: &Occupant,
    (mut since, items): (Option<u64>, &[(String, MemberRow)]),
) {
    if items.is_empty() && since.is_some() {
        return;
    }
    let mut left = items;
    loop {
        let (these, rest) = left.split_at_checked(ITEMS_MAX).unwrap_or((left, &[]));
        left = rest;
        let last = these.last().map(|(_, row)| row.version);
        let until = match (last, left.is_empty()) {
            (Some(last), false) => last,
            _ => channel.row.version,
        };
        let mav = written(channel, since, until);
        let stanza = cx.write(|w| {
            w.open("message")
                .attr("from", channel.jid.as_str())
                .attr("to", occupant.jid.as_str());
            w.open_ns("x", ns::MUC_USER).raw(&mav);
            for (jid, row) in these {
                w.open("item")
                    .attr("affiliation", affiliation_text(row.affiliation))
                    .attr("jid", jid)
                    .attr_opt("nick", row.nick.as_deref())
                    .close();
            }
            w.close().close();
        });
        fan_out::deliver(cx, occupant.way, &stanza.into(), Urgency::Now);
        if left.is_empty() {
            return;
        }
        since = Some(until);
    }
}
