//! RFC 6120 §5 to §7: from an open connection to a bound resource, one careful step after the other. Every server gets the
//! same client: SCRAM without channel binding, SHA-256 where it is offered.

use super::Security;
use crate::scram::{Hash, Scram};
use crate::{Outcome, scan};

pub const HEADER: &[u8] =
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
xmlns:stream='http://etherx.jabber.org/streams'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

pub struct Login {
    user: String,
    resource: String,
    nonce: u64,
    step: Step,
}

enum Step {
    PlainFeatures,
    Proceed,
    Features,
    Challenge(Hash, String),
    Success(Hash),
    BindFeatures(Hash),
    Bind(Hash),
}

#[derive(Default)]
pub struct Reply {
    pub bytes: String,
    pub start_tls: bool,
    pub bound: bool,
}

impl Login {
    pub fn new(security: Security, user: &str, resource: &str, nonce: u64) -> Login {
        Login {
            user: user.to_owned(),
            resource: resource.to_owned(),
            nonce,
            step: match security {
                Security::StartTls => Step::PlainFeatures,
                Security::Direct => Step::Features,
            },
        }
    }

    pub fn mechanism(&self) -> &'static str {
        match &self.step {
            Step::Challenge(hash, _)
            | Step::Success(hash)
            | Step::BindFeatures(hash)
            | Step::Bind(hash) => hash.mechanism(),
            _ => "",
        }
    }

    pub fn on(&mut self, stanza: &[u8], scram: &mut Scram) -> Outcome<Reply> {
        if stanza.starts_with(b"<stream:stream") {
            return Ok(Reply::default());
        }
        let is = |name: &[u8]| stanza.starts_with(name);
        let mut reply = Reply::default();
        self.step = match &self.step {
            Step::PlainFeatures if is(b"<stream:features") => {
                reply.bytes = STARTTLS.to_owned();
                Step::Proceed
            }
            Step::Proceed if is(b"<proceed") => {
                reply.start_tls = true;
                Step::Features
            }
            Step::Features if is(b"<stream:features") => {
                let hash = Hash::offered(stanza).ok_or("the server offers no SCRAM")?;
                let bare = Scram::first_bare(&self.user, self.nonce);
                reply.bytes = format!(
                    "<auth xmlns='{SASL}' mechanism='{}'>{}</auth>",
                    hash.mechanism(),
                    Scram::first(&bare)
                );
                Step::Challenge(hash, bare)
            }
            Step::Challenge(hash, bare) if is(b"<challenge") => {
                let challenge = scan::text(stanza, "challenge").ok_or("empty challenge")?;
                let answer = scram.answer(*hash, bare, challenge)?;
                reply.bytes = format!("<response xmlns='{SASL}'>{answer}</response>");
                Step::Success(*hash)
            }
            Step::Success(hash) if is(b"<success") => {
                reply.bytes = String::from_utf8_lossy(HEADER).into_owned();
                Step::BindFeatures(*hash)
            }
            Step::BindFeatures(hash) if is(b"<stream:features") => {
                reply.bytes = format!(
                    "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                     <resource>{}</resource></bind></iq>",
                    self.resource
                );
                Step::Bind(*hash)
            }
            Step::Bind(hash) if is(b"<iq") => {
                super::refuse_error(stanza)?;
                reply.bound = true;
                Step::Bind(*hash)
            }
            _ => {
                let what = String::from_utf8_lossy(stanza);
                return Err(format!("login of {}: did not expect {what}", self.user).into());
            }
        };
        Ok(reply)
    }
}
