//! XEP-0060 §4.1, §4.5: who may do what at a node. The same function decides on requests, discovery and every notification.
use crate::state::{Cx, Fault};
use crate::store::{AccountId, Affiliation, Contact, Related, StoreError};
use crate::xmpp::{BareJid, Condition, Jid, StanzaError};

use super::config::{AccessModel, PublishModel};
use super::node::Node;
use super::owner::{Owner, OwnerKind};
use super::refusal;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// To know that it is there (XEP-0030).
    See,
    /// To have items, asked for or not.
    Read,
    /// To be subscribed; `authorize` asks the owners first.
    Subscribe,
    Publish,
    /// What owners do: configure, purge, delete, decide on others.
    Own,
}

/// How somebody stands to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing<'c> {
    pub affiliation: Affiliation,
    /// Not pending.
    pub subscribed: bool,
    /// What the owner's roster says of them, if that is at hand.
    pub contact: Option<&'c Contact>,
}

/// §4.1: of a bare JID.
pub fn standing(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    who: &Jid,
) -> Result<Standing<'static>, StoreError> {
    let row = &node.row;
    let related = match row.affiliated + row.subscribed {
        0 => Related::default(),
        _ => cx.tx.related(row, who.bare_str())?,
    };
    let subscribed = related.is_subscribed();
    let affiliation = match owner.is_self(who) {
        true => Affiliation::Owner,
        false => related.affiliation,
    };
    Ok(Standing {
        affiliation,
        subscribed,
        contact: None,
    })
}

/// Whether somebody may do it, or why not.
pub fn may(cx: &Cx<'_>, owner: &Owner, node: &Node, who: &Jid, what: What) -> Result<(), Fault> {
    let standing = standing(cx, owner, node, who)?;
    let refused = refused(cx, owner, node, (who, &standing), what)?;
    refused.map_or(Ok(()), |refused| Err(refused.into()))
}

/// The same as an answer.
pub fn can(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    who: &Jid,
    what: What,
) -> Result<bool, StoreError> {
    let standing = standing(cx, owner, node, who)?;
    Ok(refused(cx, owner, node, (who, &standing), what)?.is_none())
}

/// XEP-0223: an account's closed node is not there for those it does not concern, whatever they ask of it.
pub fn require_shown(cx: &Cx<'_>, owner: &Owner, node: &Node, who: &Jid) -> Result<(), Fault> {
    let standing = standing(cx, owner, node, who)?;
    match is_hidden(owner, node, standing.affiliation) && !standing.subscribed {
        true => Err(Condition::ItemNotFound.into()),
        false => Ok(()),
    }
}

fn is_hidden(owner: &Owner, node: &Node, affiliation: Affiliation) -> bool {
    matches!(owner.kind, OwnerKind::Account(_))
        && node.config.access() == AccessModel::Whitelist
        && affiliation <= Affiliation::None
}

/// Why somebody of this standing may not.
pub fn refused(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    (who, standing): (&Jid, &Standing<'_>),
    what: What,
) -> Result<Option<StanzaError>, StoreError> {
    let affiliation = standing.affiliation;
    if affiliation == Affiliation::Owner {
        return Ok(None);
    }
    let hides = is_hidden(owner, node, affiliation);
    let closed = match hides {
        true => StanzaError::new(Condition::ItemNotFound),
        false => refusal::CLOSED_NODE,
    };
    let forbidden = match hides {
        true => StanzaError::new(Condition::ItemNotFound),
        false => StanzaError::new(Condition::Forbidden),
    };
    let by_publishing = match node.config.publish_model() {
        PublishModel::Publishers => false,
        PublishModel::Subscribers => standing.subscribed,
        PublishModel::Open => true,
    };
    Ok(match (what, affiliation) {
        (_, Affiliation::Outcast) | (What::Own, _) => Some(forbidden),
        (What::Publish, Affiliation::PublishOnly | Affiliation::Publisher) => None,
        (What::Publish, _) => (!by_publishing).then_some(forbidden),
        (What::Read | What::Subscribe, Affiliation::PublishOnly) => Some(forbidden),
        (_, Affiliation::Member | Affiliation::PublishOnly | Affiliation::Publisher) => None,
        (What::Read | What::Subscribe | What::See, _) => {
            by_model(cx, owner, node, who, standing, (what, closed))?
        }
    })
}

/// §4.5: of those who have no affiliation.
fn by_model(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    who: &Jid,
    standing: &Standing<'_>,
    (what, closed): (What, StanzaError),
) -> Result<Option<StanzaError>, StoreError> {
    let config = &node.config;
    Ok(match config.access() {
        AccessModel::Open => None,
        AccessModel::Presence => {
            let read = contact_unless(cx, owner, node, (who, standing))?;
            let contact = standing.contact.or(read.as_ref());
            let is_from = contact.is_some_and(|contact| contact.subscription.is_from());
            (!is_from).then_some(refusal::PRESENCE_SUBSCRIPTION_REQUIRED)
        }
        AccessModel::Roster => {
            let read = contact_unless(cx, owner, node, (who, standing))?;
            let contact = standing.contact.or(read.as_ref());
            let allowed = config.roster_groups();
            let is_in = contact.is_some_and(|contact| {
                let mut groups = contact.groups.iter();
                contact.listed && groups.any(|group| allowed.contains(group))
            });
            (!is_in).then_some(refusal::NOT_IN_ROSTER_GROUP)
        }
        // Anybody may ask its owners; of an account's, those who may know it.
        AccessModel::Authorize if standing.subscribed || what == What::Subscribe => None,
        AccessModel::Authorize if what == What::See && owner.kind == OwnerKind::Service => None,
        AccessModel::Authorize => Some(refusal::NOT_SUBSCRIBED),
        AccessModel::Whitelist => Some(closed),
    })
}

/// How whoever the node belongs to has somebody in the roster: the account; at the service, who created it. Not looked up if
/// it is at hand.
fn contact_unless(
    cx: &Cx<'_>,
    owner: &Owner,
    node: &Node,
    (who, standing): (&Jid, &Standing<'_>),
) -> Result<Option<Contact>, StoreError> {
    if standing.contact.is_some() {
        return Ok(None);
    }
    let whose: AccountId = match owner.kind {
        OwnerKind::Account(account) => account,
        OwnerKind::Service => {
            let creator = BareJid::stored(&node.row.creator);
            let account = creator.map(|creator| cx.account(&creator)).transpose()?;
            match account.flatten() {
                Some(account) => account,
                None => return Ok(None),
            }
        }
    };
    cx.tx.contact(whose, &who.to_bare())
}
