//! XEP-0405 §2.7, §2.8: a client asks its account to join or to leave, and the account asks the channel.
use std::rc::Rc;

use crate::feature::{Reply, Request, roster};
use crate::state::{ChannelAsked, Cx, Fault, Question, Then};
use crate::store::{AccountId, Contact};
use crate::xml::parse_stored;
use crate::xmpp::{BareJid, Condition, Envelope, Iq, IqKind, Jid, StanzaError, ns};

use super::{CHANNELS_JOINED_MAX, hides_presence};

/// How long a channel may take.
const ANSWER_MS_MAX: u64 = 300_000;

pub fn join(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let channel = channel(request)?;
    require_room(cx, request.account_id(), &channel)?;
    ask(cx, request, channel, "join")
}

pub fn leave(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let channel = channel(request)?;
    ask(cx, request, channel, "leave")
}

fn channel(request: &Request<'_>) -> Result<BareJid, Fault> {
    request.own_session()?;
    let channel = request.payload.attribute("channel");
    let channel = Jid::parse(&channel.ok_or(Condition::BadRequest)?);
    let channel = channel.map_err(|_| Condition::JidMalformed)?;
    match channel.is_bare() && channel.local().is_some() {
        true => Ok(channel.to_bare()),
        false => Err(Condition::JidMalformed.into()),
    }
}

/// What the channel will be in the roster must fit, and they are counted.
fn require_room(cx: &Cx<'_>, account: AccountId, channel: &BareJid) -> Result<(), Fault> {
    if cx.tx.joined_channel(account, channel)?.is_some() {
        return Ok(());
    }
    if cx.tx.joined_channels(account)?.len() >= CHANNELS_JOINED_MAX {
        return Err(StanzaError::new(Condition::ResourceConstraint)
            .text("You are in as many channels as you may be in.")
            .into());
    }
    let before = cx.tx.contact(account, channel)?;
    let after = Contact {
        listed: true,
        ..before.clone().unwrap_or_default()
    };
    roster::require_room(cx, account, channel, before.as_ref(), &after)
}

/// §2.7: from the bare JID, with the id and the command of the client.
fn ask(
    cx: &mut Cx<'_>,
    request: &Request<'_>,
    channel: BareJid,
    command: &str,
) -> Result<Reply, Fault> {
    let is_it = |namespace| [ns::MIX, ns::MIX_ANON, ns::MIX_MISC].contains(&namespace);
    let mut children = request.payload.children();
    let inner = children.find(|child| child.name() == command && is_it(child.namespace()));
    let inner = inner.ok_or(Condition::BadRequest)?;
    cx.require_disk_space()?;
    let now_ms = cx.now.monotonic_ms;
    if !cx.state.questions.has_room(&channel, now_ms) {
        return Err(Condition::ResourceConstraint.into());
    }
    let own = Jid::from(request.account_jid().clone());
    let element = parse_stored(&format!("<iq>{}</iq>", inner.to_xml()), ns::CLIENT);
    let element = element.map_err(|_| Condition::BadRequest)?;
    let envelope = &request.iq.envelope;
    let id = envelope.id.as_deref().unwrap_or_default();
    // Two clients may have hit on the same.
    let id: Rc<str> = match cx.state.questions.is_asked(&own, &channel, id) {
        true => cx.new_id().into(),
        false => id.into(),
    };
    let asked = ChannelAsked {
        account: request.account_id(),
        from: request.from.clone(),
        id: envelope.id.clone(),
        channel: channel.clone(),
        leaves: command == "leave",
        hides_presence: hides_presence(inner).unwrap_or(false),
    };
    let question = Question {
        asker: own.clone(),
        asked: channel.clone().into(),
        deadline_ms: now_ms + ANSWER_MS_MAX,
        then: Then::Channel(Box::new(asked)),
    };
    cx.state.questions.ask(&id, question);
    cx.state.effects.own_requests.push(Iq {
        envelope: Envelope {
            from: Some(own),
            to: Some(channel.into()),
            id: Some(id),
            lang: None,
        },
        kind: IqKind::Set,
        element,
    });
    Ok(Reply::Later)
}
