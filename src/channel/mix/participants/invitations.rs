//! XEP-0407 §6: whoever may invite asks the channel for a token, and who is invited joins by it. A token is for one person and used
//! up by joining.
use crate::channel::asked::Asked;
use crate::channel::config::{Config, field};
use crate::channel::{Channel, people};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{ChannelAffiliation, InvitationRow, MemberRow, StoreError};
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, Condition, ErrorType, Jid, StanzaError, Timestamp, ns};

use crate::channel::mix::describe;

/// How long one holds good.
const VALID_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Of one channel at a time, and of one person in it.
const INVITATIONS_MAX: usize = 200;
const OF_ONE_MAX: usize = 20;

/// XEP-0406 §2.4: administrators, and participants where the channel lets them.
fn may_invite(channel: &Channel, member: &MemberRow) -> bool {
    let takes_part = member.participation.is_some();
    member.affiliation >= ChannelAffiliation::Admin
        || (takes_part && channel.row.flag(field::INVITES))
}

pub fn invite(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    describe::require_seen(cx, asked)?;
    let channel = &asked.channel;
    let inviter = asked.who.as_str();
    if !may_invite(channel, &people::member(cx, channel, inviter)?) {
        return Err(Condition::Forbidden.into());
    }
    let invitee = asked.payload.child("invitee", ns::MIX_MISC);
    let invitee = invitee.ok_or(Condition::BadRequest)?.text();
    let invitee = Jid::parse(invitee.trim()).map_err(|_| Condition::JidMalformed)?;
    let invitee = invitee.to_bare();
    let known = people::with_domain(cx, &channel.row, invitee.as_str())?;
    if known.affiliation == ChannelAffiliation::Outcast {
        return Err(Condition::NotAcceptable.into());
    }
    cx.require_disk_space()?;
    make_room(cx, channel, (inviter, invitee.as_str()))?;
    let token = cx.new_secret_id();
    let row = InvitationRow {
        inviter: inviter.into(),
        invitee: invitee.as_str().into(),
        expires: Timestamp(cx.now.wall.0.saturating_add(VALID_MS)),
        uses: 1,
    };
    cx.tx
        .set_channel_invitation(channel.id(), &token, Some(&row))?;
    Ok(Reply::payload(|w| {
        w.open_ns("invite", ns::MIX_MISC).open("invitation");
        w.leaf("inviter", inviter)
            .leaf("invitee", invitee.as_str())
            .leaf("channel", channel.jid.as_str())
            .leaf("token", &token);
        w.close().close();
    }))
}

/// What is of no use goes, and an earlier one of the same people. `invitee`: empty if nobody is named.
pub fn make_room(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (inviter, invitee): (&str, &str),
) -> Result<(), Fault> {
    let (mut all, mut own) = (0, 0);
    for (token, row) in cx.tx.channel_invitations(channel.id())? {
        let is_same = !invitee.is_empty() && row.inviter == inviter && row.invitee == invitee;
        if is_same || row.expires <= cx.now.wall {
            cx.tx.set_channel_invitation(channel.id(), &token, None)?;
            continue;
        }
        all += 1;
        own += usize::from(row.inviter == inviter);
    }
    match all >= INVITATIONS_MAX || own >= OF_ONE_MAX {
        true => Err(StanzaError::new(Condition::ResourceConstraint)
            .kind(ErrorType::Wait)
            .text("As many people are invited as may be.")
            .into()),
        false => Ok(()),
    }
}

/// The token in a request to join, if it holds good for whoever joins: whoever gave it could still give it.
pub fn token(
    cx: &Cx<'_>,
    channel: &Channel,
    who: &BareJid,
    join: ElementRef<'_>,
) -> Result<Option<String>, StoreError> {
    let namespaces = [join.namespace(), ns::MIX_MISC];
    let token = join
        .children()
        .find(|child| child.name() == "invitation" && namespaces.contains(&child.namespace()))
        .and_then(|invitation| {
            let mut children = invitation.children();
            children.find(|child| child.name() == "token")
        });
    let Some(token) = token.map(|token| token.text().trim().to_string()) else {
        return Ok(None);
    };
    let Some(row) = cx.tx.channel_invitation(channel.id(), &token)? else {
        return Ok(None);
    };
    let inviter = people::member(cx, channel, &row.inviter)?;
    let holds = row.invitee == who.as_str()
        && row.uses > 0
        && row.expires > cx.now.wall
        && may_invite(channel, &inviter);
    Ok(holds.then_some(token))
}

pub fn use_up(cx: &mut Cx<'_>, channel: &Channel, token: &str) -> Result<(), StoreError> {
    cx.tx.set_channel_invitation(channel.id(), token, None)
}
