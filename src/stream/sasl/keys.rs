//! What is stored of a password and how it comes about (RFC 5802 §3, RFC 7677): pure functions, the slow ones meant for
//! a worker thread. Passwords themselves are never kept.
use std::borrow::Cow;
use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

/// The hashes of SCRAM, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScramHash {
    Sha1,
    Sha256,
    Sha512,
}

/// What is stored of a password for one hash (RFC 5802 §3); lengths as the hash has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramKeys {
    pub stored_key: Box<[u8]>,
    pub server_key: Box<[u8]>,
}

/// What is stored of a password: one salt and iteration count, keys for all three hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub salt: [u8; 16],
    pub iterations: u32,
    pub sha1: ScramKeys,
    pub sha256: ScramKeys,
    pub sha512: ScramKeys,
}

/// A text that cannot be a password: empty, or refused by SASLprep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordError;

/// SASLprep (RFC 4013): the same for stored passwords, PLAIN and what clients do for SCRAM.
pub fn prepare_password(text: &str) -> Result<Cow<'_, str>, PasswordError> {
    let prepared = stringprep::saslprep(text).map_err(|_| PasswordError)?;
    match prepared.is_empty() {
        true => Err(PasswordError),
        false => Ok(prepared),
    }
}

/// Slow by intention. `password` is prepared.
pub fn derive(password: &str, salt: &[u8], iterations: u32, hash: ScramHash) -> ScramKeys {
    let mut buffer = [0; digest::MAX_OUTPUT_LEN];
    let salted = buffer
        .get_mut(..hash.output_bytes())
        .expect("no hash is longer than the longest");
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(hash.pbkdf2(), iterations, salt, password.as_bytes(), salted);
    let client_key = hash.hmac(salted, b"Client Key");
    ScramKeys {
        stored_key: hash.digest(client_key.as_ref()).as_ref().into(),
        server_key: hash.hmac(salted, b"Server Key").as_ref().into(),
    }
}

/// Everything to store for a new (prepared) password; three derivations.
pub fn new_credentials(password: &str, salt: [u8; 16], iterations: u32) -> Credentials {
    let keys = |hash| derive(password, &salt, iterations, hash);
    Credentials {
        salt,
        iterations,
        sha1: keys(ScramHash::Sha1),
        sha256: keys(ScramHash::Sha256),
        sha512: keys(ScramHash::Sha512),
    }
}

impl Credentials {
    pub fn keys(&self, hash: ScramHash) -> &ScramKeys {
        match hash {
            ScramHash::Sha1 => &self.sha1,
            ScramHash::Sha256 => &self.sha256,
            ScramHash::Sha512 => &self.sha512,
        }
    }

    /// For a name without an account: a login takes the same course as for one with, and the salt is the same each
    /// time. No password fits.
    pub(super) fn fake(key: &[u8], account: &str, iterations: u32) -> Credentials {
        let mut salt = [0; 16];
        let stable = ScramHash::Sha256.hmac(key, account.as_bytes());
        for (to, from) in salt.iter_mut().zip(stable.as_ref()) {
            *to = *from;
        }
        let keys = |hash: ScramHash| ScramKeys {
            stored_key: vec![0; hash.output_bytes()].into(),
            server_key: vec![0; hash.output_bytes()].into(),
        };
        Credentials {
            salt,
            iterations,
            sha1: keys(ScramHash::Sha1),
            sha256: keys(ScramHash::Sha256),
            sha512: keys(ScramHash::Sha512),
        }
    }
}

impl ScramHash {
    fn algorithms(
        self,
    ) -> (
        &'static digest::Algorithm,
        hmac::Algorithm,
        pbkdf2::Algorithm,
    ) {
        match self {
            ScramHash::Sha1 => (
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                pbkdf2::PBKDF2_HMAC_SHA1,
            ),
            ScramHash::Sha256 => (
                &digest::SHA256,
                hmac::HMAC_SHA256,
                pbkdf2::PBKDF2_HMAC_SHA256,
            ),
            ScramHash::Sha512 => (
                &digest::SHA512,
                hmac::HMAC_SHA512,
                pbkdf2::PBKDF2_HMAC_SHA512,
            ),
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        self.algorithms().2
    }

    /// Bytes of its output.
    fn output_bytes(self) -> usize {
        self.algorithms().0.output_len()
    }

    pub(super) fn digest(self, data: &[u8]) -> digest::Digest {
        digest::digest(self.algorithms().0, data)
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.algorithms().1, key), data)
    }
}

/// Compares in a time that tells nothing about where the two differ.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"comparison");
    let tag = hmac::sign(&key, a);
    hmac::verify(&key, b, tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared() {
        assert_eq!(prepare_password("pencil").unwrap(), "pencil");
        // RFC 4013 §3: soft hyphen to nothing, compatibility forms, other spaces.
        assert_eq!(prepare_password("I\u{AD}X").unwrap(), "IX");
        assert_eq!(prepare_password("\u{2168}").unwrap(), "IX");
        assert_eq!(prepare_password("a\u{A0}b").unwrap(), "a b");
        for bad in ["", "\u{AD}", "\u{7}", "\u{627}1"] {
            assert_eq!(prepare_password(bad), Err(PasswordError), "{bad:?}");
        }
    }

    #[test]
    fn credentials_hold_all_hashes() {
        let credentials = new_credentials("pencil", [7; 16], 3);
        for hash in [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512] {
            let keys = credentials.keys(hash);
            assert_eq!(keys, &derive("pencil", &[7; 16], 3, hash));
            assert_eq!(
                (keys.stored_key.len(), keys.server_key.len()),
                (hash.output_bytes(), hash.output_bytes())
            );
        }
    }

    #[test]
    fn fake_salts_are_stable_and_differ() {
        let fake = |name| Credentials::fake(&[1; 32], name, 10).salt;
        assert_eq!(fake("a@x"), fake("a@x"));
        assert_ne!(fake("a@x"), fake("b@x"));
        assert_ne!(fake("a@x"), Credentials::fake(&[2; 32], "a@x", 10).salt);
    }

    #[test]
    fn comparison() {
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd"));
        assert!(!equal(b"abc", b"ab"));
    }
}
