//! Who may do what in a channel, whatever they speak.
use crate::state::{Cx, Fault, Role};
use crate::store::{ChannelAffiliation, JidVisibility, MemberRow, Participation};
use crate::xmpp::{BareJid, Condition, ErrorType, StanzaError};

use crate::channel::config::{Config, field, private, whois};
use crate::channel::said::archive::Kept;
use crate::channel::{Channel, people};

/// XEP-0045 §7.4, XEP-0410 §4: what whoever is not in a room hears of it. COMPAT(Monal, 6.4): it looks at the type, too.
pub const NOT_INSIDE: StanzaError = StanzaError::new(Condition::NotAcceptable)
    .kind(ErrorType::Cancel)
    .text("You are not in this room.");

/// XEP-0045 §5.1.2: the role somebody has who comes in.
pub fn role_of(channel: &Channel, member: &MemberRow) -> Role {
    match member.affiliation {
        ChannelAffiliation::Owner | ChannelAffiliation::Admin => Role::Moderator,
        _ if member.muted => Role::Visitor,
        ChannelAffiliation::Member => Role::Participant,
        ChannelAffiliation::None if !channel.row.flag(field::MODERATED) => Role::Participant,
        ChannelAffiliation::None => Role::Visitor,
        ChannelAffiliation::Outcast => Role::None,
    }
}

/// Whether somebody of this role is told who is behind a nick.
pub fn shows_jid(channel: &Channel, to: Role) -> bool {
    to == Role::Moderator || channel.row.number(field::WHOIS) == whois::ANYONE
}

/// XEP-0404 §2.3, of what was said: it names nobody to whom it named nobody when it was said.
pub fn shows_author_of(channel: &Channel, to: Role, said: &Kept) -> bool {
    to == Role::Moderator || (said.is_open && shows_jid(channel, to))
}

/// XEP-0404 §2.3: whether everybody is told who somebody is, of whom this is known.
pub fn shows_to_all(channel: &Channel, of: Option<&Participation>) -> bool {
    match channel.row.number(field::WHOIS) {
        whois::MAYBE => of.is_some_and(|it| it.visibility == JidVisibility::Always),
        _ => shows_jid(channel, Role::None),
    }
}

/// XEP-0045 §7.5, §10.2.1, XEP-0404 §3.1: who may write to whom by whichever protocol, as the channel lets them, and as somebody
/// lets others. Whoever may do nothing else may write to those who can give them voice. What is blocked (XEP-0191) the account of
/// whoever it is to refuses.
pub fn require_may_write(
    cx: &Cx<'_>,
    channel: &Channel,
    from: Role,
    (jid, to): (&str, &MemberRow),
) -> Result<(), Fault> {
    let room = cx.state.rooms.get(channel.id());
    let of = room.into_iter().flat_map(|room| room.of_person(jid));
    let role = of.map(|one| one.role).max();
    let is_moderator = role.unwrap_or(role_of(channel, to)) == Role::Moderator;
    let may = match channel.row.number(field::PRIVATE) {
        private::ANYONE => true,
        private::PARTICIPANTS => from >= Role::Participant || is_moderator,
        private::MODERATORS => from == Role::Moderator || is_moderator,
        _ => false,
    };
    let participation = to.participation.as_ref();
    let wants_none = participation.is_some_and(|it| it.no_private_messages);
    match may && !wants_none {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}

/// They belong to it: have an affiliation, or joined.
pub fn belongs(member: &MemberRow) -> bool {
    member.affiliation > ChannelAffiliation::None || member.participation.is_some()
}

/// XEP-0045 §7.2.6 to §7.2.8, XEP-0369 §7.1.2: whether somebody may come in, if it is not for a password.
pub fn require_entry(channel: &Channel, member: &MemberRow) -> Result<(), Fault> {
    if member.affiliation == ChannelAffiliation::Outcast {
        return Err(Condition::Forbidden.into());
    }
    if channel.row.locked && member.affiliation != ChannelAffiliation::Owner {
        return Err(Condition::ItemNotFound.into());
    }
    if channel.row.flag(field::MEMBERS_ONLY) && !belongs(member) {
        return Err(Condition::RegistrationRequired.into());
    }
    Ok(())
}

/// Whether somebody may know that it is there, and what it says of itself.
pub fn may_see(cx: &Cx<'_>, channel: &Channel, who: &BareJid) -> Result<bool, Fault> {
    let member = people::with_domain(cx, &channel.row, who.as_str())?;
    if member.affiliation == ChannelAffiliation::Outcast {
        return Ok(false);
    }
    Ok(channel.row.flag(field::PUBLIC)
        || belongs(&member)
        || people::is_inside(cx, channel, who.as_str()))
}

/// Whether somebody may read what was said.
pub fn may_read(cx: &Cx<'_>, channel: &Channel, who: &BareJid) -> Result<bool, Fault> {
    let member = people::with_domain(cx, &channel.row, who.as_str())?;
    if member.affiliation == ChannelAffiliation::Outcast || channel.row.locked {
        return Ok(member.affiliation == ChannelAffiliation::Owner);
    }
    let is_closed =
        channel.row.flag(field::MEMBERS_ONLY) || !channel.row.text(field::PASSWORD).is_empty();
    Ok(!is_closed || belongs(&member) || people::is_inside(cx, channel, who.as_str()))
}
