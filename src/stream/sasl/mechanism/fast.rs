//! The HT mechanisms (draft-schmaus-kitten-sasl-ht) with the tokens of XEP-0484: one message each way, an HMAC keyed
//! with the token over the channel binding.
use crate::xmpp::{BareJid, SaslCondition};

use super::super::login::Success;
use super::super::{Refusal, Right, SaslFailure, ScramHash, keys};
use super::{HashedBinding, Mechanism};

/// Which of a client's two tokens (XEP-0484 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Current,
    New,
}

/// What stands against a token, should the client prove that it holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastStanding {
    Good,
    Expired,
    /// It was taken back, given back, or followed by another.
    Ended,
    /// The count is missing where it must be there, or was used already (§3.4).
    Replayed,
    /// The account is disabled.
    Disabled,
}

/// A token the client may hold, as the server answers `Event::Fast`.
#[derive(Debug)]
pub struct FastCandidate {
    pub token: Box<str>,
    /// Tells it from the client's others.
    pub tag: u32,
    pub slot: Slot,
    pub right: Right,
    pub standing: FastStanding,
}

/// The first and only message (draft §3.1): who, and the proof.
pub struct Message<'a> {
    pub username: &'a str,
    hash: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Message<'a>, SaslFailure> {
        let malformed = || SaslFailure::from(SaslCondition::MalformedRequest);
        let end = memchr::memchr(0, message).ok_or_else(malformed)?;
        let (username, rest) = message.split_at_checked(end).ok_or_else(malformed)?;
        let username = std::str::from_utf8(username).map_err(|_| malformed())?;
        let hash = rest.get(1..).unwrap_or_default();
        match username.is_empty() || hash.is_empty() {
            true => Err(malformed()),
            false => Ok(Message { username, hash }),
        }
    }
}

/// `Event::Fast` is out.
pub struct FastLookup {
    pub account: BareJid,
    pub mechanism: Mechanism,
    pub hash: ScramHash,
    proof: Box<[u8]>,
    channel_binding: Box<[u8]>,
}

impl FastLookup {
    pub fn new(
        account: BareJid,
        mechanism: Mechanism,
        (hash, channel_binding): (ScramHash, &[u8]),
        message: &Message<'_>,
    ) -> FastLookup {
        FastLookup {
            account,
            mechanism,
            hash,
            proof: message.hash.into(),
            channel_binding: channel_binding.into(),
        }
    }

    /// Every candidate is compared, whichever fits.
    pub fn verify(self, candidates: &[FastCandidate]) -> Result<Success, Refusal> {
        let matching = candidates.iter().fold(None, |found, candidate| {
            let right = keys::equal(&self.sign(candidate, b"Initiator"), &self.proof);
            found.or(right.then_some(candidate))
        });
        let refused = |failure: SaslFailure| Refusal {
            account: Some(self.account.clone()),
            failure,
        };
        let invalid =
            SaslFailure::new(SaslCondition::NotAuthorized).text("This token is not valid.");
        let Some(candidate) = matching else {
            return Err(refused(invalid));
        };
        match candidate.standing {
            FastStanding::Good => {}
            FastStanding::Expired => {
                let expired = SaslFailure::new(SaslCondition::CredentialsExpired);
                return Err(refused(expired.text("This token has expired.")));
            }
            // §4.2: it was good once, so its client is told to come with something else.
            FastStanding::Ended => {
                let ended = SaslFailure::new(SaslCondition::CredentialsExpired);
                return Err(refused(ended.text("This token has ended.")));
            }
            FastStanding::Replayed => {
                return Err(refused(invalid.text("This count was used already.")));
            }
            FastStanding::Disabled => {
                return Err(refused(SaslCondition::AccountDisabled.into()));
            }
        }
        let data = self.sign(candidate, b"Responder");
        Ok(Success {
            mechanism: self.mechanism.name,
            proof: super::super::Proof::Fast {
                slot: candidate.slot,
                tag: candidate.tag,
            },
            right: candidate.right,
            data: Some(data),
            account: self.account,
        })
    }

    fn sign(&self, candidate: &FastCandidate, role: &[u8]) -> Vec<u8> {
        let signed = [role, &self.channel_binding].concat();
        self.hash
            .hmac(candidate.token.as_bytes(), &signed)
            .as_ref()
            .to_vec()
    }
}

impl HashedBinding {
    /// Usable before the handshake ends: the exporter's value is not known to the client by then.
    pub fn is_early(self) -> bool {
        !matches!(self, HashedBinding::Exporter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let message = Message::parse(b"romeo\0\x01\x00\x02").unwrap();
        assert_eq!((message.username, message.hash), ("romeo", &[1, 0, 2][..]));
        for bad in [&b""[..], b"romeo", b"\0x", b"romeo\0", b"\xff\0x"] {
            assert!(Message::parse(bad).is_err(), "{bad:?}");
        }
    }
}
