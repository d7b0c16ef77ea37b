//! Logins with a token that is shown as it is: OAUTHBEARER (RFC 7628), and X-OAUTH as MongooseIM's clients speak it.
use crate::xmpp::{BareJid, Jid, SaslCondition};

use super::super::login::Success;
use super::super::{Auth, Exchange, Grant, Io, Progress, Refusal, SaslFailure, TokenAnswer};
use super::{Kind, Mechanism};

/// A password that begins like this is a token for an app (`stonechat token add`).
pub const APP_TOKEN_PREFIX: &str = "sct_";

/// RFC 7628 §3.2.2: what the client is told, as the data of one more challenge.
const INVALID_TOKEN: &str = r#"{"status":"invalid_token"}"#;

/// Who may be asked about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScheme {
    /// Made by `stonechat token add`.
    App,
    /// Made by a query in `erlang-solutions.com:xmpp:token-auth:0`.
    Oauth,
}

/// The message of RFC 7628 §3.1.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub authzid: Option<&'a str>,
    pub token: &'a str,
}

impl<'a> Message<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Message<'a>, SaslFailure> {
        let malformed = || {
            SaslFailure::new(SaslCondition::MalformedRequest).text("This is no bearer's message.")
        };
        let text = std::str::from_utf8(message).map_err(|_| malformed())?;
        let (header, pairs) = text.split_once('\u{1}').ok_or_else(malformed)?;
        let mut header = header.splitn(3, ',');
        let (flag, authzid, rest) = (header.next(), header.next(), header.next());
        if !matches!(flag, Some("n" | "y")) || rest != Some("") {
            return Err(malformed());
        }
        let authzid = match authzid {
            None | Some("") => None,
            Some(authzid) => Some(authzid.strip_prefix("a=").ok_or_else(malformed)?),
        };
        let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or_else(malformed)?;
        let token = pairs
            .split('\u{1}')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == "auth")
            .and_then(|(_, value)| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or_else(malformed)?;
        Ok(Message { authzid, token })
    }
}

/// `Event::Token` is out.
pub struct TokenLookup {
    /// Whom the login has to be for, as far as it says.
    pub expected: Option<BareJid>,
    pub mechanism: Mechanism,
}

impl TokenLookup {
    pub fn settle(self, answer: TokenAnswer) -> Result<Success, Refusal> {
        let expected = self.expected;
        let refused = |failure: SaslFailure| Refusal {
            account: expected.clone(),
            failure,
        };
        match answer {
            TokenAnswer::Valid { account, .. }
                if expected.as_ref().is_some_and(|jid| *jid != account) =>
            {
                Err(refused(SaslCondition::NotAuthorized.into()))
            }
            TokenAnswer::Valid {
                account,
                right,
                grant,
                data,
            } => Ok(Success {
                account,
                right,
                mechanism: self.mechanism.name,
                proof: super::super::Proof::Token(grant),
                data: data.map(String::into_bytes),
            }),
            TokenAnswer::Invalid => Err(refused(
                SaslFailure::new(SaslCondition::NotAuthorized).text("This token is not valid."),
            )),
            TokenAnswer::Expired => Err(refused(
                SaslFailure::new(SaslCondition::CredentialsExpired).text("This token has expired."),
            )),
            TokenAnswer::Disabled => Err(refused(SaslCondition::AccountDisabled.into())),
        }
    }
}

/// The authorization identity of a bearer's message; `Err`: it is no account's address.
pub fn authzid(text: Option<&str>) -> Result<Option<BareJid>, SaslFailure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let text = text.replace("=2C", ",").replace("=3D", "=");
    match Jid::parse(&text) {
        Ok(jid) if jid.local().is_some() => Ok(Some(jid.to_bare())),
        _ => Err(SaslCondition::InvalidAuthzid.into()),
    }
}

impl Grant {
    /// May change the password, manage clients and tokens, remove the account.
    pub fn is_full(&self) -> bool {
        !self.restricted
    }
}

impl Auth {
    /// RFC 7628 §3.2.2: why a bearer's token is refused is told by one more challenge.
    pub fn token_known(
        &self,
        lookup: TokenLookup,
        answer: TokenAnswer,
        io: &mut Io<'_>,
    ) -> Result<Progress, Refusal> {
        let tells = lookup.mechanism.kind == Kind::OauthBearer;
        match lookup.settle(answer) {
            Ok(success) => Ok(Progress::Success(success)),
            Err(refusal) if tells => {
                self.write_challenge(INVALID_TOKEN.as_bytes(), io);
                Ok(Progress::To(Exchange::Told(refusal)))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let message = Message::parse(
            b"n,a=user@example.com,\x01host=h\x01port=1\x01auth=Bearer vF9d\x01\x01",
        )
        .unwrap();
        assert_eq!(message.authzid, Some("user@example.com"));
        assert_eq!(message.token, "vF9d");
        let message = Message::parse(b"n,,\x01auth=bearer x\x01\x01").unwrap();
        assert_eq!((message.authzid, message.token), (None, "x"));
        for bad in [
            &b""[..],
            b"n,,",
            b"n,,\x01auth=Bearer x\x01",
            b"n,,\x01auth=Bearer \x01\x01",
            b"n,,\x01auth=Basic x\x01\x01",
            b"p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            b"n,user,\x01auth=Bearer x\x01\x01",
            b"n,,\x01\x01",
            b"\x01",
        ] {
            assert!(Message::parse(bad).is_err(), "{bad:?}");
        }
    }
}
