//! Requests that nobody will answer any more: whoever asked hears so (RFC 6120 §8.2.3).
use crate::channel;
use crate::server::outlet::{self, COMPONENT_AWAY};
use crate::state::{ComponentId, Cx, Question};
use crate::xml::{Writer, parse_stored};
use crate::xmpp::{Condition, Envelope, Jid, Stanza, StanzaError, ns, quoted_error};

use super::iq;

/// A component is gone with what it was asked.
pub fn component_went(cx: &mut Cx<'_>, component: ComponentId) {
    for request in cx.state.under_way.take(component) {
        let Some(origin) = outlet::origin_of(cx, &request.asker) else {
            continue;
        };
        let envelope = Envelope {
            from: Some(request.asker),
            to: Some(request.asked),
            id: request.id,
            lang: None,
        };
        outlet::send_error(cx, origin, "iq", &envelope, &COMPONENT_AWAY);
    }
    if let Err(error) = channel::component_went(cx, component) {
        log::error!("presence.failed error={}", quoted_error(&error));
    }
    let domains = &cx.state.domains;
    let is_its = |question: &Question| domains.component(&question.asked) == Some(component);
    let over = cx.state.questions.take_if(is_its);
    tell(cx, over, &COMPONENT_AWAY);
}

/// A session has ended.
pub fn session_ended(cx: &mut Cx<'_>, session: &Jid) {
    let is_its = |question: &Question| question.asked == *session;
    let over = cx.state.questions.take_if(is_its);
    tell(cx, over, &StanzaError::new(Condition::RecipientUnavailable));
}

/// The time of some is over.
pub fn expire(cx: &mut Cx<'_>) {
    let now_ms = cx.now.monotonic_ms;
    let over = cx
        .state
        .questions
        .take_if(|question| question.deadline_ms <= now_ms);
    let error = StanzaError::new(Condition::RemoteServerTimeout).text("No answer came in time.");
    tell(cx, over, &error);
}

/// Goes on as if the error had come from whoever was asked, where somebody waits for that.
fn tell(cx: &mut Cx<'_>, over: Vec<(Box<str>, Question)>, error: &StanzaError) {
    for (id, question) in over {
        if !question.is_waited_for() {
            continue;
        }
        let mut xml = Vec::with_capacity(256);
        let mut w = Writer::new(&mut xml);
        w.open("iq")
            .attr("type", "error")
            .attr("id", &id)
            .attr("from", question.asked.as_str())
            .attr("to", question.asker.as_str());
        error.write(&mut w);
        w.close();
        let text = String::from_utf8(xml).unwrap_or_default();
        let element = parse_stored(&text, ns::CLIENT);
        let Ok(Some(Ok(Stanza::Iq(iq)))) = element.map(Stanza::from_element) else {
            continue;
        };
        if let Err(error) = iq::answered(cx, question, &iq) {
            log::error!("answer.failed error={}", quoted_error(&error));
        }
    }
}
