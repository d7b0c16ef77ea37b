//! What a channel sends to those who take part in it, by their bare JID (XEP-0369 §7.1.6, XEP-0405 §2.2): who they are is kept in
//! memory while the channel is in use, and what many hear is written once.
use std::io::Write;
use std::rc::Rc;

use crate::channel::{Channel, people, room};
use crate::feature::{Heard, deliver_from_channel};
use crate::state::{Cx, Domain, Taker};
use crate::store::{ChannelAffiliation, MemberRow, StoreError};
use crate::xml::Escaped;
use crate::xmpp::BareJid;

use crate::channel::mix::nodes::Node;

/// Who subscribed to anything.
pub fn takers(cx: &mut Cx<'_>, channel: &Channel) -> Result<Rc<[Taker]>, StoreError> {
    if channel.row.participants == 0 {
        return Ok(Rc::from([]));
    }
    if let Some(takers) = &room(cx, channel).takers {
        return Ok(Rc::clone(takers));
    }
    let mut takers = Vec::new();
    people::each(cx, channel, &mut |jid, row| {
        takers.extend(taker(channel, &jid, &row))
    })?;
    let takers: Rc<[Taker]> = takers.into();
    room(cx, channel).takers = Some(Rc::clone(&takers));
    Ok(takers)
}

fn taker(channel: &Channel, jid: &str, row: &MemberRow) -> Option<Taker> {
    let participation = row.participation.as_ref()?;
    // Rights may be others than when they subscribed.
    let mays = Node::ALL.into_iter();
    let mays = mays.filter(|node| node.is_there(channel) && node.is_for(channel, row));
    Some(Taker {
        jid: BareJid::stored(jid)?,
        nodes: participation.nodes & mays.fold(0, |nodes, node| nodes | node.bit()),
        is_old: participation.is_old,
        rules: row.affiliation >= ChannelAffiliation::Admin,
    })
}

/// To one of them, wherever they are.
pub fn to_participant(cx: &mut Cx<'_>, to: &BareJid, heard: &Heard<'_>) {
    match cx.state.domains.of(to.as_jid()) {
        Domain::Served => {
            deliver_from_channel(cx, to, heard);
        }
        Domain::Component(component) => {
            let to = Escaped(to.as_str());
            let stanza = cx.out.with_head(heard.end, &mut |bytes| {
                bytes.extend_from_slice(heard.start);
                write!(bytes, " to='{to}'>").expect("memory takes all that is written");
            });
            cx.pass(component, &stanza);
        }
        Domain::Service(_) | Domain::Remote => {}
    }
}
