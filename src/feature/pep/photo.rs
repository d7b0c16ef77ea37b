//! XEP-0153 §4, XEP-0398 §4: the hash of an account's avatar, in the presence of its sessions.
use crate::state::Cx;
use crate::store::{AccountId, StoreError};
use crate::xml::{Element, ElementRef, parse_stored};
use crate::xmpp::{Presence, ns};

const NS: &str = "vcard-temp:x:update";
/// What the server says of an account that has no avatar any more. A client's own word is written in another way.
const NO_MORE: &str = "<x xmlns='vcard-temp:x:update'><photo></photo></x>";
const CLIENT_WANTS_NONE: &str = "<x xmlns='vcard-temp:x:update'><photo/></x>";

/// Available presence as it leaves: with the hash, unless the client says that it wants none shown. `None`: as it came.
pub fn in_presence(
    cx: &Cx<'_>,
    account: AccountId,
    presence: &Presence,
) -> Result<Option<Presence>, StoreError> {
    let Some(photo) = cx.tx.photo_told(account)? else {
        return Ok(None);
    };
    let root = presence.element.root();
    let said = said(root);
    let x = match said.as_deref() {
        Some("") => CLIENT_WANTS_NONE.to_string(),
        Some(said) if said == photo => return Ok(None),
        _ => telling(&photo),
    };
    let element = rewritten(root, &x);
    Ok(element.map(|element| Presence {
        element,
        ..presence.clone()
    }))
}

/// Presence that was said before, now that the avatar is another. `photo`: empty if there is none any more, so that whoever
/// comes later does not keep showing the last one. `None`: it stays as it is.
pub fn changed(payload: &str, photo: &str) -> Option<Element> {
    let presence = parse_stored(&format!("<presence>{payload}</presence>"), ns::CLIENT).ok()?;
    let root = presence.root();
    match wants_none(root) || said(root).as_deref() == Some(photo) {
        true => None,
        false => rewritten(root, &telling(photo)),
    }
}

fn update(root: ElementRef<'_>) -> Option<ElementRef<'_>> {
    root.child("x", NS)
}

fn said(root: ElementRef<'_>) -> Option<String> {
    let photo = update(root)?.child("photo", NS)?;
    Some(photo.text().trim().to_string())
}

/// XEP-0398 §4: an empty `<photo/>` is the client's own word, unless it is the server's.
fn wants_none(root: ElementRef<'_>) -> bool {
    let is_told = update(root).is_some_and(|x| x.source() == NO_MORE);
    !is_told && said(root).is_some_and(|photo| photo.is_empty())
}

fn telling(photo: &str) -> String {
    match photo.is_empty() {
        true => NO_MORE.to_string(),
        false => format!("<x xmlns='{NS}'><photo>{photo}</photo></x>"),
    }
}

fn rewritten(root: ElementRef<'_>, x: &str) -> Option<Element> {
    let others = root.children().filter(|child| !child.is("x", NS));
    let others: String = others.map(ElementRef::source).collect();
    parse_stored(&format!("<presence>{others}{x}</presence>"), ns::CLIENT).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(payload: &str, photo: &str) -> Option<String> {
        let presence = changed(payload, photo)?;
        Some(presence.root().inner_source().to_string())
    }

    const NEW: &str = "<show>away</show><x xmlns='vcard-temp:x:update'><photo>new</photo></x>";

    #[test]
    fn what_a_client_says_itself_stays_only_if_it_says_none() {
        for x in [
            "",
            "<x xmlns='vcard-temp:x:update'/>",
            "<x xmlns='vcard-temp:x:update'><photo>old</photo></x>",
        ] {
            let payload = format!("{x}<show>away</show>");
            assert_eq!(told(&payload, "new").unwrap(), NEW);
            let no_more = told(&payload, "").unwrap();
            assert_eq!(no_more, NEW.replace("new", ""));
            assert_eq!(told(&no_more, "new").unwrap(), NEW);
        }
        for x in ["<photo/>", "<photo> </photo>"] {
            let payload = format!("<x xmlns='vcard-temp:x:update'>{x}</x>");
            assert_eq!(told(&payload, "new"), None);
            assert_eq!(told(&payload, ""), None);
        }
    }
}
