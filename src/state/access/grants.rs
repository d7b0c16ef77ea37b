//! Tokens that are shown as they are: how they look, and how one is told from a false one.

use crate::store::AccountId;
use crate::stream::{Entropy, sasl};
use crate::xmpp::{BareJid, Timestamp, base64_url, from_base64_url};

use crate::state::Tokens;
use crate::xmpp::hashing::{digest, hmac};

/// `sct_`, the id, the secret.
const PREFIX: &str = sasl::APP_TOKEN_PREFIX;
/// Account (4) and random bytes of an id, which names a token and is no secret.
const ID_BYTES: usize = 9;
const ID_LENGTH: usize = 12;
const SECRET_BYTES: usize = 24;
const TEXT_LENGTH: usize = PREFIX.len() + ID_LENGTH + 32;
/// Seconds from the year 0 to 1970: what MongooseIM's tokens count from.
const YEAR_0_SECONDS: i64 = 62_167_219_200;

/// There is one sequence: taking the grant away ends all.
const SEQUENCE: &str = "1";

/// A new token for an app.
pub struct NewAppToken {
    pub id: String,
    /// For its owner, once.
    pub text: String,
    pub hash: [u8; 32],
}

impl NewAppToken {
    pub fn new(account: AccountId, entropy: &mut dyn Entropy) -> NewAppToken {
        let mut id = [0; ID_BYTES];
        let mut secret = [0; SECRET_BYTES];
        entropy.fill(&mut id);
        entropy.fill(&mut secret);
        for (to, from) in id.iter_mut().zip(account.0.to_be_bytes()) {
            *to = from;
        }
        let id = base64_url(id);
        let text = format!("{PREFIX}{id}{}", base64_url(secret));
        let hash = hash_of(&text);
        NewAppToken { id, text, hash }
    }
}

/// The account and id that a token for an app names.
pub fn parse_app_token(text: &str) -> Option<(AccountId, &str)> {
    if text.len() != TEXT_LENGTH {
        return None;
    }
    let id = text.strip_prefix(PREFIX)?.get(..ID_LENGTH)?;
    let bytes = from_base64_url(id).ok()?;
    let account = u32::from_be_bytes(*bytes.first_chunk()?);
    Some((AccountId(account), id))
}

/// Compared in a time that tells nothing.
pub fn is_app_token(text: &str, hash: &[u8; 32]) -> bool {
    sasl::equal(&hash_of(text), hash)
}

/// The token has 192 random bits, so that a plain hash is enough.
fn hash_of(text: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

/// The two kinds of X-OAUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthKind {
    Access,
    Refresh,
}

impl OauthKind {
    fn name(self) -> &'static str {
        match self {
            OauthKind::Access => "access",
            OauthKind::Refresh => "refresh",
        }
    }
}

/// What such a token says; true once its signature was checked.
#[derive(Debug, PartialEq, Eq)]
pub struct OauthToken {
    pub kind: OauthKind,
    pub account: BareJid,
    pub expires: Timestamp,
}

impl OauthToken {
    /// What the token says of itself, and its signature.
    pub fn parse(text: &str) -> Option<(OauthToken, &str)> {
        let (said, signature) = text.rsplit_once('\0')?;
        let parts: Vec<&str> = said.split('\0').collect();
        let (kind, account, expires) = match parts.as_slice() {
            ["access", account, expires] => (OauthKind::Access, account, expires),
            ["refresh", account, expires, _sequence] => (OauthKind::Refresh, account, expires),
            _ => return None,
        };
        let seconds: i64 = expires.parse().ok()?;
        let unix = seconds.checked_sub(YEAR_0_SECONDS)?;
        let token = OauthToken {
            kind,
            account: BareJid::parse(account).ok()?,
            expires: Timestamp(unix.checked_mul(1000)?),
        };
        Some((token, signature))
    }

    fn said(&self) -> String {
        let seconds = self.expires.0.div_euclid(1000) + YEAR_0_SECONDS;
        let said = format!("{}\0{}\0{seconds}", self.kind.name(), self.account);
        match self.kind {
            OauthKind::Access => said,
            OauthKind::Refresh => said + "\0" + SEQUENCE,
        }
    }
}

impl Tokens {
    /// The token as the client gets it, before base64. `salt`: that of the account's grant.
    pub fn write_oauth(&self, token: &OauthToken, salt: &[u8; 16]) -> String {
        let said = token.said();
        let signature = self.sign_oauth(&said, salt);
        format!("{said}\0{signature}")
    }

    pub fn is_oauth(&self, token: &OauthToken, signature: &str, salt: &[u8; 16]) -> bool {
        let right = self.sign_oauth(&token.said(), salt);
        sasl::equal(right.as_bytes(), signature.as_bytes())
    }

    fn sign_oauth(&self, said: &str, salt: &[u8; 16]) -> String {
        // A key of its own for each grant, of the key beside the store.
        let derived = hmac::sign(&self.tokens, &[b"oauth", &salt[..]].concat());
        let key = hmac::Key::new(hmac::HMAC_SHA384, derived.as_ref());
        let tag = hmac::sign(&key, said.as_bytes());
        tag.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn app_tokens_name_their_account_and_are_told_from_false_ones() {
        let token = NewAppToken::new(AccountId(7), &mut Fixed(250));
        let parsed = parse_app_token(&token.text);
        assert_eq!(parsed, Some((AccountId(7), token.id.as_str())));
        assert!(is_app_token(&token.text, &token.hash));
        let other = NewAppToken::new(AccountId(7), &mut Fixed(251));
        assert!(!is_app_token(&other.text, &token.hash));
        for bad in ["", "sct_", &token.text[1..], &token.text[..20]] {
            assert_eq!(parse_app_token(bad), None, "{bad}");
        }
    }

    #[test]
    fn oauth_tokens_say_what_they_are_and_are_signed() {
        let tokens = Tokens::new(&[1; 32], &[2; 32]);
        for kind in [OauthKind::Access, OauthKind::Refresh] {
            let token = OauthToken {
                kind,
                account: BareJid::parse("romeo@localhost").unwrap(),
                expires: Timestamp(1_790_000_000_000),
            };
            let text = tokens.write_oauth(&token, &[3; 16]);
            let (parsed, signature) = OauthToken::parse(&text).unwrap();
            assert_eq!(parsed, token);
            assert!(tokens.is_oauth(&parsed, signature, &[3; 16]));
            assert!(!tokens.is_oauth(&parsed, signature, &[4; 16]));
            let later = OauthToken {
                expires: Timestamp(1_790_000_001_000),
                ..parsed
            };
            assert!(!tokens.is_oauth(&later, signature, &[3; 16]));
        }
        for bad in [
            "",
            "access\0romeo@localhost",
            "x\0y\0z\0w",
            "access\0a@b\0c\0d",
        ] {
            assert!(OauthToken::parse(bad).is_none(), "{bad}");
        }
    }
}
