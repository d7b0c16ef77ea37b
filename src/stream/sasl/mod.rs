//! RFC 6120 §6: SASL. One login after the other until one succeeds or there were too many. What a login waits for is a
//! type of its own; the server looks accounts up and has keys derived.

mod failure;
mod keys;
mod login;
pub(super) mod mechanism;
mod plain;
mod scram;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

pub use failure::SaslFailure;
pub use keys::{
    Credentials, PasswordError, ScramHash, ScramKeys, derive, new_credentials, prepare_password,
};

use crate::xml::{Element, ElementRef};
use crate::xmpp::{BareJid, SaslCondition, StreamCondition, StreamError, ns};

use super::header::Header;
use super::negotiation::{Answer, First, Io, Negotiation, refuse_management};
use super::{Event, TlsFacts};
use login::{Challenged, Deriving, Lookup};
use mechanism::Mechanism;

/// Logins begun or given up on one stream; then `policy-violation`.
const ATTEMPTS_MAX: u8 = 20;

/// TLS is up, nobody is logged in.
pub(super) struct Auth {
    facts: TlsFacts,
    /// Who the peer says it is, by its header.
    from: Option<BareJid>,
    attempts: u8,
    failures: u8,
    exchange: Exchange,
}

/// How far the current login is.
enum Exchange {
    Idle,
    /// The mechanism's first message was asked for by an empty challenge.
    Asked(Mechanism),
    /// `Event::Credentials` is out.
    Lookup(Lookup),
    /// The client's final message is awaited.
    Challenged(Challenged),
    /// `Event::Derive` is out.
    Deriving(Deriving),
    /// `Event::Failed` is out.
    Refused(SaslFailure),
}

/// What a step of a login leads to.
enum Progress {
    To(Exchange),
    Success {
        account: BareJid,
        mechanism: &'static str,
        /// Additional data (§6.4.6).
        data: Option<String>,
    },
}

/// A failed login and whose it was, as far as known.
struct Refusal {
    account: Option<BareJid>,
    failure: SaslFailure,
}

impl<F: Into<SaslFailure>> From<F> for Refusal {
    fn from(failure: F) -> Refusal {
        Refusal {
            account: None,
            failure: failure.into(),
        }
    }
}

impl Auth {
    pub(super) fn new(facts: TlsFacts, from: Option<BareJid>) -> Auth {
        Auth {
            facts,
            from,
            attempts: 0,
            failures: 0,
            exchange: Exchange::Idle,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        match self.exchange {
            Exchange::Lookup(_) | Exchange::Deriving(_) | Exchange::Refused(_) => true,
            Exchange::Idle | Exchange::Asked(_) | Exchange::Challenged(_) => false,
        }
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        element: &Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let root = element.root();
        match First::of(root)? {
            First::Sasl => {}
            First::Management => {
                refuse_management(io.out);
                return Ok(Negotiation::Auth(self));
            }
            First::Stanza | First::ClientState => {
                return Err(StreamError::new(StreamCondition::NotAuthorized).text("Log in first."));
            }
            First::StartTls => {
                return Err(StreamError::new(StreamCondition::PolicyViolation)
                    .text("TLS is in use already."));
            }
        }
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let progress = match (root.name(), exchange) {
            ("abort", _) => {
                // §6.4.4: nobody guessed anything, so this is no failure and not delayed.
                self.count_attempt()?;
                SaslFailure::new(SaslCondition::Aborted).write(io.out);
                return Ok(Negotiation::Auth(self));
            }
            ("auth", Exchange::Idle) => {
                self.count_attempt()?;
                self.begin(root, io)
            }
            ("response", Exchange::Asked(mechanism)) => {
                decode(&root.text()).and_then(|message| self.first(mechanism, &message, io))
            }
            ("response", Exchange::Challenged(challenged)) => {
                decode(&root.text()).and_then(|message| challenged.verify(&message))
            }
            _ => Err(SaslFailure::new(SaslCondition::MalformedRequest)
                .text("This was not the turn for it.")
                .into()),
        };
        Ok(self.settle(progress, io))
    }

    pub(super) fn resume(
        mut self: Box<Self>,
        answer: Answer,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Idle);
        let progress = match (answer, exchange) {
            (Answer::Credentials(answer), Exchange::Lookup(lookup)) => {
                Ok(Progress::To(self.looked_up(lookup, answer, io)))
            }
            (Answer::Derived(keys), Exchange::Deriving(deriving)) => deriving.compare(&keys),
            (Answer::ReleaseFailure, Exchange::Refused(failure)) => {
                failure.write(io.out);
                self.failures = self.failures.saturating_add(1);
                return match self.failures >= io.settings.failures_max {
                    // §6.4.5
                    true => Err(too_many()),
                    false => Ok(Negotiation::Auth(self)),
                };
            }
            (_, exchange) => Ok(Progress::To(exchange)),
        };
        Ok(self.settle(progress, io))
    }

    fn count_attempt(&mut self) -> Result<(), StreamError> {
        self.attempts = self.attempts.saturating_add(1);
        match self.attempts > ATTEMPTS_MAX {
            true => Err(too_many()),
            false => Ok(()),
        }
    }

    fn settle(
        mut self: Box<Self>,
        progress: Result<Progress, Refusal>,
        io: &mut Io<'_>,
    ) -> Negotiation {
        match progress {
            Ok(Progress::To(exchange)) => self.exchange = exchange,
            Ok(Progress::Success {
                account,
                mechanism,
                data,
            }) => return succeed(account, mechanism, data, io),
            Err(Refusal { account, failure }) => {
                io.event = Some(Event::Failed {
                    account,
                    condition: failure.condition,
                });
                self.exchange = Exchange::Refused(failure);
            }
        }
        Negotiation::Auth(self)
    }

    /// §6.4.2: a mechanism is chosen, mostly with its first message.
    fn begin(&self, root: ElementRef<'_>, io: &mut Io<'_>) -> Result<Progress, Refusal> {
        let name = root.attribute("mechanism");
        let mechanism = mechanism::offered(&self.facts)
            .find(|mechanism| Some(mechanism.name) == name.as_deref())
            .ok_or(SaslCondition::InvalidMechanism)?;
        let text = root.text();
        if text.is_empty() {
            // §6.4.3: every mechanism here begins with the client.
            io.writer().open_ns("challenge", ns::SASL).close();
            return Ok(Progress::To(Exchange::Asked(mechanism)));
        }
        self.first(mechanism, &decode(&text)?, io)
    }
}

/// §6.4.6: the stream begins again, with the limits for those who are known.
fn succeed(
    account: BareJid,
    mechanism: &'static str,
    data: Option<String>,
    io: &mut Io<'_>,
) -> Negotiation {
    let mut w = io.writer();
    w.open_ns("success", ns::SASL);
    if let Some(data) = data {
        w.text(&BASE64_STANDARD.encode(data));
    }
    w.close();
    io.framer.set_limits(io.settings.limits);
    io.restart();
    io.event = Some(Event::Authenticated {
        account: account.clone(),
        mechanism,
    });
    Negotiation::Header(Header::Authenticated(account))
}

/// §6.4.2, §6.4.3: base64 without anything else; `=` is data of no length.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    match text {
        "=" => Ok(Vec::new()),
        _ => BASE64_STANDARD
            .decode(text)
            .map_err(|_| SaslCondition::IncorrectEncoding.into()),
    }
}

fn too_many() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation).text("Too many failed logins.")
}
