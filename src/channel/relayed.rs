//! Requests that go on in another name, and what is answered: each is a question with a deadline, so that whoever asked is answered in
//! any case (RFC 6120 §8.2.3).
use crate::state::{Cx, Domain, Fault, Question, Relayed, Then, Urgency, Way};
use crate::xml::Writer;
use crate::xmpp::{Condition, Envelope, ErrorType, Iq, IqKind, Jid, StanzaError, ns, write_open};

use super::said::fan_out::deliver;

/// How long whoever is asked may take.
pub const ANSWER_MS_MAX: u64 = 60_000;
/// Requests under way, of all and of one person.
const RELAYED_MAX: usize = 256;
const OF_ONE_MAX: usize = 32;
/// A request that goes on in another name: whoever asked is answered in any case.
pub fn wait_for(cx: &mut Cx<'_>, request: &Envelope, passed_on: &Envelope) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (&request.from, &request.to) else {
        return Err(Condition::BadRequest.into());
    };
    let (Some(asker), Some(asked), Some(id)) = (&passed_on.from, &passed_on.to, &passed_on.id)
    else {
        return Err(Condition::BadRequest.into());
    };
    // What is asked twice by one id is waited for once.
    if cx.state.questions.is_asked(asker, asked, id) {
        return Ok(());
    }
    require_room(cx, from)?;
    let relayed = Relayed {
        from: from.clone(),
        to: to.clone(),
        id: request.id.clone(),
    };
    let question = Question {
        asker: asker.clone(),
        asked: asked.clone(),
        deadline_ms: cx.now.monotonic_ms + ANSWER_MS_MAX,
        then: Then::Relayed(Box::new(relayed)),
    };
    cx.state.questions.ask(id, question);
    Ok(())
}

pub fn require_room(cx: &mut Cx<'_>, from: &Jid) -> Result<(), Fault> {
    let now_ms = cx.now.monotonic_ms;
    let has_room = cx.state.questions.has_room_for_relayed(now_ms);
    let (mut all, mut own) = (0, 0);
    for question in cx.state.questions.all() {
        if let Then::Relayed(relayed) = &question.then {
            all += 1;
            own += usize::from(relayed.from.bare_str() == from.bare_str());
        }
    }
    match has_room && all < RELAYED_MAX && own < OF_ONE_MAX {
        true => Ok(()),
        false => Err(StanzaError::new(Condition::ResourceConstraint)
            .kind(ErrorType::Wait)
            .text("Too much is being asked already.")
            .into()),
    }
}

/// In the name of the channel.
pub fn pass_on(cx: &mut Cx<'_>, way: Way, iq: &Iq, envelope: &Envelope) {
    let start = cx.out.bytes.len();
    write_open(&mut cx.out.bytes, "iq", iq.kind.as_str(), envelope);
    let mut w = Writer::new(&mut cx.out.bytes);
    let inner = iq.element.root().inner_source();
    let end = match (iq.kind, inner.is_empty()) {
        (IqKind::Error, _) => {
            w.raw(">");
            error_of(iq).write(&mut w);
            "</iq>"
        }
        (_, true) => "/>",
        (_, false) => {
            w.raw(">").raw(inner);
            "</iq>"
        }
    };
    cx.out.bytes.extend_from_slice(end.as_bytes());
    let stanza = start..cx.out.bytes.len();
    deliver(cx, way, &stanza.into(), Urgency::Now);
}

/// Of an error only its condition comes through: `by`, a text or an address in it may name whom the room hides.
fn error_of(iq: &Iq) -> StanzaError {
    let root = iq.element.root();
    let error = root.child("error", root.namespace());
    let conditions = error.into_iter().flat_map(|error| error.children());
    let mut conditions = conditions.filter(|child| child.namespace() == ns::STANZAS);
    let condition = conditions.find_map(|child| Condition::parse(child.name()));
    let plain = StanzaError::new(condition.unwrap_or(Condition::UndefinedCondition));
    let kind = error.and_then(|error| error.attribute("type"));
    match kind.as_deref() {
        Some("auth") => plain.kind(ErrorType::Auth),
        Some("cancel") => plain.kind(ErrorType::Cancel),
        Some("modify") => plain.kind(ErrorType::Modify),
        Some("wait") => plain.kind(ErrorType::Wait),
        _ => plain,
    }
}

/// For whoever asked: in the name of whom they asked, and of an error its condition only.
pub fn answered(cx: &mut Cx<'_>, relayed: &Relayed, iq: &Iq) {
    let way = match cx.state.domains.of(&relayed.from) {
        Domain::Component(component) => Way::Component(component),
        _ => match cx.state.sessions.find(&relayed.from) {
            Some(session) => Way::Session(session.id),
            None => return,
        },
    };
    let envelope = Envelope {
        from: Some(relayed.to.clone()),
        to: Some(relayed.from.clone()),
        id: relayed.id.clone(),
        lang: None,
    };
    pass_on(cx, way, iq, &envelope);
}
