//! RFC 6120 §6 and XEP-0388: SASL in either profile. One login after the other until one succeeds or there were too
//! many. What a login waits for is a type of its own; the server looks accounts and tokens up and has keys derived.

mod early;
mod exchange;
mod failure;
mod keys;
mod login;
pub(super) mod mechanism;
mod offer;
mod passwords;
mod request;
mod success;
mod upgrade;
mod whose;

use std::borrow::Cow;

pub(super) use failure::Profile;
pub use failure::SaslFailure;
pub use keys::{
    Credentials, HashedPassword, Hashes, ScramHash, ScramKeys, derive, equal, keys_of_salted,
    new_credentials,
};
pub use mechanism::bearer::{APP_TOKEN_PREFIX, TokenScheme};
pub use mechanism::fast::{FastCandidate, FastStanding, Slot};
pub use offer::{Grant, Login, Offer, Proof, Right, TokenAnswer};
pub use passwords::{PasswordError, prepare_password};
pub use request::{
    AGENT_TEXT_BYTES_MAX, BindRequest, EnableRequest, FastRequest, Request, ResumeRequest,
    UserAgent, enable_request,
};
pub use upgrade::Upgrade;

use crate::xml::{Element, ElementRef, Writer};
use crate::xmpp::{
    BareJid, Condition, SaslCondition, StanzaError, StreamCondition, StreamError, base64,
    from_base64, ns,
};

use super::negotiation::{Answer, First, Io, Negotiation, refuse_management};
use super::{Event, TlsFacts, features};
use early::is_replayable;
use exchange::{Exchange, Progress, Refusal};
use login::Waiting;
use upgrade::Upgrading;

/// Logins begun or given up on one stream; then `policy-violation`.
const ATTEMPTS_MAX: u8 = 20;

/// TLS is up, nobody is logged in.
pub(super) struct Auth {
    facts: TlsFacts,
    offer: Offer,
    /// Who the peer says it is, by its header.
    from: Option<BareJid>,
    attempts: u8,
    failures: u8,
    /// Of the current or the last login, where it is XEP-0388's.
    request: Option<Box<Request>>,
    exchange: Exchange,
}

impl Auth {
    pub(super) fn new(facts: TlsFacts, offer: Offer, from: Option<BareJid>) -> Auth {
        Auth {
            facts,
            offer,
            from,
            attempts: 0,
            failures: 0,
            request: None,
            exchange: Exchange::Idle,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        match self.exchange {
            Exchange::Waiting(_)
            | Exchange::Lookup(_)
            | Exchange::TokenLookup(_)
            | Exchange::FastLookup(_)
            | Exchange::Deriving(_)
            | Exchange::Rechecking(..)
            | Exchange::Completing(..)
            | Exchange::Refused(_) => true,
            Exchange::Idle
            | Exchange::Asked(_)
            | Exchange::Challenged(_)
            | Exchange::Told(_)
            | Exchange::Upgrading(_) => false,
        }
    }

    /// XEP-0388 §2.5: a login has begun, and nothing but its own elements may come, not even white space.
    pub(super) fn is_strict(&self) -> bool {
        self.profile() == Profile::Sasl2 && !matches!(self.exchange, Exchange::Idle)
    }

    fn profile(&self) -> Profile {
        match self.request {
            Some(_) => Profile::Sasl2,
            None => Profile::Sasl,
        }
    }

    pub(super) fn handle(
        mut self: Box<Self>,
        element: &Element,
        io: &mut Io<'_>,
    ) -> Result<Negotiation, StreamError> {
        let root = element.root();
        match First::of(root)? {
            First::Sasl if self.is_strict() => return Err(out_of_turn()),
            First::Sasl | First::Sasl2 => {}
            _ if self.is_strict() => return Err(out_of_turn()),
            First::Management => {
                refuse_management(io.out);
                return Ok(Negotiation::Auth(self));
            }
            First::Stanza if is_registration(root) => {
                self.count_attempt()?;
                refuse_registration(root, io.out);
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
        if let ("auth" | "authenticate", Exchange::Idle) = (root.name(), &exchange) {
            self.count_attempt()?;
            return Ok(self.begin(root, io));
        }
        if root.name() == "abort" {
            // §6.4.4: nobody guessed anything, so this is no failure and not delayed.
            self.count_attempt()?;
            SaslFailure::new(SaslCondition::Aborted).write(self.profile(), io.out);
            return Ok(Negotiation::Auth(self));
        }
        let progress = match (root.name(), exchange) {
            ("next" | "task-data", Exchange::Upgrading(upgrading)) => {
                io.event = Some(Event::Standing {
                    account: upgrading.success.account.clone(),
                    right: upgrading.success.right,
                });
                Ok(Progress::To(Exchange::Rechecking(
                    upgrading,
                    element.clone(),
                )))
            }
            (_, exchange) => self.go_on(exchange, root, io),
        };
        Ok(self.settle(progress, io))
    }

    /// §6.4.2, XEP-0388 §2.3: a mechanism is chosen, mostly with its first message.
    fn begin(mut self: Box<Self>, root: ElementRef<'_>, io: &mut Io<'_>) -> Negotiation {
        self.request = (root.namespace() == ns::SASL2).then(|| Box::new(Request::parse(root)));
        if let Some(request) = &mut self.request {
            request.early = io.early;
            // XEP-0509 §2.2: without prejudice, so it counts for nothing and no token is touched.
            if let Some(version) = &request.config_version
                && !features::is_config_version(version, &self.facts, self.offer, io.settings)
            {
                SaslFailure::new(SaslCondition::Aborted)
                    .text("The features have changed.")
                    .application("config-version-mismatch", ns::PIPELINING)
                    .write(Profile::Sasl2, io.out);
                self.request = None;
                return Negotiation::Auth(self);
            }
        }
        // XEP-0484 §3.4, XEP-0388 §3: somebody may send again what comes so early, and only a count would tell.
        let progress = match io.early && is_replayable(root) {
            true => Err(SaslFailure::new(SaslCondition::NotAuthorized)
                .text("Before the end of the TLS handshake only a token with a count is taken.")
                .into()),
            false => self.choose(root, io),
        };
        self.settle(progress, io)
    }

    fn choose(&self, root: ElementRef<'_>, io: &mut Io<'_>) -> Result<Progress, Refusal> {
        let name = root.attribute("mechanism");
        let fast = self
            .request
            .iter()
            .flat_map(|_| mechanism::fast(&self.facts));
        let mechanism = mechanism::offered(&self.facts, self.offer)
            .chain(fast)
            .find(|mechanism| Some(mechanism.name) == name.as_deref())
            .ok_or(SaslCondition::InvalidMechanism)?;
        let message = match &self.request {
            None => Some(content(root)?).filter(|text| !text.is_empty()),
            Some(_) => root
                .child("initial-response", ns::SASL2)
                .map(content)
                .transpose()?,
        };
        match message {
            // §6.4.3: every mechanism here begins with the client.
            None => {
                io.writer()
                    .open_ns("challenge", self.profile().namespace())
                    .close();
                Ok(Progress::To(Exchange::Asked(mechanism)))
            }
            Some(text) => self.first(mechanism, &decode(&text)?, io),
        }
    }

    /// A further message of the client.
    fn go_on(
        &self,
        exchange: Exchange,
        root: ElementRef<'_>,
        io: &mut Io<'_>,
    ) -> Result<Progress, Refusal> {
        match (root.name(), exchange) {
            ("response", Exchange::Asked(mechanism)) => {
                decode(&content(root)?).and_then(|message| self.first(mechanism, &message, io))
            }
            ("response", Exchange::Challenged(challenged)) => {
                let message = decode(&content(root)?)?;
                let proof = Waiting::Proof {
                    challenged,
                    message,
                };
                Ok(self.wait_for_turn(proof, io))
            }
            ("response", Exchange::Told(refusal)) => Err(refusal),
            _ => Err(SaslFailure::new(SaslCondition::MalformedRequest)
                .text("This was not the turn for it.")
                .into()),
        }
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
            (Answer::Turn(true), Exchange::Waiting(waiting)) => waiting.go_on(io),
            (Answer::Turn(false), Exchange::Waiting(waiting)) => Err(Refusal {
                account: Some(waiting.account().clone()),
                failure: SaslCondition::TemporaryAuthFailure.into(),
            }),
            (Answer::Derived(keys), Exchange::Deriving(deriving)) => deriving.compare(&keys),
            (Answer::Fast(candidates), Exchange::FastLookup(lookup)) => {
                lookup.verify(&candidates).map(Progress::Success)
            }
            (Answer::Token(answer), Exchange::TokenLookup(lookup)) => {
                self.token_known(lookup, answer, io)
            }
            (Answer::Standing(Ok(())), Exchange::Rechecking(upgrading, element)) => {
                self.upgrade(upgrading, element.root(), io)
            }
            (Answer::Standing(Err(condition)), Exchange::Rechecking(upgrading, _)) => {
                Err(Refusal {
                    account: Some(upgrading.success.account),
                    failure: condition.into(),
                })
            }
            // The right to the account ended meanwhile.
            (Answer::NotCompleted(condition), Exchange::Completing(account, _)) => Err(Refusal {
                account: Some(account),
                failure: condition.into(),
            }),
            // Too many want to log in.
            (Answer::NotCompleted(condition), Exchange::Deriving(_)) => Err(condition.into()),
            (Answer::ReleaseFailure, Exchange::Refused(failure)) => {
                failure.write(self.profile(), io.out);
                self.request = None;
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

    fn write_challenge(&self, data: &[u8], io: &mut Io<'_>) {
        let namespace = self.profile().namespace();
        io.writer()
            .open_ns("challenge", namespace)
            .text(&base64(data))
            .close();
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
        let progress = match progress {
            Ok(Progress::Success(success)) => match self.tasks(&success) {
                tasks if tasks.is_empty() => Ok(self.complete(success, Vec::new(), io)),
                tasks => Ok(Progress::To(Exchange::Upgrading(Upgrading::begin(
                    success, tasks, io,
                )))),
            },
            progress => progress,
        };
        match progress {
            Ok(Progress::To(exchange)) => self.exchange = exchange,
            Ok(Progress::Success(_)) => {}
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
}

/// §6.4.2: text, and no elements around which it would be put together.
fn content(element: ElementRef<'_>) -> Result<Cow<'_, str>, Refusal> {
    let malformed = || {
        SaslFailure::new(SaslCondition::MalformedRequest).text("There are elements in the base64.")
    };
    element.only_text().ok_or_else(|| malformed().into())
}

/// §6.4.2, §6.4.3: base64 without anything else; `=` is data of no length.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    match text {
        "=" => Ok(Vec::new()),
        _ => from_base64(text).map_err(|_| SaslCondition::IncorrectEncoding.into()),
    }
}

/// XEP-0077 §3.1: whoever has no account asks before logging in.
fn is_registration(root: ElementRef<'_>) -> bool {
    let is_request = matches!(root.attribute("type").as_deref(), Some("get" | "set"));
    root.name() == "iq" && is_request && root.child("query", ns::REGISTER).is_some()
}

/// There: a server that makes no accounts.
fn refuse_registration(root: ElementRef<'_>, out: &mut Vec<u8>) {
    let mut w = Writer::new(out);
    w.open("iq")
        .attr("type", "error")
        .attr_opt("id", root.attribute("id").as_deref());
    StanzaError::new(Condition::ServiceUnavailable)
        .text("Accounts are made by whoever runs this server.")
        .write(&mut w);
    w.close();
}

fn too_many() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation).text("Too many failed logins.")
}

/// XEP-0388 §2.5.
pub(super) fn out_of_turn() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation)
        .text("Nothing but the login's own elements may come before it ends.")
}
