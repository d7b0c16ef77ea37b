//! The steps of one login (RFC 5802, RFC 4616): first message, account, challenge, verdict. An account that does not
//! exist takes the same steps as one that does.

use crate::xmpp::{BareJid, SaslCondition, base64_unpadded};

use super::super::negotiation::Io;
use super::super::{AccountAnswer, Event};
use super::mechanism::bearer::{self, APP_TOKEN_PREFIX, TokenLookup, TokenScheme};
use super::mechanism::fast::{self, FastLookup};
use super::mechanism::scram::{Binding, Challenge, ClientFirst, Parameters};
use super::mechanism::{self, Kind, Mechanism};
use super::{
    Auth, Credentials, Exchange, HashedPassword, Progress, Proof, Refusal, Right, SaslFailure,
    ScramHash, ScramKeys, keys, prepare_password,
};

/// Random bytes of our part of a SCRAM nonce (no padding in base64).
const NONCE_BYTES: usize = 18;

/// A mechanism came to its good end.
pub struct Success {
    pub account: BareJid,
    pub right: Right,
    pub mechanism: &'static str,
    pub proof: Proof,
    /// Additional data (§6.4.6).
    pub data: Option<Vec<u8>>,
}

/// `Event::Credentials` is out.
pub struct Lookup {
    account: BareJid,
    by: By,
}

enum By {
    Scram {
        first: ClientFirst,
        hash: ScramHash,
        mechanism: Mechanism,
    },
    /// The password, prepared.
    Plain(Box<str>),
}

/// `Event::Attempt` is out.
pub enum Waiting {
    /// Prepared.
    Password {
        account: BareJid,
        password: Box<str>,
    },
    /// The client's final message of SCRAM.
    Proof {
        challenged: Challenged,
        message: Vec<u8>,
    },
}

impl Waiting {
    pub fn account(&self) -> &BareJid {
        match self {
            Waiting::Password { account, .. } => account,
            Waiting::Proof { challenged, .. } => &challenged.account,
        }
    }

    /// Its turn has come.
    pub fn go_on(self, io: &mut Io<'_>) -> Result<Progress, Refusal> {
        match self {
            Waiting::Password { account, password } => {
                Ok(Progress::To(look_up(account, By::Plain(password), io)))
            }
            Waiting::Proof {
                challenged,
                message,
            } => challenged.verify(&message),
        }
    }
}

/// The client's final message is awaited.
pub struct Challenged {
    account: BareJid,
    standing: Standing,
    mechanism: Mechanism,
    keys: ScramKeys,
    challenge: Challenge,
}

/// `Event::Derive` is out.
pub struct Deriving {
    account: BareJid,
    standing: Standing,
    keys: ScramKeys,
}

/// What is known of an account and not told before the password proved right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good(Right),
    Disabled,
    Unknown,
}

impl Standing {
    fn check(self) -> Result<Right, SaslFailure> {
        match self {
            Standing::Good(right) => Ok(right),
            Standing::Disabled => Err(SaslCondition::AccountDisabled.into()),
            Standing::Unknown => Err(SaslCondition::NotAuthorized.into()),
        }
    }
}

impl Auth {
    /// The client's first message: whom it is about, and whether it may be asked for.
    pub(super) fn first(
        &self,
        mechanism: Mechanism,
        message: &[u8],
        io: &mut Io<'_>,
    ) -> Result<Progress, Refusal> {
        let (account, by) = match mechanism.kind {
            Kind::Plain => {
                let message = mechanism::plain::Message::parse(message)?;
                let account = self.account(message.username, message.authzid, io)?;
                if message.password.starts_with(APP_TOKEN_PREFIX) {
                    let token = (message.password, TokenScheme::App);
                    return Ok(Progress::To(ask(token, Some(account), mechanism, io)));
                }
                let password = prepare_password(message.password).map_err(|_| Refusal {
                    account: Some(account.clone()),
                    failure: SaslCondition::NotAuthorized.into(),
                })?;
                let password = password.into();
                return Ok(self.wait_for_turn(Waiting::Password { account, password }, io));
            }
            Kind::Scram { hash, plus } => {
                let first = ClientFirst::parse(message)?;
                let account = self.account(&first.username, first.authzid.as_deref(), io)?;
                self.check_binding(&first.binding, plus)?;
                let by = By::Scram {
                    first,
                    hash,
                    mechanism,
                };
                (account, by)
            }
            Kind::OauthBearer => {
                let message = bearer::Message::parse(message)?;
                let expected = self.expect(bearer::authzid(message.authzid)?)?;
                let token = (message.token, TokenScheme::App);
                return Ok(Progress::To(ask(token, expected, mechanism, io)));
            }
            Kind::Oauth => {
                let token = std::str::from_utf8(message)
                    .map_err(|_| SaslFailure::from(SaslCondition::MalformedRequest))?;
                let expected = self.expect(None)?;
                let token = (token.trim_matches('\0'), TokenScheme::Oauth);
                return Ok(Progress::To(ask(token, expected, mechanism, io)));
            }
            Kind::Hashed { hash, binding } => {
                let message = fast::Message::parse(message)?;
                let account = self.account(message.username, None, io)?;
                let data = mechanism::hashed_data(&self.facts, binding);
                let lookup = FastLookup::new(
                    account,
                    mechanism,
                    (hash, data.unwrap_or_default()),
                    &message,
                );
                return self.ask_fast(lookup, io);
            }
        };
        Ok(Progress::To(look_up(account, by, io)))
    }

    /// Something that may be a guess waits for its turn before it is compared with anything.
    pub(super) fn wait_for_turn(&self, waiting: Waiting, io: &mut Io<'_>) -> Progress {
        let request = self.request.as_deref();
        io.event = Some(Event::Attempt {
            account: waiting.account().clone(),
            agent: request.and_then(|request| request.agent.id.clone()),
        });
        Progress::To(Exchange::Waiting(waiting))
    }

    /// XEP-0484 §3.4: a token belongs to a client that names itself, and is announced as such.
    fn ask_fast(&self, lookup: FastLookup, io: &mut Io<'_>) -> Result<Progress, Refusal> {
        let malformed = SaslFailure::new(SaslCondition::MalformedRequest);
        let request = self.request.as_deref().ok_or(malformed)?;
        let fast = request
            .fast
            .ok_or_else(|| malformed.text("A token needs its 'fast' element."))?;
        let agent = request
            .agent
            .id
            .clone()
            .ok_or_else(|| malformed.text("A token needs the id of its user agent."))?;
        io.event = Some(Event::Fast {
            account: lookup.account.clone(),
            agent,
            mechanism: lookup.mechanism.name,
            count: fast.count,
            early: request.early,
        });
        Ok(Progress::To(Exchange::FastLookup(lookup)))
    }

    /// RFC 5802 §6.
    fn check_binding(&self, binding: &Binding, plus: bool) -> Result<(), SaslFailure> {
        let malformed = SaslFailure::new(SaslCondition::MalformedRequest);
        match (binding, plus) {
            (Binding::Impossible, false) => Ok(()),
            // It would have bound the channel, had it seen our offer: somebody took that away.
            (Binding::Unoffered, false) if mechanism::can_bind(&self.facts) => {
                Err(SaslFailure::new(SaslCondition::NotAuthorized)
                    .text("Channel binding was offered; somebody may be in the middle."))
            }
            (Binding::Unoffered, false) => Ok(()),
            (Binding::Type(kind), true) => match self.binding_data(kind) {
                Some(_) => Ok(()),
                None => Err(malformed.text("This type of channel binding is not offered.")),
            },
            (Binding::Type(_), false) => {
                Err(malformed.text("This mechanism does not bind the channel."))
            }
            (_, true) => Err(malformed.text("This mechanism must bind the channel.")),
        }
    }

    fn binding_data(&self, kind: &str) -> Option<&[u8]> {
        mechanism::binding_data(&self.facts, kind)
    }

    /// The server answered `Event::Credentials`; an unknown account goes the same way as a known one.
    pub(super) fn looked_up(
        &self,
        lookup: Lookup,
        answer: AccountAnswer,
        io: &mut Io<'_>,
    ) -> Exchange {
        let Lookup { account, by } = lookup;
        let (credentials, standing) = match answer {
            AccountAnswer::Known {
                credentials,
                disabled: false,
                right,
            } => (credentials, Standing::Good(right)),
            AccountAnswer::Known { credentials, .. } => (credentials, Standing::Disabled),
            AccountAnswer::Unknown(fake) => (fake, Standing::Unknown),
        };
        // A hash that is not stored was not offered to who said who he is.
        let missing = || Credentials::usual(io.settings.scram_iterations);
        match by {
            By::Plain(password) => {
                let (credentials, standing) = match credentials.for_comparison() {
                    Some(_) => (credentials, standing),
                    None => (missing(), Standing::Unknown),
                };
                let (hash, hashed) = credentials
                    .for_comparison()
                    .expect("usual credentials have every hash");
                io.event = Some(Event::Derive {
                    password,
                    hash,
                    salt: hashed.salt,
                    iterations: hashed.iterations,
                });
                Exchange::Deriving(Deriving {
                    account,
                    standing,
                    keys: hashed.keys.clone(),
                })
            }
            By::Scram {
                first,
                hash,
                mechanism,
            } => {
                let (credentials, standing) = match credentials.hashed(hash) {
                    Some(_) => (credentials, standing),
                    None => (missing(), Standing::Unknown),
                };
                let hashed = credentials
                    .hashed(hash)
                    .expect("usual credentials have every hash");
                let challenge = self.challenge(first, hash, hashed, io);
                Exchange::Challenged(Challenged {
                    account,
                    standing,
                    mechanism,
                    keys: hashed.keys.clone(),
                    challenge,
                })
            }
        }
    }

    /// Makes and writes the server's first message.
    fn challenge(
        &self,
        first: ClientFirst,
        hash: ScramHash,
        hashed: &HashedPassword,
        io: &mut Io<'_>,
    ) -> Challenge {
        let mut nonce = [0; NONCE_BYTES];
        io.entropy.fill(&mut nonce);
        let channel_binding = match &first.binding {
            Binding::Type(kind) => self.binding_data(kind).unwrap_or_default(),
            Binding::Impossible | Binding::Unoffered => &[],
        };
        let parameters = Parameters {
            hash,
            nonce: &base64_unpadded(nonce),
            salt: &hashed.salt,
            iterations: hashed.iterations,
            advertised: Some(&mechanism::advertised_digest(&self.facts, self.offer, hash)),
            channel_binding,
        };
        let challenge = Challenge::new(first, &parameters);
        self.write_challenge(challenge.server_first().as_bytes(), io);
        challenge
    }
}

/// Has the server look an account up.
fn look_up(account: BareJid, by: By, io: &mut Io<'_>) -> Exchange {
    io.event = Some(Event::Credentials {
        account: account.clone(),
    });
    Exchange::Lookup(Lookup { account, by })
}

/// Has the server asked about a token that is shown as it is.
fn ask(
    (token, scheme): (&str, TokenScheme),
    expected: Option<BareJid>,
    mechanism: Mechanism,
    io: &mut Io<'_>,
) -> Exchange {
    io.event = Some(Event::Token {
        scheme,
        token: token.into(),
    });
    Exchange::TokenLookup(TokenLookup {
        expected,
        mechanism,
    })
}

impl Challenged {
    pub(super) fn verify(self, message: &[u8]) -> Result<Progress, Refusal> {
        let account = self.account;
        let verified = self
            .challenge
            .verify(message, &self.keys)
            .and_then(|last| self.standing.check().map(|right| (last, right)));
        match verified {
            Ok((last, right)) => Ok(Progress::Success(Success {
                account,
                right,
                mechanism: self.mechanism.name,
                proof: Proof::Password,
                data: Some(last.into_bytes()),
            })),
            Err(failure) => Err(Refusal {
                account: Some(account),
                failure,
            }),
        }
    }
}

impl Deriving {
    pub(super) fn compare(self, derived: &ScramKeys) -> Result<Progress, Refusal> {
        let account = self.account;
        let right = keys::equal(&derived.stored_key, &self.keys.stored_key);
        let checked = match right {
            true => self.standing.check(),
            false => Err(SaslCondition::NotAuthorized.into()),
        };
        match checked {
            Ok(right) => Ok(Progress::Success(Success {
                account,
                right,
                mechanism: "PLAIN",
                proof: Proof::Password,
                data: None,
            })),
            Err(failure) => Err(Refusal {
                account: Some(account),
                failure,
            }),
        }
    }
}
