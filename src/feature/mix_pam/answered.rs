//! XEP-0405 §2.7 to §2.9: what a channel answers, and the roster that follows it.
use crate::feature::roster;
use crate::state::{ChannelAsked, Cx, Fault, ToChannels};
use crate::store::{AccountId, Contact, JoinedChannel, StoreError};
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{BareJid, Iq, IqKind, ns};

use super::{NS, PARTICIPANT_BYTES_MAX, hides_presence};

/// The roster first, then the client that asked.
pub fn answered(cx: &mut Cx<'_>, asked: &ChannelAsked, iq: &Iq) -> Result<(), StoreError> {
    let own = asked.from.to_bare();
    let root = iq.element.root();
    let error = root.child("error", root.namespace());
    let whose = (&own, asked.account);
    let name = if asked.leaves { "leave" } else { "join" };
    let answer = root.children().find(|child| child.name() == name);
    match (iq.kind, asked.leaves) {
        (IqKind::Result, false) => {
            let participant = answer.map(participant).unwrap_or_default();
            let hides = answer.and_then(hides_presence);
            let hides = hides.unwrap_or(asked.hides_presence);
            enter(cx, whose, &asked.channel, participant, hides)?;
        }
        (IqKind::Result, true) => channel_left(cx, whose, &asked.channel)?,
        // There is nothing to leave.
        (_, true) if error.is_some_and(is_gone) => channel_left(cx, whose, &asked.channel)?,
        _ => {}
    }
    let session = cx.state.sessions.find(&asked.from);
    if let Some(session) = session.map(|session| session.id) {
        cx.send(session, |w| write_answer(w, (&own, asked), answer, error));
    }
    Ok(())
}

fn is_gone(error: ElementRef<'_>) -> bool {
    let is = |condition| error.child(condition, ns::STANZAS).is_some();
    is("item-not-found") || is("gone")
}

/// XEP-0369 §7.1.2 has it as `id`, XEP-0405 §2.7 within `jid`.
fn participant(join: ElementRef<'_>) -> String {
    let id = join.attribute("id").or_else(|| {
        let jid = join.attribute("jid")?;
        let (id, _) = jid.split_once('#')?;
        Some(id.to_string().into())
    });
    let id = id.filter(|id| id.len() <= PARTICIPANT_BYTES_MAX);
    id.unwrap_or_default().into_owned()
}

fn write_answer(
    w: &mut Writer<'_>,
    (own, asked): (&BareJid, &ChannelAsked),
    answer: Option<ElementRef<'_>>,
    error: Option<ElementRef<'_>>,
) {
    w.open("iq")
        .attr("type", if error.is_some() { "error" } else { "result" })
        .attr_opt("id", asked.id.as_deref())
        .attr("from", own.as_str())
        .attr("to", asked.from.as_str());
    match error {
        Some(error) => {
            let by = error.attribute("by");
            w.open("error")
                .attr_opt("type", error.attribute("type").as_deref())
                .attr("by", by.as_deref().unwrap_or(asked.channel.as_str()));
            for child in error.children() {
                w.raw(&child.to_xml());
            }
            w.close();
        }
        None => {
            let wrapper = match asked.leaves {
                true => "client-leave",
                false => "client-join",
            };
            w.open_ns(wrapper, NS);
            if let Some(answer) = answer {
                w.raw(&answer.to_xml());
            }
            w.close();
        }
    }
    w.close();
}

/// §2.9: the channel is in the roster, with one-way presence unless that is hidden from it.
fn enter(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    channel: &BareJid,
    participant: String,
    hides_presence: bool,
) -> Result<(), StoreError> {
    let row = JoinedChannel { participant };
    let before = cx.tx.joined_channel(account, channel)?;
    cx.tx.set_joined_channel(account, channel, Some(&row))?;
    let contact = cx.tx.contact(account, channel)?.unwrap_or_default();
    let is_new = before.as_ref() != Some(&row);
    set_contact(
        cx,
        (own, account),
        channel,
        (contact, hides_presence),
        is_new,
    )?;
    if !hides_presence {
        tell(cx, own, channel, false);
    }
    Ok(())
}

fn set_contact(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    channel: &BareJid,
    (contact, hides_presence): (Contact, bool),
    is_shown_otherwise: bool,
) -> Result<(), StoreError> {
    let subscription = match hides_presence {
        true => contact.subscription.without_from(),
        false => contact.subscription.with_from(),
    };
    let contact = Contact {
        subscription,
        listed: true,
        request: None,
        ..contact
    };
    let before = cx.tx.roster_version(account)?;
    let mut version = cx.tx.set_contact(account, channel, &contact)?;
    if version == before {
        if !is_shown_otherwise {
            return Ok(());
        }
        version = cx.tx.note_contact_changed(account, channel)?;
    }
    roster::push(cx, own, channel, Some(&contact), version);
    Ok(())
}

/// The channel hears who is there, or that nobody is.
fn tell(cx: &mut Cx<'_>, own: &BareJid, channel: &BareJid, is_hidden: bool) {
    let shown = cx.state.sessions.ids_where(own, |it| it.shown_to_channels);
    for session in shown {
        cx.state.effects.to_channels.push(ToChannels {
            session,
            channel: Some(channel.clone()),
            is_hidden,
        });
    }
}

/// §2.8, §2.9: the account is not in the channel any more, by its own wish or by that of the channel.
pub fn channel_left(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    channel: &BareJid,
) -> Result<(), StoreError> {
    if cx.tx.joined_channel(account, channel)?.is_none() {
        return Ok(());
    }
    cx.tx.set_joined_channel(account, channel, None)?;
    let is_listed = cx.tx.contact(account, channel)?.is_some_and(|it| it.listed);
    let version = cx.tx.remove_contact(account, channel)?;
    if is_listed {
        roster::push(cx, own, channel, None, version);
    }
    Ok(())
}

/// §2.9, XEP-0404 §3.1: a client tells a channel whether presence is for it, and the roster follows.
pub fn preference_set(cx: &mut Cx<'_>, iq: &Iq) -> Result<(), Fault> {
    let payload = iq.payload();
    if iq.kind != IqKind::Set || !payload.is("user-preference", ns::MIX_ANON) {
        return Ok(());
    }
    let (Some(from), Some(to)) = (&iq.envelope.from, &iq.envelope.to) else {
        return Ok(());
    };
    let (own, channel) = (from.to_bare(), to.to_bare());
    let Some(account) = cx.account(&own)? else {
        return Ok(());
    };
    let Some(hides) = hides_presence(payload) else {
        return Ok(());
    };
    if cx.tx.joined_channel(account, &channel)?.is_none() {
        return Ok(());
    }
    cx.require_disk_space()?;
    let contact = cx.tx.contact(account, &channel)?.unwrap_or_default();
    let was_hidden = !contact.subscription.is_from();
    if was_hidden == hides {
        return Ok(());
    }
    set_contact(cx, (&own, account), &channel, (contact, hides), false)?;
    tell(cx, &own, &channel, hides);
    Ok(())
}
