//! Finished messages, which channels can be bound to. rustls does not tell them, but has the cipher suite work them out: in
//! TLS 1.2 by its pseudorandom function, in TLS 1.3 by its HMAC, of which nothing else is asked. Here both are looked at.
use std::cell::Cell;
use std::sync::LazyLock;

use rustls::crypto::tls12::Prf;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock};
use rustls::crypto::{ActiveKeyExchange, CipherSuiteCommon, hmac};
use rustls::{Error, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

/// RFC 5246 §7.4.9.
pub const UNIQUE_BYTES: usize = 12;
/// RFC 8446 §4.4.4: a hash, with SHA-384 at most.
const HASH_BYTES_MAX: usize = 48;

/// What was seen of the handshake that is processed on this thread, since it was last taken.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    /// TLS 1.2: the master secret is of this handshake alone (RFC 7627).
    pub extended: bool,
    /// The first one of TLS 1.2: `tls-unique` (RFC 5929 §3).
    pub first: Option<[u8; UNIQUE_BYTES]>,
    /// The last one of TLS 1.3.
    pub last: Option<Finished>,
}

/// Of TLS 1.3.
#[derive(Clone, Copy)]
pub struct Finished {
    octets: [u8; HASH_BYTES_MAX],
    length: usize,
}

thread_local! {
    static SEEN: Cell<Seen> = Cell::default();
}

pub fn take() -> Seen {
    SEEN.take()
}

impl Finished {
    fn new(tag: &[u8]) -> Option<Finished> {
        let mut octets = [0; HASH_BYTES_MAX];
        octets.get_mut(..tag.len())?.copy_from_slice(tag);
        let length = tag.len();
        Some(Finished { octets, length })
    }

    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// The same suite, looked at.
pub fn observed(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    /// They live as long as the process, as those of rustls do.
    static OBSERVED: LazyLock<Vec<SupportedCipherSuite>> = LazyLock::new(|| {
        let all = rustls::crypto::ring::ALL_CIPHER_SUITES.iter();
        all.map(|suite| match suite {
            SupportedCipherSuite::Tls12(suite) => {
                SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                    common: common(&suite.common),
                    prf_provider: Box::leak(Box::new(ObservedPrf(suite.prf_provider))),
                    kx: suite.kx,
                    sign: suite.sign,
                    aead_alg: suite.aead_alg,
                })))
            }
            SupportedCipherSuite::Tls13(suite) => {
                SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                    common: common(&suite.common),
                    hkdf_provider: Box::leak(Box::new(ObservedHkdf(suite.hkdf_provider))),
                    aead_alg: suite.aead_alg,
                    quic: suite.quic,
                })))
            }
        })
        .collect()
    });
    let same = |observed: &&SupportedCipherSuite| observed.suite() == suite.suite();
    OBSERVED.iter().find(same).copied().unwrap_or(suite)
}

fn common(of: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: of.suite,
        hash_provider: of.hash_provider,
        confidentiality_limit: of.confidentiality_limit,
    }
}

fn note(note: impl FnOnce(&mut Seen)) {
    let mut seen = SEEN.get();
    note(&mut seen);
    SEEN.set(seen);
}

struct ObservedPrf(&'static dyn Prf);

impl Prf for ObservedPrf {
    fn for_key_exchange(
        &self,
        output: &mut [u8; 48],
        kx: Box<dyn ActiveKeyExchange>,
        peer_pub_key: &[u8],
        label: &[u8],
        seed: &[u8],
    ) -> Result<(), Error> {
        note(|seen| seen.extended = label == b"extended master secret");
        self.0
            .for_key_exchange(output, kx, peer_pub_key, label, seed)
    }

    fn for_secret(&self, output: &mut [u8], secret: &[u8], label: &[u8], seed: &[u8]) {
        self.0.for_secret(output, secret, label, seed);
        if label.ends_with(b" finished") {
            note(|seen| seen.first = seen.first.or((&*output).try_into().ok()));
        }
    }
}

struct ObservedHkdf(&'static dyn Hkdf);

impl Hkdf for ObservedHkdf {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.0.extract_from_zero_ikm(salt)
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        self.0.extract_from_secret(salt, secret)
    }

    fn extract_from_kx_shared_secret(
        &self,
        salt: Option<&[u8]>,
        kx: Box<dyn ActiveKeyExchange>,
        peer_pub_key: &[u8],
    ) -> Result<Box<dyn HkdfExpander>, Error> {
        self.0.extract_from_kx_shared_secret(salt, kx, peer_pub_key)
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        self.0.expander_for_okm(okm)
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> hmac::Tag {
        let tag = self.0.hmac_sign(key, message);
        note(|seen| seen.last = Finished::new(tag.as_ref()));
        tag
    }
}
