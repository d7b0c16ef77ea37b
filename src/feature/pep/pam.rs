//! XEP-0376: PubSub Account Management. An account is subscribed to nodes elsewhere, whatever client it is asked by: all
//! clients see the same list, and all that want to hear what happens there.
//!
//! The text leaves much open. What is decided here, to be told to its authors:
//! - The service is named by `jid`, as in the examples of §3.2; `service`, as its prose has it, is understood as well.
//! - The action is the `subscribe` or `unsubscribe` of XEP-0060, one of them; `options` may stand beside. The server sends it
//!   from the bare JID, whose answer alone changes the list: it is never guessed.
//! - `jid` of the action is the account's bare JID, or the request is refused by the server itself (`invalid-jid`) and has no
//!   `by`. An error of the service is passed on with its `by`, or with the service as that.
//! - Clients that announce `urn:xmpp:pam:0` among their verified capabilities while they are available, and the one that
//!   asked, are told of a change before the answer: a message of type `headline`, for it is of no use later. A subscription
//!   that ended is told with the state `none`.
//! - `ver` is a digest of the list: two that are the same have the same. With the one that is current, the answer is empty;
//!   no changes are sent one by one.
//! - A service may change the state of a subscription in the list (XEP-0060 §8.6, §12.19) and end one by deleting the node.
//!   It never adds one: nobody is on the list whom the account did not ask for.
//! - Who asks to unsubscribe from what the service knows nothing of is no longer subscribed, though the answer is its error.
//! - §3.4, §3.5: a notification from a node on the list to the bare JID goes to every available resource that announces
//!   `urn:xmpp:pam:0` or asks for the node by `+notify`, once, whatever its priority. If none does, it goes the way of any
//!   message. Servers subscribe to nothing by themselves.
//! - §3.6: notifications are archived where the publisher wants it (XEP-0334 `store`), or where the subscriber asked for it: a
//!   `store` of XEP-0334 beside the action. Then they are also in the archive of an account that nobody is there of.
use std::rc::Rc;

use crate::feature::{IqRoute, Reply, Request, To};
use crate::pubsub::refusal;
use crate::state::{
    Cx, Fault, Keep, Question, Session, SessionId, SubscriptionAsked, Then, Urgency,
};
use crate::store::{AccountId, StoreError, SubscribedTo};
use crate::xml::{ElementRef, Writer, parse_stored};
use crate::xmpp::hashing::digest;
use crate::xmpp::{
    BareJid, Condition, Envelope, Iq, IqKind, Jid, Message, MessageKind, base64_url, ns,
};

pub const NS: &str = "urn:xmpp:pam:0";
/// Nodes on the list of one account.
pub const SUBSCRIPTIONS_MAX: usize = 500;
/// Bytes of a node's name; keys hold it.
const NODE_BYTES_MAX: usize = 1023;
/// How long a service may take.
const ANSWER_MS_MAX: u64 = 300_000;
/// The state of what is no longer on the list.
const NONE: &str = "none";

pub const ROUTES: &[IqRoute] = &[
    IqRoute::set(To::OwnAccount, NS, "pam", ask),
    IqRoute::get(To::OwnAccount, NS, "subscriptions", list),
];

/// §3.2, §3.3
fn ask(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    request.own_session()?;
    let own = request.account_jid();
    let pam = request.payload;
    let service = pam.attribute("jid").or_else(|| pam.attribute("service"));
    let service = service.ok_or(Condition::BadRequest)?;
    let service = BareJid::parse(&service).map_err(|_| Condition::JidMalformed)?;
    let is_action = |child: &ElementRef<'_>| {
        child.is("subscribe", ns::PUBSUB) || child.is("unsubscribe", ns::PUBSUB)
    };
    let mut actions = pam.children().filter(is_action);
    let (Some(action), None) = (actions.next(), actions.next()) else {
        return Err(Condition::BadRequest.into());
    };
    let jid = action
        .attribute("jid")
        .and_then(|jid| Jid::parse(&jid).ok());
    if jid.as_ref() != Some(own.as_jid()) {
        return Err(refusal::INVALID_JID.into());
    }
    let node = action.attribute("node").unwrap_or_default().into_owned();
    if node.len() > NODE_BYTES_MAX {
        return Err(refusal::NAME_TOO_LONG.into());
    }
    let account = request.account_id();
    let unsubscribes = action.name() == "unsubscribe";
    if !unsubscribes {
        require_room(cx, account, &service, &node)?;
    }
    cx.require_disk_space()?;
    let options = pam.child("options", ns::PUBSUB);
    let content: String = std::iter::once(action)
        .chain(options)
        .map(|part| part.to_xml().into_owned())
        .collect();
    let asked = SubscriptionAsked {
        account,
        from: request.from.clone(),
        to: request.iq.envelope.to.clone(),
        id: request.iq.envelope.id.clone(),
        service: service.clone(),
        node,
        unsubscribes,
        archived: pam.child("store", ns::HINTS).is_some(),
    };
    send(cx, own, &service, &content, asked)?;
    Ok(Reply::Later)
}

fn require_room(
    cx: &Cx<'_>,
    account: AccountId,
    service: &BareJid,
    node: &str,
) -> Result<(), Fault> {
    let is_known = cx
        .tx
        .subscribed_to(account, service.as_str(), node)?
        .is_some();
    match !is_known && cx.tx.all_subscribed_to(account)?.len() >= SUBSCRIPTIONS_MAX {
        true => Err(refusal::TOO_MANY_SUBSCRIPTIONS.into()),
        false => Ok(()),
    }
}

/// The request in the account's name.
fn send(
    cx: &mut Cx<'_>,
    own: &BareJid,
    service: &BareJid,
    content: &str,
    asked: SubscriptionAsked,
) -> Result<(), Fault> {
    let now_ms = cx.now.monotonic_ms;
    if !cx.state.questions.has_room(service, now_ms) {
        return Err(Condition::ResourceConstraint.into());
    }
    let id = cx.new_id();
    let question = Question {
        asker: own.clone().into(),
        asked: service.clone().into(),
        deadline_ms: now_ms + ANSWER_MS_MAX,
        then: Then::Subscription(Box::new(asked)),
    };
    cx.state.questions.ask(&id, question);
    let text = format!("<iq><pubsub xmlns='{}'>{content}</pubsub></iq>", ns::PUBSUB);
    let element = parse_stored(&text, ns::CLIENT).map_err(|_| Condition::BadRequest)?;
    cx.state.effects.own_requests.push(Iq {
        envelope: Envelope {
            from: Some(own.clone().into()),
            to: Some(service.clone().into()),
            id: Some(Rc::from(id)),
            lang: None,
        },
        kind: IqKind::Set,
        element,
    });
    Ok(())
}

/// What the service says: the list follows, clients hear of it, and whoever asked has an answer.
pub fn answered(cx: &mut Cx<'_>, asked: &SubscriptionAsked, iq: &Iq) -> Result<(), StoreError> {
    let own = asked.from.to_bare();
    let root = iq.element.root();
    let requester = cx
        .state
        .sessions
        .find(&asked.from)
        .map(|session| session.id);
    let key = (asked.service.as_str(), asked.node.as_str());
    let error = root.child("error", root.namespace());
    let is_unknown = error.is_some_and(|error| {
        error.child("item-not-found", ns::STANZAS).is_some()
            || error.child("not-subscribed", ns::PUBSUB_ERRORS).is_some()
    });
    if iq.kind == IqKind::Result && !asked.unsubscribes {
        let answer = root.child("pubsub", ns::PUBSUB);
        let answer = answer.and_then(|answer| answer.child("subscription", ns::PUBSUB));
        let said = |name| answer.and_then(|answer| answer.attribute(name));
        let row = SubscribedTo {
            state: said("subscription").map_or_else(|| "subscribed".into(), |state| state.into()),
            subid: said("subid").map_or_else(String::new, |subid| subid.into()),
            archived: asked.archived,
        };
        keep(cx, (&own, asked.account), key, Some(row), requester)?;
    } else if asked.unsubscribes && (iq.kind == IqKind::Result || is_unknown) {
        keep(cx, (&own, asked.account), key, None, requester)?;
    }
    if let Some(session) = requester {
        cx.send(session, |w| write_answer(w, asked, error));
    }
    Ok(())
}

fn write_answer(w: &mut Writer<'_>, asked: &SubscriptionAsked, error: Option<ElementRef<'_>>) {
    w.open("iq")
        .attr("type", if error.is_some() { "error" } else { "result" })
        .attr_opt("id", asked.id.as_deref())
        .attr_opt("from", asked.to.as_ref().map(Jid::as_str))
        .attr("to", asked.from.as_str());
    if let Some(error) = error {
        let by = error.attribute("by");
        w.open("error")
            .attr_opt("type", error.attribute("type").as_deref())
            .attr("by", by.as_deref().unwrap_or(asked.service.as_str()));
        for child in error.children() {
            w.raw(&child.to_xml());
        }
        w.close();
    }
    w.close();
}

/// The list changes, and clients hear of it. `None`: no longer subscribed.
fn keep(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    (service, node): (&str, &str),
    row: Option<SubscribedTo>,
    requester: Option<SessionId>,
) -> Result<(), StoreError> {
    let row = row.filter(|row| row.state != NONE);
    cx.tx
        .set_subscribed_to(account, service, node, row.as_ref())?;
    let ver = version(&cx.tx.all_subscribed_to(account)?);
    let takers = cx.state.sessions.ids_where(own, |session| {
        Some(session.id) == requester || (session.presence.is_some() && knows(session))
    });
    for session in takers {
        let to = cx
            .state
            .sessions
            .get(session)
            .map(|known| known.jid.clone());
        let stanza = cx.write(|w| {
            w.open("message")
                .attr("from", own.as_str())
                .attr_opt("to", to.as_ref().map(|to| to.as_str()))
                .attr("type", "headline");
            w.open_ns("notify", NS)
                .attr("ver", &ver)
                .attr("service", service);
            write_subscription(w, own, None, node, row.as_ref());
            w.close().close();
        });
        cx.deliver_as(session, &stanza.into(), Urgency::Later, Keep::WHOLE);
    }
    Ok(())
}

/// Whether a client announces that it knows all this.
fn knows(session: &Session) -> bool {
    session.caps.as_ref().is_some_and(|caps| caps.has(NS))
}

fn write_subscription(
    w: &mut Writer<'_>,
    own: &BareJid,
    service: Option<&str>,
    node: &str,
    row: Option<&SubscribedTo>,
) {
    match service {
        Some(service) => w.open("subscription").attr("service", service),
        None => w.open_ns("subscription", ns::PUBSUB),
    };
    let subid = row.map(|row| row.subid.as_str());
    w.attr_opt("node", Some(node).filter(|node| !node.is_empty()))
        .attr("jid", own.as_str())
        .attr("subscription", row.map_or(NONE, |row| &row.state))
        .attr_opt("subid", subid.filter(|subid| !subid.is_empty()))
        .close();
}

/// §3.3
fn list(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let all = cx.tx.all_subscribed_to(request.account_id())?;
    let ver = version(&all);
    if request.payload.attribute("ver").as_deref() == Some(ver.as_str()) {
        return Ok(Reply::Empty);
    }
    let own = request.account_jid();
    Ok(Reply::payload(|w| {
        w.open_ns("subscriptions", NS).attr("ver", &ver);
        for (service, node, row) in &all {
            write_subscription(w, own, Some(service), node, Some(row));
        }
        w.close();
    }))
}

fn version(all: &[(String, String, SubscribedTo)]) -> String {
    let mut text = String::new();
    for (service, node, row) in all {
        // None of them but the node may hold a line feed; what it ends with cannot be one of the others.
        text.push_str(&format!(
            "{service}\n{}\n{}\n{}\n{node}\n",
            node.len(),
            row.state,
            row.subid
        ));
    }
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let short = hash.as_ref().get(..12).unwrap_or_default();
    base64_url(short)
}

/// What becomes of a notification from a node on the list.
#[derive(Debug, Default)]
pub struct Spread {
    /// All that ask for it; none: it goes the way of any message.
    pub takers: Vec<SessionId>,
    pub archived: bool,
}

/// §3.4 to §3.6: a message to an account's bare JID. `None`: it is no such notification.
pub fn spread(
    cx: &mut Cx<'_>,
    (own, account): (&BareJid, AccountId),
    message: &Message,
) -> Result<Option<Spread>, StoreError> {
    if !matches!(message.kind, MessageKind::Headline | MessageKind::Normal) {
        return Ok(None);
    }
    let event = message.child("event", ns::PUBSUB_EVENT);
    let Some(what) = event.and_then(|event| event.children().next()) else {
        return Ok(None);
    };
    let from = message.envelope.from.as_ref();
    let service = from.map(Jid::to_bare).filter(|from| from != own);
    let Some(service) = service else {
        return Ok(None);
    };
    let node = what.attribute("node").unwrap_or_default();
    let Some(row) = cx.tx.subscribed_to(account, service.as_str(), &node)? else {
        return Ok(None);
    };
    let takers = cx.state.sessions.ids_where(own, |session| {
        let caps = session.caps.as_ref().filter(|_| session.presence.is_some());
        caps.is_some_and(|caps| caps.has(NS) || caps.wants(&node))
    });
    let archived = row.archived;
    let key = (service.as_str(), &*node);
    match what.name() {
        "delete" => keep(cx, (own, account), key, None, None)?,
        "subscription"
            if what
                .attribute("jid")
                .is_none_or(|jid| *jid == *own.as_str()) =>
        {
            let said = |name| what.attribute(name).map(|value| value.into_owned());
            let new = SubscribedTo {
                state: said("subscription").unwrap_or_else(|| row.state.clone()),
                subid: said("subid").unwrap_or_else(|| row.subid.clone()),
                archived,
            };
            if new != row {
                keep(cx, (own, account), key, Some(new), None)?;
            }
        }
        _ => {}
    }
    Ok(Some(Spread { takers, archived }))
}
