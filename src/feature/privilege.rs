//! XEP-0356: what components may do for accounts because the operator said so: read and change rosters, know who is there,
//! send messages and requests in their name. Everything else is refused, and each use is logged.
use std::rc::Rc;

use crate::state::{ComponentId, Cx, Fault, Origin, PresenceAccess, Privileged, Question, Then};
use crate::xml::{Element, ElementRef, parse_stored};
use crate::xmpp::{BareJid, Condition, Iq, Jid, Message, Stanza, ns, quoted};

use super::{Feature, IqRoute, Reply, Request, Spec, To};

/// How long the answer to a request in somebody's name is waited for.
const ANSWER_MS_MAX: u64 = 120_000;

pub const FEATURE: Feature = Feature {
    specs: &[Spec::partial(
        "XEP-0356",
        "Privileged Entity",
        "0.4.1",
        "presence of contacts elsewhere from when it changes",
    )],
    is_on: |settings| !settings.component_privileges.is_empty(),
    iq: &[
        IqRoute::get(To::Account, ns::PRIVILEGE, "privileged_iq", ask)
            .refused_by(Condition::Forbidden),
        IqRoute::set(To::Account, ns::PRIVILEGE, "privileged_iq", ask)
            .refused_by(Condition::Forbidden),
    ],
    ..Feature::new("privilege")
};

/// §4.2, §5.2, §6.2: a component that has come is told what it may do.
pub fn advertise(cx: &mut Cx<'_>, id: ComponentId) {
    let Some(component) = cx.state.domains.components.get(id) else {
        return;
    };
    let (to, granted) = (component.jid.clone(), component.privileges.clone());
    if granted == Default::default() {
        return;
    }
    let (from, stanza_id) = (cx.state.domains.served().clone(), cx.new_id());
    let stanza = cx.write(|w| {
        w.open("message")
            .attr("from", from.as_str())
            .attr("to", to.as_str())
            .attr("id", &stanza_id);
        w.open_ns("privilege", ns::PRIVILEGE);
        let (roster, messages) = (granted.roster.as_str(), granted.messages);
        w.open("perm")
            .attr("access", "roster")
            .attr("type", roster)
            .close();
        w.open("perm")
            .attr("access", "message")
            .attr("type", if messages { "outgoing" } else { "none" })
            .close();
        let presence = match granted.presence {
            PresenceAccess::None => None,
            PresenceAccess::ManagedEntity => Some("managed_entity"),
            PresenceAccess::Roster => Some("roster"),
        };
        if let Some(kind) = presence {
            w.open("perm")
                .attr("access", "presence")
                .attr("type", kind)
                .close();
        }
        if !granted.iq.is_empty() {
            w.open("perm").attr("access", "iq");
            for (namespace, access) in &granted.iq {
                w.open("namespace")
                    .attr("ns", namespace)
                    .attr("type", access.as_str())
                    .close();
            }
            w.close();
        }
        w.close().close();
    });
    cx.pass(id, &stanza.into());
}

/// §4.3: the component may do this with rosters.
pub fn require_roster(cx: &Cx<'_>, request: &Request<'_>) -> Result<(), Condition> {
    let component = request.component();
    let known = component.and_then(|id| cx.state.domains.components.get(id));
    match known.filter(|known| known.privileges.roster.allows(request.iq.kind)) {
        Some(known) => {
            used(&known.jid, "roster", request.account_jid().as_str());
            Ok(())
        }
        None => Err(Condition::Forbidden),
    }
}

/// §4.4: components that are told of changes of rosters.
pub fn hear_of_rosters(cx: &Cx<'_>) -> Vec<(ComponentId, Jid)> {
    let connected = cx.state.domains.components.connected();
    let may = connected.filter(|(_, component)| component.privileges.roster.get);
    may.map(|(id, component)| (id, component.jid.clone().into()))
        .collect()
}

/// §7.1: components that hear of the presence of an account; whoever is in `audience` hears of it anyway.
pub fn hear_of_presence(cx: &Cx<'_>, own: &BareJid, audience: &[&BareJid]) -> Vec<BareJid> {
    let online = cx.state.sessions.online(own);
    let blocks = |jid: &BareJid| online.is_some_and(|online| online.blocked.matches(jid));
    may_know_presence(cx)
        .filter(|jid| !audience.contains(jid) && !blocks(jid))
        .inspect(|jid| used(jid, "presence", own.as_str()))
        .cloned()
        .collect()
}

/// §7.1: components that may know who is there.
pub fn may_know_presence<'c>(cx: &'c Cx<'_>) -> impl Iterator<Item = &'c BareJid> {
    let connected = cx.state.domains.components.connected();
    let may = connected.filter(|(_, known)| known.privileges.presence != PresenceAccess::None);
    may.map(|(_, known)| &known.jid)
}

/// §5.3: the message within, in the name of an account or of the server.
pub fn forwarded(cx: &Cx<'_>, origin: Origin, message: &Message) -> Result<Message, Fault> {
    let component = match origin {
        Origin::Component(id) => cx.state.domains.components.get(id),
        Origin::Session(_) | Origin::Own => None,
    };
    let component = component
        .filter(|known| known.privileges.messages)
        .ok_or(Condition::Forbidden)?;
    let privilege = message.child("privilege", ns::PRIVILEGE);
    let forwarded = privilege.and_then(|outer| outer.child("forwarded", ns::FORWARD));
    let inner = forwarded.and_then(|outer| outer.child("message", ns::CLIENT));
    let Some(Stanza::Message(inner)) = inner.and_then(stanza) else {
        return Err(Condition::BadRequest.into());
    };
    let from = inner.envelope.from.as_ref().ok_or(Condition::Forbidden)?;
    let is_account = cx.account(&from.to_bare())?.is_some();
    // §5.1: a bare JID of the server's.
    if !from.is_bare() || !(is_account || from == cx.state.domains.served().as_jid()) {
        return Err(Condition::Forbidden.into());
    }
    used(&component.jid, "message", from.as_str());
    Ok(inner)
}

/// §6.3: a request on behalf of the account addressed.
fn ask(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let own = request.account_jid();
    let id = request.component().ok_or(Condition::Forbidden)?;
    let component = cx.state.domains.components.get(id);
    let component = component.ok_or(Condition::Forbidden)?;
    let inner = request.payload.child("iq", ns::CLIENT);
    let Some(Stanza::Iq(mut inner)) = inner.and_then(stanza) else {
        return Err(Condition::Forbidden.into());
    };
    let namespace = inner.payload().namespace().to_string();
    let is_granted = component
        .privileges
        .in_namespace(&namespace)
        .allows(inner.kind);
    let claimed = inner.envelope.from.as_ref();
    if !is_granted
        || inner.kind != request.iq.kind
        || claimed.is_some_and(|from| from != own.as_jid())
    {
        return Err(Condition::Forbidden.into());
    }
    used(&component.jid, &namespace, own.as_str());
    let asked = inner.envelope.to.clone();
    let asked = asked.unwrap_or_else(|| Jid::from(own.clone()));
    let now_ms = cx.now.monotonic_ms;
    if !cx.state.questions.has_room(&asked, now_ms) {
        return Err(Condition::ResourceConstraint.into());
    }
    let stanza_id = cx.new_id();
    let then = Privileged {
        component: id,
        from: request.from.clone(),
        to: own.clone().into(),
        id: request.iq.envelope.id.clone(),
        inner_id: inner.envelope.id.clone(),
    };
    let question = Question {
        asker: own.clone().into(),
        asked: asked.clone(),
        deadline_ms: now_ms + ANSWER_MS_MAX,
        then: Then::Privileged(Box::new(then)),
    };
    cx.state.questions.ask(&stanza_id, question);
    inner.envelope.from = Some(own.clone().into());
    inner.envelope.to = Some(asked);
    inner.envelope.id = Some(Rc::from(stanza_id));
    cx.state.effects.own_requests.push(inner);
    Ok(Reply::Later)
}

/// §6.3: what was answered, with the id that the component gave.
pub fn answered(cx: &mut Cx<'_>, asked: &Privileged, iq: &Iq) {
    let content = iq.element.root().inner_source();
    let from = iq.envelope.from.as_ref().map_or("", Jid::as_str);
    let stanza = cx.write(|w| {
        w.open("iq")
            .attr("type", "result")
            .attr_opt("id", asked.id.as_deref())
            .attr("from", asked.to.as_str())
            .attr("to", asked.from.as_str());
        w.open_ns("privilege", ns::PRIVILEGE);
        w.open_ns("forwarded", ns::FORWARD);
        w.open_ns("iq", ns::CLIENT)
            .attr("type", iq.kind.as_str())
            .attr_opt("id", asked.inner_id.as_deref())
            .attr("from", from)
            .attr("to", asked.to.as_str())
            .raw(content)
            .close();
        w.close().close().close();
    });
    cx.pass(asked.component, &stanza.into());
}

/// A stanza within another.
fn stanza(inner: ElementRef<'_>) -> Option<Stanza> {
    let element: Element = parse_stored(inner.source(), ns::CLIENT).ok()?;
    Stanza::from_element(element)?.ok()
}

pub fn used(component: &BareJid, privilege: &str, account: &str) {
    log::debug!(
        "component.privileged name={} privilege={} account={}",
        quoted(component.as_str()),
        quoted(privilege),
        quoted(account)
    );
}
