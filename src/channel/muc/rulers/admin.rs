//! XEP-0045 §8.2 to §9.9: roles and affiliations, one or many in one request: all are checked before any is changed.
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field};
use crate::channel::people;
use crate::channel::people::nick::Nick;
use crate::channel::people::standing::{self, By};
use crate::channel::{Channel, find};
use crate::feature::Reply;
use crate::state::{Cx, Fault, Role};
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xml::ElementRef;
use crate::xmpp::{Condition, ErrorType, Jid, StanzaError, ns};

use crate::channel::muc::between::mediated;
use crate::channel::muc::occupants::tell::affiliation_named;

use super::lists::{Asker, asker};

/// Items of one request.
const ITEMS_MAX: usize = 100;
/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1_024;

/// What one item changes.
enum Change {
    Role {
        key: String,
        role: Role,
    },
    Affiliation {
        jid: String,
        affiliation: ChannelAffiliation,
    },
}

/// What the items before one make of the room.
struct After {
    owners: u64,
    /// People that it does not know yet.
    new: u64,
}

/// §8, §9
pub fn set(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let asker = asker(cx, asked)?;
    let items = asked.payload.children();
    let items: Vec<ElementRef<'_>> = items
        .filter(|item| item.is("item", ns::MUC_ADMIN))
        .collect();
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(Condition::BadRequest.into());
    }
    let mut changes = Vec::with_capacity(items.len());
    let mut after = After {
        owners: asked.channel.row.owners,
        new: 0,
    };
    for item in &items {
        let change = read(cx, asked, *item)?;
        // What the second would make of somebody was not checked.
        if changes.iter().any(|(known, _)| is_of_same(known, &change)) {
            return Err(Condition::BadRequest.into());
        }
        // Whoever may change nothing is not told what is so.
        if asker.role == Role::Moderator && is_so(cx, asked, &change)? {
            continue;
        }
        require_may(cx, (asked, &asker), &change, &mut after)?;
        let reason = item.child("reason", ns::MUC_ADMIN);
        let reason = reason.map(|reason| reason.text().into_owned());
        if reason
            .as_ref()
            .is_some_and(|text| text.len() > REASON_BYTES_MAX)
        {
            return Err(Condition::NotAcceptable.into());
        }
        changes.push((change, reason));
    }
    cx.require_disk_space()?;
    for (change, reason) in &changes {
        let by = By::new(asker.nick.as_deref(), reason.as_deref());
        // A room that is not to stay went with the last one who was put out.
        if find(cx, &asked.channel.jid)?.is_none() {
            break;
        }
        let channel = &mut asked.channel;
        match change {
            Change::Role { key, role } => standing::set_role(cx, channel, key, (*role, by))?,
            Change::Affiliation { jid, affiliation } => {
                let is_let_in = is_let_in(cx, channel, jid, *affiliation)?;
                standing::set_affiliation(cx, channel, jid, (*affiliation, by))?;
                if is_let_in {
                    let by = (asked.who.as_str(), asker.nick.as_deref());
                    mediated::tell_member(cx, channel, (jid, reason.as_deref()), by);
                }
            }
        }
    }
    Ok(Reply::Empty)
}

/// §9.5: whoever becomes a member of a room that is for members hears of it.
fn is_let_in(
    cx: &Cx<'_>,
    channel: &Channel,
    jid: &str,
    affiliation: ChannelAffiliation,
) -> Result<bool, StoreError> {
    let before = people::with_domain(cx, &channel.row, jid)?;
    Ok(affiliation == ChannelAffiliation::Member
        && channel.row.flag(field::MEMBERS_ONLY)
        && before.affiliation == ChannelAffiliation::None
        && jid.contains('@')
        && !people::is_inside(cx, channel, jid))
}

fn is_of_same(one: &Change, other: &Change) -> bool {
    match (one, other) {
        (Change::Role { key: one, .. }, Change::Role { key: other, .. }) => one == other,
        (Change::Affiliation { jid: one, .. }, Change::Affiliation { jid: other, .. }) => {
            one == other
        }
        _ => false,
    }
}

fn read(cx: &Cx<'_>, asked: &Asked<'_>, item: ElementRef<'_>) -> Result<Change, Fault> {
    let channel = &asked.channel;
    let nick = item.attribute("nick");
    let named = nick.as_deref().and_then(|nick| Nick::parse(nick).ok());
    let room = cx.state.rooms.get(channel.id());
    let present = named
        .as_ref()
        .and_then(|nick| room?.of_nick(&nick.key).next());
    if let Some(affiliation) = item.attribute("affiliation") {
        let affiliation = affiliation_named(&affiliation).ok_or(Condition::BadRequest)?;
        let jid = match item.attribute("jid") {
            Some(jid) => {
                let jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
                jid.bare_str().to_string()
            }
            None => match present {
                Some(occupant) => occupant.jid.bare_str().to_string(),
                None => {
                    let key = named.ok_or(Condition::BadRequest)?.key;
                    let held = cx.tx.nick_holder(channel.id(), &key)?;
                    held.ok_or(Condition::ItemNotFound)?
                }
            },
        };
        return Ok(Change::Affiliation { jid, affiliation });
    }
    let role = item.attribute("role").ok_or(Condition::BadRequest)?;
    let role = Role::parse(&role).ok_or(Condition::BadRequest)?;
    let key = match nick {
        Some(_) => present.map(|occupant| occupant.key.to_string()),
        None => {
            let jid = item.attribute("jid").ok_or(Condition::BadRequest)?;
            let jid = Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?;
            let mut occupants = room.into_iter().flat_map(|room| &room.occupants);
            let occupant = occupants.find(|one| one.jid.bare_str() == jid.bare_str());
            occupant.map(|occupant| occupant.key.to_string())
        }
    };
    let key = key.ok_or(Condition::ItemNotFound)?;
    Ok(Change::Role { key, role })
}

/// A list as it is to be names those of whom nothing changes (§9.8).
fn is_so(cx: &Cx<'_>, asked: &Asked<'_>, change: &Change) -> Result<bool, Fault> {
    Ok(match change {
        Change::Role { key, role } => {
            let room = cx.state.rooms.get(asked.channel.id());
            let of = room.and_then(|room| room.of_nick(key).next());
            of.is_some_and(|occupant| occupant.role == *role)
        }
        Change::Affiliation { jid, affiliation } => {
            people::member(cx, &asked.channel, jid)?.affiliation == *affiliation
        }
    })
}

/// §5.1.1, §5.2.1: who may change what of whom.
fn require_may(
    cx: &Cx<'_>,
    (asked, asker): (&Asked<'_>, &Asker),
    change: &Change,
    after: &mut After,
) -> Result<(), Fault> {
    match change {
        Change::Role { key, role } => may_set_role(cx, (asked, asker), (key, *role)),
        Change::Affiliation { jid, affiliation } => {
            let channel = &asked.channel;
            // §9.1: nobody bans themselves.
            if *affiliation == ChannelAffiliation::Outcast && *jid == asked.who.as_str() {
                return Err(Condition::Conflict.into());
            }
            let now = people::member(cx, channel, jid)?;
            may_set_affiliation(asker, &now, *affiliation)?;
            let ends = now.affiliation == ChannelAffiliation::Owner
                && *affiliation != ChannelAffiliation::Owner;
            if ends {
                after.owners = after.owners.saturating_sub(1);
            } else if *affiliation == ChannelAffiliation::Owner
                && now.affiliation != ChannelAffiliation::Owner
            {
                after.owners += 1;
            }
            // §10.7: somebody must be left who owns it.
            if ends && after.owners == 0 {
                return Err(StanzaError::new(Condition::Conflict)
                    .text("Somebody must own the room.")
                    .into());
            }
            let is_new = now == MemberRow::default() && *affiliation != ChannelAffiliation::None;
            after.new += u64::from(is_new);
            people::require_room(cx, channel, if is_new { after.new } else { 0 })
        }
    }
}

fn may_set_affiliation(
    asker: &Asker,
    now: &MemberRow,
    affiliation: ChannelAffiliation,
) -> Result<(), Fault> {
    let may = match asker.affiliation {
        ChannelAffiliation::Owner => true,
        // §10.5, §10.8: these lists are the owners'.
        ChannelAffiliation::Admin if affiliation >= ChannelAffiliation::Admin => {
            return Err(Condition::Forbidden.into());
        }
        // §9: admins make members and outcasts of those who are no more than that.
        ChannelAffiliation::Admin => {
            now.affiliation < ChannelAffiliation::Admin && affiliation < ChannelAffiliation::Admin
        }
        _ => return Err(Condition::Forbidden.into()),
    };
    match may {
        true => Ok(()),
        false => Err(not_allowed()),
    }
}

/// §8.2: nobody acts on those above them.
fn not_allowed() -> Fault {
    StanzaError::new(Condition::NotAllowed)
        .kind(ErrorType::Cancel)
        .into()
}

fn may_set_role(
    cx: &Cx<'_>,
    (asked, asker): (&Asked<'_>, &Asker),
    (key, role): (&str, Role),
) -> Result<(), Fault> {
    if asker.role < Role::Moderator {
        return Err(Condition::Forbidden.into());
    }
    let room = cx.state.rooms.get(asked.channel.id());
    let target = room.and_then(|room| room.of_nick(key).next());
    let target = target.ok_or(Condition::ItemNotFound)?;
    // §9.6, §9.7: moderators are made by admins.
    let is_of_admins = role == Role::Moderator || target.role == Role::Moderator;
    let is_above = target.affiliation > asker.affiliation
        || (target.affiliation == asker.affiliation
            && target.affiliation >= ChannelAffiliation::Admin
            && asker.affiliation != ChannelAffiliation::Owner);
    let loses = role < Role::Moderator && target.affiliation >= ChannelAffiliation::Admin;
    // An owner or admin is a moderator as long as they are that; they may still be asked to leave by an equal.
    let is_fixed = loses && (role != Role::None || is_above);
    match (is_of_admins && asker.affiliation < ChannelAffiliation::Admin) || is_above || is_fixed {
        true => Err(not_allowed()),
        false => Ok(()),
    }
}
