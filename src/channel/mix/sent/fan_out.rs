//! XEP-0369 §7.1.6: a message to all participants who subscribed to messages.
use std::io::Write;

use crate::channel::Channel;
use crate::channel::config::{Config, field, whois};
use crate::channel::people::{self, access};
use crate::channel::said::fan_out::{Said, write_stanza_id};
use crate::feature::Heard;
use crate::state::{self, Cx, Keep, Shared};
use crate::store::{ArchiveId, StoreError};
use crate::xml::{Escaped, Writer};
use crate::xmpp::{Jid, ns, quoted_error};

use super::deliver::{takers, to_participant};
use crate::channel::mix::OLD;
use crate::channel::mix::nodes::Node;

pub fn fan_out(cx: &mut Cx<'_>, channel: &Channel, said: &Said<'_>) {
    if let Err(error) = to_takers(cx, channel, said) {
        log::error!("channel.failed error={}", quoted_error(&error));
    }
}

fn to_takers(cx: &mut Cx<'_>, channel: &Channel, said: &Said<'_>) -> Result<(), StoreError> {
    let takers = takers(cx, channel)?;
    let mut takers = takers
        .iter()
        .filter(|taker| Node::Messages.is_in(taker.nodes))
        .peekable();
    if takers.peek().is_none() {
        return Ok(());
    }
    let author = said.author;
    let from: Jid = match channel.jid.with_resource(&author.id) {
        Ok(full) if !author.is_channel => full.into(),
        _ => channel.jid.clone().into(),
    };
    // §7.1.6: the archive's id, not the sender's.
    let id = match said.archived {
        Some(id) => cx.state.archive_ids.text(id),
        None => cx.new_id(),
    };
    let start = start(&from, &id, said);
    let is_shown = shows_author(cx, channel, author.jid.bare_str())?;
    let own = author.jid.bare_str();
    let mut ends: [Option<Shared>; 8] = Default::default();
    for taker in takers {
        let form = Form {
            is_old: taker.is_old,
            shows_jid: is_shown || taker.rules,
            is_own: taker.jid.as_str() == own && said.id.is_some(),
        };
        let Some(place) = ends.get_mut(form.place()) else {
            continue;
        };
        let end = match place {
            Some(end) => &*end,
            None => &*place.insert(end(cx, channel, said, form)),
        };
        let heard = Heard {
            from: &from,
            start: &start,
            end,
            id: said.archived,
            urgency: said.urgency,
            keep: form.keep(said.archived),
        };
        to_participant(cx, &taker.jid, &heard);
    }
    Ok(())
}

/// What one participant is sent, and another is not.
#[derive(Clone, Copy)]
struct Form {
    is_old: bool,
    shows_jid: bool,
    is_own: bool,
}

impl Form {
    /// What is sent once more (XEP-0198 §5) is what became of it, but to whoever said it, who knows it by more than is archived.
    fn keep(self, archived: Option<ArchiveId>) -> Keep {
        match archived.filter(|_| !self.is_old && !self.is_own) {
            Some(id) => Keep::Archived(id, state::Form::Member),
            None => Keep::Whole { shared: true },
        }
    }

    fn place(self) -> usize {
        usize::from(self.is_old) + 2 * usize::from(self.shows_jid) + 4 * usize::from(self.is_own)
    }
}

/// XEP-0404 §2.3: whether everybody may know who says it.
pub fn shows_author(cx: &Cx<'_>, channel: &Channel, author: &str) -> Result<bool, StoreError> {
    if channel.row.number(field::WHOIS) != whois::MAYBE {
        return Ok(access::shows_to_all(channel, None));
    }
    let member = people::member(cx, channel, author)?;
    Ok(access::shows_to_all(channel, member.participation.as_ref()))
}

fn start(from: &Jid, id: &str, said: &Said<'_>) -> Vec<u8> {
    let mut start = Vec::with_capacity(160);
    let (from, id) = (Escaped(from.as_str()), Escaped(id));
    write!(start, "<message from='{from}' id='{id}'").expect("memory takes all");
    if let Some(lang) = said.lang {
        write!(start, " xml:lang='{}'", Escaped(lang)).expect("memory takes all");
    }
    start.extend_from_slice(b" type='groupchat'");
    start
}

fn end(cx: &mut Cx<'_>, channel: &Channel, said: &Said<'_>, form: Form) -> Shared {
    let archived = said.archived.map(|id| cx.state.archive_ids.text(id));
    cx.share(|bytes| {
        let mut w = Writer::new(bytes);
        if !said.author.is_channel {
            write_author(&mut w, said, form);
        }
        w.raw(said.payload);
        if let Some(id) = &archived {
            write_stanza_id(&mut w, channel, id);
        }
        bytes.extend_from_slice(b"</message>");
    })
}

/// §7.1.6
fn write_author(w: &mut Writer<'_>, said: &Said<'_>, form: Form) {
    let namespace = if form.is_old { OLD } else { ns::MIX };
    w.open_ns("mix", namespace).leaf("nick", &said.author.nick);
    if form.shows_jid {
        w.leaf("jid", said.author.jid.bare_str());
    }
    // COMPAT(Siskin, BeagleIM; version 0.13): they know their own message by it.
    if let Some(id) = said.id.filter(|_| form.is_own) {
        w.leaf("submission-id", id);
    }
    w.close();
}
