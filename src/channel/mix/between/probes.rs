//! XEP-0403 §5: presence of participants whose server is a component is asked for when that comes, and over when it goes.
use crate::channel::config::{Config, field};
use crate::channel::{Channel, each, find, people};
use crate::state::{ComponentId, Cx, Way};
use crate::store::StoreError;
use crate::xmpp::{BareJid, Jid};

use super::presence;

/// Probes that are sent at a time.
const PROBES_MAX: usize = 2_000;

pub fn component_came(cx: &mut Cx<'_>, component: ComponentId) -> Result<(), StoreError> {
    let mut left = PROBES_MAX;
    each(cx, &mut |cx, channel| {
        if left > 0 && channel.row.participants > 0 && channel.row.flag(field::PRESENCE) {
            left = probe(cx, &channel, (component, left))?;
        }
        Ok(())
    })
}

fn probe(
    cx: &mut Cx<'_>,
    channel: &Channel,
    (component, mut left): (ComponentId, usize),
) -> Result<usize, StoreError> {
    for jid in people::participants(cx, channel)? {
        let Some(to) = BareJid::stored(&jid) else {
            continue;
        };
        if left == 0 || cx.state.domains.component(&to) != Some(component) {
            continue;
        }
        let member = people::member(cx, channel, &jid)?;
        // A probe is not sent to those who do not share presence.
        if !member.participation.is_some_and(|it| it.shares_presence) {
            continue;
        }
        let stanza = cx.write(|w| {
            w.open("presence")
                .attr("type", "probe")
                .attr("from", channel.jid.as_str())
                .attr("to", to.as_str())
                .close();
        });
        cx.pass(component, &stanza.into());
        left -= 1;
    }
    Ok(left)
}

pub fn component_went(cx: &mut Cx<'_>, component: ComponentId) -> Result<(), StoreError> {
    let Some(domain) = cx.state.domains.channels().map(str::to_string) else {
        return Ok(());
    };
    let mut gone: Vec<(BareJid, Jid)> = Vec::new();
    for room in cx.state.rooms.all() {
        let channel = BareJid::stored(&format!("{}@{domain}", room.name));
        let Some(channel) = channel else { continue };
        for one in &room.occupants {
            let is_its = cx.state.domains.component(&one.jid) == Some(component);
            if one.way == Way::Participant && !one.jid.is_bare() && is_its {
                gone.push((channel.clone(), one.jid.clone()));
            }
        }
    }
    for (channel, jid) in gone {
        if let Some(mut channel) = find(cx, &channel)? {
            presence::went(cx, &mut channel, &jid, "")?;
        }
    }
    Ok(())
}
