//! What clients work out for themselves: `{name argument …}` in what they send.
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

use super::run::password;

/// Puts every `{name …}` in its place; other braces stay.
pub fn fill(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (inside, behind) = after.split_once('}').unwrap_or(("", after));
        match compute(inside) {
            Some(computed) => {
                filled.push_str(&computed);
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

fn compute(inside: &str) -> Option<String> {
    let words: Vec<&str> = inside.split(' ').collect();
    if let ["handshake", id, secret] = words.as_slice() {
        let text = [*id, *secret].concat();
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let digits = hash.as_ref().iter();
        return Some(digits.map(|octet| format!("{octet:02x}")).collect());
    }
    let bytes = match words.as_slice() {
        ["plain", user] => format!("\0{user}\0{}", password(user)).into_bytes(),
        ["plain", user, password] => format!("\0{user}\0{password}").into_bytes(),
        ["ht", user, token] => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
            let tag = hmac::sign(&key, b"Initiator");
            [user.as_bytes(), b"\0", tag.as_ref()].concat()
        }
        ["first", user] => format!("n,,n={user},r=client").into_bytes(),
        ["proof", user, password, challenge] => proof(user, password, challenge).into_bytes(),
        ["bearer", token] => format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes(),
        ["bearer", token, user] => {
            let jid = format!("{user}@localhost");
            format!("n,a={jid},\u{1}host=localhost\u{1}auth=Bearer {token}\u{1}\u{1}").into_bytes()
        }
        ["salted", password, salt, iterations] => {
            let salt = STANDARD.decode(salt).expect("a salt in base64");
            salted(password, &salt, iterations)
        }
        ["base64", ..] => inside.strip_prefix("base64 ").unwrap_or_default().into(),
        _ => return None,
    };
    Some(STANDARD.encode(bytes))
}

fn salted(password: &str, salt: &[u8], iterations: &str) -> Vec<u8> {
    let iterations = iterations.parse().expect("a number of iterations");
    let iterations = NonZeroU32::new(iterations).expect("at least one");
    let mut salted = vec![0; 32];
    let hash = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(hash, iterations, salt, password.as_bytes(), &mut salted);
    salted
}

/// The client's final message of SCRAM-SHA-256 after `{first …}`.
fn proof(user: &str, password: &str, challenge: &str) -> String {
    let challenge = STANDARD.decode(challenge).expect("base64");
    let challenge = String::from_utf8(challenge).expect("text");
    let value = |name: &str| {
        let mut values = challenge.split(',');
        let value = values.find_map(|value| value.strip_prefix(name));
        value.expect("an attribute of the challenge").to_string()
    };
    let salt = STANDARD.decode(value("s=")).expect("a salt in base64");
    let salted = salted(password, &salt, &value("i="));
    let sign = |key: &[u8], text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let without_proof = format!("c=biws,r={}", value("r="));
    let key = sign(&salted, "Client Key");
    let stored = digest::digest(&digest::SHA256, &key);
    let signed = format!("n={user},r=client,{challenge},{without_proof}");
    let signature = sign(stored.as_ref(), &signed);
    let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}
