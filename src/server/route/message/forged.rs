//! What only the server and its accounts may say, taken out of the stanzas that clients send, once, before anything else
//! sees them: ids of archives (XEP-0359 §3.2) and when something was delayed (XEP-0203 §4, XEP-0091).
use crate::state::Domains;
use crate::xml::{Element, ElementRef, parse_stored};
use crate::xmpp::{Jid, StreamCondition, ns};

/// XEP-0091 §2.
const OLD_DELAY_NS: &str = "jabber:x:delay";

/// The stanza without what its sender cannot know. An iq is between two clients and stays as it is.
pub fn removed(
    element: Element,
    domains: &Domains,
    sender: &Jid,
) -> Result<Element, StreamCondition> {
    let root = element.root();
    let is_kept = |child: &ElementRef<'_>| !is_forged(*child, domains, sender);
    if root.name() == "iq" || root.children().all(|child| is_kept(&child)) {
        return Ok(element);
    }
    let whole = element.source();
    let open = whole.get(..element.inner_range().start).unwrap_or_default();
    let children = root.children().filter(is_kept);
    let mut text = String::with_capacity(whole.len());
    text.push_str(open);
    text.extend(children.map(|child| child.source()));
    text.push_str("</");
    text.push_str(root.name());
    text.push('>');
    parse_stored(&text, ns::CLIENT).map_err(|_| StreamCondition::PolicyViolation)
}

fn is_forged(child: ElementRef<'_>, domains: &Domains, sender: &Jid) -> bool {
    match (child.name(), child.namespace()) {
        ("stanza-id", ns::STANZA_ID) => {
            let by = child.attribute("by").and_then(|by| Jid::parse(&by).ok());
            by.is_none_or(|by| domains.is_ours(&by))
        }
        ("delay", ns::DELAY) | ("x", OLD_DELAY_NS) => match child.attribute("from") {
            // In nobody's name; a client may tell of itself, too.
            None => false,
            Some(from) => {
                let from = Jid::parse(&from).ok();
                from.is_none_or(|from| domains.is_ours(&from) && from != *sender)
            }
        },
        _ => false,
    }
}
