//! Channel bindings of a TLS connection: `tls-exporter` (RFC 9266) and `tls-server-end-point` (RFC 5929 §4).
use ring::digest::{self, SHA256, SHA384, SHA512};
use ring::hkdf;
use rustls::SupportedCipherSuite;
use rustls::crypto::hash::HashAlgorithm;
use zeroize::Zeroizing;

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const EXPORTER_BYTES: usize = 32;

/// RFC 8446 §7.5: the exporter's value for an empty context, of the exporter master secret.
pub fn exporter(secret: &[u8], suite: SupportedCipherSuite) -> Option<[u8; EXPORTER_BYTES]> {
    let suite = suite.tls13()?;
    let (hkdf, digest) = match suite.common.hash_provider.algorithm() {
        HashAlgorithm::SHA256 => (hkdf::HKDF_SHA256, &SHA256),
        HashAlgorithm::SHA384 => (hkdf::HKDF_SHA384, &SHA384),
        _ => return None,
    };
    let empty_hash = digest::digest(digest, b"");
    let mut derived = Zeroizing::new(vec![0; digest.output_len()]);
    expand_label(
        &hkdf::Prk::new_less_safe(hkdf, secret),
        EXPORTER_LABEL,
        empty_hash.as_ref(),
        &mut derived,
    )?;
    let mut value = [0; EXPORTER_BYTES];
    expand_label(
        &hkdf::Prk::new_less_safe(hkdf, &derived),
        b"exporter",
        empty_hash.as_ref(),
        &mut value,
    )?;
    Some(value)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// RFC 8446 §7.1, HKDF-Expand-Label.
pub fn expand_label(prk: &hkdf::Prk, label: &[u8], context: &[u8], out: &mut [u8]) -> Option<()> {
    const PREFIX: &[u8] = b"tls13 ";
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let context_length = [u8::try_from(context.len()).ok()?];
    let info: [&[u8]; 6] = [
        &length,
        &label_length,
        PREFIX,
        label,
        &context_length,
        context,
    ];
    let expanded = prk.expand(&info, Length(out.len())).ok()?;
    expanded.fill(out).ok()
}

/// RFC 5929 §4.1: the certificate's hash by the hash function of its signature, SHA-256 in place of MD5 and SHA-1.
/// `None` where the signature has no hash function of its own (Ed25519).
pub fn end_point(certificate: &[u8]) -> Option<Box<[u8]>> {
    /// DER of the object identifiers' contents: the hash itself (RSA-PSS) or a signature with it.
    const HASHES: &[(&[u8], &digest::Algorithm)] = &[
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1.
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04],
            &SHA256,
        ),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
            &SHA256,
        ),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], &SHA256),
        // sha256/384/512WithRSAEncryption.
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
            &SHA256,
        ),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c],
            &SHA384,
        ),
        (
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d],
            &SHA512,
        ),
        // ecdsa-with-SHA256/384/512.
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], &SHA256),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], &SHA384),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], &SHA512),
        // sha256, sha384, sha512 as the parameter of RSASSA-PSS.
        (
            &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
            &SHA256,
        ),
        (
            &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
            &SHA384,
        ),
        (
            &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
            &SHA512,
        ),
    ];
    let (whole, _) = der_content(certificate)?;
    let (_to_be_signed, rest) = der_content(whole)?;
    let (algorithm, _) = der_content(rest)?;
    let hash = HASHES.iter().find_map(|(oid, hash)| {
        algorithm
            .windows(oid.len())
            .any(|window| window == *oid)
            .then_some(*hash)
    })?;
    Some(digest::digest(hash, certificate).as_ref().into())
}

/// The content of the first DER value, and what follows it.
fn der_content(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&_tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = octets.iter().try_fold(0usize, |length, octet| {
            length.checked_mul(256)?.checked_add(usize::from(*octet))
        })?;
        (length, rest)
    };
    rest.split_at_checked(length)
}

/// Of a certificate, as people compare them: `AB:CD:…`.
pub struct Fingerprints {
    pub sha256: String,
    /// Some clients show nothing else. It tells one certificate from another, and proves nothing against who can make two
    /// of the same.
    pub sha1: String,
}

impl Fingerprints {
    pub fn new(certificate: &[u8]) -> Fingerprints {
        let digest = |algorithm| {
            let digest = digest::digest(algorithm, certificate);
            let octets = digest.as_ref().iter().map(|octet| format!("{octet:02X}"));
            octets.collect::<Vec<_>>().join(":")
        };
        Fingerprints {
            sha256: digest(&SHA256),
            sha1: digest(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        }
    }
}
