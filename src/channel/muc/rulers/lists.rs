//! XEP-0045 §9.5 and others: who may read which list of a room, and the lists.
use crate::channel::Channel;
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field, lists, whois};
use crate::channel::muc::occupants::tell::{affiliation_named, affiliation_text};
use crate::channel::people::{self, access};
use crate::feature::Reply;
use crate::state::{Cx, Fault, Role};
use crate::store::{ChannelAffiliation, ChannelRow};
use crate::xmpp::{Condition, ns};

/// People of one list.
const LISTED_MAX: usize = 10_000;

/// Whoever asks: what they are by affiliation, and by role while they are inside.
pub(super) struct Asker {
    pub affiliation: ChannelAffiliation,
    pub role: Role,
    pub nick: Option<String>,
}

pub(super) fn asker(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<Asker, Fault> {
    let channel = &asked.channel;
    let member = people::member(cx, channel, asked.who.as_str())?;
    let room = cx.state.rooms.get(channel.id());
    let own = room.and_then(|room| {
        let own = room.of_person(asked.who.as_str());
        own.max_by_key(|occupant| occupant.role)
    });
    let by_affiliation = match access::belongs(&member) {
        true => access::role_of(channel, &member),
        false => Role::None,
    };
    Ok(Asker {
        affiliation: member.affiliation,
        role: own.map_or(by_affiliation, |occupant| occupant.role),
        nick: own
            .map(|occupant| occupant.nick.to_string())
            .or(member.nick),
    })
}

/// What whoever asks is by affiliation, and by role.
pub fn rights(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(ChannelAffiliation, Role), Fault> {
    let asker = asker(cx, asked)?;
    Ok((asker.affiliation, asker.role))
}

/// §9.5, §9.8 and others: a list.
pub fn get(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    let item = asked.payload.child("item", ns::MUC_ADMIN);
    let item = item.ok_or(Condition::BadRequest)?;
    let asker = asker(cx, asked)?;
    if let Some(affiliation) = item.attribute("affiliation") {
        let affiliation = affiliation_named(&affiliation).ok_or(Condition::BadRequest)?;
        require_may_list(asked, &asker, affiliation)?;
        return list_affiliation(cx, &asked.channel, &asker, affiliation);
    }
    let role = item.attribute("role").ok_or(Condition::BadRequest)?;
    let role = Role::parse(&role).ok_or(Condition::BadRequest)?;
    if asker.role < Role::Moderator {
        return Err(Condition::Forbidden.into());
    }
    Ok(list_role(cx, &asked.channel, role))
}

/// Lists of members serve encryption: whoever belongs to the room needs them (XEP-0384). Outcasts are the admins' concern.
fn require_may_list(
    asked: &Asked<'_>,
    asker: &Asker,
    affiliation: ChannelAffiliation,
) -> Result<(), Fault> {
    let rights = (asker.affiliation, asker.role);
    match may_list(&asked.channel.row, rights, affiliation) {
        true => Ok(()),
        false => Err(Condition::Forbidden.into()),
    }
}

/// Whether somebody of this affiliation and role may read the list of another.
pub fn may_list(
    row: &ChannelRow,
    (own, role): (ChannelAffiliation, Role),
    affiliation: ChannelAffiliation,
) -> bool {
    let rules = own >= ChannelAffiliation::Admin;
    let is_open = row.number(field::LISTS) == lists::EVERYBODY
        && row.number(field::WHOIS) == whois::ANYONE
        && role >= Role::Participant;
    match affiliation {
        ChannelAffiliation::Outcast | ChannelAffiliation::None => rules,
        _ => rules || is_open || role == Role::Moderator,
    }
}

fn list_affiliation(
    cx: &Cx<'_>,
    channel: &Channel,
    asker: &Asker,
    affiliation: ChannelAffiliation,
) -> Result<Reply, Fault> {
    let mut rows = Vec::new();
    // Nobody is listed for having none.
    if affiliation != ChannelAffiliation::None {
        let members = cx.tx.members_behind(channel.id(), "", LISTED_MAX)?;
        rows.extend(
            members
                .into_iter()
                .filter(|(_, row)| row.affiliation == affiliation),
        );
    }
    let tells_why = asker.affiliation >= ChannelAffiliation::Admin;
    Ok(Reply::payload(|w| {
        w.open_ns("query", ns::MUC_ADMIN);
        for (jid, row) in &rows {
            w.open("item")
                .attr("affiliation", affiliation_text(affiliation))
                .attr("jid", jid)
                .attr_opt("nick", row.nick.as_deref());
            if tells_why && !row.reason.is_empty() {
                w.leaf("reason", &row.reason);
            }
            w.close();
        }
        w.close();
    }))
}

fn list_role(cx: &Cx<'_>, channel: &Channel, role: Role) -> Reply {
    let room = cx.state.rooms.get(channel.id());
    let occupants = room.into_iter().flat_map(|room| &room.occupants);
    Reply::payload(|w| {
        w.open_ns("query", ns::MUC_ADMIN);
        for one in occupants.filter(|one| one.role == role) {
            w.open("item")
                .attr("affiliation", affiliation_text(one.affiliation))
                .attr("role", role.as_str())
                .attr("nick", &one.nick)
                .attr("jid", one.jid.as_str())
                .close();
        }
        w.close();
    })
}
