//! RFC 6120 §7: resource binding, the last step before stanzas. The server decides; the stream asks and answers.
use crate::xml::{Element, ElementRef, Writer};
use crate::xmpp::{
    BareJid, Condition, FullJid, StanzaError, StreamCondition, StreamError, ns, resourcepart,
};

use super::Event;
use super::negotiation::{Answer, Bound, First, Io, Negotiation, refuse_management};

/// Refused requests after which the stream ends with `policy-violation`.
const REQUESTS_MAX: u8 = 10;

/// Logged in; a resource must be bound before anything else.
pub(super) struct Bind {
    account: BareJid,
    requests: u8,
    /// Id of the request the server has not answered yet.
    request: Option<Box<str>>,
}

impl Bind {
    pub(super) fn new(account: BareJid) -> Bind {
        Bind {
            account,
            requests: 0,
            request: None,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.request.is_some()
    }

    pub(super) fn handle(
        mut self,
        element: &Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let root = element.root();
        match First::of(root)? {
            First::Stanza => {}
            First::Management => return self.manage(root, io),
            // XEP-0352 §4: told too soon, by clients that find it among the features; a session begins active.
            First::ClientState => {
                self.count_request()?;
                return Ok(Negotiation::Bind(self));
            }
            First::StartTls | First::Sasl | First::Sasl2 => {
                return Err(StreamCondition::UnsupportedStanzaType.into());
            }
        }
        // §7.1: no other stanza before a resource is bound.
        let request = match root.child("bind", ns::BIND) {
            Some(request) if root.name() == "iq" => request,
            _ => {
                return Err(
                    StreamError::new(StreamCondition::NotAuthorized).text("Bind a resource first.")
                );
            }
        };
        self.count_request()?;
        let id = root.attribute("id");
        match requested(root, request) {
            Ok(resource) => {
                io.event = Some(Event::Bind {
                    account: self.account.clone(),
                    resource,
                });
                self.request = Some(id.unwrap_or_default().into());
            }
            Err(error) => write_refusal(id.as_deref(), &error, io.out),
        }
        Ok(Negotiation::Bind(self))
    }

    fn count_request(&mut self) -> Result<(), StreamError> {
        self.requests = self.requests.saturating_add(1);
        if self.requests > REQUESTS_MAX {
            return Err(StreamError::new(StreamCondition::PolicyViolation)
                .text("Too many requests to bind a resource."));
        }
        Ok(())
    }

    /// XEP-0198 §5: instead of binding, an earlier session goes on. §3: nothing else before a resource is bound.
    fn manage(mut self, root: ElementRef<'_>, io: &mut Io<'_>) -> Result<Negotiation, StreamError> {
        self.count_request()?;
        let wanted = root
            .attribute("previd")
            .zip(root.attribute("h").and_then(|h| h.parse().ok()));
        match wanted.filter(|_| root.name() == "resume") {
            Some((id, h)) => {
                self.request = Some(Box::default());
                io.event = Some(Event::Resume {
                    account: self.account.clone(),
                    id: id.into(),
                    h,
                });
            }
            None => refuse_management(io.out),
        }
        Ok(Negotiation::Bind(self))
    }

    pub(super) fn resume(mut self, answer: Answer, io: &mut Io<'_>) -> Negotiation {
        match (answer, self.request.take()) {
            (Answer::Bound(jid), Some(id)) => {
                write_result(&id, &jid, io.out);
                Negotiation::Bound(Bound)
            }
            (Answer::BindRefused(error), Some(id)) => {
                write_refusal(Some(&id), &error, io.out);
                Negotiation::Bind(self)
            }
            (Answer::Resumed, Some(_)) => Negotiation::Bound(Bound),
            (Answer::ResumeRefused, Some(_)) => Negotiation::Bind(self),
            (_, request) => {
                self.request = request;
                Negotiation::Bind(self)
            }
        }
    }
}

/// The resource asked for, prepared; `None`: the server makes one (§7.6). §7.7.2.1: what cannot be prepared is a bad
/// request.
fn requested(iq: ElementRef<'_>, request: ElementRef<'_>) -> Result<Option<Box<str>>, StanzaError> {
    if iq.attribute("type").as_deref() != Some("set")
        || iq.attribute("id").is_none_or(|id| id.is_empty())
        || iq.children().count() != 1
    {
        return Err(Condition::BadRequest.into());
    }
    let Some(resource) = request.child("resource", ns::BIND) else {
        return Ok(None);
    };
    let text = resource.text();
    if text.is_empty() {
        return Ok(None);
    }
    let prepared = resourcepart(&text)
        .map_err(|_| StanzaError::new(Condition::BadRequest).text("This cannot be a resource."))?;
    Ok(Some(prepared.into()))
}

/// §7.6.1, §7.7.1
fn write_result(id: &str, jid: &FullJid, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("iq").attr("type", "result").attr("id", id);
    w.open_ns("bind", ns::BIND)
        .leaf("jid", jid.as_str())
        .close();
    w.close();
}

/// §7.6.2, §7.7.2
fn write_refusal(id: Option<&str>, error: &StanzaError, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("iq").attr("type", "error").attr_opt("id", id);
    error.write(&mut w);
    w.close();
}
