//! XEP-0490 §4.2.5: what was read is told to one's own devices along with the marker that its sender gets: the server publishes
//! it, and nobody else sees it.
use crate::pubsub::{self, NewItem, Owner};
use crate::state::{Cx, Fault};
use crate::xml::{Element, parse_stored};
use crate::xmpp::{Message, ns, quoted_error};

pub const NODE: &str = "urn:xmpp:mds:displayed:0";

/// Publishes what a message of a client says was read, and returns the message without it. `None`: it says nothing of that.
pub fn taken(cx: &mut Cx<'_>, message: &Message) -> Option<Element> {
    let displayed = message.child("displayed", NODE)?;
    let own = message.envelope.from.as_ref()?.to_bare();
    let account = cx.account(&own).ok()??;
    let owner = Owner::account(&own, account);
    // §3.5.3: the addressee as it was written.
    if let Some(to) = message.element.root().attribute("to") {
        let item = NewItem {
            id: Some(to.into()),
            payload: displayed.to_xml().into(),
        };
        let own = owner.jid.as_jid();
        let done = pubsub::publish(cx, &owner, NODE, vec![item], own, None);
        if let Err(Fault::Store(error)) = done {
            log::error!("displayed.failed error={}", quoted_error(&error));
        }
    }
    let root = message.element.root();
    let head = message.element.source();
    let head = head.get(..message.element.inner_range().start)?;
    let others = root.children().filter(|child| !child.is("displayed", NODE));
    let mut text = head.to_string();
    text.extend(others.map(|child| child.source()));
    text.push_str("</");
    text.push_str(root.name());
    text.push('>');
    parse_stored(&text, ns::CLIENT).ok()
}
