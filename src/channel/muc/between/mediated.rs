//! XEP-0045 §7.8.2, §7.9: messages to the room itself: invitations that it passes on, and what is answered to them.
use crate::channel::Channel;
use crate::channel::config::{Config, field, whois};
use crate::channel::people::standing::{self, By};
use crate::channel::people::{self, access};
use crate::channel::said::speaker::speaker;
use crate::state::{Cx, Fault, OwnMessage, Role};
use crate::store::{ChannelAffiliation, MemberRow};
use crate::xml::{ElementRef, Writer, parse_stored};
use crate::xmpp::{BareJid, Condition, Jid, Message, MessageKind, ns};

use crate::channel::muc::rulers::voice;

/// XEP-0249
const DIRECT: &str = "jabber:x:conference";
/// People invited by one message.
const INVITED_MAX: usize = 50;

/// A message to the room that is not for all in it.
pub fn take(cx: &mut Cx<'_>, channel: &mut Channel, message: &Message) -> Result<(), Fault> {
    let from = message
        .envelope
        .from
        .as_ref()
        .ok_or(Condition::BadRequest)?;
    if let Some(x) = message.child("x", ns::DATA_FORM) {
        let speaker = speaker(cx, channel, from)?.ok_or(access::NOT_INSIDE)?;
        if voice::take(cx, channel, (&speaker, x))? {
            return Ok(());
        }
    }
    let Some(x) = message.child("x", ns::MUC_USER) else {
        return Err(Condition::ServiceUnavailable.into());
    };
    if let Some(decline) = x.child("decline", ns::MUC_USER) {
        return declined(cx, channel, from, decline);
    }
    let invites = x
        .children()
        .filter(|child| child.is("invite", ns::MUC_USER));
    let invites: Vec<_> = invites.take(INVITED_MAX).collect();
    if invites.is_empty() {
        return Err(Condition::BadRequest.into());
    }
    require_may_invite(cx, channel, from)?;
    for invite in invites {
        self::invite(cx, channel, from, invite)?;
    }
    Ok(())
}

/// §7.8.2: whoever is in the room and may invite, and whoever rules it. Inviting tells who one is.
fn require_may_invite(cx: &Cx<'_>, channel: &Channel, from: &Jid) -> Result<(), Fault> {
    let member = people::member(cx, channel, from.bare_str())?;
    if member.affiliation >= ChannelAffiliation::Admin {
        return Ok(());
    }
    let speaker = speaker(cx, channel, from)?;
    let has_voice = speaker.is_some_and(|speaker| speaker.role >= Role::Participant);
    match has_voice && channel.row.flag(field::INVITES) {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}

/// Whether somebody may who belongs to the room, whether they are in it or not.
pub fn might_invite(channel: &Channel, member: &MemberRow) -> bool {
    let belongs = access::belongs(member) && !member.muted;
    member.affiliation >= ChannelAffiliation::Admin || (belongs && channel.row.flag(field::INVITES))
}

fn invite(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    from: &Jid,
    invite: ElementRef<'_>,
) -> Result<(), Fault> {
    let to = invite.attribute("to").ok_or(Condition::BadRequest)?;
    let to = Jid::parse(&to).map_err(|_| Condition::JidMalformed)?;
    let member = people::member(cx, channel, to.bare_str())?;
    if member.affiliation == ChannelAffiliation::Outcast {
        return Err(Condition::NotAcceptable.into());
    }
    // §9.3: whoever is invited to a room of members is one.
    if channel.row.flag(field::MEMBERS_ONLY) && !access::belongs(&member) {
        people::require_room(cx, channel, 1)?;
        let made = (ChannelAffiliation::Member, By::default());
        standing::set_affiliation(cx, channel, to.bare_str(), made)?;
    }
    let reason = invite.child("reason", ns::MUC_USER);
    let reason = reason.map(|reason| reason.text().into_owned());
    let thread = invite.child("continue", ns::MUC_USER);
    let told = Invited {
        by: from.bare_str(),
        reason: reason.as_deref(),
        thread: thread.map(|thread| thread.source()),
    };
    tell_invited(cx, channel, to, &told);
    Ok(())
}

/// §9.5: who was made a member. By whom, they hear where everybody may know.
pub fn tell_member(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (jid, reason): (&str, Option<&str>),
    (by, nick): (&str, Option<&str>),
) {
    let is_open = channel.row.number(field::WHOIS) == whois::ANYONE;
    let by = match (is_open, nick) {
        (true, _) => by.to_string(),
        (false, Some(nick)) => format!("{}/{nick}", channel.jid),
        (false, None) => channel.jid.to_string(),
    };
    let told = Invited {
        by: &by,
        reason,
        thread: None,
    };
    if let Ok(to) = Jid::parse(jid) {
        tell_invited(cx, channel, to, &told);
    }
}

struct Invited<'a> {
    by: &'a str,
    reason: Option<&'a str>,
    /// `<continue/>` (§7.9).
    thread: Option<&'a str>,
}

fn tell_invited(cx: &mut Cx<'_>, channel: &Channel, to: Jid, invited: &Invited<'_>) {
    let password = Some(channel.row.text(field::PASSWORD)).filter(|text| !text.is_empty());
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open("message");
    w.open_ns("x", ns::MUC_USER);
    w.open("invite").attr("from", invited.by);
    if let Some(reason) = invited.reason {
        w.leaf("reason", reason);
    }
    if let Some(thread) = invited.thread {
        w.raw(thread);
    }
    w.close();
    if let Some(password) = password {
        w.leaf("password", password);
    }
    w.close();
    w.open_ns("x", DIRECT)
        .attr("jid", channel.jid.as_str())
        .attr_opt("reason", invited.reason)
        .attr_opt("password", password)
        .close();
    w.close();
    tell(cx, channel, to, &bytes);
}

/// §7.8.2: to whoever invited, if they belong to the room.
fn declined(
    cx: &mut Cx<'_>,
    channel: &Channel,
    from: &Jid,
    decline: ElementRef<'_>,
) -> Result<(), Fault> {
    let to = decline.attribute("to").ok_or(Condition::BadRequest)?;
    let to = Jid::parse(&to).map_err(|_| Condition::JidMalformed)?;
    let to = match to.bare_str() == channel.jid.as_str() {
        true => behind_nick(cx, channel, to.resource().unwrap_or_default()),
        false => Some(to.to_bare()),
    };
    let to = to.ok_or(Condition::ItemNotFound)?;
    let member = people::member(cx, channel, to.as_str())?;
    if !access::belongs(&member) && !people::is_inside(cx, channel, to.as_str()) {
        return Err(Condition::ItemNotFound.into());
    }
    let reason = decline.child("reason", ns::MUC_USER);
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open("message").open_ns("x", ns::MUC_USER);
    w.open("decline").attr("from", from.bare_str());
    if let Some(reason) = reason {
        w.leaf("reason", &reason.text());
    }
    w.close().close().close();
    tell(cx, channel, to.into(), &bytes);
    Ok(())
}

fn behind_nick(cx: &Cx<'_>, channel: &Channel, nick: &str) -> Option<BareJid> {
    let nick = crate::channel::people::nick::Nick::parse(nick).ok()?;
    let holder = crate::channel::people::nick::holder(cx, channel, &nick.key).ok()??;
    BareJid::stored(&holder)
}

/// A message of the room itself, to whom it may go.
pub fn tell(cx: &mut Cx<'_>, channel: &Channel, to: Jid, message: &[u8]) {
    let text = std::str::from_utf8(message).unwrap_or_default();
    if let Ok(element) = parse_stored(text, ns::CLIENT) {
        cx.state.effects.own_messages.push(OwnMessage {
            from: channel.jid.clone().into(),
            to,
            kind: MessageKind::Normal,
            element,
        });
    }
}
