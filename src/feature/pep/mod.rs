//! XEP-0163: what accounts have on the publish-subscribe engine beside plain nodes. What is written to some nodes is shown in
//! another form elsewhere: every request that writes to an account's nodes comes by here.

pub(crate) mod avatars;
pub mod bookmark_forms;
pub mod bookmarks;
pub mod displayed;
mod image;
pub mod pam;
mod photo;
mod vcard_forms;
pub mod vcards;

pub use photo::{changed as photo_changed, in_presence as photo_in_presence};

use crate::pubsub::{self, NewItem, Owner, OwnerKind};
use crate::state::{Cx, Fault};
use crate::store::AccountId;
use crate::xmpp::{DataForm, Jid};

use super::{Feature, Spec, To};

pub const FEATURE: Feature = Feature {
    specs: &[
        Spec::complete("XEP-0048", "Bookmarks", "1.2"),
        Spec::complete("XEP-0084", "User Avatar", "1.1.4"),
        Spec::complete("XEP-0153", "vCard-Based Avatars", "1.1.1"),
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
        Spec::complete("XEP-0292", "vCard4 Over XMPP", "0.12.0"),
        Spec::partial(
            "XEP-0376",
            "Pubsub Account Management",
            "0.2",
            "no automatic subscriptions",
        ),
        Spec::complete(
            "XEP-0398",
            "User Avatar to vCard-Based Avatars Conversion",
            "1.0.0",
        ),
        Spec::complete("XEP-0402", "PEP Native Bookmarks", "1.2.0"),
        Spec::complete("XEP-0490", "Message Displayed Synchronization", "1.0.1"),
    ],
    // XEP-0060 §9, §10.
    disco: &[
        (
            To::Account,
            "http://jabber.org/protocol/pubsub#auto-subscribe",
        ),
        (
            To::Account,
            "http://jabber.org/protocol/pubsub#filtered-notifications",
        ),
        (
            To::Account,
            "http://jabber.org/protocol/pubsub#last-published",
        ),
        (
            To::Account,
            "http://jabber.org/protocol/pubsub#presence-notifications",
        ),
        (
            To::Account,
            "http://jabber.org/protocol/pubsub#presence-subscribe",
        ),
        (
            To::Account,
            "http://jabber.org/protocol/pubsub#pubsub-on-a-jid",
        ),
        (To::Account, "urn:ietf:params:xml:ns:vcard-4.0"),
        (To::Account, "urn:xmpp:mds:server-assist:0"),
        (To::Account, pam::NS),
        (To::Account, "urn:xmpp:pep-vcard-conversion:0"),
        (To::Account, "urn:xmpp:bookmarks:1#compat"),
        (To::Account, "urn:xmpp:bookmarks:1#compat-pep"),
    ],
    iq: pam::ROUTES,
    ..Feature::new("pep")
};

/// What becomes of the other forms of what lies in a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bookmarks,
    BookmarkList,
    AvatarData,
    AvatarMetadata,
    VCard4,
}

/// `None`: the node has no other form.
fn kind(owner: &Owner, node: &str) -> Option<(Kind, AccountId)> {
    let kind = match node {
        bookmark_forms::NS => Kind::Bookmarks,
        bookmark_forms::STORAGE_NS => Kind::BookmarkList,
        avatars::DATA => Kind::AvatarData,
        avatars::METADATA => Kind::AvatarMetadata,
        vcards::FOUR => Kind::VCard4,
        _ => return None,
    };
    match owner.kind {
        OwnerKind::Account(account) => Some((kind, account)),
        OwnerKind::Service => None,
    }
}

/// Somebody asks for a node: what is kept in an older form is brought there.
pub fn prepare(cx: &mut Cx<'_>, owner: &Owner, who: &Jid, node: &str) -> Result<(), Fault> {
    match kind(owner, node) {
        Some((Kind::Bookmarks | Kind::BookmarkList, account)) if owner.is_self(who) => {
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
    let Some((kind, account)) = kind(owner, node) else {
        return pubsub::publish(cx, owner, node, items, publisher, options);
    };
    let before = rooms_before(cx, owner, kind)?;
    let last = items.last().map(|item| item.payload.clone());
    let ids = pubsub::publish(cx, owner, node, items, publisher, options)?;
    match kind {
        Kind::BookmarkList => {
            let list = last.unwrap_or_else(|| bookmarks::EMPTY.into());
            bookmarks::take_list(cx, owner, &before, &list)?;
        }
        // The picture that takes the place of the one there is is told of next.
        Kind::AvatarData if !avatars::concerns(cx, owner, &ids)? => {}
        _ => follow(cx, owner, (kind, account))?,
    }
    Ok(ids)
}

/// Bookmarks that a list shows, for what it will no longer show is to go.
fn rooms_before(cx: &Cx<'_>, owner: &Owner, kind: Kind) -> Result<Vec<String>, Fault> {
    match kind {
        Kind::BookmarkList => bookmarks::rooms_shown(cx, owner),
        _ => Ok(Vec::new()),
    }
}

/// The other forms show what is so now.
fn follow(cx: &mut Cx<'_>, owner: &Owner, (kind, account): (Kind, AccountId)) -> Result<(), Fault> {
    match kind {
        Kind::Bookmarks | Kind::BookmarkList => bookmarks::show(cx, owner),
        Kind::AvatarData | Kind::AvatarMetadata => match avatars::advertise(cx, owner)? {
            true => vcards::show_photo(cx, owner, account),
            false => Ok(()),
        },
        Kind::VCard4 => vcards::four_changed(cx, owner, account),
    }
}

/// As the engine's.
pub fn retract(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    ids: &[Box<str>],
    how: (&Jid, bool),
) -> Result<(), Fault> {
    changing(cx, owner, node, &|cx| {
        pubsub::retract(cx, owner, node, ids, how)
    })
}

/// As the engine's.
pub fn purge(cx: &mut Cx<'_>, owner: &Owner, node: &str, who: &Jid) -> Result<(), Fault> {
    changing(cx, owner, node, &|cx| pubsub::purge(cx, owner, node, who))
}

/// As the engine's.
pub fn delete(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    who: &Jid,
    redirect: Option<&str>,
) -> Result<(), Fault> {
    changing(cx, owner, node, &|cx| {
        pubsub::delete(cx, owner, node, who, redirect)
    })
}

/// As the engine's: who may read a picture changes who is shown it elsewhere.
pub fn configure(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    who: &Jid,
    form: &DataForm,
) -> Result<(), Fault> {
    pubsub::configure(cx, owner, node, who, form)?;
    match kind(owner, node) {
        Some((Kind::AvatarData | Kind::AvatarMetadata, account)) => {
            avatars::advertise(cx, owner)?;
            vcards::show_photo(cx, owner, account)
        }
        _ => Ok(()),
    }
}

/// What is removed in one form is removed in the others.
fn changing(
    cx: &mut Cx<'_>,
    owner: &Owner,
    node: &str,
    change: &dyn Fn(&mut Cx<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let Some((kind, account)) = kind(owner, node) else {
        return change(cx);
    };
    let before = rooms_before(cx, owner, kind)?;
    change(cx)?;
    match kind {
        Kind::BookmarkList => bookmarks::take_list(cx, owner, &before, bookmarks::EMPTY),
        _ => follow(cx, owner, (kind, account)),
    }
}
