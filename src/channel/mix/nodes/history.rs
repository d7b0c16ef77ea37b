//! XEP-0369 §7.2.3, XEP-0313: what became of nodes that have a present value is kept beside the messages, in the form of events, and
//! read by whoever may read the node. Of participants no JID is in it (XEP-0404 §2.3).
use std::borrow::Cow;

use crate::channel::config::{Config, field};
use crate::channel::route::Asked;
use crate::channel::{Channel, people};
use crate::feature::{ArchiveSource, AskingArchive, Reply, archive_page};
use crate::state::{Cx, Fault};
use crate::store::{Direction, Owner, Record, StoreError};
use crate::xml::Writer;
use crate::xmpp::{Condition, ns};

use super::events::{Event, Form};
use super::{Node, read};

/// Which of a channel's histories it is (`ChannelId::history`); `None`: it has none.
fn number(node: Node) -> Option<u32> {
    match node {
        Node::Participants => Some(0),
        Node::Info => Some(1),
        Node::Config => Some(2),
        _ => None,
    }
}

pub fn keep(
    cx: &mut Cx<'_>,
    channel: &Channel,
    node: Node,
    write: Event<'_>,
) -> Result<(), StoreError> {
    let Some(number) = number(node) else {
        return Ok(());
    };
    // What there is can be read from the node; nobody is refused because its past has no room.
    if !channel.row.flag(field::ARCHIVED) || cx.require_disk_space().is_err() {
        return Ok(());
    }
    let form = Form {
        is_old: false,
        shows_jid: false,
    };
    let mut bytes = Vec::new();
    let mut w = Writer::new(&mut bytes);
    w.open_ns("message", ns::CLIENT)
        .attr("from", channel.jid.as_str());
    w.open_ns("event", ns::PUBSUB_EVENT);
    write(&mut w, form);
    w.close().close();
    let xml = String::from_utf8(bytes).expect("the writer writes UTF-8");
    let owners = [Owner {
        account: channel.id().history(number),
        direction: Direction::Received,
        unseen: false,
    }];
    let record = Record {
        owners: &owners,
        from: channel.jid.as_jid(),
        to: channel.jid.as_jid(),
        at: cx.now.wall,
        xml: &xml,
        act: None,
    };
    cx.tx.append(&record)?;
    Ok(())
}

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
