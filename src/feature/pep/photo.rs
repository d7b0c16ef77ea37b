//! XEP-0153 §4, XEP-0398 §4: the hash of an account's avatar, in the presence of its sessions.
use crate::state::Cx;
use crate::store::{AccountId, StoreError};
use crate::xml::{Element, ElementRef, parse_stored};
use crate::xmpp::{Presence, ns};

const NS: &str = "vcard-temp:x:update";

/// Available presence as it leaves: with the hash, unless the client says that it wants none shown. `None`: as it came.
pub fn in_presence(
    cx: &Cx<'_>,
    account: AccountId,
    presence: &Presence,
) -> Result<Option<Presence>, StoreError> {
    let Some(avatar) = cx.tx.avatar(account)? else {
        return Ok(None);
    };
    let root = presence.element.root();
    if wants_none(root) || said(root).as_deref() == Some(avatar.id.as_str()) {
        return Ok(None);
    }
    let element = rewritten(root, Some(&avatar.id));
    Ok(element.map(|element| Presence {
        element,
        ..presence.clone()
    }))
}

/// Presence that was said before, now that the avatar is another: as it is kept, and as it is told. `None`: it stays as it is.
pub fn changed(payload: &str, hash: Option<&str>) -> Option<(Element, Element)> {
    let presence = parse_stored(&format!("<presence>{payload}</presence>"), ns::CLIENT).ok()?;
    let root = presence.root();
    if wants_none(root) {
        return None;
    }
    match hash {
        Some(_) => {
            let told = rewritten(root, hash)?;
            Some((told.clone(), told))
        }
        // §4: it is told that there is none any more; whoever comes later need not hear of it.
        None => Some((rewritten(root, None)?, rewritten(root, Some(""))?)),
    }
}

fn update(root: ElementRef<'_>) -> Option<ElementRef<'_>> {
    root.child("x", NS)
}

fn said(root: ElementRef<'_>) -> Option<String> {
    let photo = update(root)?.child("photo", NS)?;
    Some(photo.text().trim().to_string())
}

/// XEP-0398 §4: an empty `<photo/>` is the client's own word.
fn wants_none(root: ElementRef<'_>) -> bool {
    said(root).is_some_and(|photo| photo.is_empty())
}

fn rewritten(root: ElementRef<'_>, photo: Option<&str>) -> Option<Element> {
    let others = root.children().filter(|child| !child.is("x", NS));
    let mut text: String = others.map(ElementRef::source).collect();
    if let Some(photo) = photo {
        text.push_str(&format!("<x xmlns='{NS}'><photo>{photo}</photo></x>"));
    }
    parse_stored(&format!("<presence>{text}</presence>"), ns::CLIENT).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(payload: &str, hash: Option<&str>) -> Option<(String, String)> {
        let (kept, told) = changed(payload, hash)?;
        let inner = |element: Element| element.root().inner_source().to_string();
        Some((inner(kept), inner(told)))
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
            let (kept, told) = payloads(&payload, Some("new")).unwrap();
            assert_eq!((kept.as_str(), told.as_str()), (NEW, NEW));
            let (kept, told) = payloads(&payload, None).unwrap();
            assert_eq!(kept, "<show>away</show>");
            assert_eq!(told, NEW.replace("new", ""));
        }
        for x in ["<photo/>", "<photo> </photo>"] {
            let payload = format!("<x xmlns='vcard-temp:x:update'>{x}</x>");
            assert_eq!(payloads(&payload, Some("new")), None);
            assert_eq!(payloads(&payload, None), None);
        }
    }
}
