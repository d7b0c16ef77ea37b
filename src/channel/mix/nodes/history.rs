//! XEP-0369 §7.2.3, XEP-0313: what became of nodes that have a present value is kept beside the messages, in the form of events, and
//! read by whoever may read the node. Of participants no JID is in it (XEP-0404 §2.3).
use std::borrow::Cow;

use crate::channel::asked::Asked;
use crate::channel::people;
use crate::feature::{ArchiveSource, AskingArchive, Reply, archive_page};
use crate::state::{Cx, Fault};
use crate::xmpp::Condition;

use super::kept::number;
use super::{Node, read};

/// `name`: of the node. That its archive may be read at all was checked.
pub fn query(cx: &mut Cx<'_>, asked: &Asked<'_>, name: &str) -> Result<Reply, Fault> {
    let channel = &asked.channel;
    let node = Node::parse(name).filter(|node| node.is_there(channel));
    let node = node.and_then(|node| Some((node, number(node)?)));
    let (node, number) = node.ok_or(Condition::ItemNotFound)?;
    let member = people::member(cx, channel, asked.who.as_str())?;
    read::require_reader(cx, asked, node, &member)?;
    let asking = AskingArchive {
        payload: asked.payload,
        from: asked.from,
        origin: asked.origin,
    };
    let source = ArchiveSource {
        account: channel.id().history(number),
        jid: &channel.jid,
        with: &|_, with| Some(with),
        shown: &|_, stored| Some(Cow::Borrowed(stored.xml.as_str())),
    };
    archive_page(cx, &asking, &source)
}
