//! RFC 5802, RFC 7677: the client's side of SCRAM. The slow salted password is remembered, as clients do, so that the
//! load generator is not what is measured.

use std::collections::HashMap;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

use crate::Outcome;
use crate::scan;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    Sha1,
    Sha256,
}

type SaltedKey = (Hash, Vec<u8>, u32);

#[derive(Default)]
pub struct Scram {
    salted: HashMap<SaltedKey, Vec<u8>>,
    password: String,
}

pub struct Keys {
    pub stored: Vec<u8>,
    pub server: Vec<u8>,
}

impl Hash {
    /// The stronger of those a list of mechanisms offers.
    pub fn offered(features: &[u8]) -> Option<Hash> {
        if scan::has(features, ">SCRAM-SHA-256<") {
            Some(Hash::Sha256)
        } else if scan::has(features, ">SCRAM-SHA-1<") {
            Some(Hash::Sha1)
        } else {
            None
        }
    }

    pub fn mechanism(self) -> &'static str {
        match self {
            Hash::Sha1 => "SCRAM-SHA-1",
            Hash::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn parts(
        self,
    ) -> (
        pbkdf2::Algorithm,
        hmac::Algorithm,
        &'static digest::Algorithm,
    ) {
        match self {
            Hash::Sha1 => (
                pbkdf2::PBKDF2_HMAC_SHA1,
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &digest::SHA1_FOR_LEGACY_USE_ONLY,
            ),
            Hash::Sha256 => (
                pbkdf2::PBKDF2_HMAC_SHA256,
                hmac::HMAC_SHA256,
                &digest::SHA256,
            ),
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let key = hmac::Key::new(self.parts().1, key);
        hmac::sign(&key, text).as_ref().to_vec()
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.parts().2, bytes).as_ref().to_vec()
    }
}

impl Scram {
    pub fn new(password: &str) -> Scram {
        Scram {
            salted: HashMap::new(),
            password: password.to_owned(),
        }
    }

    pub fn first_bare(user: &str, nonce: u64) -> String {
        format!("n={user},r=bench{nonce:016x}")
    }

    pub fn first(bare: &str) -> String {
        STANDARD.encode(format!("n,,{bare}"))
    }

    /// The client's final message, for the server's challenge.
    pub fn answer(&mut self, hash: Hash, bare: &str, challenge: &str) -> Outcome<String> {
        let challenge = String::from_utf8(STANDARD.decode(challenge)?)?;
        let field = |name: &str| {
            challenge
                .split(',')
                .find_map(|part| part.strip_prefix(name))
                .ok_or_else(|| format!("SCRAM challenge without {name}"))
        };
        let salt = STANDARD.decode(field("s=")?)?;
        let iterations: u32 = field("i=")?.parse()?;
        let without_proof = format!("c=biws,r={}", field("r=")?);
        let signed = format!("{bare},{challenge},{without_proof}");
        let salted = self.salted(hash, &salt, iterations)?;
        let client = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&client), signed.as_bytes());
        let proof: Vec<u8> = client.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        Ok(STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof))))
    }

    /// What a server keeps for a password.
    pub fn keys(&mut self, hash: Hash, salt: &[u8], iterations: u32) -> Outcome<Keys> {
        let salted = self.salted(hash, salt, iterations)?;
        Ok(Keys {
            stored: hash.digest(&hash.hmac(&salted, b"Client Key")),
            server: hash.hmac(&salted, b"Server Key"),
        })
    }

    fn salted(&mut self, hash: Hash, salt: &[u8], iterations: u32) -> Outcome<Vec<u8>> {
        let key = (hash, salt.to_vec(), iterations);
        if let Some(known) = self.salted.get(&key) {
            return Ok(known.clone());
        }
        let (algorithm, _, digest) = hash.parts();
        let rounds = NonZeroU32::new(iterations).ok_or("SCRAM with 0 iterations")?;
        let mut salted = vec![0; digest.output_len()];
        pbkdf2::derive(
            algorithm,
            rounds,
            salt,
            self.password.as_bytes(),
            &mut salted,
        );
        self.salted.insert(key, salted.clone());
        Ok(salted)
    }
}
