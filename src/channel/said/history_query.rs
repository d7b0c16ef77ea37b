//! XEP-0313 at a channel: whoever may read what was said asks for it, in the form of the protocol they speak.
use std::borrow::Cow;

use crate::feature::{
    self, ArchiveSource, AskingArchive, Reply, archive_fields, archive_page, write_archive_metadata,
};
use crate::state::{Cx, Fault, ParticipantId, Role};
use crate::store::{ArchiveQuery, Stored};
use crate::xml::{Escaped, Writer};
use crate::xmpp::{BareJid, Condition, IqKind, Jid, ns, relation};

use super::archive::Kept;
use crate::channel::Channel;
use crate::channel::asked::{Asked, Row};
use crate::channel::config::{Config, field};
use crate::channel::mix::nodes;
use crate::channel::muc::occupants::{history, tell};
use crate::channel::people::nick::{self, Nick};
use crate::channel::people::{self, access};

/// XEP-0369 §4.4: the node whose history is that of the channel.
const MESSAGES: &str = "urn:xmpp:mix:nodes:messages";
/// Pages of what was said that are looked through for a nick, and how long they are.
const LOOK_PAGES_MAX: usize = 4;
const LOOK_PAGE: usize = 250;

pub const ROWS: &[Row] = &[
    (IqKind::Get, ns::MAM, "query", fields),
    (IqKind::Set, ns::MAM, "query", query),
    (IqKind::Get, ns::MAM, "metadata", metadata),
];

fn require_reader(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(), Fault> {
    if !asked.channel.row.flag(field::ARCHIVED) {
        return Err(Condition::ServiceUnavailable.into());
    }
    match access::may_read(cx, &asked.channel, &asked.who)? {
        true => Ok(()),
        // §7: who is not allowed in is not told what was said.
        false => Err(Condition::Forbidden.into()),
    }
}

fn fields(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_reader(cx, asked)?;
    Ok(archive_fields(&cx.state.settings))
}

fn metadata(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_reader(cx, asked)?;
    let ends = cx.tx.archive_ends(asked.channel.id().archive())?;
    Ok(Reply::payload(|w| {
        write_archive_metadata(&cx.state.archive_ids, ends, w);
    }))
}

fn query(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_reader(cx, asked)?;
    let is_mix = match asked.payload.attribute("node").as_deref() {
        None => false,
        Some(MESSAGES) => true,
        Some(node) => return nodes::history::query(cx, asked, node),
    };
    let channel = &asked.channel;
    let reader = Reader::of(cx, channel, &asked.who)?;
    let role = reader.role;
    let asking = AskingArchive {
        payload: asked.payload,
        from: asked.from,
        origin: asked.origin,
    };
    let as_room = |cx: &Cx<'_>, stored: &Stored| in_room(cx, channel, stored, &reader);
    let as_channel = |cx: &Cx<'_>, stored: &Stored| in_channel(cx, channel, stored, role);
    let source = ArchiveSource {
        account: channel.id().archive(),
        jid: &channel.jid,
        with: &|cx, with| author(cx, channel, &with, role),
        shown: match is_mix {
            true => &|cx, stored| as_channel(cx, stored).map(Cow::Owned),
            false => &|cx, stored| as_room(cx, stored).map(Cow::Owned),
        },
    };
    archive_page(cx, &asking, &source)
}

/// Somebody to whom a channel shows what was said.
pub struct Reader {
    role: Role,
    id: ParticipantId,
}

impl Reader {
    pub fn of(cx: &Cx<'_>, channel: &Channel, who: &BareJid) -> Result<Reader, Fault> {
        let room = cx.state.rooms.get(channel.id());
        let own = room.and_then(|room| room.of_person(who.as_str()).next());
        let inside = own.map_or(Role::None, |occupant| occupant.role);
        let member = people::member(cx, channel, who.as_str())?;
        let role = inside.max(match access::belongs(&member) {
            true => access::role_of(channel, &member),
            false => Role::None,
        });
        let id = people::id_of(cx, channel, who.as_str());
        Ok(Reader { role, id })
    }
}

/// §7.1: whose messages are asked for: an occupant, or a person, by those who may know who that is.
fn author(cx: &Cx<'_>, channel: &Channel, with: &Jid, to: Role) -> Option<Jid> {
    if with.bare_str() != channel.jid.as_str() {
        let who = with.bare_str();
        let member = people::member(cx, channel, who).ok()?;
        // Whoever left may have done so because JIDs are shown.
        let is_here = access::belongs(&member) || people::is_inside(cx, channel, who);
        let shows_jid = to == Role::Moderator || (is_here && access::shows_jid(channel, to));
        let id = people::id_of(cx, channel, with.bare_str());
        let author = channel.jid.with_resource(&id).ok()?;
        return shows_jid.then(|| author.into());
    }
    let Some(resource) = with.resource() else {
        return Some(with.clone());
    };
    // A stable id, or a nick.
    if cx.tx.behind_id(channel.id(), resource).ok()?.is_some() {
        return Some(with.clone());
    }
    let nick = Nick::parse(resource).ok()?;
    let id = match nick::holder(cx, channel, &nick.key).ok()? {
        Some(holder) => people::id_of(cx, channel, &holder).to_string(),
        None => last_as(cx, channel, resource)?,
    };
    Some(channel.jid.with_resource(&id).ok()?.into())
}

/// Who said something under a nick that is nobody's now: the last of them.
fn last_as(cx: &Cx<'_>, channel: &Channel, nick: &str) -> Option<String> {
    let written = format!("<nick>{}</nick>", Escaped(nick));
    let mut query = ArchiveQuery {
        backward: true,
        max: LOOK_PAGE,
        ..ArchiveQuery::default()
    };
    for _ in 0..LOOK_PAGES_MAX {
        let page = cx.tx.page(channel.id().archive(), &query).ok()?;
        let mut latest = page.stanzas.iter().rev();
        let is_it = |stored: &&Stored| stored.xml.contains(&written);
        let kept = latest.find(is_it).and_then(|it| Kept::read(&it.xml));
        if let Some(kept) = kept.filter(|kept| kept.nick == nick) {
            return kept.author;
        }
        if page.complete {
            return None;
        }
        query.page_before = page.stanzas.first().map(|first| first.id);
    }
    None
}

/// As a room sent it; those who may know find who said it (§7.2). Of oneself one may.
pub fn in_room(cx: &Cx<'_>, channel: &Channel, stored: &Stored, to: &Reader) -> Option<String> {
    let kept = Kept::read(&stored.xml)?;
    let mut bytes = Vec::with_capacity(stored.xml.len() + 256);
    history::write(&mut bytes, &channel.jid, &kept, None);
    let author = kept.author.as_deref();
    let author = author
        .filter(|author| *author == &*to.id || access::shows_author_of(channel, to.role, &kept));
    let jid = author.and_then(|id| cx.tx.behind_id(channel.id(), id).ok().flatten());
    if let Some(jid) = jid {
        let member = people::member(cx, channel, &jid).unwrap_or_default();
        let mut w = Writer::new(&mut bytes);
        w.open_ns("x", ns::MUC_USER);
        w.open("item")
            .attr("affiliation", tell::affiliation_text(member.affiliation))
            .attr("role", access::role_of(channel, &member).as_str())
            .attr("jid", &jid)
            .close();
        w.close();
    }
    bytes.extend_from_slice(b"</message>");
    String::from_utf8(bytes).ok()
}

/// As a channel sent it: under the archive's id, with the JID for those who may know it now.
fn in_channel(cx: &Cx<'_>, channel: &Channel, stored: &Stored, to: Role) -> Option<String> {
    let kept = Kept::read(&stored.xml)?;
    let author = kept.author.as_deref();
    let from = match author {
        Some(author) => format!("{}/{author}", channel.jid),
        None => channel.jid.to_string(),
    };
    let lang = kept.attribute("xml:lang");
    let mut bytes = Vec::with_capacity(stored.xml.len() + 64);
    let mut w = Writer::new(&mut bytes);
    w.open_ns("message", ns::CLIENT)
        .attr("from", &from)
        .attr("id", &cx.state.archive_ids.text(stored.id))
        .attr_opt("xml:lang", lang.as_deref())
        .attr("type", "groupchat");
    if let Some(author) = author {
        w.open_ns("mix", ns::MIX).leaf("nick", &kept.nick);
        let is_shown = access::shows_author_of(channel, to, &kept);
        let jid = is_shown.then(|| cx.tx.behind_id(channel.id(), author));
        if let Some(jid) = jid.and_then(|jid| jid.ok().flatten()) {
            w.leaf("jid", &jid);
        }
        w.close();
    }
    w.raw(&feature::naming_in_channel(cx, stored, &kept.payload()));
    write_tombstone(&mut w, channel, &kept);
    w.close();
    String::from_utf8(bytes).ok()
}

/// XEP-0407 §4: what was retracted, in the words of MIX. By whom is said by an address that tells nothing of who it is.
fn write_tombstone(w: &mut Writer<'_>, channel: &Channel, kept: &Kept) {
    let retracted = kept.element.root().child("retracted", relation::RETRACT);
    let Some(retracted) = retracted else {
        return;
    };
    let moderated = retracted.child("moderated", relation::MODERATE);
    let moderator = moderated.and_then(|it| it.child("occupant-id", ns::OCCUPANT_ID));
    let id = match moderator {
        Some(moderator) => moderator.attribute("id"),
        None => kept.author.as_deref().map(Cow::Borrowed),
    };
    let by = id.map(|id| format!("{id}#{}", channel.jid));
    w.open_ns("retracted", ns::MIX_MISC)
        .attr_opt("by", by.as_deref())
        .attr_opt("time", retracted.attribute("stamp").as_deref())
        .close();
}
