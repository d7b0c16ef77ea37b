//! Whole streams against a tiny client and a tiny server. Every script runs with its bytes cut in several ways.

mod bound;
mod changed;
mod headers;
mod logins;
mod sasl2;

use std::num::NonZeroU32;
use std::rc::Rc;

use crate::xmpp::hashing::{digest, hmac, pbkdf2};
use crate::xmpp::{base64, from_base64};

use super::*;
use crate::xml::Limits;
use crate::xmpp::{BareJid, Condition, SaslCondition};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
const PLAIN_ROMEO: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHBlbmNpbA==</auth>";
const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const EXPORTER: [u8; 32] = [3; 32];
const END_POINT: [u8; 4] = [4; 4];
const RIGHT: Right = Right {
    account: 3,
    generation: 5,
};

/// Bytes in one read: alone, few, all.
const CUTS: [usize; 3] = [1, 7, usize::MAX];

/// Counts, so that every id and nonce is another one.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        bytes.fill(self.0);
    }
}

/// A stream with the server's side of its events.
struct Peer {
    stream: Stream,
    entropy: Counter,
    cut: usize,
    events: Vec<String>,
    disabled: bool,
    /// Attempts have their turn.
    turn: bool,
    /// What becomes of rights.
    standing: Result<(), SaslCondition>,
    offer: Offer,
    /// What successes hold beside, and what became of their logins.
    logins: Vec<Login>,
    /// Tokens that romeo's client may hold, for HT-SHA-256-ENDP.
    tokens: Vec<FastCandidate>,
    /// Answers to logins are kept back.
    slow: bool,
    held: Option<Event>,
    /// Written by `Stream::complete`.
    written: Vec<u8>,
}

fn settings() -> Rc<StreamSettings> {
    let limits = |bytes| Limits {
        bytes,
        depth: 8,
        attributes: 8,
        elements: 32,
    };
    Rc::new(StreamSettings {
        domain: "localhost".into(),
        components: Box::default(),
        lang: "en",
        limits_before_authentication: limits(1000),
        limits: limits(5000),
        idle_seconds_max: 600,
        client_state: true,
        failures_max: 3,
        scram_iterations: 10,
        early_data: true,
        x_oauth: false,
        caps: "<c xmlns='http://jabber.org/protocol/caps' ver='x'/>".into(),
        last_written: Default::default(),
    })
}

/// What most accounts have.
fn usual() -> Credentials {
    Credentials::usual(10)
}

fn facts() -> TlsFacts {
    TlsFacts {
        exporter: Some(EXPORTER),
        unique: None,
        finished: None,
        end_point: Some(END_POINT.into()),
        server_name: None,
        version_1_3: true,
        early: false,
    }
}

impl Peer {
    fn plain(cut: usize) -> Peer {
        Peer {
            stream: Stream::new(settings(), false),
            entropy: Counter(0),
            cut,
            events: Vec::new(),
            disabled: false,
            turn: true,
            standing: Ok(()),
            offer: Offer::default(),
            logins: Vec::new(),
            tokens: Vec::new(),
            slow: false,
            held: None,
            written: Vec::new(),
        }
    }

    fn with_facts(cut: usize, facts: TlsFacts) -> Peer {
        let mut peer = Peer::plain(cut);
        peer.stream = Stream::new(settings(), true);
        peer.stream.secured(facts);
        peer
    }

    /// TLS from the first byte, header exchanged.
    fn secured(cut: usize) -> Peer {
        let mut peer = Peer::with_facts(cut, facts());
        peer.send(HEADER);
        peer
    }

    /// Logged in, header exchanged.
    fn authenticated(cut: usize) -> Peer {
        let mut peer = Peer::secured(cut);
        peer.send(PLAIN_ROMEO);
        peer.send(HEADER);
        peer.events.clear();
        peer
    }

    fn bound(cut: usize) -> Peer {
        let mut peer = Peer::authenticated(cut);
        peer.send(BIND);
        assert!(peer.stream.is_bound());
        peer.events.clear();
        peer
    }

    /// What comes back.
    fn send(&mut self, text: &str) -> String {
        let mut out = Vec::new();
        for mut input in text.as_bytes().chunks(self.cut.min(text.len().max(1))) {
            self.poll(&mut input, &mut out);
            assert!(input.is_empty());
        }
        String::from_utf8(out).unwrap()
    }

    fn poll(&mut self, input: &mut &[u8], out: &mut Vec<u8>) {
        while let Some(event) = self.stream.poll(input, &mut self.entropy, out) {
            self.event(event);
            out.append(&mut self.written);
        }
    }

    /// Goes on without input.
    fn wake(&mut self) -> String {
        let mut out = Vec::new();
        self.poll(&mut &[][..], &mut out);
        String::from_utf8(out).unwrap()
    }

    fn event(&mut self, event: Event) {
        self.events.push(match &event {
            Event::StartTls => "starttls".into(),
            Event::Attempt { account, .. } => format!("attempt {account}"),
            Event::Credentials { account } => format!("credentials {account}"),
            Event::Derive { password, .. } => format!("derive {password}"),
            Event::Failed { account, condition } => {
                let account = account.as_ref().map_or("-", |account| account.as_str());
                format!("failed {account} {}", condition.as_str())
            }
            Event::Peer { account } => format!("peer {account}"),
            Event::Standing { account, .. } => format!("standing {account}"),
            Event::Fast { .. } => "fast".into(),
            Event::Token { scheme, token } => format!("token {scheme:?} {token}"),
            Event::Authenticated(login) => {
                format!("authenticated {} {}", login.account, login.mechanism)
            }
            Event::Bind { account, resource } => format!("bind {account} {resource:?}"),
            Event::Resume { account, id, h } => format!("resume {account} {id} {h}"),
            Event::Stanza(element) | Event::Nonza(element) => element.source().into(),
            Event::Handshake { component, .. } => format!("handshake {component}"),
            Event::Whitespace => "whitespace".into(),
            Event::Closed(error) => {
                let condition = error.as_ref().map_or("regularly", |e| e.condition.as_str());
                format!("closed {condition}")
            }
        });
        match self.slow {
            true => self.held = Some(event),
            false => self.answer(event),
        }
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::Attempt { .. } => self.stream.turn(self.turn),
            Event::Credentials { account } => {
                let answer = match account.as_str() {
                    "romeo@localhost" => AccountAnswer::Known {
                        credentials: sasl::new_credentials("pencil", [5; 16], 10),
                        disabled: self.disabled,
                        right: RIGHT,
                    },
                    name => AccountAnswer::Unknown(Credentials::fake(&[9; 32], name, &usual())),
                };
                self.stream.credentials(answer);
            }
            Event::Peer { .. } => self.stream.offer(self.offer),
            Event::Fast {
                agent,
                mechanism,
                count,
                early,
                ..
            } => self.answer_fast(&agent, mechanism, count, early),
            Event::Token { token, .. } => self.stream.token(match &*token {
                "sct_good" => TokenAnswer::Valid {
                    account: BareJid::parse("romeo@localhost").unwrap(),
                    right: RIGHT,
                    grant: Grant {
                        id: "g".into(),
                        restricted: true,
                        tag: 7,
                    },
                    data: None,
                },
                "sct_old" => TokenAnswer::Expired,
                _ => TokenAnswer::Invalid,
            }),
            Event::Authenticated(login) => self.complete(*login),
            Event::Standing { right, .. } => {
                assert_eq!(right, RIGHT);
                self.stream.standing(self.standing);
            }
            Event::Derive {
                password,
                hash,
                salt,
                iterations,
            } => {
                let keys = sasl::derive(&password, &salt, iterations, hash);
                self.stream.derived(keys);
            }
            Event::Failed { .. } => self.stream.release_failure(),
            Event::Bind { resource, .. } if resource.as_deref() == Some("taken") => {
                self.stream.bind_refused(Condition::Conflict.into());
            }
            Event::Bind { account, resource } => {
                let resource = resource.as_deref().unwrap_or("made");
                self.stream.bound(&account.with_resource(resource).unwrap());
            }
            _ => {}
        }
    }

    /// The events since the last call.
    fn happened(&mut self) -> String {
        std::mem::take(&mut self.events).join("; ")
    }

    fn auth(&mut self, mechanism: &str, message: &str) -> String {
        self.auth_raw(mechanism, &base64(message))
    }

    fn auth_raw(&mut self, mechanism: &str, text: &str) -> String {
        self.send(&format!(
            "<auth xmlns='{}' mechanism='{mechanism}'>{text}</auth>",
            crate::xmpp::ns::SASL
        ))
    }

    fn respond(&mut self, message: &str) -> String {
        let message = base64(message);
        let ns = crate::xmpp::ns::SASL;
        self.send(&format!("<response xmlns='{ns}'>{message}</response>"))
    }

    /// A client's SCRAM: the answer to its last message, after it checked the server's proof.
    fn scram(&mut self, login: &Scram) -> String {
        let bare = format!("n={},r=client-nonce", login.username);
        let challenge = self.auth(login.mechanism, &format!("{}{bare}", login.gs2_header));
        let Some(server_first) = payload(&challenge, "challenge") else {
            return challenge;
        };
        let value = |name: &str| {
            let mut values = server_first.split(',');
            values.find_map(|v| v.strip_prefix(name)).unwrap()
        };
        let salt = from_base64(value("s=")).unwrap();
        let (digest, hmac, pbkdf2) = login.algorithms();
        let mut salted = vec![0; digest.output_len()];
        let iterations = NonZeroU32::new(value("i=").parse().unwrap()).unwrap();
        let password = login.password.as_bytes();
        pbkdf2::derive(pbkdf2, iterations, &salt, password, &mut salted);
        let sign = |key: &[u8], text: &str| {
            let tag = hmac::sign(&hmac::Key::new(hmac, key), text.as_bytes());
            tag.as_ref().to_vec()
        };
        let channel_binding = [login.gs2_header.as_bytes(), login.channel_binding].concat();
        let without_proof = format!("c={},r={}", base64(channel_binding), value("r="));
        let signed = format!("{bare},{server_first},{without_proof}");
        let client_key = sign(&salted, "Client Key");
        let stored_key = digest::digest(digest, &client_key);
        let signature = sign(stored_key.as_ref(), &signed);
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let proof = base64(proof);
        let answer = self.respond(&format!("{without_proof},p={proof}"));
        if let Some(server_last) = payload(&answer, "success") {
            let server_key = sign(&salted, "Server Key");
            let signature = base64(sign(&server_key, &signed));
            assert_eq!(server_last, format!("v={signature}"));
        }
        answer
    }
}

/// What a client does for one login.
#[derive(Clone, Copy)]
struct Scram {
    mechanism: &'static str,
    gs2_header: &'static str,
    channel_binding: &'static [u8],
    username: &'static str,
    password: &'static str,
}

const LOGIN: Scram = Scram {
    mechanism: "SCRAM-SHA-256",
    gs2_header: "n,,",
    channel_binding: b"",
    username: "romeo",
    password: "pencil",
};

impl Scram {
    fn algorithms(
        &self,
    ) -> (
        &'static digest::Algorithm,
        hmac::Algorithm,
        pbkdf2::Algorithm,
    ) {
        match self.mechanism.trim_end_matches("-PLUS") {
            "SCRAM-SHA-1" => (
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                pbkdf2::PBKDF2_HMAC_SHA1,
            ),
            "SCRAM-SHA-256" => (
                &digest::SHA256,
                hmac::HMAC_SHA256,
                pbkdf2::PBKDF2_HMAC_SHA256,
            ),
            _ => (
                &digest::SHA512,
                hmac::HMAC_SHA512,
                pbkdf2::PBKDF2_HMAC_SHA512,
            ),
        }
    }
}

/// Decoded text of an answer that is this SASL element.
fn payload(answer: &str, name: &str) -> Option<String> {
    let text = answer
        .strip_prefix(&format!("<{name} xmlns='{}'>", crate::xmpp::ns::SASL))?
        .strip_suffix(&format!("</{name}>"))?;
    let text = from_base64(text).unwrap();
    Some(String::from_utf8(text).unwrap())
}

fn failure(condition: &str) -> String {
    format!("<failure xmlns='{}'><{condition}/>", crate::xmpp::ns::SASL)
}

fn error(condition: &str) -> String {
    format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>")
}

#[track_caller]
fn assert_in(part: &str, whole: &str) {
    assert!(whole.contains(part), "no {part}\nin {whole}");
}

/// The stream ended with this error.
#[track_caller]
fn assert_fails(out: &str, condition: &str) {
    assert_in(&error(condition), out);
    assert!(out.ends_with("</stream:error></stream:stream>"), "{out}");
}
