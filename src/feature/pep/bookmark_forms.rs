//! Bookmarks in their two forms, turned into each other: one element for all of them (XEP-0048, in private XML and in a node),
//! and one item for each (XEP-0402). Nothing of the one is lost for what the other cannot say.
use std::collections::HashSet;

use crate::xml::{ElementRef, Writer};
use crate::xmpp::Jid;

/// XEP-0402
pub const NS: &str = "urn:xmpp:bookmarks:1";
/// XEP-0048
pub const STORAGE_NS: &str = "storage:bookmarks";

/// Rooms of one list: all of them are looked at whenever one changes.
pub const ROOMS_MAX: usize = 1000;

/// What both forms say of a room.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    name: Option<String>,
    autojoin: bool,
    nick: Option<String>,
    password: Option<String>,
}

/// A list of XEP-0048, taken apart.
#[derive(Default)]
pub struct Storage<'a> {
    /// Rooms by their bare JID, prepared; each once, as it came first.
    pub rooms: Vec<(String, ElementRef<'a>)>,
    /// What is no room, or of no JID that could be an item's id, or beyond the limit: pages, and whatever a client keeps there.
    pub rest: Vec<ElementRef<'a>>,
}

impl<'a> Storage<'a> {
    pub fn read(storage: ElementRef<'a>) -> Storage<'a> {
        let mut read = Storage::default();
        let mut seen = HashSet::new();
        for child in storage.children() {
            match jid(child) {
                Some(jid) if seen.contains(&jid) => {}
                Some(jid) if seen.len() < ROOMS_MAX => {
                    seen.insert(jid.clone());
                    read.rooms.push((jid, child));
                }
                _ => read.rest.push(child),
            }
        }
        read
    }
}

/// That of a room, as the id of its item (XEP-0402 §2).
fn jid(child: ElementRef<'_>) -> Option<String> {
    let jid = child
        .attribute("jid")
        .filter(|_| child.is("conference", STORAGE_NS));
    let jid = Jid::parse(jid?.trim()).ok()?;
    Some(jid.bare_str().to_string())
}

/// True if the room of a list says what the item says.
pub fn says_the_same(room: ElementRef<'_>, item: ElementRef<'_>) -> bool {
    said(room) == said(item)
        && (extensions(room).is_empty() || extensions(room) == extensions(item))
}

/// The payload of an item. `before`: what it was until now, for the old form cannot be trusted to know all of it.
pub fn item_of_room(room: ElementRef<'_>, before: Option<ElementRef<'_>>) -> String {
    let mut extended = extensions(room);
    if let (true, Some(before)) = (extended.is_empty(), before) {
        extended = extensions(before);
    }
    // What the old form has in no place of its own.
    let others = others(room).chain(before.into_iter().flat_map(others));
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for other in others {
        let is_new = !kept.contains(&(other.name(), other.namespace()));
        let xml = other.to_xml();
        if is_new && !extended.contains(xml.as_ref()) {
            kept.push((other.name(), other.namespace()));
            extended.push_str(&xml);
        }
    }
    let more = before.into_iter().flat_map(unknown);
    let more: String = more.map(|child| child.to_xml().into_owned()).collect();
    write(NS, None, &said(room), (&extended, &more))
}

/// A room of a list (XEP-0402 §4.1), `None`: the item's id is none that an old client would understand.
pub fn room_of_item(id: &str, item: ElementRef<'_>) -> Option<String> {
    let is_bookmark = item.is("conference", NS) && Jid::parse(id).is_ok_and(|jid| jid.is_bare());
    is_bookmark.then(|| write(STORAGE_NS, Some(id), &said(item), (&extensions(item), "")))
}

/// A whole list.
pub fn storage(rooms: impl Iterator<Item = String>, rest: &str) -> String {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("storage", STORAGE_NS);
    for room in rooms {
        w.raw(&room);
    }
    w.raw(rest).close();
    String::from_utf8(xml).expect("the writer writes UTF-8")
}

fn said(conference: ElementRef<'_>) -> Said {
    let namespace = conference.namespace();
    let text = |name| {
        let child = conference.child(name, namespace)?;
        Some(child.text().into_owned()).filter(|text| !text.is_empty())
    };
    let name = conference.attribute("name").map(|name| name.into_owned());
    let of_resource = || {
        let jid = Jid::parse(&conference.attribute("jid")?).ok()?;
        jid.resource().map(str::to_string)
    };
    Said {
        name: name.filter(|name| !name.is_empty()),
        autojoin: conference
            .attribute("autojoin")
            .is_some_and(|value| matches!(value.trim(), "true" | "1")),
        nick: text("nick").or_else(of_resource),
        password: text("password"),
    }
}

/// What is in `<extensions/>`.
fn extensions(conference: ElementRef<'_>) -> String {
    let extensions = conference.child("extensions", conference.namespace());
    let children = extensions.into_iter().flat_map(|all| all.children());
    children.map(|child| child.to_xml().into_owned()).collect()
}

/// Children of other namespaces, which XEP-0402 has in `<extensions/>`.
fn others<'a>(conference: ElementRef<'a>) -> impl Iterator<Item = ElementRef<'a>> {
    let namespace = conference.namespace();
    conference
        .children()
        .filter(move |child| child.namespace() != namespace)
}

/// Children that a later version of the form may have.
fn unknown<'a>(conference: ElementRef<'a>) -> impl Iterator<Item = ElementRef<'a>> {
    let namespace = conference.namespace();
    let is_known =
        |child: &ElementRef<'a>| matches!(child.name(), "nick" | "password" | "extensions");
    let own = conference
        .children()
        .filter(move |child| child.namespace() == namespace);
    own.filter(move |child| !is_known(child))
}

fn write(
    namespace: &str,
    jid: Option<&str>,
    said: &Said,
    (extensions, more): (&str, &str),
) -> String {
    let mut xml = Vec::new();
    let mut w = Writer::new(&mut xml);
    w.open_ns("conference", namespace)
        .attr_opt("jid", jid)
        .attr_opt("name", said.name.as_deref())
        .attr_opt("autojoin", said.autojoin.then_some("true"));
    for (name, text) in [("nick", &said.nick), ("password", &said.password)] {
        if let Some(text) = text {
            w.leaf(name, text);
        }
    }
    if !extensions.is_empty() {
        w.open("extensions").raw(extensions).close();
    }
    if !more.is_empty() {
        w.raw(more);
    }
    w.close();
    String::from_utf8(xml).expect("the writer writes UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Element, parse_stored};

    fn parsed(xml: &str) -> Element {
        parse_stored(xml, "").unwrap()
    }

    const ROOM: &str = "<storage xmlns='storage:bookmarks'>\
        <conference jid='The.Play@Conference.Shakespeare.lit' name='The Play&apos;s the Thing' autojoin='1'>\
        <nick>JC</nick><password>&lt;s&gt;</password></conference></storage>";
    const ITEM: &str = "<conference xmlns='urn:xmpp:bookmarks:1' name='The Play&apos;s the Thing' autojoin='true'>\
        <nick>JC</nick><password>&lt;s&gt;</password></conference>";

    #[test]
    fn all_fields_there_and_back() {
        let list = parsed(ROOM);
        let read = Storage::read(list.root());
        let [(jid, room)] = read.rooms.as_slice() else {
            panic!("one room");
        };
        assert_eq!(jid, "the.play@conference.shakespeare.lit");
        assert_eq!(item_of_room(*room, None), ITEM);
        let item = parsed(ITEM);
        assert!(says_the_same(*room, item.root()));
        let back = storage(room_of_item(jid, item.root()).into_iter(), "");
        assert_eq!(
            back,
            ROOM.replace("The.Play@Conference.Shakespeare.lit", jid)
                .replace("conference jid", "conference xmlns='storage:bookmarks' jid")
                .replace("'1'", "'true'")
        );
    }

    #[test]
    fn nothing_is_lost_that_the_old_form_does_not_know() {
        let before = parsed(
            "<conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'><nick>a</nick><new>1</new>\
             <extensions><state xmlns='x' minimized='true'/></extensions></conference>",
        );
        let list = parsed(
            "<storage xmlns='storage:bookmarks'><conference jid='a@b'><nick>b</nick>\
             <print xmlns='gajim'>all</print></conference></storage>",
        );
        let room = Storage::read(list.root()).rooms[0].1;
        assert!(!says_the_same(room, before.root()));
        assert_eq!(
            item_of_room(room, Some(before.root())),
            "<conference xmlns='urn:xmpp:bookmarks:1'><nick>b</nick><extensions>\
             <state xmlns='x' minimized='true'/><print xmlns='gajim'>all</print></extensions><new xmlns='urn:xmpp:bookmarks:1'>1</new></conference>"
        );
        // An old client that writes back what it read changes nothing.
        let shown = room_of_item("a@b", before.root()).unwrap();
        let shown = parsed(&storage([shown].into_iter(), ""));
        let room = Storage::read(shown.root()).rooms[0].1;
        assert!(says_the_same(room, before.root()));
        // And one that leaves out what it does not know neither.
        let list = parsed(
            "<storage xmlns='storage:bookmarks'><conference jid='a@b' autojoin='1'><nick>a</nick></conference></storage>",
        );
        assert!(says_the_same(
            Storage::read(list.root()).rooms[0].1,
            before.root()
        ));
    }

    #[test]
    fn what_is_no_room_stays_apart() {
        let list = parsed(
            "<storage xmlns='storage:bookmarks'><url name='p' url='http://p/'/><conference jid='@'/>\
             <conference/><conference jid='A@b'/><conference jid='a@b/x' name='again'/><x xmlns='y'/></storage>",
        );
        let read = Storage::read(list.root());
        assert_eq!(read.rooms.len(), 1);
        assert_eq!(read.rooms[0].0, "a@b");
        assert_eq!(read.rest.len(), 4);
    }

    #[test]
    fn a_nickname_may_stand_in_the_jid() {
        let list = parsed(
            "<storage xmlns='storage:bookmarks'><conference jid='a@b/Puck' autojoin='0'/></storage>",
        );
        let read = Storage::read(list.root());
        assert_eq!(
            item_of_room(read.rooms[0].1, None),
            "<conference xmlns='urn:xmpp:bookmarks:1'><nick>Puck</nick></conference>"
        );
    }

    #[test]
    fn items_of_no_room_are_not_shown_to_old_clients() {
        let item = parsed(ITEM);
        for id in ["", "a@b/c", "@", "a b@c d"] {
            assert_eq!(room_of_item(id, item.root()), None, "{id}");
        }
        let other = parsed("<conference xmlns='storage:bookmarks' jid='a@b'/>");
        assert_eq!(room_of_item("a@b", other.root()), None);
    }
}
