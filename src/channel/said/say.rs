//! What is said in a channel is kept, then told to all, by both protocols.
use crate::channel::config::{Config, field};
use crate::channel::mix::sent::fan_out::fan_out as to_participants;
use crate::channel::muc::occupants::participant;
use crate::channel::muc::watch;
use crate::channel::{Channel, room};
use crate::feature;
use crate::state::{Cx, Fault, Urgency};
use crate::store::{ArchiveId, Named};
use crate::xmpp::Message;
use crate::xmpp::relation::{Act, CORRECT, Kind, act_of};

use super::archive;
use super::fan_out::{self, Author, Said};
use super::own::is_subject;
use super::speaker::Speaker;

/// What may be said is kept and told.
pub fn say(
    cx: &mut Cx<'_>,
    channel: &Channel,
    speaker: &Speaker,
    (message, payload): (&Message, &str),
) -> Result<(), Fault> {
    let author = &speaker.author;
    let is_kept = archive::is_wanted(channel, message);
    let act = act_of(message.element.root()).filter(|_| is_kept);
    let act = match &act {
        Some((act, id)) => archive::act(cx, channel, (*act, id))?,
        None => None,
    };
    let payload = &*archive::as_said(cx, act, payload)?;
    if is_kept {
        cx.require_disk_space()?;
    }
    let (id, lang) = (
        message.envelope.id.as_deref(),
        message.envelope.lang.as_deref(),
    );
    let from = format!("{}/{}", channel.jid, author.nick);
    let mut told = Said {
        author,
        id,
        lang,
        payload,
        archived: None,
        urgency: feature::message_urgency(message, &from),
    };
    let mut corrects = None;
    let mut is_said = message.has_body() && message.child("replace", CORRECT).is_none();
    if is_kept {
        let appended = archive::keep(cx, channel, &told, act)?;
        feature::related(cx, (channel.id().archive(), None), &appended, message)?;
        told.archived = Some(appended.id);
        is_said = appended.kind == Kind::Said;
        let corrected = appended.relation.filter(|done| done.act == Act::Corrects);
        corrects = corrected.map(|done| cx.state.archive_ids.text(done.target));
    }
    if is_counted(channel) && is_said {
        let now_ms = cx.now.monotonic_ms;
        cx.state.activity.count(channel.id(), now_ms);
    }
    room(cx, channel);
    if speaker.is_participant {
        participant::show(cx, channel, &author.jid)?;
    }
    fan_out::to_occupants(cx, channel, told);
    // XEP-0369 §3: channels have no subject.
    if !is_subject(message) {
        // To them messages have other ids (§7.1.6).
        let payload = match corrects {
            Some(corrects) => feature::correcting(payload, &corrects),
            None => payload.into(),
        };
        let payload = &*payload;
        to_participants(cx, channel, &Said { payload, ..told });
    }
    if is_kept && is_said {
        watch::said(cx, channel)?;
    }
    Ok(())
}

/// XEP-0502 §4, §10: how much is said in it is told of it, for everybody may come in.
pub fn is_counted(channel: &Channel) -> bool {
    let row = &channel.row;
    row.flag(field::PERSISTENT)
        && row.flag(field::PUBLIC)
        && !row.flag(field::MEMBERS_ONLY)
        && row.text(field::PASSWORD).is_empty()
}

/// The channel itself says something to all about a message, and whoever was away is to have it too.
pub fn say_as_channel(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (id, payload): (Option<&str>, &str),
    (act, about): (Act, ArchiveId),
) -> Result<(), Fault> {
    let author = Author::of_channel(channel);
    let mut told = in_own_words(&author, id, payload);
    if channel.row.flag(field::ARCHIVED) {
        let act = (act, Named::Stanza(about));
        told.archived = Some(archive::keep(cx, channel, &told, Some(act))?.id);
    }
    fan_out::to_occupants(cx, channel, told);
    to_participants(cx, channel, &told);
    Ok(())
}

/// What the channel says to rooms alone; nobody keeps it.
pub fn say_in_rooms(cx: &mut Cx<'_>, channel: &Channel, id: Option<&str>, payload: &str) {
    let author = Author::of_channel(channel);
    let told = in_own_words(&author, id, payload);
    fan_out::to_occupants(cx, channel, told);
}

fn in_own_words<'a>(author: &'a Author, id: Option<&'a str>, payload: &'a str) -> Said<'a> {
    Said {
        author,
        id,
        lang: None,
        payload,
        archived: None,
        urgency: Urgency::Now,
    }
}
