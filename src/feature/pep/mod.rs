//! XEP-0163: what accounts have on the publish-subscribe engine beside plain nodes. What is written to some nodes is shown in
//! another form elsewhere: every request that writes to an account's nodes comes by here.

mod bookmark_forms;
pub mod bookmarks;

use crate::pubsub::{self, NewItem, Owner, OwnerKind};
use crate::state::{Cx, Fault};
use crate::xmpp::{DataForm, Jid};

use super::{Feature, Spec, To};

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::complete("XEP-0048", "Bookmarks", "1.2"),
        Spec::complete("XEP-0163", "Personal Eventing Protocol", "1.2.2"),
        Spec::complete(
            "XEP-0222",
            "Persistent Storage of Public Data via PubSub",
            "1.0",
        ),
        Spec::complete(
            "XEP-0223",
            "Persistent Storage of Private Data via PubSub",
            "1.1.1",
        ),
        Spec::complete("XEP-0402", "PEP Native Bookmarks", "1.2.0"),
    ],
    disco: &[
        (To::Account, "urn:xmpp:bookmarks:1#compat"),
        (To::Account, "urn:xmpp:bookmarks:1#compat-pep"),
    ],
    ..Feature::new("pep")
};

/// What becomes of the other forms of what lies in a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bookmarks,
    BookmarkList,
}

fn kind(owner: &Owner, node: &str) -> Option<Kind> {
    let kind = match node {
        bookmark_forms::NS => Kind::Bookmarks,
        bookmark_forms::STORAGE_NS => Kind::BookmarkList,
        _ => return None,
    };
    matches!(owner.kind, OwnerKind::Account(_)).then_some(kind)
}

/// Somebody asks for a node: what is kept in an older form is brought there.
pub fn prepare(cx: &mut Cx<'_>, owner: &Owner, who: &Jid, node: &str) -> Result<(), Fault> {
    match owner.kind {
        OwnerKind::Account(account) if bookmarks::is_of_bookmarks(node) && owner.is_self(who) => {
            bookmarks::adopt(cx, owner, account)
        }
        _ => Ok(()),
    }
}

/// As the engine's.
pub fn publish(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    items: Vec<NewItem>,
    publisher: &Jid,
    options: Option<&DataForm>,
) -> Result<Vec<Box<str>>, Fault> {
    let Some(kind) = kind(owner, node) else {
        return pubsub::publish(cx, owner, node, items, publisher, options);
    };
    let before = match kind {
        Kind::BookmarkList => bookmarks::rooms_shown(cx, owner)?,
        Kind::Bookmarks => Vec::new(),
    };
    let last = items.last().map(|item| item.payload.clone());
    let ids = pubsub::publish(cx, owner, node, items, publisher, options)?;
    match (kind, last) {
        (Kind::Bookmarks, _) => bookmarks::show(cx, owner)?,
        (Kind::BookmarkList, Some(list)) => bookmarks::take_list(cx, owner, &before, &list)?,
        (Kind::BookmarkList, None) => {}
    }
    Ok(ids)
}

/// As the engine's.
pub fn retract(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    ids: &[Box<str>],
    how: (&Jid, bool),
) -> Result<(), Fault> {
    removing(cx, owner, node, &|cx| {
        pubsub::retract(cx, owner, node, ids, how)
    })
}

/// As the engine's.
pub fn purge(cx: &mut Cx<'_>, owner: &Owner, node: &str, who: &Jid) -> Result<(), Fault> {
    removing(cx, owner, node, &|cx| pubsub::purge(cx, owner, node, who))
}

/// As the engine's.
pub fn delete(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    who: &Jid,
    redirect: Option<&str>,
) -> Result<(), Fault> {
    removing(cx, owner, node, &|cx| {
        pubsub::delete(cx, owner, node, who, redirect)
    })
}

/// What is removed in one form is removed in the others.
fn removing(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    remove: &dyn Fn(&mut Cx<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Some(kind) = kind(owner, node) else {
        return remove(cx);
    };
    let before = match kind {
        Kind::BookmarkList => bookmarks::rooms_shown(cx, owner)?,
        Kind::Bookmarks => Vec::new(),
    };
    remove(cx)?;
    match kind {
        Kind::Bookmarks => bookmarks::show(cx, owner),
        Kind::BookmarkList => bookmarks::take_list(cx, owner, &before, bookmarks::EMPTY),
    }
}
