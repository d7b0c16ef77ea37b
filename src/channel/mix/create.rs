//! XEP-0369 §7.3: channels are made and destroyed at the service.
use crate::channel::people::{self, changed};
use crate::channel::service::asked::Asked;
use crate::channel::upkeep::tombstone::Instead;
use crate::channel::{self, Channel, find};
use crate::feature::Reply;
use crate::state::{Cx, Fault};
use crate::store::ChannelAffiliation;
use crate::xml::ElementRef;
use crate::xmpp::{BareJid, Condition};

/// Between the participant and the channel in addresses of participants (XEP-0403 §3.2): no name has it.
pub const OF: char = '#';

/// §7.3.2, §7.3.3
pub fn create(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let (jid, is_ad_hoc) = match asked.payload.attribute("channel") {
        Some(_) => (named(cx, asked.payload)?, false),
        None => (unguessable(cx)?, true),
    };
    if find(cx, &jid)?.is_some() {
        return Err(Condition::Conflict.into());
    }
    let mut made = channel::create(cx, &jid, &asked.who)?;
    if is_ad_hoc {
        // Nobody finds it who was not told.
        channel::change(cx, &mut made, |_, row| {
            use crate::channel::config::{field, set_number};
            set_number(&mut row.config, field::PUBLIC, 0);
            Ok(())
        })?;
    }
    let namespace = asked.payload.namespace();
    Ok(Reply::payload(|w| {
        w.open_ns("create", namespace)
            .attr("channel", made.name())
            .close();
    }))
}

/// §7.3.4
pub fn destroy(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let jid = named(cx, asked.payload)?;
    let mut channel = find(cx, &jid)?.ok_or(Condition::ItemNotFound)?;
    let member = people::member(cx, &channel, asked.who.as_str())?;
    if member.affiliation != ChannelAffiliation::Owner {
        return Err(refusal(cx, &channel, asked)?.into());
    }
    changed::destroy(cx, &mut channel, Instead::default())?;
    Ok(Reply::Empty)
}

/// One that is hidden from whoever asks is not there.
fn refusal(cx: &Cx<'_>, channel: &Channel, asked: &Asked<'_>) -> Result<Condition, Fault> {
    Ok(match people::access::may_see(cx, channel, &asked.who)? {
        true => Condition::Forbidden,
        false => Condition::ItemNotFound,
    })
}

fn named(cx: &Cx<'_>, payload: ElementRef<'_>) -> Result<BareJid, Fault> {
    let name = payload.attribute("channel").ok_or(Condition::BadRequest)?;
    if name.is_empty() || name.contains(OF) {
        return Err(Condition::JidMalformed.into());
    }
    let domain = cx.state.domains.channels();
    let jid = BareJid::from_parts(Some(&name), domain.unwrap_or_default());
    Ok(jid.map_err(|_| Condition::JidMalformed)?)
}

/// §7.3.3
fn unguessable(cx: &mut Cx<'_>) -> Result<BareJid, Fault> {
    // In the letters of a prepared JID.
    let name = cx.new_secret_id().to_lowercase();
    let domain = cx.state.domains.channels();
    let jid = BareJid::from_parts(Some(&name), domain.unwrap_or_default());
    Ok(jid.map_err(|_| Condition::InternalServerError)?)
}
