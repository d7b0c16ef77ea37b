//! XEP-0369 §7.1.3: somebody takes part no more.
use crate::channel::asked::Asked;
use crate::channel::{Channel, people};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::{MemberRow, StoreError};
use crate::xmpp::Condition;

use super::told::{self, Left};

pub fn leave(cx: &mut Cx<'_>, asked: &mut Asked<'_>) -> Result<Reply, Fault> {
    require_bare(cx, asked)?;
    let who = asked.who.as_str();
    let before = people::member(cx, &asked.channel, who)?;
    if before.participation.is_none() {
        return Err(Condition::ItemNotFound.into());
    }
    let channel = &mut asked.channel;
    end(cx, channel, (who, &before), Left::Themselves)?;
    let namespace = asked.payload.namespace();
    Ok(Reply::payload(|w| {
        w.open_ns("leave", namespace).close();
    }))
}

/// §7.1.2: it is the server of whoever joins that asks, or their roster would not know.
pub fn require_bare(cx: &Cx<'_>, asked: &Asked<'_>) -> Result<(), Fault> {
    match asked.from.is_bare() || !cx.state.domains.is_served(asked.from) {
        true => Ok(()),
        false => Err(Condition::NotAllowed.into()),
    }
}

/// A participation is over. `before`: their row while it was not.
pub fn end(
    cx: &mut Cx<'_>,
    channel: &mut Channel,
    (jid, before): (&str, &MemberRow),
    how: Left,
) -> Result<(), StoreError> {
    let now = MemberRow {
        participation: None,
        nick: None,
        ..before.clone()
    };
    people::set(cx, channel, jid, &now)?;
    told::left(cx, channel, jid, before, how)
}
