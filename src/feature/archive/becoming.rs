//! What becomes of earlier messages when a later one does something to them: a retracted one is a tombstone from then on, with
//! all its versions (XEP-0424 §5); and of what waits for an absent device only the latest word does.
use crate::state::Cx;
use crate::store::{AccountId, Appended, ArchiveId, Relation, StoreError};
use crate::xml::{Element, ElementRef, Writer, parse_stored};
use crate::xmpp::relation::{Act, RETRACT, act_of};
use crate::xmpp::{Message, Timestamp, ns};

use super::collation::written;

/// Relations of a message that are looked through for its versions.
const VERSIONS_LOOK_MAX: usize = 10_000;
/// The same for what a newer one makes superfluous.
const SUPERFLUOUS_LOOK_MAX: usize = 100;

/// A message was kept in these archives, and did something to an earlier one. `waiting`: for whom it may be waiting.
pub fn related(
    cx: &mut Cx<'_>,
    (archive, waiting): (AccountId, Option<AccountId>),
    appended: &Appended,
    message: &Message,
) -> Result<(), StoreError> {
    if appended.is_awaited {
        for (archives, id, relation) in cx.tx.relate_ahead(appended.id)? {
            related_late(cx, (&archives, id, relation))?;
        }
    }
    let Some(Relation { act, target }) = appended.relation else {
        return Ok(());
    };
    match act {
        Act::Retracts | Act::Moderates => {
            let retracted = retracted_by(message.element.root(), act, cx.now.wall);
            let buried = bury(cx, archive, target, &retracted)?;
            mark_seen(cx, waiting, &buried)
        }
        Act::Corrects => {
            bury_late(cx, target, appended.id)?;
            forget_superfluous(cx, waiting, appended)
        }
        Act::Reacts => forget_superfluous(cx, waiting, appended),
        _ => Ok(()),
    }
}

/// The same is found of what was kept before that was noted.
pub fn related_late(
    cx: &mut Cx<'_>,
    (archives, id, relation): (&[AccountId], ArchiveId, Relation),
) -> Result<(), StoreError> {
    let Relation { act, target } = relation;
    match act {
        Act::Retracts | Act::Moderates => {
            let Some(stored) = cx.tx.stanza(id)? else {
                return Ok(());
            };
            let Ok(element) = parse_stored(&stored.xml, ns::CLIENT) else {
                return Ok(());
            };
            let retracted = retracted_by(element.root(), act, stored.at);
            let Some(archive) = archives.first() else {
                return Ok(());
            };
            let buried = bury(cx, *archive, target, &retracted)?;
            archives
                .iter()
                .try_for_each(|archive| mark_seen(cx, Some(*archive), &buried))
        }
        Act::Corrects => bury_late(cx, target, id),
        _ => Ok(()),
    }
}

/// What is left of a message that another one takes back.
fn retracted_by(message: ElementRef<'_>, act: Act, at: Timestamp) -> String {
    let retract = message.child("retract", RETRACT);
    retracted(|w| {
        w.attr_opt("id", message.attribute("id").as_deref());
        w.attr("stamp", &at.to_string());
        // XEP-0425 §4: by whom, and why.
        for child in retract
            .into_iter()
            .filter(|_| act == Act::Moderates)
            .flat_map(|it| it.children())
        {
            w.raw(&child.to_xml());
        }
    })
}

/// XEP-0424 §5: nothing but the place is left of a message and of its corrections (XEP-0308). Returns which they were. Of a
/// retraction that it did so stays: whoever was away has to hear of it.
pub fn bury(
    cx: &mut Cx<'_>,
    archive: AccountId,
    target: ArchiveId,
    retracted: &str,
) -> Result<Vec<ArchiveId>, StoreError> {
    let related = cx.tx.relations(archive, target, VERSIONS_LOOK_MAX)?;
    let versions = related.into_iter().filter(|(act, _)| *act == Act::Corrects);
    let all = std::iter::once(target).chain(versions.map(|(_, id)| id));
    let mut buried = Vec::new();
    for id in all {
        if bury_one(cx, id, retracted)? {
            buried.push(id);
        }
    }
    Ok(buried)
}

/// False: it is not gone.
fn bury_one(cx: &mut Cx<'_>, id: ArchiveId, retracted: &str) -> Result<bool, StoreError> {
    let Some(stored) = cx.tx.stanza(id)? else {
        return Ok(false);
    };
    let Ok(element) = parse_stored(&stored.xml, ns::CLIENT) else {
        return Ok(false);
    };
    // What is gone already says who took it back first.
    if element.root().child("retracted", RETRACT).is_some() {
        return Ok(true);
    }
    let retraction = match act_of(element.root()) {
        Some((Act::Retracts | Act::Moderates, named)) => Some(retract(&named)),
        _ => None,
    };
    let left = left_of(&element, retraction.as_deref().unwrap_or(retracted));
    if left != stored.xml {
        cx.tx.rewrite_stanza(id, &left)?;
    }
    Ok(retraction.is_none())
}

/// A correction that comes behind the retraction must not bring the words back.
fn bury_late(cx: &mut Cx<'_>, target: ArchiveId, correction: ArchiveId) -> Result<(), StoreError> {
    let Some(stored) = cx.tx.stanza(target)? else {
        return Ok(());
    };
    let Ok(element) = parse_stored(&stored.xml, ns::CLIENT) else {
        return Ok(());
    };
    match element.root().child("retracted", RETRACT) {
        Some(retracted) => bury_one(cx, correction, retracted.source()).map(drop),
        None => Ok(()),
    }
}

/// What somebody said before of the same, and who waits was not given, is not given to them any more: they get what it was
/// about, and the latest.
fn forget_superfluous(
    cx: &mut Cx<'_>,
    waiting: Option<AccountId>,
    appended: &Appended,
) -> Result<(), StoreError> {
    let (Some(account), Some(Relation { act, target })) = (waiting, appended.relation) else {
        return Ok(());
    };
    if !cx.tx.has_unseen(account)? {
        return Ok(());
    }
    let related = cx.tx.relations(account, target, SUPERFLUOUS_LOOK_MAX)?;
    let before = related
        .into_iter()
        .filter(|(of, id)| *of == act && *id != appended.id);
    let before: Vec<ArchiveId> = before.map(|(_, id)| id).collect();
    mark_seen(cx, waiting, &before)
}

fn mark_seen(
    cx: &mut Cx<'_>,
    waiting: Option<AccountId>,
    ids: &[ArchiveId],
) -> Result<(), StoreError> {
    match waiting {
        Some(account) => cx.tx.mark_seen(account, ids),
        None => Ok(()),
    }
}

/// The element that is left of a retracted message.
pub fn retracted(fill: impl FnOnce(&mut Writer<'_>)) -> String {
    written(|w| {
        w.open_ns("retracted", RETRACT);
        fill(w);
        w.close();
    })
}

fn retract(named: &str) -> String {
    written(|w| {
        w.open_ns("retract", RETRACT).attr("id", named).close();
    })
}

/// A message of which nothing but this element is left, and who said it where.
fn left_of(message: &Element, element: &str) -> String {
    let root = message.root();
    written(|w| {
        w.open_ns("message", ns::CLIENT);
        for name in ["from", "to", "id", "type"] {
            w.attr_opt(name, root.attribute(name).as_deref());
        }
        // In a channel.
        if let Some(mix) = root.child("mix", ns::MIX) {
            w.raw(mix.source());
        }
        w.raw(element);
        // In private in a room (XEP-0045 §7.5).
        if root.child("x", ns::MUC_USER).is_some() {
            w.open_ns("x", ns::MUC_USER).close();
        }
        w.close();
    })
}
