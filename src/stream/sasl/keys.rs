//! What is stored of a password and how it comes about (RFC 5802 §3, RFC 7677): pure functions, the slow ones meant for
//! a worker thread. Passwords themselves are never kept.
use crate::xmpp::hashing::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// The hashes of SCRAM, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScramHash {
    Sha1,
    Sha256,
    Sha512,
}

/// A set of hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashes([bool; ScramHash::ALL.len()]);

impl Hashes {
    pub const ALL: Hashes = Hashes([true; ScramHash::ALL.len()]);

    pub fn contains(self, hash: ScramHash) -> bool {
        self.iter().any(|held| held == hash)
    }

    /// Weakest first.
    pub fn iter(self) -> impl Iterator<Item = ScramHash> {
        let held = ScramHash::ALL.into_iter().zip(self.0);
        held.filter_map(|(hash, held)| held.then_some(hash))
    }
}

impl Extend<ScramHash> for Hashes {
    fn extend<I: IntoIterator<Item = ScramHash>>(&mut self, hashes: I) {
        for added in hashes {
            for (hash, held) in ScramHash::ALL.into_iter().zip(&mut self.0) {
                *held |= hash == added;
            }
        }
    }
}

impl FromIterator<ScramHash> for Hashes {
    fn from_iter<I: IntoIterator<Item = ScramHash>>(hashes: I) -> Hashes {
        let mut set = Hashes::default();
        set.extend(hashes);
        set
    }
}

/// What is stored of a password for one hash (RFC 5802 §3); lengths as the hash has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramKeys {
    pub stored_key: Box<[u8]>,
    pub server_key: Box<[u8]>,
}

/// What is stored of a password for one hash, with the salt and iteration count it came about with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedPassword {
    pub salt: [u8; 16],
    pub iterations: u32,
    pub keys: ScramKeys,
}

/// What is stored of a password: keys for each hash. One that is missing or has too few iterations can be had from a
/// client that knows the password (XEP-0480).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub sha1: Option<HashedPassword>,
    pub sha256: Option<HashedPassword>,
    pub sha512: Option<HashedPassword>,
}

/// Slow by intention. `password` is prepared.
pub fn derive(password: &str, salt: &[u8], iterations: u32, hash: ScramHash) -> ScramKeys {
    let mut buffer = [0; digest::MAX_OUTPUT_LEN];
    let salted = buffer
        .get_mut(..hash.output_bytes())
        .expect("no hash is longer than the longest");
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(hash.pbkdf2(), iterations, salt, password.as_bytes(), salted);
    keys_of_salted(salted, hash)
}

/// The rest of `derive`, quick: what is stored, of RFC 5802's SaltedPassword.
pub fn keys_of_salted(salted: &[u8], hash: ScramHash) -> ScramKeys {
    let client_key = hash.hmac(salted, b"Client Key");
    ScramKeys {
        stored_key: hash.digest(client_key.as_ref()).as_ref().into(),
        server_key: hash.hmac(salted, b"Server Key").as_ref().into(),
    }
}

/// Everything to store for a new (prepared) password; three derivations. `random`: what their salts are made of.
pub fn new_credentials(password: &str, random: [u8; 16], iterations: u32) -> Credentials {
    let hashed = |hash| {
        let salt = salt_of(&random, hash);
        Some(HashedPassword {
            salt,
            iterations,
            keys: derive(password, &salt, iterations, hash),
        })
    };
    Credentials {
        sha1: hashed(ScramHash::Sha1),
        sha256: hashed(ScramHash::Sha256),
        sha512: hashed(ScramHash::Sha512),
    }
}

impl Credentials {
    pub fn hashed(&self, hash: ScramHash) -> Option<&HashedPassword> {
        match hash {
            ScramHash::Sha1 => self.sha1.as_ref(),
            ScramHash::Sha256 => self.sha256.as_ref(),
            ScramHash::Sha512 => self.sha512.as_ref(),
        }
    }

    pub fn replace(&mut self, hash: ScramHash, hashed: HashedPassword) {
        let place = match hash {
            ScramHash::Sha1 => &mut self.sha1,
            ScramHash::Sha256 => &mut self.sha256,
            ScramHash::Sha512 => &mut self.sha512,
        };
        *place = Some(hashed);
    }

    /// What a password itself is compared with (PLAIN): any hash does, SHA-256 is quick on small machines.
    pub(super) fn for_comparison(&self) -> Option<(ScramHash, &HashedPassword)> {
        [ScramHash::Sha256, ScramHash::Sha512, ScramHash::Sha1]
            .into_iter()
            .find_map(|hash| self.hashed(hash).map(|hashed| (hash, hashed)))
    }

    /// As they are for a new account, but that no password fits.
    pub fn usual(iterations: u32) -> Credentials {
        let mut credentials = Credentials::default();
        for hash in ScramHash::ALL {
            let hashed = HashedPassword::impossible(hash, salt_of(&[0; 16], hash), iterations);
            credentials.replace(hash, hashed);
        }
        credentials
    }

    /// For a name without an account: a login takes the same course as for one with, and what is told of it is the same
    /// each time, and looks like that of an account there is (`model`): the same hashes and iterations, and one salt for
    /// several hashes where that has one. No password fits.
    pub fn fake(key: &[u8], account: &str, model: &Credentials) -> Credentials {
        let mut fake = Credentials::default();
        for hash in ScramHash::ALL {
            let Some(of_model) = model.hashed(hash) else {
                continue;
            };
            let shares = |other: &ScramHash| {
                let other = model.hashed(*other);
                other.is_some_and(|other| other.salt == of_model.salt)
            };
            let first = ScramHash::ALL.into_iter().find(shares).unwrap_or(hash);
            let iterations = of_model.iterations.to_be_bytes();
            let told = [
                first.upgrade_name().as_bytes(),
                &iterations,
                account.as_bytes(),
            ];
            let stable = ScramHash::Sha256.hmac(key, &told.concat());
            let salt = stable.as_ref().first_chunk().copied().unwrap_or_default();
            let hashed = HashedPassword::impossible(hash, salt, of_model.iterations);
            fake.replace(hash, hashed);
        }
        fake
    }
}

impl HashedPassword {
    fn impossible(hash: ScramHash, salt: [u8; 16], iterations: u32) -> HashedPassword {
        HashedPassword {
            salt,
            iterations,
            keys: ScramKeys {
                stored_key: vec![0; hash.output_bytes()].into(),
                server_key: vec![0; hash.output_bytes()].into(),
            },
        }
    }
}

/// A salt for each hash, of one that is random.
fn salt_of(random: &[u8; 16], hash: ScramHash) -> [u8; 16] {
    let tag = ScramHash::Sha256.hmac(random, hash.upgrade_name().as_bytes());
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

impl ScramHash {
    /// Weakest first.
    pub const ALL: [ScramHash; 3] = [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512];

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
    pub(super) fn output_bytes(self) -> usize {
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
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"comparison");
    let tag = hmac::sign(&key, a);
    hmac::verify(&key, b, tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_hold_all_hashes() {
        let credentials = new_credentials("pencil", [7; 16], 3);
        for hash in [ScramHash::Sha1, ScramHash::Sha256, ScramHash::Sha512] {
            let HashedPassword { keys, salt, .. } = credentials.hashed(hash).unwrap();
            assert_eq!(keys, &derive("pencil", salt, 3, hash));
            assert_eq!(
                (keys.stored_key.len(), keys.server_key.len()),
                (hash.output_bytes(), hash.output_bytes())
            );
        }
    }

    #[test]
    fn fakes_are_stable_and_look_like_their_model() {
        let salts = |credentials: &Credentials| {
            ScramHash::ALL.map(|hash| credentials.hashed(hash).map(|hashed| hashed.salt))
        };
        let model = new_credentials("pencil", [7; 16], 10);
        let fake = |key: u8, name, model: &Credentials| Credentials::fake(&[key; 32], name, model);
        let one = fake(1, "a@x", &model);
        assert_eq!(one, fake(1, "a@x", &model));
        let [a, b, c] = salts(&one);
        assert!(a != b && b != c && a != c && a.is_some());
        for other in [
            fake(1, "b@x", &model),
            fake(2, "a@x", &model),
            model.clone(),
        ] {
            assert!(salts(&other).iter().all(|salt| !salts(&one).contains(salt)));
        }
        // Not even when somebody who can be watched takes another password.
        assert_eq!(fake(1, "a@x", &new_credentials("x", [8; 16], 10)), one);
        // As older versions made them: one salt, fewer iterations, and what XEP-0480 made of it.
        let mut old = new_credentials("pencil", [7; 16], 4);
        let shared = old.sha1.clone().unwrap().salt;
        for hashed in [&mut old.sha256, &mut old.sha512] {
            hashed.as_mut().unwrap().salt = shared;
        }
        let [a, b, c] = salts(&fake(1, "a@x", &old));
        assert!(a == b && b == c && a.is_some());
        old.replace(ScramHash::Sha256, model.sha256.clone().unwrap());
        old.sha512 = None;
        let image = fake(1, "a@x", &old);
        let [a, b, c] = salts(&image);
        assert!(a != b && c.is_none());
        assert_eq!(image.sha1.unwrap().iterations, 4);
        assert_eq!(image.sha256.unwrap().iterations, 10);
    }

    #[test]
    fn comparison() {
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd"));
        assert!(!equal(b"abc", b"ab"));
    }
}
