//! What a channel keeps of what was said: one row a message, in a form that knows neither protocol (XEP-0313 §7).
//!
//! `<message from='channel/id' id='of its sender' type='groupchat'><mix><nick/><jid/></mix>…</message>`: `from` holds the
//! stable id; `jid` is there only where everybody may know it.
use std::borrow::Cow;

use crate::feature;
use crate::state::Cx;
use crate::store::{Appended, Direction, Named, Owner, Record, StoreError};
use crate::xml::{Element, Writer, parse_stored};
use crate::xmpp::relation::Act;
use crate::xmpp::{Jid, Message, ns};

use super::fan_out::{Author, Said};
use super::own::is_subject;
use crate::channel::Channel;
use crate::channel::config::{Config, field, whois};

/// XEP-0313 §6.1.2, XEP-0334.
pub fn is_wanted(channel: &Channel, message: &Message) -> bool {
    if !channel.row.flag(field::ARCHIVED) {
        return false;
    }
    let has_hint = |name| message.child(name, ns::HINTS).is_some();
    if has_hint("no-store") || has_hint("no-permanent-store") {
        return false;
    }
    let mut children = message.element.root().children();
    // Receipts are between two people.
    let mut is_kept =
        || children.any(|child| feature::is_content(child) && child.namespace() != ns::RECEIPTS);
    message.has_body() || has_hint("store") || is_subject(message) || is_kept()
}

/// Keeps a message.
pub fn keep(
    cx: &mut Cx<'_>,
    channel: &Channel,
    said: &Said<'_>,
    act: Option<(Act, Named<'_>)>,
) -> Result<Appended, StoreError> {
    let author = said.author;
    // Whoever it is was seen here: moderators may ask who is behind an id.
    if !author.is_channel {
        cx.tx
            .note_id(channel.id(), &author.id, author.jid.bare_str())?;
    }
    let from = sender(channel, author);
    let xml = stored(channel, said, &from);
    let owners = [Owner {
        account: channel.id().archive(),
        direction: Direction::Received,
        unseen: false,
    }];
    let record = Record {
        owners: &owners,
        from: &from,
        to: channel.jid.as_jid(),
        at: cx.now.wall,
        xml: &xml,
        act,
    };
    cx.tx.append(&record)
}

/// Corrections name the id that a message came with, all else what the channel called it (XEP-0424 §4, XEP-0444 §4,
/// XEP-0461 §3). To participants that is one (XEP-0369 §7.1.6).
pub fn act<'a>(
    cx: &Cx<'_>,
    channel: &Channel,
    (act, id): (Act, &'a str),
) -> Result<Option<(Act, Named<'a>)>, StoreError> {
    let stanza = cx.state.archive_ids.parse(id);
    let named = match (act, stanza) {
        // This a channel alone does, in its own words.
        (Act::Moderates, _) => return Ok(None),
        (Act::Corrects, Some(stanza)) if cx.tx.archived(channel.id().archive(), stanza)? => {
            Named::Stanza(stanza)
        }
        (Act::Corrects, _) => Named::Id(id),
        (_, Some(stanza)) => Named::Stanza(stanza),
        (_, None) => return Ok(None),
    };
    Ok(Some((act, named)))
}

/// In rooms messages have their senders' ids, and what one corrects is named so, whoever says it.
pub fn as_said<'p>(
    cx: &Cx<'_>,
    act: Option<(Act, Named<'_>)>,
    payload: &'p str,
) -> Result<Cow<'p, str>, StoreError> {
    let Some((Act::Corrects, Named::Stanza(id))) = act else {
        return Ok(payload.into());
    };
    let first = cx.tx.corrected(id)?.unwrap_or(id);
    let first = cx.tx.stanza(first)?.and_then(|it| Kept::read(&it.xml));
    Ok(match first.and_then(|first| first.attribute("id")) {
        Some(named) => feature::correcting(payload, &named),
        None => payload.into(),
    })
}

fn sender(channel: &Channel, author: &Author) -> Jid {
    let full = channel.jid.with_resource(&author.id);
    match full {
        Ok(full) if !author.is_channel => full.into(),
        _ => channel.jid.clone().into(),
    }
}

fn stored(channel: &Channel, said: &Said<'_>, from: &Jid) -> String {
    let mut bytes = Vec::with_capacity(said.payload.len() + 256);
    let mut w = Writer::new(&mut bytes);
    w.open_ns("message", ns::CLIENT)
        .attr("from", from.as_str())
        .attr_opt("id", said.id)
        .attr_opt("xml:lang", said.lang)
        .attr("type", "groupchat");
    if !said.author.is_channel {
        w.open_ns("mix", ns::MIX).leaf("nick", &said.author.nick);
        if channel.row.number(field::WHOIS) == whois::ANYONE {
            w.leaf("jid", said.author.jid.bare_str());
        }
        w.close();
    }
    w.raw(said.payload).close();
    String::from_utf8(bytes).expect("the writer writes UTF-8")
}

/// A kept message taken apart.
pub struct Kept {
    pub element: Element,
    pub nick: String,
    /// The stable id; `None`: the channel spoke.
    pub author: Option<String>,
    /// It was said where everybody knew who everybody was.
    pub is_open: bool,
}

impl Kept {
    pub fn read(xml: &str) -> Option<Kept> {
        let element = parse_stored(xml, ns::CLIENT).ok()?;
        let root = element.root();
        let from = root.attribute("from")?;
        let author = from.split_once('/').map(|(_, id)| id.to_string());
        let mix = root.child("mix", ns::MIX);
        let text = |name| {
            let child = mix.and_then(|mix| mix.child(name, ns::MIX));
            child.map(|child| child.text().into_owned())
        };
        Some(Kept {
            nick: text("nick").unwrap_or_default(),
            is_open: text("jid").is_some(),
            author,
            element,
        })
    }

    /// What was said.
    pub fn payload(&self) -> String {
        let children = self.element.root().children();
        let said = children.filter(|child| !child.is("mix", ns::MIX));
        said.map(|child| child.source()).collect()
    }

    pub fn attribute(&self, name: &str) -> Option<String> {
        let root = self.element.root();
        let value = match name {
            "xml:lang" => root.lang(),
            name => root.attribute(name),
        };
        value.map(|value| value.into_owned())
    }
}
