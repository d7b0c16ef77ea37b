//! XEP-0049: Private XML Storage. Kept by name and namespace of the stored element; the owner's alone.
use crate::pubsub::Owner;
use crate::state::{Cx, Fault};
use crate::store::AccountId;
use crate::xml::ElementRef;
use crate::xmpp::{Condition, StanzaError};

use super::pep::bookmarks;
use super::{Feature, IqRoute, Reply, Request, Spec, To};

const NS: &str = "jabber:iq:private";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete("XEP-0049", "Private XML Storage", "1.2")],
    disco: &[(To::Server, NS), (To::OwnAccount, NS)],
    iq: &[
        IqRoute::set(To::OwnAccount, NS, "query", set),
        IqRoute::get(To::OwnAccount, NS, "query", get),
        IqRoute::set(To::Account, NS, "query", forbidden).refused_by(Condition::Forbidden),
        IqRoute::get(To::Account, NS, "query", forbidden).refused_by(Condition::Forbidden),
    ],
    ..Feature::new("private_xml")
};

/// All elements of one name and namespace in a request; they are kept and returned together.
struct Item<'a> {
    name: &'a str,
    namespace: &'a str,
    /// `None`: one bare empty element, which is what a get shows when nothing is stored.
    xml: Option<String>,
}

fn set(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let mut items = items(request.payload, cx.state.settings.private_items_max)?;
    let account = request.account_id();
    let is_list = |item: &mut Item<'_>| bookmarks::is_list(item.name, item.namespace);
    let list = items.extract_if(.., is_list).next();
    let settings = &cx.state.settings;
    let bytes = |item: &Item<'_>| item.xml.as_ref().map_or(0, String::len);
    if items
        .iter()
        .any(|item| bytes(item) > settings.private_bytes_max)
    {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text("This is too large to be stored.")
            .into());
    }
    let names: Vec<_> = items
        .iter()
        .map(|item| (item.name, item.namespace))
        .collect();
    let kept = cx.tx.private_xml_bytes(account, &names)?;
    let total = items.iter().map(bytes).sum::<usize>() + kept;
    let settings = &cx.state.settings;
    if total > settings.private_total_bytes_max && total > cx.tx.private_xml_bytes(account, &[])? {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("Too much is stored.")
            .into());
    }
    let added = added(cx, account, &items)?;
    if added > 0 && cx.tx.private_xml_count(account)? + added > settings.private_items_max {
        return Err(too_many());
    }
    cx.require_disk_space()?;
    if let Some(list) = list {
        let owner = Owner::account(request.account_jid(), account);
        bookmarks::adopt(cx, &owner, account)?;
        bookmarks::set_list(cx, &owner, list.xml.as_deref())?;
    }
    for item in &items {
        cx.tx
            .set_private_xml(account, item.name, item.namespace, item.xml.as_deref())?;
    }
    Ok(Reply::Empty)
}

/// The children, grouped; each must be in a namespace of its own. No more are kept for an account than `most`.
fn items(query: ElementRef<'_>, most: usize) -> Result<Vec<Item<'_>>, Fault> {
    let mut items: Vec<Item<'_>> = Vec::new();
    for child in query.children() {
        let (name, namespace) = (child.name(), child.namespace());
        if namespace.is_empty() || namespace == NS {
            return Err(Condition::NotAcceptable.into());
        }
        let is_full = items.len() >= most;
        let known = items
            .iter_mut()
            .find(|item| item.name == name && item.namespace == namespace);
        match known {
            Some(item) => item
                .xml
                .get_or_insert_default()
                .push_str(child.to_xml().as_ref()),
            None if is_full => return Err(too_many()),
            None => items.push(Item {
                name,
                namespace,
                xml: (!is_bare(child)).then(|| child.to_xml().into_owned()),
            }),
        }
    }
    if items.is_empty() {
        return Err(Condition::NotAcceptable.into());
    }
    Ok(items)
}

fn too_many() -> Fault {
    StanzaError::new(Condition::ResourceConstraint)
        .text("Too many different elements are stored.")
        .into()
}

fn is_bare(element: ElementRef<'_>) -> bool {
    element.inner_source().is_empty() && element.attributes().next().is_none()
}

/// How many of the items are not stored under their name yet.
fn added(cx: &Cx<'_>, account: AccountId, items: &[Item<'_>]) -> Result<usize, Fault> {
    let mut added = 0;
    for item in items.iter().filter(|item| item.xml.is_some()) {
        let stored = cx.tx.private_xml(account, item.name, item.namespace)?;
        added += usize::from(stored.is_none());
    }
    Ok(added)
}

/// What is stored under the name and namespace of the one child, else that child as it came.
fn get(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let mut children = request.payload.children();
    let (Some(child), None) = (children.next(), children.next()) else {
        return Err(Condition::BadRequest.into());
    };
    let account = request.account_id();
    let mut stored = None;
    if bookmarks::is_list(child.name(), child.namespace()) {
        let owner = Owner::account(request.account_jid(), account);
        bookmarks::adopt(cx, &owner, account)?;
        stored = bookmarks::list(cx, &owner)?;
    }
    if stored.is_none() {
        stored = cx
            .tx
            .private_xml(account, child.name(), child.namespace())?;
    }
    let asked = || child.to_xml().into_owned();
    let xml = stored.unwrap_or_else(asked);
    Ok(Reply::payload(|w| {
        w.open_ns("query", NS).raw(&xml).close();
    }))
}

fn forbidden(_cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Err(Condition::Forbidden.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse_stored;

    #[test]
    fn elements_of_one_name_are_kept_together() {
        let query = "<query xmlns='jabber:iq:private'><a xmlns='x'>1</a><b xmlns='x'/><a xmlns='x'>2</a></query>";
        let query = parse_stored(query, "").unwrap();
        let items = items(query.root(), 2).ok().unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!(
            items[0].xml.as_deref(),
            Some("<a xmlns='x'>1</a><a xmlns='x'>2</a>")
        );
        assert_eq!((items[1].name, &items[1].xml), ("b", &None));
    }

    #[test]
    fn what_is_in_no_namespace_of_its_own_is_refused() {
        for children in ["", "<a/>", "<a xmlns=''/>", "<a xmlns='x'/><b/>"] {
            let query = format!("<query xmlns='jabber:iq:private'>{children}</query>");
            let query = parse_stored(&query, "").unwrap();
            let refused = items(query.root(), 2).err().unwrap();
            assert_eq!(
                refused.into_stanza_error().condition,
                Condition::NotAcceptable
            );
        }
    }
}
