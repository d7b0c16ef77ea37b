//! SCRAM for the server's side (RFC 5802, RFC 7677): the messages and the proof. Pure: nonce, salt and keys are given.

use crate::xmpp::{SaslCondition, base64, from_base64};

use super::super::keys::equal;
use super::super::{SaslFailure, ScramHash, ScramKeys};

/// What the client says of channel binding (§7 gs2-cbind-flag).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `n`: it cannot.
    Impossible,
    /// `y`: it could, and believes that the server cannot.
    Unoffered,
    /// `p`: it does, by this type.
    Type(Box<str>),
}

/// The client's first message, decoded.
#[derive(Debug)]
pub struct ClientFirst {
    pub binding: Binding,
    pub authzid: Option<String>,
    pub username: String,
    nonce: Box<str>,
    /// As they came; both are part of what is proved.
    gs2_header: Box<str>,
    bare: Box<str>,
}

impl ClientFirst {
    pub fn parse(message: &[u8]) -> Result<ClientFirst, SaslFailure> {
        let text =
            std::str::from_utf8(message).map_err(|_| malformed("The message is not UTF-8."))?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("The message has too few parts."));
        };
        let binding = match flag.split_once('=') {
            None if flag == "n" => Binding::Impossible,
            None if flag == "y" => Binding::Unoffered,
            Some(("p", kind)) if is_binding_name(kind) => Binding::Type(kind.into()),
            _ => return Err(malformed("The channel binding flag is unknown.")),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(saslname(attribute(Some(authzid), "a=")?)?),
        };
        let gs2_len = text.len() - bare.len();
        let mut attributes = bare.split(',');
        let first = attributes.next();
        if first.is_some_and(|first| first.starts_with("m=")) {
            return Err(malformed("A mandatory extension is not supported."));
        }
        let username = saslname(attribute(first, "n=")?)?;
        let nonce = attribute(attributes.next(), "r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("The nonce is not printable."));
        }
        check_extensions(attributes)?;
        Ok(ClientFirst {
            binding,
            authzid,
            username,
            nonce: nonce.into(),
            gs2_header: text.get(..gs2_len).unwrap_or_default().into(),
            bare: bare.into(),
        })
    }
}

/// What goes into the server's first message.
pub struct Parameters<'a> {
    pub hash: ScramHash,
    /// Our part of the nonce: printable ASCII without commas.
    pub nonce: &'a str,
    pub salt: &'a [u8],
    pub iterations: u32,
    /// XEP-0474: digest of what was advertised.
    pub advertised: Option<&'a str>,
    /// Data of the channel binding the client chose; empty for none.
    pub channel_binding: &'a [u8],
}

/// The server's first message is made, the client's final one is awaited.
#[derive(Debug)]
pub struct Challenge {
    hash: ScramHash,
    /// §7 cbind-input.
    channel_binding: Box<[u8]>,
    nonce: Box<str>,
    client_first_bare: Box<str>,
    server_first: Box<str>,
}

impl Challenge {
    pub fn new(first: ClientFirst, parameters: &Parameters<'_>) -> Challenge {
        let nonce = format!("{}{}", first.nonce, parameters.nonce);
        let salt = base64(parameters.salt);
        let mut server_first = format!("r={nonce},s={salt},i={}", parameters.iterations);
        if let Some(digest) = parameters.advertised {
            server_first.push_str(",h=");
            server_first.push_str(digest);
        }
        let channel_binding = [first.gs2_header.as_bytes(), parameters.channel_binding].concat();
        Challenge {
            hash: parameters.hash,
            channel_binding: channel_binding.into(),
            nonce: nonce.into(),
            client_first_bare: first.bare,
            server_first: server_first.into(),
        }
    }

    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's final message; the result is the server's, with its own proof.
    pub fn verify(&self, message: &[u8], keys: &ScramKeys) -> Result<String, SaslFailure> {
        let text =
            std::str::from_utf8(message).map_err(|_| malformed("The message is not UTF-8."))?;
        let (without_proof, proof) = text
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("The proof is missing."))?;
        let proof = decode(proof)?;
        let mut attributes = without_proof.split(',');
        let channel_binding = decode(attribute(attributes.next(), "c=")?)?;
        let nonce = attribute(attributes.next(), "r=")?;
        check_extensions(attributes)?;
        if nonce != &*self.nonce {
            return Err(malformed("The nonce is not the one of this login."));
        }
        // §5.1: this is where somebody in the middle is found.
        if !equal(&channel_binding, &self.channel_binding) {
            return Err(SaslFailure::new(SaslCondition::NotAuthorized)
                .text("The channel binding does not match."));
        }
        let signed = format!(
            "{},{},{without_proof}",
            self.client_first_bare, self.server_first
        );
        let signature = self.hash.hmac(&keys.stored_key, signed.as_bytes());
        let signature = signature.as_ref();
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let stored_key = self.hash.digest(&client_key);
        if proof.len() != signature.len() || !equal(stored_key.as_ref(), &keys.stored_key) {
            return Err(SaslCondition::NotAuthorized.into());
        }
        let server_signature = self.hash.hmac(&keys.server_key, signed.as_bytes());
        Ok(format!("v={}", base64(server_signature)))
    }
}

fn malformed(text: &'static str) -> SaslFailure {
    SaslFailure::new(SaslCondition::MalformedRequest).text(text)
}

fn attribute<'a>(found: Option<&'a str>, name: &str) -> Result<&'a str, SaslFailure> {
    found
        .and_then(|found| found.strip_prefix(name))
        .ok_or_else(|| malformed("An attribute is missing or out of order."))
}

/// §5.1: extensions are ignored, but for those that say they must not be.
fn check_extensions<'a>(extensions: impl Iterator<Item = &'a str>) -> Result<(), SaslFailure> {
    for extension in extensions {
        match extension.as_bytes() {
            [b'm', b'=', ..] => return Err(malformed("A mandatory extension is not supported.")),
            [name, b'=', _, ..] if name.is_ascii_alphabetic() => {}
            _ => return Err(malformed("An attribute is malformed.")),
        }
    }
    Ok(())
}

/// RFC 5801 §4 gs2-cb-name.
fn is_binding_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !text.is_empty() && text.bytes().all(allowed)
}

/// §5.1: `=2C` and `=3D` are comma and equals sign; no other `=` may stand in a name.
fn saslname(text: &str) -> Result<String, SaslFailure> {
    let mut parts = text.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(malformed("A name is wrongly encoded.")),
        };
        name.push(character);
        name.push_str(rest);
    }
    match name.is_empty() || name.contains('\0') {
        true => Err(malformed("A name is empty.")),
        false => Ok(name),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, SaslFailure> {
    from_base64(text).map_err(|_| malformed("An attribute is not base64."))
}

#[cfg(test)]
mod tests {
    use super::super::super::keys::derive;
    use super::*;

    /// Client's first message, its final one without proof, the proof, the server's final message.
    struct Vector {
        hash: ScramHash,
        first: &'static str,
        nonce: &'static str,
        salt: &'static str,
        advertised: Option<&'static str>,
        channel_binding: &'static [u8],
        server_first: &'static str,
        last: &'static str,
        server_last: &'static str,
    }

    /// RFC 5802 §5, RFC 7677 §3, XEP-0474 §5.3; the password is always `pencil`.
    const VECTORS: [Vector; 3] = [
        Vector {
            hash: ScramHash::Sha1,
            first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            nonce: "3rfcNHYJY1ZVvWVs7j",
            salt: "QSXCR+Q6sek8bf92",
            advertised: None,
            channel_binding: b"",
            server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            last: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            server_last: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        },
        Vector {
            hash: ScramHash::Sha256,
            first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
            advertised: None,
            channel_binding: b"",
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            last: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            server_last: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        },
        Vector {
            hash: ScramHash::Sha1,
            first: "p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6",
            nonce: "a09117a6-ac50-4f2f-93f1-93799c2bddf6",
            salt: "QSXCR+Q6sek8bf92",
            advertised: Some("G6k/rBLDqgOhRRaCuuatSDFkJ08="),
            channel_binding: b"THIS IS FAKE CB DATA",
            server_first: "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=",
            last: "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
            server_last: "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=",
        },
    ];

    fn challenge(vector: &Vector) -> (Challenge, ScramKeys) {
        let salt = from_base64(vector.salt).unwrap();
        let first = ClientFirst::parse(vector.first.as_bytes()).unwrap();
        assert_eq!(first.username, "user");
        let parameters = Parameters {
            hash: vector.hash,
            nonce: vector.nonce,
            salt: &salt,
            iterations: 4096,
            advertised: vector.advertised,
            channel_binding: vector.channel_binding,
        };
        let keys = derive("pencil", &salt, 4096, vector.hash);
        (Challenge::new(first, &parameters), keys)
    }

    #[test]
    fn vectors_of_the_specifications() {
        for vector in &VECTORS {
            let (challenge, keys) = challenge(vector);
            assert_eq!(challenge.server_first(), vector.server_first);
            let server_last = challenge.verify(vector.last.as_bytes(), &keys);
            assert_eq!(server_last.unwrap(), vector.server_last);
        }
    }

    #[test]
    fn a_final_message_changed_anywhere_is_refused() {
        for vector in &VECTORS {
            let (challenge, keys) = challenge(vector);
            for at in 0..vector.last.len() {
                let mut changed = vector.last.as_bytes().to_vec();
                changed[at] ^= 1;
                assert!(challenge.verify(&changed, &keys).is_err(), "{at}");
                assert!(challenge.verify(&changed[..at], &keys).is_err(), "{at}");
            }
        }
    }

    #[test]
    fn final_messages_name_what_is_wrong() {
        let (challenge, keys) = challenge(&VECTORS[0]);
        let nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
        let proof = "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
        for (message, condition) in [
            (
                format!("c=eSws,r={nonce},p={proof}"),
                SaslCondition::NotAuthorized,
            ),
            (format!("c=biws,r={nonce},p="), SaslCondition::NotAuthorized),
            (format!("c=biws,r={nonce}"), SaslCondition::MalformedRequest),
            (
                format!("r={nonce},c=biws,p={proof}"),
                SaslCondition::MalformedRequest,
            ),
            (
                format!("c=biws,r={nonce}x,p={proof}"),
                SaslCondition::MalformedRequest,
            ),
            (
                format!("c=biws,r={nonce},m=x,p={proof}"),
                SaslCondition::MalformedRequest,
            ),
            (
                format!("c=biw,r={nonce},p={proof}"),
                SaslCondition::MalformedRequest,
            ),
            (
                format!("c=biws,r={nonce},p={proof},x=1"),
                SaslCondition::MalformedRequest,
            ),
        ] {
            let failure = challenge.verify(message.as_bytes(), &keys).unwrap_err();
            assert_eq!(failure.condition, condition, "{message}");
        }
    }

    #[test]
    fn first_messages() {
        let first = ClientFirst::parse(b"y,a=a=2Cb@x,n=we=3Dird=2C,r=abc,x=y,z=1").unwrap();
        assert_eq!(first.binding, Binding::Unoffered);
        assert_eq!(first.authzid.as_deref(), Some("a,b@x"));
        assert_eq!(first.username, "we=ird,");
        assert_eq!(&*first.nonce, "abc");
        assert_eq!(&*first.gs2_header, "y,a=a=2Cb@x,");
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=user,",
            "n,,n=user,r=",
            "n,,r=abc,n=user",
            "n,,n=,r=abc",
            "n,,n=a=2D,r=abc",
            "n,,n=a=,r=abc",
            "n,,m=x,n=user,r=abc",
            "n,,n=user,r=abc,m=x",
            "n,,n=user,r=a\u{e9}",
            "n,,n=user,r=a b",
            "n,,n=user,r=abc,x",
            "x,,n=user,r=abc",
            "p,,n=user,r=abc",
            "p=,,n=user,r=abc",
            "p=a_b,,n=user,r=abc",
            "n=1,,n=user,r=abc",
            "n,b=x,n=user,r=abc",
            "n,a=,n=user,r=abc",
            "F,n,,n=user,r=abc",
            "n,,n=us\0er,r=abc",
        ] {
            let failure = ClientFirst::parse(bad.as_bytes()).unwrap_err();
            assert_eq!(failure.condition, SaslCondition::MalformedRequest, "{bad}");
        }
        assert!(ClientFirst::parse(b"n,,n=\xff,r=abc").is_err());
    }
}
