//! XEP-0060 §6.1 to §6.4: one subscribes, unsubscribes, and says how one wants to hear.
use crate::pubsub::related::subscribe as engine;
use crate::pubsub::{self, access, refusal};
use crate::state::{Cx, Fault};
use crate::store::NodeSubscription;
use crate::xml::{ElementRef, Writer};
use crate::xmpp::{Condition, DataForm, FormKind, Jid, ns, open_form};

use super::own::state_text;
use super::{Asked, Reply};

const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#subscribe_options";
/// The one option there is: whether anything is sent.
const DELIVER: &str = "pubsub#deliver";

/// The address that is to be subscribed, or is.
fn jid(element: ElementRef<'_>) -> Result<Jid, Fault> {
    let jid = element.attribute("jid").filter(|jid| !jid.is_empty());
    let jid = jid.ok_or(refusal::JID_REQUIRED)?;
    Ok(Jid::parse(&jid).map_err(|_| refusal::INVALID_JID)?)
}

/// §6.1
pub fn subscribe(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let jid = jid(asked.child)?;
    let given = options_behind(asked)?;
    let options = given.as_ref().map_or(Ok(Vec::new()), read)?;
    let who_and_jid = (asked.request.from, &jid);
    let subscription = engine::subscribe(cx, &asked.owner, &name, who_and_jid, options)?;
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        write(w, &name, &subscription, state_text(subscription.state));
        if given.is_some() {
            w.open("options");
            write_options(w, &subscription, FormKind::Result);
            w.close();
        }
        w.close();
    }))
}

/// §6.3.7: they stand behind the other and name nothing.
fn options_behind(asked: &Asked<'_>) -> Result<Option<DataForm>, Fault> {
    let payload = asked.request.payload;
    let Some(options) = payload.child("options", ns::PUBSUB) else {
        return Ok(None);
    };
    let mut names = payload.children().map(|child| child.name());
    let first = names.find(|name| matches!(*name, "subscribe" | "options"));
    let names_something = ["node", "jid"]
        .iter()
        .any(|name| options.attribute(name).is_some());
    if first == Some("options") || names_something {
        return Err(Condition::BadRequest.into());
    }
    asked.form(options, FORM_TYPE)
}

fn write(w: &mut Writer<'_>, node: &str, subscription: &NodeSubscription, state: &str) {
    w.open("subscription")
        .attr("node", node)
        .attr("jid", &subscription.jid)
        .attr("subscription", state)
        .attr("subid", &subscription.subid)
        .close();
}

/// §6.2
pub fn unsubscribe(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.node()?;
    let jid = jid(asked.child)?;
    let subid = asked.child.attribute("subid");
    let who_and_jid = (asked.request.from, &jid);
    let owner = &asked.owner;
    let ended = engine::unsubscribe(cx, owner, &name, who_and_jid, subid.as_deref())?;
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        write(w, &name, &ended, "none");
        w.close();
    }))
}

/// §6.3.2
pub fn options(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let jid = jid(asked.child)?;
    let name = asked.node()?;
    let subid = asked.child.attribute("subid");
    let who_and_jid = (asked.request.from, &jid);
    let known = engine::options(cx, &asked.owner, &name, who_and_jid, subid.as_deref())?;
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("options")
            .attr("node", &name)
            .attr("jid", &known.jid)
            .attr("subid", &known.subid);
        write_options(w, &known, FormKind::Form);
        w.close().close();
    }))
}

/// §6.3.5
pub fn set_options(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let jid = jid(asked.child)?;
    let name = asked.node()?;
    let subid = asked.child.attribute("subid");
    let who_and_jid = (asked.request.from, &jid);
    // Whose they are comes before what is wrong with them.
    engine::options(cx, &asked.owner, &name, who_and_jid, subid.as_deref())?;
    let is_there = asked.child.child("x", ns::DATA_FORM).is_some();
    let Some(form) = asked.form(asked.child, FORM_TYPE)? else {
        return match is_there {
            true => Ok(Reply::Empty),
            false => Err(Condition::BadRequest.into()),
        };
    };
    let options = (subid.as_deref(), read(&form)?);
    engine::set_options(cx, &asked.owner, &name, who_and_jid, options)?;
    Ok(Reply::Empty)
}

/// §6.4
pub fn usual_options(cx: &mut Cx<'_>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let name = asked.child.attribute("node");
    if let Some(name) = &name {
        let node = pubsub::node::known(cx, &asked.owner, name)?;
        access::require_shown(cx, &asked.owner, &node, asked.request.from)?;
    }
    Ok(Reply::payload(|w| {
        w.open_ns("pubsub", ns::PUBSUB);
        w.open("default").attr_opt("node", name.as_deref());
        write_form(w, true, FormKind::Form);
        w.close().close();
    }))
}

/// §6.3.6: what is not as usual.
fn read(form: &DataForm) -> Result<Vec<(u8, u64)>, Fault> {
    let Some(values) = form.values(DELIVER) else {
        return Ok(Vec::new());
    };
    match values.iter().map(|value| value.trim()).collect::<Vec<_>>()[..] {
        ["1" | "true"] => Ok(Vec::new()),
        ["0" | "false"] => Ok(vec![NodeSubscription::SILENT]),
        _ => Err(refusal::INVALID_OPTIONS.into()),
    }
}

fn write_options(w: &mut Writer<'_>, subscription: &NodeSubscription, kind: FormKind) {
    write_form(w, subscription.delivers(), kind);
}

fn write_form(w: &mut Writer<'_>, delivers: bool, kind: FormKind) {
    open_form(w, kind, FORM_TYPE);
    w.open("field")
        .attr("var", DELIVER)
        .attr("type", "boolean")
        .attr("label", "Events are sent")
        .leaf("value", if delivers { "1" } else { "0" })
        .close();
    w.close();
}
