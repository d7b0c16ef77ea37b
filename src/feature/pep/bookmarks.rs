//! XEP-0402 §5: bookmarks are one thing in three forms: an item for each (XEP-0402), a list in a node (XEP-0048) and the same
//! list in private XML (XEP-0049). The items are what counts; the list is made of them at each change, and is what private XML
//! shows.
//!
//! Who writes last is right, item by item. A list that is written says of each room in it what is so now; unless it says the
//! same as the item, that is published. It takes away only rooms that the list before it showed: no client can mean to remove
//! what it could not see. What an item has and a list does not know (extensions) stays. What a list has that is no room stays
//! in the list. A list that is retracted, purged or deleted is an empty list.
//!
//! Private XML of a database of before is taken over when somebody first asks for bookmarks, in whatever form.
use std::collections::{HashMap, HashSet};

use crate::pubsub::{self, NewItem, Node, Owner};
use crate::state::{Cx, Fault};
use crate::store::{AccountId, Item, NodeOwner, Span, StoreError};
use crate::xml::{Element, parse_stored};
use crate::xmpp::{BareJid, Jid};

use super::bookmark_forms::{
    NS, ROOMS_MAX, STORAGE_NS, Storage, item_of_room, room_of_item, says_the_same, storage,
};

/// Name of the list, and id of its item (XEP-0048 §3).
const STORAGE: &str = "storage";
const CURRENT: &str = "current";
/// A list of nothing.
pub const EMPTY: &str = "<storage xmlns='storage:bookmarks'/>";

/// The list of before is taken over, once.
pub fn adopt(cx: &mut Cx<'_>, owner: &Owner, account: AccountId) -> Result<(), Fault> {
    let Some(old) = cx.tx.private_xml(account, STORAGE, STORAGE_NS)? else {
        return Ok(());
    };
    if cx.state.disk_low {
        return Ok(());
    }
    let is_first = pubsub::node(cx, owner, NS)?.is_none();
    let mut taken = publish_list(cx, owner, first_of(&old));
    if taken.is_ok() {
        // It is older than all there is: it adds what is not there, and takes nothing away.
        taken = follow_list(cx, owner, &[], &first_of(&old));
    }
    match taken {
        // There is no room for it: it stays where it was, and is shown as it was.
        Err(Fault::Stanza(_)) => return give_up(cx, owner),
        taken => taken?,
    }
    if !is_first {
        show(cx, owner)?;
    }
    cx.tx.set_private_xml(account, STORAGE, STORAGE_NS, None)?;
    Ok(())
}

/// There is no list, so that the one in private XML is what is shown.
fn give_up(cx: &mut Cx<'_>, owner: &Owner) -> Result<(), Fault> {
    match pubsub::node(cx, owner, STORAGE_NS)? {
        Some(_) => pubsub::delete(cx, owner, STORAGE_NS, owner.jid.as_jid(), None),
        None => Ok(()),
    }
}

/// Of several lists the first counts.
fn first_of(xml: &str) -> String {
    let all = parse_stored(&format!("<query>{xml}</query>"), "");
    let first = all.ok().and_then(|query| {
        let first = query.root().children().next()?;
        Some(first.to_xml().into_owned())
    });
    first.unwrap_or_else(|| EMPTY.to_string())
}

/// What private XML shows; `None`: nothing was ever written.
pub fn list(cx: &Cx<'_>, owner: &Owner) -> Result<Option<String>, Fault> {
    let Some(node) = pubsub::node(cx, owner, STORAGE_NS)? else {
        return Ok(None);
    };
    let item = pubsub::last_item(cx, &node)?;
    Ok(item.map(|item| item.payload.into()))
}

/// Whether an element of private XML is the list.
pub fn is_list(name: &str, namespace: &str) -> bool {
    (name, namespace) == (STORAGE, STORAGE_NS)
}

/// A list is written as private XML; `None`: an empty one.
pub fn set_list(cx: &mut Cx<'_>, owner: &Owner, xml: Option<&str>) -> Result<(), Fault> {
    let xml = first_of(xml.unwrap_or(EMPTY));
    let before = rooms_shown(cx, owner)?;
    publish_list(cx, owner, xml.clone())?;
    take_list(cx, owner, &before, &xml)
}

/// Bare JIDs of the rooms that the list shows now.
pub fn rooms_shown(cx: &Cx<'_>, owner: &Owner) -> Result<Vec<String>, Fault> {
    let list = list(cx, owner)?.and_then(|list| parse_stored(&list, "").ok());
    Ok(list.map_or_else(Vec::new, |list| {
        let rooms = Storage::read(list.root()).rooms;
        rooms.into_iter().map(|(jid, _)| jid).collect()
    }))
}

/// Addresses that are bookmarked; up to so many.
pub fn rooms(cx: &Cx<'_>, account: AccountId, max: usize) -> Result<Vec<BareJid>, StoreError> {
    let Some(node) = cx.tx.node(NodeOwner(account.0), NS)? else {
        return Ok(Vec::new());
    };
    let items = cx.tx.items_in(&node, Span::default(), (true, max))?;
    let jids = items.iter().map(|(_, item)| BareJid::parse(&item.id));
    Ok(jids.filter_map(Result::ok).collect())
}

/// A list was written: the items follow. `before`: the rooms it showed until then.
pub fn take_list(
    cx: &mut Cx<'_>,
    owner: &Owner,
    before: &[String],
    xml: &str,
) -> Result<(), Fault> {
    let taken = follow_list(cx, owner, before, xml);
    if taken.is_err() {
        // There is no room for the items: the list says again what is so.
        show(cx, owner)?;
    }
    taken
}

fn follow_list(cx: &mut Cx<'_>, owner: &Owner, before: &[String], xml: &str) -> Result<(), Fault> {
    let Ok(list) = parse_stored(xml, "") else {
        return Ok(());
    };
    let rooms = Storage::read(list.root()).rooms;
    let node = pubsub::node(cx, owner, NS)?;
    let known = known_of(cx, node.as_ref())?;
    let by_jid = known.iter().flatten().rev();
    let by_jid: HashMap<&str, &Known> = by_jid.map(|item| (item.jid.as_str(), item)).collect();
    let mut changed = Vec::new();
    for (jid, room) in &rooms {
        let mut item = by_jid.get(jid.as_str()).copied();
        let read;
        if let (None, Some(node)) = (&known, &node) {
            // Too many to look at all of them: the one of this name.
            read = pubsub::item(cx, node, jid)?.and_then(Known::of);
            item = read.as_ref();
        }
        let before = item.map(|item| item.element.root());
        if !before.is_some_and(|before| says_the_same(*room, before)) {
            changed.push(NewItem {
                id: Some(item.map_or_else(|| jid.as_str().into(), |item| item.id.clone())),
                payload: item_of_room(*room, before).into(),
            });
        }
    }
    let own: &Jid = owner.jid.as_jid();
    for some in changed.chunks(pubsub::items::publish::ITEMS_MAX) {
        pubsub::publish(cx, owner, NS, some.to_vec(), own, None)?;
    }
    let before: HashSet<&str> = before.iter().map(String::as_str).collect();
    let stay: HashSet<&str> = rooms.iter().map(|(jid, _)| jid.as_str()).collect();
    let is_gone =
        |item: &&Known| before.contains(item.jid.as_str()) && !stay.contains(item.jid.as_str());
    let gone = known.iter().flatten().filter(is_gone);
    let gone: Vec<Box<str>> = gone.map(|item| item.id.clone()).collect();
    match gone.is_empty() {
        true => Ok(()),
        false => pubsub::retract(cx, owner, NS, &gone, (own, true)),
    }
}

/// Items were published or went: the list follows.
pub fn show(cx: &mut Cx<'_>, owner: &Owner) -> Result<(), Fault> {
    let old = list(cx, owner)?;
    let element = old.as_deref().and_then(|old| parse_stored(old, "").ok());
    let rest = element.as_ref().map(|list| Storage::read(list.root()).rest);
    let rest = rest.into_iter().flatten();
    let rest: String = rest.map(|child| child.to_xml().into_owned()).collect();
    let node = pubsub::node(cx, owner, NS)?;
    let known = known_of(cx, node.as_ref())?.unwrap_or_default();
    let rooms = known.iter();
    let rooms = rooms.filter_map(|item| room_of_item(&item.id, item.element.root()));
    let rooms: Vec<String> = rooms.collect();
    if old.is_none() && rooms.is_empty() {
        return Ok(());
    }
    let new = storage(rooms.into_iter(), &rest);
    if old.as_deref() == Some(new.as_str()) {
        return Ok(());
    }
    match publish_list(cx, owner, new) {
        // It is longer than one item may be: better no rooms than those of before. What is written then takes nothing away.
        Err(Fault::Stanza(_)) => {
            match publish_list(cx, owner, storage(std::iter::empty(), &rest)) {
                Err(Fault::Store(error)) => Err(error.into()),
                _ => Ok(()),
            }
        }
        done => done,
    }
}

fn publish_list(cx: &mut Cx<'_>, owner: &Owner, list: String) -> Result<(), Fault> {
    let item = NewItem {
        id: Some(CURRENT.into()),
        payload: list.into(),
    };
    let own = owner.jid.as_jid();
    pubsub::publish(cx, owner, STORAGE_NS, vec![item], own, None)?;
    Ok(())
}

/// An item that a list can show.
struct Known {
    /// As clients wrote it.
    id: Box<str>,
    /// Prepared.
    jid: String,
    element: Element,
}

impl Known {
    /// `None`: no list can show it.
    fn of(item: Item) -> Option<Known> {
        let element = parse_stored(&item.payload, "").ok()?;
        let jid = Jid::parse(&item.id).ok()?;
        let is_bookmark = jid.is_bare() && element.root().is("conference", NS);
        is_bookmark.then(|| Known {
            jid: jid.bare_str().to_string(),
            id: item.id,
            element,
        })
    }
}

/// All of them, oldest first. `None`: there are more than a list shows.
fn known_of(cx: &Cx<'_>, node: Option<&Node>) -> Result<Option<Vec<Known>>, Fault> {
    let Some(node) = node else {
        return Ok(Some(Vec::new()));
    };
    let items = cx
        .tx
        .items_in(&node.row, Span::default(), (false, ROOMS_MAX + 1))?;
    let all = items.len() <= ROOMS_MAX;
    let known = items.into_iter().filter_map(|(_, item)| Known::of(item));
    Ok(all.then(|| known.collect()))
}
