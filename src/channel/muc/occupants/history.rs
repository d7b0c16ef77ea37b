//! XEP-0045 §7.2.13: what was said before, as much of it as whoever comes in wants.
use std::io::Write;

use crate::channel::Channel;
use crate::channel::config::{Config, field};
use crate::channel::said::archive::Kept;
use crate::channel::said::fan_out::{self, write_occupant_id, write_stanza_id};
use crate::state::{Cx, Occupant, Urgency};
use crate::store::{ArchiveQuery, StoreError, Stored};
use crate::xml::{ElementRef, Escaped, Writer};
use crate::xmpp::{BareJid, Jid, Timestamp, ns};

/// Messages sent to one who comes in.
const HISTORY_MAX: u64 = 100;

/// Pages that are looked through for them.
const PAGES_MAX: usize = 4;

/// What of it is wanted.
struct Wanted {
    stanzas: u64,
    chars: usize,
    since: Option<Timestamp>,
}

pub fn send(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (occupant, x): (&Occupant, ElementRef<'_>),
) -> Result<(), StoreError> {
    let wanted = read(cx, channel, x);
    let max = usize::try_from(wanted.stanzas).unwrap_or_default();
    if max == 0 || wanted.chars == 0 {
        return Ok(());
    }
    let query = ArchiveQuery {
        start: wanted.since,
        backward: true,
        max,
        ..ArchiveQuery::default()
    };
    let mut stanzas = latest(cx, channel, query, max)?;
    let mut left = wanted.chars;
    // §7.2.13: the latest that together have so many characters.
    let fitting = stanzas.iter().rev().take_while(|stored| {
        let size = stored.xml.len();
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    let count = fitting.count();
    for stored in stanzas.split_off(stanzas.len() - count) {
        send_one(cx, channel, occupant, &stored);
    }
    Ok(())
}

/// The latest that say something. Whoever wants markers and reactions reads the archive.
fn latest(
    cx: &Cx<'_>,
    channel: &Channel,
    mut query: ArchiveQuery,
    max: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = cx.tx.page(channel.id().archive(), &query)?;
        let first = page.stanzas.first().map(|stored| stored.id);
        let said = page.stanzas.into_iter().rev();
        found.extend(said.filter(|stored| stored.xml.contains("<body")));
        if page.complete || found.len() >= max {
            break;
        }
        query.page_before = first;
    }
    found.truncate(max);
    found.reverse();
    Ok(found)
}

fn read(cx: &Cx<'_>, channel: &Channel, x: ElementRef<'_>) -> Wanted {
    let history = x.child("history", ns::MUC);
    let value = |name| history.and_then(|history| history.attribute(name));
    let number = |name| value(name).and_then(|text| text.trim().parse::<u64>().ok());
    let usual = channel.row.number(field::HISTORY);
    // Whoever says how far back is sent all of that.
    let says = ["seconds", "since"]
        .iter()
        .any(|name| value(name).is_some());
    let stanzas = number("maxstanzas").unwrap_or(if says { HISTORY_MAX } else { usual });
    let by_seconds = number("seconds").map(|seconds| {
        let back = i64::try_from(seconds).unwrap_or(i64::MAX / 1_000);
        Timestamp(cx.now.wall.0.saturating_sub(back.saturating_mul(1_000)))
    });
    let since = value("since").and_then(|text| Timestamp::parse(&text));
    Wanted {
        stanzas: stanzas.min(HISTORY_MAX),
        chars: number("maxchars").map_or(usize::MAX, |chars| {
            usize::try_from(chars).unwrap_or(usize::MAX)
        }),
        since: by_seconds.max(since),
    }
}

fn send_one(cx: &mut Cx<'_>, channel: &Channel, occupant: &Occupant, stored: &Stored) {
    let Some(kept) = Kept::read(&stored.xml) else {
        return;
    };
    let blocked = fan_out::blocked_as(cx, channel, &kept.nick);
    if fan_out::blocks(cx, occupant, blocked.as_ref()) {
        return;
    }
    let start = cx.out.bytes.len();
    let id = cx.state.archive_ids.text(stored.id);
    write(
        &mut cx.out.bytes,
        &channel.jid,
        &kept,
        Some(occupant.jid.as_str()),
    );
    let mut w = Writer::new(&mut cx.out.bytes);
    w.open_ns("delay", ns::DELAY)
        .attr("from", channel.jid.as_str())
        .attr("stamp", &stored.at.to_string())
        .close();
    write_stanza_id(&mut w, channel, &id);
    cx.out.bytes.extend_from_slice(b"</message>");
    let stanza = start..cx.out.bytes.len();
    let how = (Urgency::Now, Some(stored.id));
    fan_out::deliver_kept(cx, occupant.way, &stanza.into(), how);
}

/// A kept message once more, as an occupant was sent it, with its room; as the archive writes messages.
pub fn again(xml: &str, to: &str) -> Option<(BareJid, String)> {
    let kept = Kept::read(xml)?;
    let room = Jid::parse(&kept.attribute("from")?).ok()?.to_bare();
    let mut bytes = Vec::with_capacity(xml.len() + 128);
    write(&mut bytes, &room, &kept, Some(to));
    bytes.extend_from_slice(b"</message>");
    let again = String::from_utf8(bytes).ok()?;
    let inside = again.strip_prefix("<message")?;
    Some((room, format!("<message xmlns='{}'{inside}", ns::CLIENT)))
}

/// A kept message as a room sends it, without its end. `to`: none inside an archive's result.
pub fn write(bytes: &mut Vec<u8>, room: &BareJid, kept: &Kept, to: Option<&str>) {
    let mut text = String::from("<message");
    if to.is_none() {
        text.push_str(" xmlns='jabber:client'");
    }
    let room = Escaped(room.as_str());
    text += &match &kept.author {
        Some(_) => format!(" from='{room}/{}'", Escaped(&kept.nick)),
        None => format!(" from='{room}'"),
    };
    let (id, lang) = (kept.attribute("id"), kept.attribute("xml:lang"));
    let attributes = [
        ("to", to),
        ("id", id.as_deref()),
        ("xml:lang", lang.as_deref()),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            text += &format!(" {name}='{}'", Escaped(value));
        }
    }
    text.push_str(" type='groupchat'>");
    write!(bytes, "{text}").expect("memory takes all that is written");
    let mut w = Writer::new(bytes);
    w.raw(&kept.payload());
    if let Some(author) = &kept.author {
        write_occupant_id(&mut w, author);
    }
}
