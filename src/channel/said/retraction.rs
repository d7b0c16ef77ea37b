//! XEP-0424, XEP-0425, XEP-0407 §4: what is taken back, by whoever said it or by those who moderate. Its words are gone from the archive,
//! with all corrections of them; that it was there stays, and so does the retraction.
use std::rc::Rc;

use crate::state::{Cx, Fault, Role};
use crate::store::{ArchiveId, ChannelAffiliation, MemberRow, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::relation::{Act, FASTEN, MODERATE, MODERATE_OLD, RETRACT, RETRACT_OLD, act_of};
use crate::xmpp::{Condition, ErrorType, IqKind, Message, StanzaError, ns};

use crate::feature::{self, Reply};

use super::archive::Kept;
use super::fan_out::{Author, write_occupant_id};
use super::say::{say, say_as_channel};
use super::speaker::{Speaker, speaker};
use crate::channel::Channel;
use crate::channel::asked::{Asked, Row};
use crate::channel::config::{Config, field};
use crate::channel::people::{self, access};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1024;

pub const ROWS: &[Row] = &[
    (IqKind::Set, MODERATE, "moderate", moderate),
    (IqKind::Set, FASTEN, "apply-to", moderate_old),
];

/// XEP-0424 §4, in the words of before version 0.4, too: the sender of a message takes it back. Whoever did not say it may say so, and nothing comes of it.
pub fn taken_back(
    cx: &mut Cx<'_>,
    channel: &Channel,
    speaker: &Speaker,
    message: &Message,
) -> Result<(), Fault> {
    let Some((Act::Retracts, named)) = act_of(message.element.root()) else {
        return Ok(());
    };
    if !channel.row.flag(field::RETRACTION) {
        return Err(Condition::NotAllowed.into());
    }
    let Some((id, kept)) = find(cx, channel, &named)? else {
        return Ok(());
    };
    if kept.author.as_deref() != Some(&*speaker.author.id) {
        return Err(Condition::Forbidden.into());
    }
    let by = By {
        id: message.envelope.id.as_deref(),
        moderator: None,
        reason: None,
    };
    Ok(bury(cx, channel, id, &by)?)
}

/// XEP-0407 §4: asked for in the words of MIX, by whoever said it or by those who moderate; true: that was it. Everybody is told
/// in the words of both.
pub fn asked_by_mix(
    cx: &mut Cx<'_>,
    channel: &Channel,
    speaker: &Speaker,
    message: &Message,
) -> Result<bool, Fault> {
    let Some(retract) = message.child("retract", ns::MIX_MISC) else {
        return Ok(false);
    };
    let named = retract.attribute("id").filter(|_| !message.has_body());
    let named = named.ok_or(Condition::BadRequest)?;
    let (id, kept) = find_whole(cx, channel, &named)?;
    let author = &speaker.author;
    let is_own = kept.author.as_deref() == Some(&*author.id);
    let is_free = is_own && channel.row.flag(field::RETRACTION);
    let member = people::member(cx, channel, author.jid.bare_str())?;
    if !is_free && !may_moderate(channel, &member, speaker.role) {
        return Err(match is_own {
            true => Condition::NotAllowed.into(),
            false => Condition::Forbidden.into(),
        });
    }
    cx.require_disk_space()?;
    let own_id = cx.new_id();
    let by = By {
        id: match is_free {
            true => message.envelope.id.as_deref(),
            false => Some(&own_id),
        },
        moderator: (!is_free).then_some(author),
        reason: None,
    };
    bury(cx, channel, id, &by)?;
    let payload = format!("{}{}", in_mix(&named), retraction(channel, &named, &by));
    match is_free {
        true => say(cx, channel, speaker, (message, &payload))?,
        false => say_as_channel(cx, channel, (by.id, &payload), (Act::Moderates, id))?,
    }
    Ok(true)
}

fn in_mix(named: &str) -> String {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes)
        .open_ns("retract", ns::MIX_MISC)
        .attr("id", named)
        .close();
    String::from_utf8(bytes).expect("the writer writes UTF-8")
}

/// XEP-0425 §4.
fn moderate(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let payload = asked.payload;
    if payload.child("retract", RETRACT).is_none() {
        return Err(Condition::BadRequest.into());
    }
    let reason = payload.child("reason", MODERATE);
    moderated(cx, asked, reason)
}

/// The same as it was asked for before version 0.3.
fn moderate_old(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let moderate = asked.payload.child("moderate", MODERATE_OLD);
    let moderate = moderate.ok_or(Condition::BadRequest)?;
    if moderate.child("retract", RETRACT_OLD).is_none() {
        return Err(Condition::BadRequest.into());
    }
    moderated(cx, asked, moderate.child("reason", MODERATE_OLD))
}

fn moderated(
    cx: &mut Cx<'_>,
    asked: &Asked<'_>,
    reason: Option<ElementRef<'_>>,
) -> Result<Reply, Fault> {
    let channel = &asked.channel;
    let moderator = require_moderator(cx, asked)?;
    let named = asked.payload.attribute("id").ok_or(Condition::BadRequest)?;
    let reason = reason.map(|reason| reason.text().into_owned());
    if reason
        .as_ref()
        .is_some_and(|text| text.len() > REASON_BYTES_MAX)
    {
        return Err(Condition::NotAcceptable.into());
    }
    let (id, _) = find_whole(cx, channel, &named)?;
    cx.require_disk_space()?;
    let own_id = cx.new_id();
    let by = By {
        id: Some(&own_id),
        moderator: Some(&moderator),
        reason: reason.as_deref(),
    };
    bury(cx, channel, id, &by)?;
    let payload = retraction(channel, &named, &by);
    say_as_channel(cx, channel, (Some(&own_id), &payload), (Act::Moderates, id))?;
    Ok(Reply::Empty)
}

/// XEP-0406: who may retract what others said.
fn may_moderate(channel: &Channel, member: &MemberRow, role: Role) -> bool {
    const NOBODY: u64 = 0;
    const OWNERS: u64 = 2;
    match channel.row.number(field::MODERATION) {
        NOBODY => false,
        OWNERS => member.affiliation == ChannelAffiliation::Owner,
        _ => role == Role::Moderator,
    }
}

fn require_moderator(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<Author, Fault> {
    let channel = &asked.channel;
    let member = people::member(cx, channel, asked.who.as_str())?;
    let inside = speaker(cx, channel, asked.from)?;
    let role = inside.as_ref().map_or(Role::None, |inside| inside.role);
    let role = role.max(match access::belongs(&member) {
        true => access::role_of(channel, &member),
        false => Role::None,
    });
    if !may_moderate(channel, &member, role) {
        return Err(StanzaError::new(Condition::Forbidden)
            .kind(ErrorType::Modify)
            .text("Only moderators may retract what others said.")
            .into());
    }
    Ok(inside.map(|inside| inside.author).unwrap_or_else(|| {
        let id = people::id_of(cx, channel, asked.who.as_str());
        let nick = member
            .nick
            .as_deref()
            .map_or_else(|| Rc::from(&*id), Rc::from);
        Author {
            jid: asked.from.clone(),
            nick,
            id,
            is_channel: false,
        }
    }))
}

/// One that can be retracted: the channel's own words, and what is gone already, stay as they are.
fn find_whole(cx: &Cx<'_>, channel: &Channel, named: &str) -> Result<(ArchiveId, Kept), Fault> {
    let found = find(cx, channel, named)?;
    let is_gone = |kept: &Kept| kept.element.root().child("retracted", RETRACT).is_some();
    let found = found.filter(|(_, kept)| kept.author.is_some() && !is_gone(kept));
    Ok(found.ok_or(Condition::ItemNotFound)?)
}

/// A message of this channel by its stanza-id.
fn find(
    cx: &Cx<'_>,
    channel: &Channel,
    named: &str,
) -> Result<Option<(ArchiveId, Kept)>, StoreError> {
    let Some(id) = cx.state.archive_ids.parse(named) else {
        return Ok(None);
    };
    if !cx.tx.archived(channel.id().archive(), id)? {
        return Ok(None);
    }
    let stored = cx.tx.stanza(id)?;
    Ok(stored.and_then(|stored| Some((id, Kept::read(&stored.xml)?))))
}

/// Who takes it back.
struct By<'a> {
    /// The id of the retraction.
    id: Option<&'a str>,
    moderator: Option<&'a Author>,
    reason: Option<&'a str>,
}

/// XEP-0424 §5: nothing but the place is left of it, and of its corrections (XEP-0308).
fn bury(cx: &mut Cx<'_>, channel: &Channel, id: ArchiveId, by: &By<'_>) -> Result<(), StoreError> {
    let retracted = feature::retracted(|w| {
        w.attr_opt("id", by.id)
            .attr("stamp", &cx.now.wall.to_string());
        write_moderated(w, channel, by);
    });
    feature::bury(cx, channel.id().archive(), id, &retracted)?;
    Ok(())
}

fn write_moderated(w: &mut Writer<'_>, channel: &Channel, by: &By<'_>) {
    if let Some(moderator) = by.moderator {
        let nick = format!("{}/{}", channel.jid, moderator.nick);
        w.open_ns("moderated", MODERATE).attr("by", &nick);
        write_occupant_id(w, &moderator.id);
        w.close();
    }
    if let Some(reason) = by.reason {
        w.leaf("reason", reason);
    }
}

/// XEP-0425 §4, and as clients of versions before 0.3 know it.
fn retraction(channel: &Channel, named: &str, by: &By<'_>) -> String {
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open_ns("retract", RETRACT).attr("id", named);
    write_moderated(&mut w, channel, by);
    w.close();
    if let Some(moderator) = by.moderator {
        let nick = format!("{}/{}", channel.jid, moderator.nick);
        w.open_ns("apply-to", FASTEN).attr("id", named);
        w.open_ns("moderated", MODERATE_OLD).attr("by", &nick);
        w.open_ns("retract", RETRACT_OLD).close();
        if let Some(reason) = by.reason {
            w.leaf("reason", reason);
        }
        w.close().close();
    }
    String::from_utf8(bytes).expect("the writer writes UTF-8")
}
