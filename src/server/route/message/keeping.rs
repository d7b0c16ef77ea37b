//! What the archives of both sides keep of a message (XEP-0313), and whether it waits for whoever it is for.
use crate::feature::{self, Storable};
use crate::server::outlet::{Archived, stored_xml};
use crate::state::{Cx, Fault, Local, SessionId};
use crate::store::{AccountId, Direction, Named, Owner, Record};
use crate::xmpp::relation::act_of;
use crate::xmpp::{BareJid, Jid, Message};

/// Whether the addressee has a message once it is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Nobody is given it now.
    Waits,
    /// Whoever is given it will say so (XEP-0198).
    UntilAcknowledged,
    No,
}

/// `direct`: who gets the message itself, `None`: it waits.
pub fn unseen_by(cx: &Cx<'_>, direct: Option<&[SessionId]>, copied: &[SessionId]) -> Unseen {
    let Some(direct) = direct else {
        return Unseen::Waits;
    };
    let acknowledges = |id: &SessionId| {
        let session = cx.state.sessions.get(*id);
        session.is_none_or(|session| session.acknowledges())
    };
    match direct.iter().chain(copied).all(acknowledges) {
        true => Unseen::UntilAcknowledged,
        false => Unseen::No,
    }
}

/// XEP-0313 §5.1.1: one stored stanza for both sides' archives; who is no account has none.
pub fn archive(
    cx: &mut Cx<'_>,
    (from, to): (&Jid, &Jid),
    addressee: Option<(&Local, Unseen)>,
    message: &Message,
    storable: Storable,
) -> Result<Archived, Fault> {
    if storable == Storable::No || cx.state.disk_low {
        return Ok(Archived::default());
    }
    let sender = from.to_bare();
    let mut owners = Vec::with_capacity(2);
    let is_kept = storable == Storable::Archive;
    let mut received = false;
    if let Some((local, unseen)) = addressee {
        received = is_kept && wants(cx, &local.jid, local.account, from)?;
        let direction = match received {
            true => Direction::Received,
            false => Direction::Passing,
        };
        if received || unseen == Unseen::Waits {
            owners.push(Owner {
                account: local.account,
                direction,
                unseen: unseen != Unseen::No,
            });
        }
    }
    let mut sent = false;
    if is_kept
        && addressee.is_none_or(|(local, _)| local.jid != sender)
        && let Some(account) = cx.account(&sender)?
        && wants(cx, &sender, account, to)?
    {
        owners.push(Owner {
            account,
            direction: Direction::Sent,
            unseen: false,
        });
        sent = true;
    }
    if owners.is_empty() {
        return Ok(Archived::default());
    }
    let xml = stored_xml(message);
    let act = act_of(message.element.root());
    let act = match &act {
        Some((act, name)) => Some((*act, named(cx, &owners, name)?)),
        None => None,
    };
    let record = Record {
        owners: &owners,
        from,
        to,
        at: cx.now.wall,
        xml: &xml,
        act,
    };
    let appended = cx.tx.append(&record)?;
    if let Some(owner) = owners.first() {
        let waiting = addressee.map(|(local, _)| local.account);
        feature::related(cx, (owner.account, waiting), &appended, message)?;
    }
    let id = appended.id;
    Ok(Archived {
        received: received.then_some(id),
        sent: sent.then_some(id),
        xml: Some(xml),
    })
}

/// By the id that its sender gave it (XEP-0424 §5.1, XEP-0444 §4.2, XEP-0461 §4.1); some clients name all messages by that of
/// the archive, as those of rooms are.
fn named<'n>(cx: &Cx<'_>, owners: &[Owner], name: &'n str) -> Result<Named<'n>, Fault> {
    let Some(id) = cx.state.archive_ids.parse(name) else {
        return Ok(Named::Id(name));
    };
    for owner in owners {
        if cx.tx.archived(owner.account, id)? {
            return Ok(Named::Stanza(id));
        }
    }
    Ok(Named::Id(name))
}

/// XEP-0441: what the owner of an archive prefers.
fn wants(cx: &Cx<'_>, jid: &BareJid, account: AccountId, other: &Jid) -> Result<bool, Fault> {
    let in_roster = || {
        let contact = cx.tx.contact(account, &other.to_bare());
        contact.is_ok_and(|contact| contact.is_some_and(|contact| contact.listed))
    };
    Ok(match cx.state.sessions.online(jid) {
        Some(online) => feature::archive_wanted(&online.archive_preferences, other, in_roster),
        None => feature::archive_wanted(&cx.tx.archive_preferences(account)?, other, in_roster),
    })
}
