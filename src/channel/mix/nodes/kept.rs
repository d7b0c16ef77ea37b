//! XEP-0369 §7.2.3: what became of nodes that have a present value is kept beside the messages, in the form of events. Of participants
//! no JID is in it (XEP-0404 §2.3).
use crate::channel::Channel;
use crate::channel::config::{Config, field};
use crate::state::Cx;
use crate::store::{Direction, Owner, Record, StoreError};
use crate::xml::Writer;
use crate::xmpp::ns;

use super::{Event, Form, Node};

/// Which of a channel's histories it is (`ChannelId::history`); `None`: it has none.
pub fn number(node: Node) -> Option<u32> {
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
