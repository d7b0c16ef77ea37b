//! A certificate that its own key signs (RFC 5280), and the key (RFC 5958). What is written is always of the one form that a
//! server needs: names and addresses it has, for as long as clocks count.
use std::net::IpAddr;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{Error, SignatureScheme, sign::SigningKey};

use crate::xmpp::base64;

/// Characters of a line of PEM (RFC 7468 §2).
const LINE_CHARS: usize = 64;
/// §4.1.2.2: at most 20 octets, and positive.
const SERIAL_BYTES: usize = 16;

/// What may sign it: the scheme, and the name of the algorithm (RFC 5758 §3.2, RFC 8410 §3, RFC 4055 §5) as it is written.
const SCHEMES: &[(SignatureScheme, &[u8])] = &[
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
    ),
    (SignatureScheme::ED25519, b"\x30\x05\x06\x03\x2b\x65\x70"),
    (
        SignatureScheme::RSA_PKCS1_SHA256,
        b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
    ),
];

/// §4.1: version 3.
const VERSION: &[u8] = b"\xa0\x03\x02\x01\x02";
/// §4.1.2.5: from 1970 on, without a well-defined end.
const VALIDITY: &[u8] = b"\x30\x20\x17\x0d700101000000Z\x18\x0f99991231235959Z";
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
const ALT_NAMES: &[u8] = b"\x06\x03\x55\x1d\x11";
/// §4.2.1.12: for TLS servers.
const FOR_SERVERS: &[u8] =
    b"\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const EXTENSIONS: u8 = 0xa3;
/// §4.2.1.6
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// What the certificate says.
pub struct Subject<'a> {
    pub common_name: &'a str,
    /// DNS names, as A-labels.
    pub names: &'a [String],
    pub addresses: &'a [IpAddr],
}

/// A new EC key on P-256, as PEM. `None`: the system has no randomness.
pub fn new_key() -> Option<String> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    Some(pem("PRIVATE KEY", key.ok()?.as_ref()))
}

/// The certificate, as PEM, of a key in PEM.
pub fn certificate(key: &str, subject: &Subject<'_>) -> Result<String, Error> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| Error::General(error.to_string()))?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
    let (signer, algorithm) = SCHEMES
        .iter()
        .find_map(|(scheme, name)| Some((key.choose_scheme(&[*scheme])?, *name)))
        .ok_or_else(|| Error::General("it signs in no way that clients know".to_string()))?;
    let signed = to_be_signed(&*key, algorithm, subject)?;
    let signature = signer.sign(&signed)?;
    let signature = der(BIT_STRING, &[&[0], &signature]);
    let whole = der(SEQUENCE, &[&signed, algorithm, &signature]);
    Ok(pem("CERTIFICATE", &whole))
}

/// §4.1.2
fn to_be_signed(
    key: &dyn SigningKey,
    algorithm: &[u8],
    subject: &Subject<'_>,
) -> Result<Vec<u8>, Error> {
    let mut serial = [0; SERIAL_BYTES];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| Error::FailedToGetRandomBytes)?;
    // Positive, and no shorter.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    let public = key.public_key();
    let public = public.ok_or_else(|| Error::General("it has no public key".to_string()))?;
    let name = der(UTF8_STRING, &[subject.common_name.as_bytes()]);
    let name = der(SET, &[&der(SEQUENCE, &[COMMON_NAME, &name])]);
    let name = der(SEQUENCE, &[&name]);
    let extensions = der(SEQUENCE, &[&alt_names(subject), FOR_SERVERS]);
    Ok(der(
        SEQUENCE,
        &[
            VERSION,
            &der(INTEGER, &[&serial]),
            algorithm,
            &name,
            VALIDITY,
            &name,
            &public,
            &der(EXTENSIONS, &[&extensions]),
        ],
    ))
}

/// §4.2.1.6; a name that a certificate cannot hold is left out.
fn alt_names(subject: &Subject<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    for name in subject.names.iter().filter(|name| name.is_ascii()) {
        all.extend(der(DNS_NAME, &[name.as_bytes()]));
    }
    for address in subject.addresses {
        all.extend(match address {
            IpAddr::V4(address) => der(IP_ADDRESS, &[&address.octets()]),
            IpAddr::V6(address) => der(IP_ADDRESS, &[&address.octets()]),
        });
    }
    let all = der(OCTET_STRING, &[&der(SEQUENCE, &[&all])]);
    der(SEQUENCE, &[ALT_NAMES, &all])
}

/// X.690 §8.1: tag, length, contents.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
            out.extend(bytes);
        }
    }
    for part in parts {
        out.extend(*part);
    }
    out
}

fn pem(kind: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {kind}-----\n");
    for (at, letter) in base64(der).chars().enumerate() {
        if at > 0 && at % LINE_CHARS == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END ");
    text.push_str(kind);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::server::ParsedCertificate;

    use super::*;

    #[test]
    fn lengths_are_written_in_the_shortest_way() {
        for (length, expected) in [
            (0, &[4, 0][..]),
            (0x7f, &[4, 0x7f]),
            (0x80, &[4, 0x81, 0x80]),
            (0x1234, &[4, 0x82, 0x12, 0x34]),
        ] {
            let written = der(OCTET_STRING, &[&vec![0; length]]);
            assert_eq!(&written[..expected.len()], expected);
            assert_eq!(written.len(), expected.len() + length);
        }
    }

    /// The first element of these bytes, with its tag, and what is behind it.
    fn element(bytes: &[u8]) -> (&[u8], &[u8]) {
        let (start, length) = match usize::from(bytes[1]) {
            0x82 => (4, usize::from(bytes[2]) << 8 | usize::from(bytes[3])),
            0x81 => (3, usize::from(bytes[2])),
            length => (2, length),
        };
        bytes.split_at(start + length)
    }

    #[test]
    fn the_key_signed_all_of_it() {
        let key = new_key().unwrap();
        let subject = Subject {
            common_name: "pi.local",
            names: &["pi.local".to_string()],
            addresses: &[],
        };
        let text = certificate(&key, &subject).unwrap();
        let der = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        let (signed, rest) = element(&der[4..]);
        let (algorithm, signature) = element(rest);
        assert_eq!(algorithm, SCHEMES[0].1);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let public = key.public_key().unwrap();
        let point = &public[public.len() - 65..];
        let verified = ring::signature::UnparsedPublicKey::new(
            &ring::signature::ECDSA_P256_SHA256_ASN1,
            point,
        )
        .verify(signed, &signature[3..]);
        assert_eq!(verified, Ok(()));
    }

    #[test]
    fn keys_of_all_kinds_sign_what_others_read() {
        let made = new_key().unwrap();
        let mut keys = vec![made];
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            keys.push(
                rcgen::KeyPair::generate_for(algorithm)
                    .unwrap()
                    .serialize_pem(),
            );
        }
        let names: Vec<String> = (0..40).map(|n| format!("name{n}.example")).collect();
        let subject = Subject {
            common_name: "bücher.example",
            names: &names,
            addresses: &["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        };
        let mut seen = Vec::new();
        for key in keys {
            let text = certificate(&key, &subject).unwrap();
            assert!(text.lines().all(|line| line.len() <= LINE_CHARS));
            let der = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            let parsed = ParsedCertificate::try_from(&der).unwrap();
            for name in [
                "name0.example",
                "name39.example",
                "192.0.2.1",
                "2001:db8::1",
            ] {
                let name = ServerName::try_from(name).unwrap();
                rustls::client::verify_server_name(&parsed, &name).unwrap();
            }
            let other = ServerName::try_from("name40.example").unwrap();
            assert!(rustls::client::verify_server_name(&parsed, &other).is_err());
            seen.push(text);
        }
        seen.dedup();
        assert_eq!(seen.len(), 3);
        assert!(certificate("no key", &subject).is_err());
    }
}
