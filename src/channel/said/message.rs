//! The way of a message to all in a channel, whatever its sender speaks: may they, what of it is kept, then to everybody.
use std::rc::Rc;

use crate::feature;
use crate::state::{Cx, Fault, Role, Urgency};
use crate::store::{ArchiveId, Named};
use crate::xml::ElementRef;
use crate::xmpp::relation::{Act, CORRECT, FASTEN, Kind, MODERATE, MODERATE_OLD, RETRACT, act_of};
use crate::xmpp::{Condition, ErrorType, Jid, Message, StanzaError, ns};

use super::fan_out::{self, Author, Said};
use super::{archive, retraction};
use crate::channel::config::{Config, field};
use crate::channel::people::{self, access};
use crate::channel::{Channel, mix, muc, room};

/// Whoever speaks, and what they may.
pub struct Speaker {
    pub author: Author,
    pub role: Role,
    /// They are known as a participant of XEP-0369 only.
    pub is_participant: bool,
}

/// Who is behind a real JID; `None`: nobody who is in it.
pub fn speaker(cx: &Cx<'_>, channel: &Channel, from: &Jid) -> Result<Option<Speaker>, Fault> {
    let room = cx.state.rooms.get(channel.id());
    let mut occupants = room.into_iter().flat_map(|room| &room.occupants);
    if let Some(occupant) = occupants.find(|one| one.jid == *from) {
        return Ok(Some(Speaker {
            author: Author {
                jid: from.clone(),
                nick: Rc::clone(&occupant.nick),
                id: occupant.id,
                is_channel: false,
            },
            role: occupant.role,
            is_participant: false,
        }));
    }
    let member = people::member(cx, channel, from.bare_str())?;
    if member.participation.is_none() {
        return Ok(None);
    }
    let id = people::id_of(cx, channel, from.bare_str());
    let nick = member
        .nick
        .as_deref()
        .map_or_else(|| Rc::from(&*id), Rc::from);
    Ok(Some(Speaker {
        author: Author {
            jid: from.clone(),
            nick,
            id,
            is_channel: false,
        },
        role: access::role_of(channel, &member),
        is_participant: true,
    }))
}

/// Who says this; an error to whoever is not in it (XEP-0045 §7.4, §7.5).
pub fn speaker_of(cx: &Cx<'_>, channel: &Channel, message: &Message) -> Result<Speaker, Fault> {
    let from = message.envelope.from.as_ref();
    let speaker = speaker(cx, channel, from.ok_or(Condition::BadRequest)?)?;
    Ok(speaker.ok_or(access::NOT_INSIDE)?)
}

/// A message of type groupchat.
pub fn groupchat(cx: &mut Cx<'_>, channel: &mut Channel, message: &Message) -> Result<(), Fault> {
    let speaker = speaker_of(cx, channel, message)?;
    // §7.4, XEP-0369 §7.1.6
    if speaker.role < Role::Participant {
        return Err(StanzaError::new(Condition::Forbidden)
            .text("You have no voice here.")
            .into());
    }
    if muc::subject::is_change(message) {
        return muc::subject::change(cx, channel, &speaker, message);
    }
    require_patience(cx, channel, &speaker, message)?;
    if retraction::asked_by_mix(cx, channel, &speaker, message)? {
        return Ok(());
    }
    retraction::taken_back(cx, channel, &speaker, message)?;
    let payload = said(message);
    say(cx, channel, &speaker, (message, &payload))
}

/// What may be said is kept and told.
pub fn say(
    cx: &mut Cx<'_>,
    channel: &Channel,
    speaker: &Speaker,
    (message, payload): (&Message, &str),
) -> Result<(), Fault> {
    let author = &speaker.author;
    let is_kept = archive::is_wanted(channel, message);
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
    let mut is_said = message.has_body() && message.child("replace", CORRECT).is_none();
    if is_kept {
        let act = act_of(message.element.root());
        let act = act
            .as_ref()
            .and_then(|(act, id)| archive::act(cx, (*act, id)));
        let appended = archive::keep(cx, channel, &told, act)?;
        feature::related(cx, (channel.id().archive(), None), &appended, message)?;
        told.archived = Some(appended.id);
        is_said = appended.kind == Kind::Said;
    }
    if is_counted(channel) && is_said {
        let now_ms = cx.now.monotonic_ms;
        cx.state.activity.count(channel.id(), now_ms);
    }
    room(cx, channel);
    if speaker.is_participant {
        muc::show_participant(cx, channel, &author.jid)?;
    }
    fan_out::to_occupants(cx, channel, told);
    // XEP-0369 §3: channels have no subject.
    if !muc::subject::is_change(message) {
        mix::fan_out(cx, channel, &told);
    }
    if is_kept && is_said {
        muc::watch::said(cx, channel)?;
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
    let mut told = Said {
        author: &author,
        id,
        lang: None,
        payload,
        archived: None,
        urgency: Urgency::Now,
    };
    if channel.row.flag(field::ARCHIVED) {
        let act = (act, Named::Stanza(about));
        told.archived = Some(archive::keep(cx, channel, &told, Some(act))?.id);
    }
    fan_out::to_occupants(cx, channel, told);
    mix::fan_out(cx, channel, &told);
    Ok(())
}

/// What the channel says to rooms alone; nobody keeps it.
pub fn say_in_rooms(cx: &mut Cx<'_>, channel: &Channel, id: Option<&str>, payload: &str) {
    let author = Author::of_channel(channel);
    let told = Said {
        author: &author,
        id,
        lang: None,
        payload,
        archived: None,
        urgency: Urgency::Now,
    };
    fan_out::to_occupants(cx, channel, told);
}

/// XEP-0500 §3: not faster than the channel says. What has no body, and those who moderate, are not held up.
fn require_patience(
    cx: &mut Cx<'_>,
    channel: &Channel,
    speaker: &Speaker,
    message: &Message,
) -> Result<(), Fault> {
    let wait_ms = channel
        .row
        .number(field::SLOW_SECONDS)
        .saturating_mul(1_000);
    if wait_ms == 0 || speaker.role == Role::Moderator || !message.has_body() {
        return Ok(());
    }
    let now_ms = cx.now.monotonic_ms;
    let who = speaker.author.jid.bare_str();
    let room = room(cx, channel);
    match room.may_speak(who, wait_ms, now_ms) {
        true => Ok(()),
        false => Err(StanzaError::new(Condition::PolicyViolation)
            .kind(ErrorType::Wait)
            .text("Messages here are to come more slowly.")
            .into()),
    }
}

/// The children of a message, without what only a channel says.
pub fn said(message: &Message) -> String {
    let root = message.element.root();
    let children = root.children().filter(|child| !is_channels_own(*child));
    children.map(|child| child.source()).collect()
}

/// XEP-0045 §15.6, XEP-0421 §3, XEP-0425 §4, XEP-0317: elements by which a channel speaks of whoever said something.
pub fn is_channels_own(child: ElementRef<'_>) -> bool {
    let namespace = child.namespace();
    matches!(
        namespace,
        ns::MUC_USER | ns::MUC | ns::OCCUPANT_ID | muc::rulers::hats::NS | MODERATE
    ) || namespace.starts_with("urn:xmpp:mix:")
        || namespace == MODERATE_OLD
        // A retraction that says it is a moderator's.
        || (child.is("retract", RETRACT)
            && child.child("moderated", MODERATE).is_some())
        || (child.is("apply-to", FASTEN)
            && child.child("moderated", MODERATE_OLD).is_some())
}
